"""Keras 3 on PyTorch: documented as on TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping

from bncheck.documented.installed import before
from bncheck.documented.keras import LAYER as LAYER
from bncheck.documented.keras import layer
from bncheck.documented.reading import Call, Reading, Unsupported
from bncheck.documented.ways import Way

FAMILY = "keras-torch"  # the backend is chosen before Keras is imported
NEEDS = ("torch", "keras")
EXTRA = "torch"


def way(versions: Mapping[str, str], variant: str | None) -> Way | str:
    del variant  # there is none
    return f"needs Keras 3; Keras {versions['keras']}" if before(versions, "keras", 3) else Way("keras-torch", NEEDS)


def documented(call: Call) -> Reading | Unsupported:
    return layer(call)
