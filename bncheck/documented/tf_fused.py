"""TensorFlow's fused operation: four or five axes, the channel second or last, not float64."""

from __future__ import annotations

from bncheck.case.model import Case
from bncheck.documented.arrangement import channel_last
from bncheck.documented.reading import Fact, Reading, Source, Unsupported, defaults, reading

FAMILY = "tensorflow"
NEEDS = ("tensorflow",)
EXTRA = "tensorflow"

FUNCTION = Source(
    "tf.compat.v1.nn.fused_batch_norm",
    "https://www.tensorflow.org/api_docs/python/tf/compat/v1/nn/fused_batch_norm",
)
KERNEL = Source(
    "TensorFlow's fused kernel",
    "https://github.com/tensorflow/tensorflow/blob/master/tensorflow/core/kernels/fused_batch_norm_op.cc",
)


def documented(case: Case) -> Reading | Unsupported:
    if case.input.dtype == "float64":
        return Unsupported("the operation takes float16, bfloat16 and float32")
    if case.momentum == "cumulative":
        return Unsupported("exponential_avg_factor is a number; the operation keeps no cumulative average")
    facts = (
        *defaults(case, FUNCTION, epsilon=1e-3, momentum=0.0, mode="training"),
        Fact("moving_variance", "unbiased", "the kernel keeps N/max(N-1, 1) of it", KERNEL),
    )
    rank = len(case.input.shape)
    takes = rank in (4, 5) and case.channels.kept in ((1,), (rank - 1,))
    notes: tuple[str, ...] = ("parameters in float32",) if case.input.dtype != "float32" else ()
    if not case.scale:
        notes += ("scale of ones",)
    if not case.center:
        notes += ("offset of zeros",)
    return reading(
        case,
        *facts,
        arrangement=None if takes else channel_last(case, least=4, most=5),
        parameters_dtype="float32",
        notes=notes,
    )
