"""TensorFlow 1's layer function: the legacy Keras layer in a graph, its updates to be run by the user."""

from __future__ import annotations

from dataclasses import replace

from bncheck.documented.reading import Call, Fact, Reading, Source, Unsupported
from bncheck.documented.tf_keras import legacy

FAMILY = "tensorflow"
NEEDS = ("tensorflow", "tf-keras")
EXTRA = "tensorflow"

VARIANTS = {"no-updates": "a training step that does not run UPDATE_OPS"}

FUNCTION = Source(
    "tf.compat.v1.layers.batch_normalization",
    "https://www.tensorflow.org/api_docs/python/tf/compat/v1/layers/batch_normalization",
)

UPDATES = Source(
    "tf_keras, Layer.updates",
    "https://github.com/keras-team/tf-keras/blob/v2.21.0/tf_keras/engine/base_layer_v1.py#L1005-L1006",
)


def documented(call: Call) -> Reading | Unsupported:
    read = legacy(call, FUNCTION, ("trainable", "virtual_batch_size"))
    frozen = not call.case.trainable
    if call.case.mode != "training" or isinstance(read, Unsupported) or not (frozen or call.variant == "no-updates"):
        return read
    kept = tuple(fact for fact in read.facts if fact.field != "moving_variance")  # which nothing enters
    if frozen:
        words = "training says what normalizes, whether or not trainable adds variables to the collection"
        none = "a layer that is not trainable has no updates to run"
        return replace(
            read, facts=(*kept, Fact("mode", "training", words, FUNCTION), Fact("update", "none", none, UPDATES))
        )
    words = "moving_mean and moving_variance need to be updated: UPDATE_OPS must be run alongside"
    return replace(read, facts=(*kept, Fact("update", "none", words, FUNCTION)))
