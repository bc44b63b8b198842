"""``tf.keras.layers.BatchNormalization``, the legacy layer as TensorFlow 2.0 to 2.15 brings it."""

from . import _tensorflow
from ._legacy import run  # noqa: F401
from ._tensorflow import gpu  # noqa: F401


def load():
    _tensorflow.tensorflow.keras.layers.BatchNormalization  # noqa: B018  (imported when it is first asked for)
    return _tensorflow.version()
