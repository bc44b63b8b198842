"""TensorFlow 1's layer function: the legacy Keras layer in a graph, its updates to be run by the user."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from bncheck.documented.installed import before
from bncheck.documented.reading import Call, Fact, Reading, Source, Unsupported
from bncheck.documented.tensorflow import too_old
from bncheck.documented.tf_keras import companions as companions
from bncheck.documented.tf_keras import frozen, legacy
from bncheck.documented.ways import Way

FAMILY = "tensorflow"
NEEDS = ("tensorflow", "tf-keras")
EXTRA = "tensorflow"

VARIANTS = {"no-updates": "a training step that does not run UPDATE_OPS"}

FUNCTION = Source(
    "tf.compat.v1.layers.batch_normalization",
    "https://www.tensorflow.org/api_docs/python/tf/compat/v1/layers/batch_normalization",
)


def way(versions: Mapping[str, str], variant: str | None) -> Way | str:
    del variant  # it is called alike
    if before(versions, "tensorflow", 2, 16):
        return too_old(versions) or Way("_tf_layers_2", ("tensorflow",))
    return Way("tf-layers", NEEDS)


def documented(call: Call) -> Reading | Unsupported:
    read = frozen(call, legacy(call, FUNCTION, ("trainable", "virtual_batch_size")), FUNCTION)
    skipped = call.variant == "no-updates" and call.case.trainable
    if call.case.mode != "training" or isinstance(read, Unsupported) or not skipped:
        return read
    kept = tuple(fact for fact in read.facts if fact.field != "moving_variance")  # which nothing enters
    words = "moving_mean and moving_variance need to be updated: UPDATE_OPS must be run alongside"
    return replace(read, facts=(*kept, Fact("update", "none", words, FUNCTION)))
