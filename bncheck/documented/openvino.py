"""OpenVINO: inference only; the channel is axis 1 of any number of axes; epsilon is the caller's.

The CPU computes in float32, and on machines that have 16-bit arithmetic in that, unless the inference precision hint
says f32. It has no arithmetic in float64.
"""

from __future__ import annotations

from bncheck.documented.arrangement import channel_second, placeless
from bncheck.documented.reading import Call, Fact, Reading, Refusal, Source, Unsupported, mixed, reading

FAMILY = "openvino"
NEEDS = ("openvino",)
EXTRA = "openvino"
VARIANTS = {
    "f32": "with the inference precision hint f32",
    "folded": "behind a convolution, here an identity, into which the compiler folds it; with the hint f32",
}

OPERATION = Source(
    "OpenVINO BatchNormInference",
    "https://docs.openvino.ai/2025/documentation/openvino-ir-format/operation-sets/operation-specs/normalization/"
    "batch-norm-inference-5.html",
)
CPU = Source(
    "OpenVINO's CPU device",
    "https://docs.openvino.ai/2025/openvino-workflow/running-inference/inference-devices-and-modes/cpu-device.html",
)

EMPTY = Refusal("a channel axis with a span of at least 1", "channel_dim", OPERATION)


def documented(call: Call) -> Reading | Unsupported:
    case = call.case
    if case.requested.mode == "training":
        return Unsupported(f"the operation has no training ({OPERATION.link})")
    if case.epsilon == "default":
        return Unsupported("epsilon must be given; there is no default")
    if mixed(case):
        return Unsupported(f"x and all parameters have one element type ({OPERATION.link})")
    if call.variant == "folded":
        if case.input.dtype in ("float16", "bfloat16"):
            return Unsupported(f"a convolution of 16 bits is computed in whatever the processor has ({CPU.link})")
        if placeless(case):
            return Unsupported("there is nothing to convolve")
    rank, least = len(case.input.shape), 3 if call.variant == "folded" else 2
    takes = case.channels.kept == (1,) and rank >= least
    notes: tuple[str, ...] = () if case.scale else ("gamma of ones",)
    if not case.center:
        notes += ("beta of zeros",)
    return reading(
        case,
        precision(call),
        arrangement=None if takes else channel_second(case, most=rank + 1, least=least),
        refusal=None if all(case.channels.statistic_shape) else EMPTY,
        notes=notes,
        gradients=False,
    )


def precision(call: Call) -> Fact | None:
    """In what the CPU computes, if not in float32 for tensors of at most 32 bits."""
    dtype = call.case.input.dtype
    if dtype == "float64":
        return Fact("precision", "float32", "the CPU's primitives compute in f32", CPU)
    if dtype != "float32" and call.variant is None:
        return Fact("precision", "narrow", "the CPU computes in 16 bits where it can", CPU)
    return None
