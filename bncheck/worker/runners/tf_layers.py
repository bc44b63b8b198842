"""``tf.compat.v1.layers.batch_normalization`` in a graph, its updates run through ``UPDATE_OPS``."""

from . import _tensorflow
from ._kept import kept
from ._tensorflow import gpu  # noqa: F401


def load():
    import tf_keras  # noqa: F401  (the layer is built on it)

    return _tensorflow.version()


def run(case):
    import warnings

    import tensorflow as tf

    def apply(x, **options):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the function is deprecated
            return tf.compat.v1.layers.batch_normalization(
                x,
                axis=case.axis,
                center=case.beta is not None,
                scale=case.gamma is not None,
                trainable=case.trainable,
                name="batch_normalization",
                **case.given(epsilon="epsilon", momentum="momentum", virtual_batch_size="virtual_batch_size"),
                **options,
            )

    def built():
        graph = tf.Graph()
        with graph.as_default(), tf.device("/GPU:0" if case.device == "gpu" else "/CPU:0"):
            x = tf.compat.v1.placeholder(case.dtype, case.steps[0].shape)
            output = apply(x, **({} if case.mode is None else {"training": case.mode == "training"}))
            updates = tf.compat.v1.get_collection(tf.compat.v1.GraphKeys.UPDATE_OPS)
            inference = None if case.extra is None else apply(x, training=False, reuse=True)
            variables = {v.op.name.rsplit("/", 1)[1]: v for v in tf.compat.v1.global_variables()}
            if case.upstream is not None:
                upstream = tf.compat.v1.placeholder(case.dtype, case.upstream.shape, "upstream")
                of = {"x": x, **{v.op.name.rsplit("/", 1)[1]: v for v in tf.compat.v1.trainable_variables()}}
                for name, gradient in zip(of, tf.gradients(output, list(of.values()), upstream)):
                    tf.compat.v1.add_to_collection("gradients", tf.identity(gradient, "gradient_" + name))
        return x, output, updates, inference, variables, tf.compat.v1.Session(graph=graph)

    x, output, updates, inference, variables, session = kept(case, built)
    if case.variant == "no-updates":
        updates = []
    values = case.given(gamma="gamma", beta="beta", moving_mean="moving_mean", moving_variance="moving_variance")
    with session.graph.as_default():
        loaded = {variables[name].initializer: value.reshape(variables[name].shape) for name, value in values.items()}
        session.run(list(loaded), {initializer.inputs[1]: value for initializer, value in loaded.items()})
        for batch in case.steps:
            if case.upstream is None:
                y, _ = session.run([output, updates], {x: batch})
            else:
                gradients = {g.op.name: g for g in tf.compat.v1.get_collection("gradients")}
                y, _, gradients = session.run([output, updates, gradients], {x: batch, "upstream:0": case.upstream})
        result = {"output": y}
        statistics = session.run({name: variables[name] for name in ("moving_mean", "moving_variance")})
        result.update((name, statistic.reshape(case.moving_mean.shape)) for name, statistic in statistics.items())
        if case.upstream is not None:
            result["gradient_x"] = gradients.pop("gradient_x")
            result.update((name, g.reshape(case.moving_mean.shape)) for name, g in gradients.items())
        if case.extra is not None:
            result["inference"] = session.run(inference, {x: case.extra})
    return result
