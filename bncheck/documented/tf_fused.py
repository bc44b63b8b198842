"""TensorFlow's fused operation: four or five axes, the channel second or last, not float64.

Statistics and parameters are float32 on every device, whatever x has. An epsilon below 1e-5 is no longer raised, since
cuDNN takes any from 7.5 on (tensorflow#37768).
"""

from __future__ import annotations

from bncheck.documented.arrangement import channel_last
from bncheck.documented.reading import Call, Fact, Reading, Source, Unsupported, defaults, reading

FAMILY = "tensorflow"
NEEDS = ("tensorflow",)
EXTRA = "tensorflow"

VARIANTS = {"xla": "compiled, tf.function(jit_compile=True)"}

FUNCTION = Source(
    "tf.compat.v1.nn.fused_batch_norm",
    "https://www.tensorflow.org/api_docs/python/tf/compat/v1/nn/fused_batch_norm",
)
KERNEL = Source(
    "TensorFlow's fused kernel",
    "https://github.com/tensorflow/tensorflow/blob/v2.21.0/tensorflow/core/kernels/fused_batch_norm_op.cc",
)
COMPILED = Source(
    "TensorFlow's fused kernel for XLA",
    "https://github.com/tensorflow/tensorflow/blob/v2.21.0/tensorflow/compiler/tf2xla/kernels/batch_norm_op.cc",
)
WRAPPER = Source(
    "fused_batch_norm up to TensorFlow 2.11",
    "https://github.com/tensorflow/tensorflow/blob/v2.11.1/tensorflow/python/ops/nn_impl.py#L1686-L1689",
)

LEAST_EPSILON = 1.001e-5
"""What TensorFlow's Python function raised smaller ones to, whatever the device; the operation under it did not."""


def documented(call: Call) -> Reading | Unsupported:
    case = call.case
    if case.input.dtype == "float64":
        return Unsupported("the operation takes float16, bfloat16 and float32")
    if case.momentum == "cumulative":
        return Unsupported("exponential_avg_factor is a number; the operation keeps no cumulative average")
    rank = len(case.input.shape)
    takes = rank in (4, 5) and case.channels.kept in ((1,), (rank - 1,))
    notes: tuple[str, ...] = ("parameters in float32",) if case.parameters_dtype != "float32" else ()
    if not case.scale:
        notes += ("scale of ones",)
    if not case.center:
        notes += ("offset of zeros",)
    return reading(
        case,
        *defaults(case, FUNCTION, epsilon=1e-3, momentum=0.0, mode="training"),
        *fused(call, COMPILED if call.variant == "xla" else KERNEL),
        arrangement=None if takes else channel_last(case, least=4, most=5),
        parameters_dtype="float32",
        notes=notes,
    )


def fused(call: Call, kernel: Source) -> tuple[Fact, ...]:
    """What the fused operation documents by itself, whoever calls it."""
    unbiased = Fact("moving_variance", "unbiased", "the fused kernel keeps N/max(N-1, 1) of it", kernel)
    if call.before("tensorflow", 2, 12) and call.case.requested.epsilon < LEAST_EPSILON:
        words = "epsilon is raised to at least 1.001e-05, which cuDNN once asked for"
        return (unbiased, Fact("epsilon", LEAST_EPSILON, words, WRAPPER))
    return (unbiased,)
