"""Keras 3: one axis of any place; epsilon 1e-3, momentum 0.99, biased variances."""

from __future__ import annotations

from bncheck.case.model import Case
from bncheck.documented.arrangement import channel_last
from bncheck.documented.reading import Reading, Source, Unsupported, defaults, reading, single_axis

FAMILY = "tensorflow"
NEEDS = ("tensorflow", "keras")
EXTRA = "tensorflow"

LAYER = Source(
    "keras.layers.BatchNormalization", "https://keras.io/api/layers/normalization_layers/batch_normalization/"
)


def documented(case: Case) -> Reading | Unsupported:
    if case.momentum == "cumulative":
        return Unsupported("momentum is a number; the layer keeps no cumulative average")
    facts = defaults(case, LAYER, epsilon=1e-3, momentum=0.99, mode="inference")
    axis, notes = single_axis(case)
    if axis is None or len(case.input.shape) < 2:
        return reading(case, *facts, arrangement=channel_last(case))
    return reading(case, *facts, axis=axis, notes=notes)
