"""Keras 3 on JAX: as on TensorFlow, but float64 is computed in float32, though JAX's own float64 is switched on."""

from __future__ import annotations

from collections.abc import Mapping

from bncheck.documented.installed import before
from bncheck.documented.keras import layer
from bncheck.documented.reading import Call, Fact, Reading, Source, Unsupported
from bncheck.documented.ways import Way

FAMILY = "keras-jax"  # the backend is chosen before Keras is imported
NEEDS = ("jax", "keras")
EXTRA = "jax"

PROMOTION = Source(
    "keras.backend.result_type",
    "https://github.com/keras-team/keras/blob/v3.15.1/keras/src/backend/common/dtypes.py#L235-L277",
)


def way(versions: Mapping[str, str], variant: str | None) -> Way | str:
    del variant  # there is none
    return f"needs Keras 3; Keras {versions['keras']}" if before(versions, "keras", 3) else Way("keras-jax", NEEDS)


def documented(call: Call) -> Reading | Unsupported:
    if call.case.input.dtype == "float64":
        words = "64-bit dtypes become 32-bit ones, to be aligned with JAX's default behavior"
        return layer(call, Fact("precision", "float32", words, PROMOTION))
    return layer(call)
