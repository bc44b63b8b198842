"""ONNX's operator, as its reference evaluator runs it: the channel is axis 1 of any number of axes; epsilon 1e-5,
momentum 0.9, the moving variance biased ("the population variance"), inference unless training is asked for.

Where evaluator and operator differ, "the official spec overrides this implementation", says the evaluator. Opset 9 has
no attribute for the mode: five outputs say training. The operator has always had both scale and B.
"""

from __future__ import annotations

import numpy as np

from bncheck.case.model import Case
from bncheck.documented.arrangement import Arrangement, channel_second
from bncheck.documented.reading import Call, Fact, Reading, Source, Unsupported, defaults, mixed, reading

FAMILY = "onnx"
NEEDS = ("onnx",)
EXTRA = "onnx"
VARIANTS = {
    "opset-9": "the operator before its training mode became an attribute",
    "opset-14": "the operator before parameters could have another type than x",
    "mixed": "a 16-bit x with parameters and statistics in float32",
}

OPERATOR = Source("ONNX BatchNormalization", "https://onnx.ai/onnx/operators/onnx__BatchNormalization.html")
MEAN = Source("ONNX ReduceMean", "https://onnx.ai/onnx/operators/onnx__ReduceMean.html")
EVALUATOR = Source(
    "onnx.reference's BatchNormalization",
    "https://github.com/onnx/onnx/blob/v1.23.2/onnx/reference/ops/op_batch_normalization.py",
)

SHORT = ("float16", "bfloat16")
EPSILON = 1e-5
MOMENTUM = 0.9


def documented(call: Call) -> Reading | Unsupported:
    narrow = None
    if call.case.input.dtype in SHORT and call.variant != "mixed" and not mixed(call.case):
        narrow = Fact("precision", "narrow", "it computes with NumPy in the dtype of x", EVALUATOR)
    return operator(call, narrow)


def operator(call: Call, *facts: Fact | None) -> Reading | Unsupported:
    """What the operator documents, whoever evaluates it."""
    case = call.case
    if case.momentum == "cumulative":
        return Unsupported("momentum is a number; the operator keeps no cumulative average")
    if call.variant == "opset-9" and case.input.dtype == "bfloat16":
        return Unsupported("opset 9 takes float16, float and double; bfloat16 came with opset 14")
    if call.variant == "mixed" and case.input.dtype not in SHORT:
        return Unsupported("mixed is a 16-bit tensor with parameters in float32")
    if mixed(case) and call.variant in ("opset-9", "opset-14"):
        return Unsupported("scale and B have the type of X; a type of their own came with opset 15")
    if case.mode == "training" and case.channels.values == 0:
        return Unsupported(f"the mean of no values is undefined ({MEAN.link})")
    notes: tuple[str, ...] = ("parameters in float32",) if call.variant == "mixed" and not mixed(case) else ()
    if not case.scale:
        notes += ("scale of ones",)
    if not case.center:
        notes += ("B of zeros",)
    return reading(
        case,
        *defaults(case, OPERATOR, epsilon=EPSILON, momentum=MOMENTUM, mode="inference"),
        *_attributes(call),
        *facts,
        arrangement=_arrangement(case, least=3 if call.variant == "folded" else 1),
        parameters_dtype="float32" if call.variant == "mixed" else None,
        notes=notes,
        gradients=False,
    )


def _arrangement(case: Case, least: int) -> Arrangement | None:
    kept, rank = case.channels.kept, len(case.input.shape)
    if rank == 1 and not kept and least == 1:
        return Arrangement(((0,),), 0, f"{case.input.layout}, for which the operator assumes one channel")
    return None if kept == (1,) and rank >= least else channel_second(case, most=rank + 1, least=least)


def _attributes(call: Call) -> tuple[Fact, ...]:
    """Epsilon and momentum as a float32 holds them, which only float64 tensors can tell from what was written."""
    case = call.case
    if case.input.dtype != "float64":
        return ()
    numbers = {
        "epsilon": EPSILON if case.epsilon == "default" else case.epsilon,
        "momentum": MOMENTUM if case.momentum == "default" else case.momentum,
    }
    return tuple(
        Fact(name, float(np.float32(number)), f"{name} is an attribute of type float32", OPERATOR)
        for name, number in numbers.items()
    )
