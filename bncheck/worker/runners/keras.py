"""``keras.layers.BatchNormalization``, the Keras 3 layer, on TensorFlow."""

from . import _tensorflow
from ._tensorflow import gpu  # noqa: F401


def load():
    import keras

    return "{} ({})".format(keras.__version__, _tensorflow.version())


def run(case):
    import keras
    import tensorflow as tf

    def apply(x, **options):
        return layer(keras.ops.convert_to_tensor(x), **options).numpy()

    with tf.device("/GPU:0" if case.device == "gpu" else "/CPU:0"):
        layer = keras.layers.BatchNormalization(
            axis=case.axis,
            center=case.beta is not None,
            scale=case.gamma is not None,
            dtype=case.dtype,
            **case.given(epsilon="epsilon", momentum="momentum"),
        )
        layer.build(case.steps[0].shape)
        weights = [case.gamma, case.beta, case.moving_mean, case.moving_variance]
        layer.set_weights([w for w in weights if w is not None])
        options = {} if case.mode is None else {"training": case.mode == "training"}
        for x in case.steps:
            output = apply(x, **options)
        result = {
            "output": output,
            "moving_mean": layer.moving_mean.numpy(),
            "moving_variance": layer.moving_variance.numpy(),
        }
        if case.extra is not None:
            result["inference"] = apply(case.extra, training=False)
        return result
