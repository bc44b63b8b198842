"""Haiku's module: any axes; epsilon 1e-5; decay rate and mode must be said; biased variances; everything in x's dtype.

Its moving averages begin at 0, and what normalizes is corrected for that: divided by ``1 - decay_rate**counter``, where
the counter counts steps. A layer that begins with other averages, as each case does, is one that has made many steps:
the counter is so high that there is nothing left to correct. Then the update is the usual one.
"""

from __future__ import annotations

from bncheck.documented.reading import Call, Fact, Reading, Source, Unsupported, defaults, mixed, reading

FAMILY = "jax"
NEEDS = ("jax", "dm-haiku")
EXTRA = "jax"
VARIANTS = {"jit": "compiled by jax.jit"}

MODULE = Source("haiku.BatchNorm", "https://dm-haiku.readthedocs.io/en/latest/api.html#batchnorm")
CODE = Source(
    "haiku.BatchNorm",
    "https://github.com/google-deepmind/dm-haiku/blob/v0.0.17/haiku/_src/batch_norm.py#L169-L205",
)


def documented(call: Call) -> Reading | Unsupported:
    case = call.case
    left = [
        said for name, said in (("momentum", "decay_rate"), ("mode", "is_training")) if getattr(case, name) == "default"
    ]
    if left:
        return Unsupported(f"{' and '.join(left)} must be given; there is no default")
    if case.momentum == "cumulative":
        return Unsupported("decay_rate is a number; the module keeps no cumulative average")
    if case.momentum == 1:
        return Unsupported("decay_rate is below 1")
    if mixed(case):
        return Unsupported("scale, offset and averages are created in x's dtype")
    precision = None
    if case.input.dtype in ("float16", "bfloat16"):
        precision = Fact("precision", "narrow", "statistics, scale and averages have x's dtype", CODE)
    return reading(case, *defaults(case, MODULE, epsilon=1e-5), precision, notes=("averages as after many steps",))
