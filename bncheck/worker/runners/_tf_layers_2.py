"""``tf.compat.v1.layers.batch_normalization`` where TensorFlow itself has the legacy layer: until 2.15."""

from . import _tensorflow
from ._tensorflow import gpu  # noqa: F401
from .tf_layers import run  # noqa: F401


def load():
    return _tensorflow.version()
