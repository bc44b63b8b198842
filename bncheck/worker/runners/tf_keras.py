"""``tf_keras.layers.BatchNormalization``, the legacy layer, which chooses its fused path by itself."""

from . import _tensorflow
from ._tensorflow import gpu  # noqa: F401


def load():
    import tf_keras

    return "{} ({})".format(tf_keras.__version__, _tensorflow.version())


def run(case):
    import tensorflow as tf
    import tf_keras

    def apply(x, **options):
        return layer(tf.convert_to_tensor(x), **options).numpy()

    with tf.device("/GPU:0" if case.device == "gpu" else "/CPU:0"):
        layer = tf_keras.layers.BatchNormalization(
            axis=case.axis,
            center=case.beta is not None,
            scale=case.gamma is not None,
            dtype=case.dtype,
            **case.given(epsilon="epsilon", momentum="momentum"),
        )
        layer.build(case.steps[0].shape)
        weights = [w for w in (case.gamma, case.beta, case.moving_mean, case.moving_variance) if w is not None]
        layer.set_weights([w.reshape(own.shape) for w, own in zip(weights, layer.weights)])
        options = {} if case.mode is None else {"training": case.mode == "training"}
        for x in case.steps:
            output = apply(x, **options)
        result = {
            "output": output,
            "moving_mean": layer.moving_mean.numpy().reshape(case.moving_mean.shape),
            "moving_variance": layer.moving_variance.numpy().reshape(case.moving_mean.shape),
        }
        if case.extra is not None:
            result["inference"] = apply(case.extra, training=False)
        return result
