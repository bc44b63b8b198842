"""Flax's object: one axis; as the functional module, but it trains by default.

From 0.12.1 on it promotes not only x and its parameters to its dtype, here x's, but the moving statistics too: 16-bit
inference is then in 16 bits. What a training batch is normalized by stays float32.
"""

from __future__ import annotations

from bncheck.documented.arrangement import channel_last
from bncheck.documented.flax_linen import EPSILON, MOMENTUM, gradients_added, squares, statistics
from bncheck.documented.reading import (
    Call,
    Fact,
    Reading,
    Source,
    Unsupported,
    defaults,
    mixed,
    reading,
    single_axis,
)

FAMILY = "jax"
NEEDS = ("jax", "flax")
EXTRA = "jax"
VARIANTS = {"jit": "compiled by nnx.jit"}

MODULE = Source(
    "flax.nnx.BatchNorm", "https://flax.readthedocs.io/en/latest/api_reference/flax.nnx/nn/normalization.html"
)
PROMOTED = Source(
    "flax.nnx.BatchNorm, promote_dtype",
    "https://github.com/google/flax/blob/v0.12.8/flax/nnx/nn/normalization.py#L277-L281",
)
FAST = Source(
    "flax.nnx.BatchNorm, use_fast_variance",
    "https://github.com/google/flax/blob/v0.12.8/flax/nnx/nn/normalization.py#L275-L276",
)
ADDED = Source(
    "flax.nnx.BatchNorm, x.astype", "https://github.com/google/flax/blob/v0.12.8/flax/nnx/nn/normalization.py#L97-L98"
)


def documented(call: Call) -> Reading | Unsupported:
    case = call.case
    if case.momentum == "cumulative":
        return Unsupported("momentum is a number; the module keeps no cumulative average")
    dtype, stored = statistics(call)
    left = defaults(case, MODULE, epsilon=EPSILON, momentum=MOMENTUM, mode="training")
    facts: tuple[Fact, ...] = (*left, squares(FAST))
    if case.input.dtype in ("float16", "bfloat16") and not call.before("flax", 0, 12, 1):
        if mixed(case):
            words = "scale and bias, and in inference the moving statistics, are promoted to x's dtype"
            facts = (*facts, Fact("precision", "narrow", words, PROMOTED))
        elif _infers(call):
            words = "in inference the moving statistics are promoted to x's dtype"
            facts = (*facts, Fact("precision", "narrow", words, PROMOTED))
    added = gradients_added(call, case.mode != "inference", ADDED)
    if added is not None and not any(fact.field == "precision" for fact in facts):
        facts = (*facts, added)
    axis, notes = single_axis(case)
    arrangement = channel_last(case) if axis is None else None
    notes = stored if axis is None else (*notes, *stored)
    return reading(
        case, *facts, axis=axis, arrangement=arrangement, parameters_dtype=dtype, notes=notes, takes=("mask",)
    )


def _infers(call: Call) -> bool:
    """Whether the module is applied in inference, and that is looked at."""
    return call.case.mode == "inference" or "inference" in call.case.checked
