"""``tf_keras.layers.BatchNormalization``, the legacy layer in a package beside TensorFlow 2.16 and later."""

from . import _tensorflow
from ._legacy import run  # noqa: F401
from ._tensorflow import gpu  # noqa: F401


def load():
    import tf_keras

    return "{} ({})".format(tf_keras.__version__, _tensorflow.version())
