"""TensorFlow's two functions: any axes; epsilon, momentum and mode are the caller's; 16-bit tensors stay 16-bit."""

from __future__ import annotations

from collections.abc import Mapping

from bncheck.documented.installed import before
from bncheck.documented.reading import Call, Fact, Reading, Source, Unsupported, mixed, reading, without_default
from bncheck.documented.tensorflow import companions as companions
from bncheck.documented.tensorflow import too_old, without_bfloat16
from bncheck.documented.ways import Way

FAMILY = "tensorflow"
NEEDS = ("tensorflow",)
EXTRA = "tensorflow"

FILE = "https://github.com/tensorflow/tensorflow/blob/v2.21.0/tensorflow/python/ops/nn_impl.py"
MOMENTS = Source("tf.nn.moments", f"{FILE}#L1265-L1287")
NORMALIZATION = Source("tf.nn.batch_normalization", f"{FILE}#L1491-L1497")


def way(versions: Mapping[str, str], variant: str | None) -> Way | str:
    del variant  # there is none
    if before(versions, "tensorflow", 2):
        return too_old(versions) or Way("_tf_nn_in_graph", NEEDS)
    return Way("tf-nn", NEEDS)


def documented(call: Call) -> Reading | Unsupported:
    case = call.case
    if (cannot := without_bfloat16(call)) is not None:
        return cannot
    left = without_default(case)
    if case.momentum == "cumulative":
        return Unsupported("tf.train.ExponentialMovingAverage takes a decay; it keeps no cumulative average")
    if left:
        return Unsupported(f"{' and '.join(left)} must be given; there is no default")
    if mixed(case) and case.requested.mode == "training":
        return Unsupported("tf.nn.moments answers in x's dtype; there are no float32 statistics of a 16-bit batch")
    precision = None
    if case.input.dtype in ("float16", "bfloat16"):
        words, source = "scale and shift are cast to x's dtype", NORMALIZATION
        if case.requested.mode == "training":
            inside = "are computed in float32 and cast to" if case.input.dtype == "float16" else "have"
            words, source = f"the statistics {inside} x's dtype", MOMENTS
        value = "narrow"
        if case.gradients and case.input.dtype == "float16":
            value, words = "narrow sums", f"{words}; what is differentiated is summed in it"
        precision = Fact("precision", value, words, source)
    return reading(case, precision)
