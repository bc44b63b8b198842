"""``keras.layers.BatchNormalization``, the Keras 3 layer, on the backend that was chosen before Keras was imported."""

import functools
import os

from ._kept import kept


@functools.lru_cache(maxsize=None)
def two():
    """A strategy of two replicas on one CPU, the same for all calls: its collective operations are counted."""
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, 2 * [tf.config.LogicalDeviceConfiguration()])
    return tf.distribute.MirroredStrategy(["cpu:0", "cpu:1"])


def run(case):
    import keras

    def built():
        arguments = case.given(epsilon="epsilon", momentum="momentum")
        if case.variant == "synchronized":
            arguments["synchronized"] = True
        layer = keras.layers.BatchNormalization(
            axis=case.axis,
            center=case.beta is not None,
            scale=case.gamma is not None,
            dtype=case.dtype
            if case.parameters_dtype == case.dtype and not str(case.variant).startswith("mixed")
            else "mixed_" + case.dtype,
            **arguments,
        )
        shape = case.steps[0].shape
        if case.variant == "predict":
            inputs = keras.Input(
                batch_shape=[n if a in case.kept else None for a, n in enumerate(shape)], dtype=case.dtype
            )
            return layer, keras.Model(inputs, layer(inputs))
        layer.build(shape)
        if not case.trainable:
            layer.trainable = False
        if case.variant in ("graph", "xla"):
            import tensorflow as tf

            return layer, tf.function(layer, jit_compile=case.variant == "xla")
        return layer, layer

    def replicated(x, **options):
        """Two replicas: the first takes one row, the second all others."""
        parts = [keras.ops.convert_to_tensor(part) for part in (x[:1], x[1:])]
        given = two().experimental_distribute_values_from_function(lambda c: parts[c.replica_id_in_sync_group])
        outputs = two().experimental_local_results(two().run(layer, (given,), options))
        return keras.ops.convert_to_numpy(keras.ops.concatenate(outputs))

    def apply(x, **options):
        if case.variant == "synchronized":
            return replicated(x, **options)
        if case.variant == "predict":
            return model.predict(x, verbose=0)
        return keras.ops.convert_to_numpy(model(keras.ops.convert_to_tensor(x), **options))

    def differentiated(x, **options):
        """The output, its gradient with respect to x, and those with respect to the weights."""
        x, upstream = keras.ops.convert_to_tensor(x), keras.ops.convert_to_tensor(case.upstream)
        if os.environ["KERAS_BACKEND"] == "tensorflow":
            import tensorflow as tf

            with tf.GradientTape() as tape:
                tape.watch(x)
                output = model(x, **options)
            gradients = tape.gradient(output, [x, *layer.trainable_variables], upstream)
        elif os.environ["KERAS_BACKEND"] == "torch":
            import torch

            x.requires_grad_()
            output = model(x, **options)
            of = [x, *(v.value for v in layer.trainable_variables)]
            gradients = torch.autograd.grad(output, of, upstream)
        else:
            import jax

            def call(x, trainable):
                fixed = [v.value for v in layer.non_trainable_variables]
                return layer.stateless_call(trainable, fixed, x, **options)

            trainable = [v.value for v in layer.trainable_variables]
            output, back, updated = jax.vjp(call, x, trainable, has_aux=True)
            for variable, value in zip(layer.non_trainable_variables, updated):
                variable.assign(value)
            of_x, of_trainable = back(upstream)
            gradients = [of_x, *of_trainable]
        output, *gradients = map(keras.ops.convert_to_numpy, [output, *gradients])
        names = ["x", *(v.name for v in layer.trainable_variables)]
        return output, {"gradient_" + name: gradient for name, gradient in zip(names, gradients)}

    scope = (
        two().scope() if case.variant == "synchronized" else keras.device("gpu:0" if case.device == "gpu" else "cpu:0")
    )
    with scope:
        layer, model = kept(case, built)
        weights = [case.gamma, case.beta, case.moving_mean, case.moving_variance]
        layer.set_weights([w for w in weights if w is not None])
        options = {} if case.mode is None else {"training": case.mode == "training"}
        if case.mask is not None:
            options["mask"] = keras.ops.convert_to_tensor(case.mask)
        for x in case.steps:
            if case.upstream is None or case.variant in ("predict", "synchronized"):
                output = apply(x, **options)
            else:
                output, gradients = differentiated(x, **options)
        result = {
            "output": output,
            "moving_mean": keras.ops.convert_to_numpy(layer.moving_mean),
            "moving_variance": keras.ops.convert_to_numpy(layer.moving_variance),
        }
        if case.upstream is not None and case.variant not in ("predict", "synchronized"):
            result.update(gradients)
        if case.extra is not None:
            result["inference"] = apply(case.extra, training=False)
        return result
