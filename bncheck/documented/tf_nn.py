"""TensorFlow's two functions: any axes; epsilon, momentum and mode are the caller's; 16-bit tensors stay 16-bit."""

from __future__ import annotations

from bncheck.case.model import Case
from bncheck.documented.reading import Fact, Reading, Source, Unsupported, reading, without_default

FAMILY = "tensorflow"
NEEDS = ("tensorflow",)
EXTRA = "tensorflow"

FUNCTION = Source(
    "tf.nn.batch_normalization",
    "https://github.com/tensorflow/tensorflow/blob/master/tensorflow/python/ops/nn_impl.py",
)


def documented(case: Case) -> Reading | Unsupported:
    left = without_default(case)
    if case.momentum == "cumulative":
        return Unsupported("tf.train.ExponentialMovingAverage takes a decay; it keeps no cumulative average")
    if left:
        return Unsupported(f"{' and '.join(left)} must be given; there is no default")
    precision = None
    if case.input.dtype in ("float16", "bfloat16"):
        words = "scale and shift are cast to x's dtype, statistics too"
        precision = Fact("precision", "narrow", words, FUNCTION)
    return reading(case, precision)
