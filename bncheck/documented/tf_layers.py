"""TensorFlow 1's layer function: the legacy Keras layer in a graph, its updates to be run by the user."""

from __future__ import annotations

from bncheck.documented.reading import Call, Reading, Source, Unsupported
from bncheck.documented.tf_keras import legacy

FAMILY = "tensorflow"
NEEDS = ("tensorflow", "tf-keras")
EXTRA = "tensorflow"

FUNCTION = Source(
    "tf.compat.v1.layers.batch_normalization",
    "https://www.tensorflow.org/api_docs/python/tf/compat/v1/layers/batch_normalization",
)


def documented(call: Call) -> Reading | Unsupported:
    return legacy(call, FUNCTION)
