"""Flax's functional module: any axes; epsilon 1e-5, momentum 0.99, a mode that must be said, biased variances.

Statistics are float32 at least ("Statistics are always at least float32 for stability"), and so is the arithmetic; so
are parameters, by default; the output has the dtype that the module is given, here x's.
"""

from __future__ import annotations

from bncheck.documented.reading import Call, Fact, Reading, Source, Unsupported, defaults, reading

FAMILY = "jax"
NEEDS = ("jax", "flax")
EXTRA = "jax"
VARIANTS = {
    "jit": "compiled by jax.jit",
    "slow-variance": "use_fast_variance=False: the variance in two passes",
}

MODULE = Source(
    "flax.linen.BatchNorm", "https://flax.readthedocs.io/en/latest/api_reference/flax.linen/layers.html#normalization"
)
FAST = Source(
    "flax.linen.BatchNorm, use_fast_variance",
    "https://github.com/google/flax/blob/v0.12.8/flax/linen/normalization.py#L304-L305",
)
ADDED = Source(
    "flax.linen.BatchNorm, x.astype",
    "https://github.com/google/flax/blob/v0.12.8/flax/linen/normalization.py#L112-L116",
)

EPSILON = 1e-5
MOMENTUM = 0.99


def documented(call: Call) -> Reading | Unsupported:
    case = call.case
    if case.momentum == "cumulative":
        return Unsupported("momentum is a number; the module keeps no cumulative average")
    if case.mode == "default":
        return Unsupported("use_running_average must be given; there is no default mode")
    dtype, notes = statistics(call)
    facts = defaults(case, MODULE, epsilon=EPSILON, momentum=MOMENTUM)
    formula = None if call.variant == "slow-variance" else squares(FAST)
    added = gradients_added(call, case.mode == "training", ADDED)
    return reading(case, *facts, formula, added, parameters_dtype=dtype, notes=notes, takes=("mask",))


def statistics(call: Call) -> tuple[str, tuple[str, ...]]:
    """The dtype of the statistics, and a note if that is not x's."""
    dtype = call.case.parameters_dtype
    return (dtype, ()) if dtype in ("float32", "float64") else ("float32", ("parameters in float32",))


def gradients_added(call: Call, training: bool, source: Source) -> Fact | None:
    """What a 16-bit x's gradient is made of in training, where that is looked at."""
    if not (training and call.case.gradients and call.case.input.dtype in ("float16", "bfloat16")):
        return None
    words = "statistics are of x cast to float32: that part of x's gradient is rounded to 16 bits before it is added"
    return Fact("precision", "narrow", words, source)


def squares(source: Source) -> Fact:
    """How the variance of a batch is computed, unless it is asked otherwise."""
    return Fact("batch_formula", "squares", "use_fast_variance is faster, but less numerically stable", source)
