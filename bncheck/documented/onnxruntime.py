"""ONNX Runtime: the operator as ONNX documents it, on the types that its kernels are registered for.

Its CPU kernels are for float and double, from opset 7 on; around a node in float16 it inserts casts.
"""

from __future__ import annotations

from bncheck.documented.arrangement import placeless
from bncheck.documented.onnx import operator
from bncheck.documented.reading import Call, Fact, Reading, Source, Unsupported, mixed

FAMILY = "onnx"
NEEDS = ("onnx", "onnxruntime")
EXTRA = "onnx"
VARIANTS = {
    "opset-9": "the operator before its training mode became an attribute",
    "opset-14": "the operator before parameters could have another type than x",
    "mixed": "a 16-bit x with parameters and statistics in float32",
    "inputs": "parameters and statistics as inputs of the graph, not as initialisers",
    "unoptimized": "without graph optimisation",
    "folded": "behind a convolution, here an identity, into which the optimizer folds it; inference only",
    "output-only": "in training, Y as the graph's only output, as exporters write it",
}

KERNELS = Source(
    "ONNX Runtime's kernels", "https://github.com/microsoft/onnxruntime/blob/v1.31.1/docs/OperatorKernels.md"
)

FUSION = Source(
    "ONNX Runtime's ConvBNFusion",
    "https://github.com/microsoft/onnxruntime/blob/v1.31.1/onnxruntime/core/optimizer/conv_bn_fusion.cc",
)


def documented(call: Call) -> Reading | Unsupported:
    if call.case.input.dtype == "bfloat16":
        return Unsupported(f"no kernel is registered for bfloat16 ({KERNELS.link})")
    if call.variant == "folded":
        if call.case.mode == "training":
            return Unsupported("what trains is not folded")
        if placeless(call.case):
            return Unsupported("there is nothing to convolve")
        if call.case.input.dtype == "float64":
            return Unsupported(f"no kernel of a convolution is registered for double ({KERNELS.link})")
        if call.case.input.dtype == "float16" and not mixed(call.case):
            return operator(call, Fact("precision", "narrow", "weight and bias are folded in their dtype", FUSION))
    return operator(call)
