"""Keras 3: one axis of any place; epsilon 1e-3, momentum 0.99, biased variances.

A 16-bit tensor is cast to float32 and the output back ("BN is prone to overflow with float16/bfloat16 inputs"); with
``dtype="float16"`` the layer's variables are float16, with ``"mixed_float16"`` float32. So it has been since Keras 3.0.
"""

from __future__ import annotations

from bncheck.documented.arrangement import channel_last
from bncheck.documented.reading import Call, Reading, Source, Unsupported, defaults, reading, single_axis

FAMILY = "tensorflow"
NEEDS = ("tensorflow", "keras")
EXTRA = "tensorflow"

LAYER = Source(
    "keras.layers.BatchNormalization", "https://keras.io/api/layers/normalization_layers/batch_normalization/"
)


def documented(call: Call) -> Reading | Unsupported:
    case = call.case
    if case.momentum == "cumulative":
        return Unsupported("momentum is a number; the layer keeps no cumulative average")
    facts = defaults(case, LAYER, epsilon=1e-3, momentum=0.99, mode="inference")
    axis, notes = single_axis(case)
    if axis is None or len(case.input.shape) < 2:
        return reading(case, *facts, arrangement=channel_last(case))
    return reading(case, *facts, axis=axis, notes=notes)
