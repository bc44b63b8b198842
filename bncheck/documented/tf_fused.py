"""TensorFlow's fused operation: four or five axes, the channel second or last, not float64.

Statistics and parameters are float32 on every device, whatever x has. An epsilon below 1e-5 is no longer raised, since
cuDNN takes any from 7.5 on (tensorflow#37768).
"""

from __future__ import annotations

from collections.abc import Mapping

from bncheck.documented.arrangement import channel_last
from bncheck.documented.installed import before
from bncheck.documented.reading import Call, Fact, Reading, Refusal, Source, Unsupported, defaults, reading
from bncheck.documented.tensorflow import companions as companions
from bncheck.documented.tensorflow import too_old, without_bfloat16
from bncheck.documented.ways import Way

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
FIRST_KERNEL = Source(
    "TensorFlow's fused kernel of 1.15",
    "https://github.com/tensorflow/tensorflow/blob/v1.15.5/tensorflow/core/kernels/fused_batch_norm_op.cc",
)
COMPILED = Source(
    "TensorFlow's fused kernel for XLA",
    "https://github.com/tensorflow/tensorflow/blob/v2.21.0/tensorflow/compiler/tf2xla/kernels/batch_norm_op.cc",
)
WRAPPER = Source(
    "fused_batch_norm up to TensorFlow 2.11",
    "https://github.com/tensorflow/tensorflow/blob/v2.11.1/tensorflow/python/ops/nn_impl.py#L1686-L1689",
)

BEFORE = Source(
    "fused_batch_norm up to TensorFlow 2.2",
    "https://github.com/tensorflow/tensorflow/blob/v1.15.5/tensorflow/python/ops/nn_impl.py",
)

LEAST_EPSILON = 1.001e-5
"""What TensorFlow's Python function raised smaller ones to, whatever the device; the operation under it did not."""


def way(versions: Mapping[str, str], variant: str | None) -> Way | str:
    if variant == "xla" and before(versions, "tensorflow", 2, 5):
        return f"needs TensorFlow 2.5 or newer; TensorFlow {versions['tensorflow']}"
    if before(versions, "tensorflow", 2, 3):
        return too_old(versions) or Way("_tf_fused_in_graph", NEEDS)
    return Way("tf-fused", NEEDS)


def documented(call: Call) -> Reading | Unsupported:
    case = call.case
    if (cannot := without_bfloat16(call)) is not None:
        return cannot
    if case.input.dtype == "float64":
        return Unsupported("the operation takes float16, bfloat16 and float32")
    if case.momentum == "cumulative":
        return Unsupported("exponential_avg_factor is a number; the operation keeps no cumulative average")
    rank = len(case.input.shape)
    most = 4 if call.before("tensorflow", 2, 4) else 5
    takes = rank in (4, most) and case.channels.kept in ((1,), (rank - 1,))
    if refusal(call, case.channels.kept):
        takes = False
    averages = None
    if call.before("tensorflow", 2, 3):
        words = "the statistics that it returns are the batch's; there is no exponential_avg_factor that has effect"
        averages = Fact("momentum", 0.0, words, BEFORE)
    notes: tuple[str, ...] = ("parameters in float32",) if case.parameters_dtype != "float32" else ()
    if not case.scale:
        notes += ("scale of ones",)
    if not case.center:
        notes += ("offset of zeros",)
    return reading(
        case,
        *defaults(case, FUNCTION, epsilon=1e-3, momentum=0.0, mode="training"),
        *fused(call, COMPILED if call.variant == "xla" else KERNEL),
        averages,
        arrangement=None if takes else channel_last(case, least=4, most=most),
        parameters_dtype="float32",
        notes=notes,
    )


def refusal(call: Call, kept: tuple[int, ...]) -> Refusal | None:
    """That the operation does not take this: float64, or on a CPU of old channels that are not last."""
    if call.case.input.dtype == "float64":
        return Refusal("float16, bfloat16 and float32", "", FUNCTION)
    if kept == (1,) and call.device == "cpu" and call.before("tensorflow", 2, 1):
        return Refusal("NHWC on a CPU", "only supports NHWC", FIRST_KERNEL)
    return None


def fused(call: Call, kernel: Source) -> tuple[Fact, ...]:
    """What the fused operation documents by itself, whoever calls it."""
    unbiased = Fact("moving_variance", "unbiased", "the fused kernel keeps N/max(N-1, 1) of it", kernel)
    if call.before("tensorflow", 2, 12) and call.case.requested.epsilon < LEAST_EPSILON:
        words = "epsilon is raised to at least 1.001e-05, which cuDNN once asked for; gone in TensorFlow 2.12"
        return (unbiased, Fact("epsilon", LEAST_EPSILON, words, WRAPPER))
    return (unbiased,)
