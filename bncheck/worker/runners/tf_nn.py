"""``tf.nn.moments`` and ``tf.nn.batch_normalization``, with ``tf.train.ExponentialMovingAverage`` for the moving
averages, which their documentation leaves to the user."""

from . import _tensorflow
from ._tensorflow import differentiated, gpu  # noqa: F401


def load():
    return _tensorflow.version()


def run(case):
    import tensorflow as tf

    def normalize(x, mean, variance):
        return tf.nn.batch_normalization(x, mean, variance, offset, scale, case.epsilon)

    def step(x):
        if case.mode == "inference":
            return normalize(x, moving_mean, moving_variance)
        batch_mean, batch_variance = tf.nn.moments(x, axes=list(case.reduced), keepdims=True)
        mean.assign(batch_mean)
        variance.assign(batch_variance)
        average.apply([mean, variance])
        return normalize(x, batch_mean, batch_variance)

    with tf.device("/GPU:0" if case.device == "gpu" else "/CPU:0"):
        offset, scale = case.broadcast(case.beta), case.broadcast(case.gamma)
        if case.upstream is not None:
            offset, scale = (p if p is None else tf.convert_to_tensor(p) for p in (offset, scale))
        mean, variance = (tf.Variable(case.broadcast(s)) for s in (case.moving_mean, case.moving_variance))
        moving_mean, moving_variance = mean, variance
        if case.mode == "training":
            average = tf.train.ExponentialMovingAverage(case.momentum)
            average.apply([mean, variance])  # the averages begin at the variables' values
            moving_mean, moving_variance = average.average(mean), average.average(variance)
        for x in case.steps:
            x = tf.convert_to_tensor(x)
            if case.upstream is None:
                output = step(x)
            else:
                output, gradients = differentiated(step, x, {"gamma": scale, "beta": offset}, case.upstream)
        result = {
            "output": output.numpy(),
            "moving_mean": moving_mean.numpy().reshape(case.moving_mean.shape),
            "moving_variance": moving_variance.numpy().reshape(case.moving_mean.shape),
        }
        if case.upstream is not None:
            result["gradient_x"] = gradients.pop("gradient_x").numpy()
            result.update((name, g.numpy().reshape(case.moving_mean.shape)) for name, g in gradients.items())
        if case.extra is not None:
            result["inference"] = normalize(case.extra, moving_mean, moving_variance).numpy()
        return result
