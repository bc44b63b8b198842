"""``tf.nn.moments``, ``tf.nn.batch_normalization`` and ``tf.train.ExponentialMovingAverage`` of TensorFlow 1, in a
graph."""

from . import _tensorflow
from ._tensorflow import gpu  # noqa: F401


def load():
    return _tensorflow.version()


def run(case):
    import tensorflow as tf

    def normalize(x, mean, variance):
        return tf.nn.batch_normalization(x, mean, variance, offset, scale, case.epsilon)

    device = tf.device("/GPU:0" if case.device == "gpu" else "/CPU:0")
    with tf.Graph().as_default(), tf.compat.v1.Session() as session, device:
        offset, scale = (p if p is None else tf.constant(case.broadcast(p)) for p in (case.beta, case.gamma))
        statistics = (case.broadcast(s) for s in (case.moving_mean, case.moving_variance))
        mean, variance = (tf.Variable(s, use_resource=True) for s in statistics)
        moving_mean, moving_variance, update = mean, variance, []
        x = tf.compat.v1.placeholder(case.dtype, case.steps[0].shape)
        if case.mode == "inference":
            output = normalize(x, mean, variance)
        else:
            batch_mean, batch_variance = tf.nn.moments(x, axes=list(case.reduced), keepdims=True)
            average = tf.train.ExponentialMovingAverage(case.momentum)
            with tf.control_dependencies([mean.assign(batch_mean), variance.assign(batch_variance)]):
                update = average.apply([mean, variance])  # the averages begin at the variables' values
            moving_mean, moving_variance = average.average(mean), average.average(variance)
            output = normalize(x, batch_mean, batch_variance)
        gradients = {}
        if case.upstream is not None:
            of = {"gradient_x": x, "gradient_gamma": scale, "gradient_beta": offset}
            of = {name: tensor for name, tensor in of.items() if tensor is not None}
            found = tf.gradients(output, list(of.values()), tf.constant(case.upstream))
            gradients = dict(zip(of, found))
        session.run(tf.compat.v1.global_variables_initializer())
        for batch in case.steps:
            y, found, _ = session.run([output, gradients, update], {x: batch})
        result = {"output": y, "gradient_x": found.pop("gradient_x", None)}
        found.update(session.run({"moving_mean": moving_mean, "moving_variance": moving_variance}))
        result.update((name, tensor.reshape(case.moving_mean.shape)) for name, tensor in found.items())
        if case.extra is not None:
            result["inference"] = session.run(normalize(tf.constant(case.extra), moving_mean, moving_variance))
        return result
