"""``keras.layers.BatchNormalization`` of Keras 2.4 to 2.15, which is the layer of ``tf.keras``."""

from . import _tensorflow
from ._legacy import run  # noqa: F401
from ._tensorflow import gpu  # noqa: F401


def load():
    import keras

    return "{} ({})".format(keras.__version__, _tensorflow.version())
