"""``keras.layers.BatchNormalization`` of Keras 2.2 and 2.3 on TensorFlow 1."""

from . import _tensorflow
from ._graph import run  # noqa: F401
from ._tensorflow import gpu  # noqa: F401


def load():
    import keras

    return "{} ({})".format(keras.__version__, _tensorflow.version())
