"""``tf.keras.layers.BatchNormalization`` of TensorFlow 1, in a graph."""

from . import _tensorflow
from ._graph import run  # noqa: F401
from ._tensorflow import gpu  # noqa: F401


def load():
    return _tensorflow.version()
