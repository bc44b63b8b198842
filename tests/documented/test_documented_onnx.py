"""What ONNX, ONNX Runtime and OpenVINO document, as the parent reads it before any call."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import make_case

from bncheck import documented
from bncheck.documented.reading import Call, Reading, Unsupported

ONNX = ("onnx", "onnxruntime", "openvino-onnx")
INFERENCE = {"mode": "inference"}
EMPTY = {"input": {"shape": [0, 3, 4, 4]}}


def read(spelling: str, versions: dict[str, str] | None = None, **case: Any) -> Reading | Unsupported:
    variant = spelling.partition(":")[2] or None
    return documented.of(spelling).documented(Call(make_case(**case), versions or {}, variant=variant))


def reading(spelling: str, **case: Any) -> Reading:
    found = read(spelling, **case)
    assert isinstance(found, Reading)
    return found


def unsupported(spelling: str, versions: dict[str, str] | None = None, **case: Any) -> str:
    found = read(spelling, versions, **case)
    assert isinstance(found, Unsupported)
    return found.reason


def differs(spelling: str, **case: Any) -> dict[str, Any]:
    return {fact.field: fact.value for fact in reading(spelling, **case).facts}


@pytest.mark.parametrize("runner", ONNX)
def test_the_operator_has_defaults_of_its_own_and_keeps_the_biased_variance(runner: str) -> None:
    assert differs(runner) == {}
    left = {"epsilon": "default", "momentum": "default", "mode": "default"}
    assert differs(runner, **left) == {"epsilon": 1e-5, "momentum": 0.9}


@pytest.mark.parametrize("runner", ["onnx", "onnxruntime"])
def test_epsilon_and_momentum_are_float32_which_only_float64_tensors_can_tell(runner: str) -> None:
    wide = {"input": {"dtype": "float64"}}
    assert differs(runner, **wide) == {"epsilon": float(np.float32(1e-3)), "momentum": float(np.float32(0.9))}
    assert differs(runner, **wide, epsilon="default")["epsilon"] == float(np.float32(1e-5))
    assert differs(runner, **wide, epsilon=0.0, momentum=0.5) == {}


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_the_reference_evaluator_computes_in_the_dtype_of_x(dtype: str) -> None:
    short = {"input": {"dtype": dtype}}
    assert differs("onnx", **short) == differs("onnx:opset-14", **short) == {"precision": "narrow"}
    assert differs("onnx:mixed", **short) == {}
    assert reading("onnx:mixed", **short).parameters_dtype == "float32"


def test_onnx_runtime_computes_float16_in_float32_between_casts_that_it_inserts() -> None:
    assert differs("onnxruntime", input={"dtype": "float16"}) == {}


@pytest.mark.parametrize(
    ("spelling", "case", "reason"),
    [
        *((runner, {"momentum": "cumulative"}, "cumulative average") for runner in ONNX),
        *((runner, EMPTY, "the mean of no values is undefined") for runner in ONNX),
        ("onnxruntime", {"input": {"dtype": "bfloat16"}}, "no kernel is registered for bfloat16"),
        ("onnx:opset-9", {"input": {"dtype": "bfloat16"}}, "bfloat16 came with opset 14"),
        ("onnx:mixed", {"input": {"dtype": "float64"}}, "a 16-bit tensor with parameters in float32"),
        ("openvino-onnx", {"input": {"dtype": "float64"}}, "no arithmetic in float64"),
        ("openvino", {}, "has no training"),
        ("openvino", {**INFERENCE, "epsilon": "default"}, "epsilon must be given"),
    ],
)
def test_what_they_cannot_be_asked(spelling: str, case: dict[str, Any], reason: str) -> None:
    assert reason in unsupported(spelling, **case)


@pytest.mark.parametrize("runner", ONNX)
def test_an_empty_batch_can_be_asked_for_in_inference(runner: str) -> None:
    assert differs(runner, **EMPTY, **INFERENCE) == {}


@pytest.mark.parametrize("runner", [*ONNX, "openvino"])
@pytest.mark.parametrize(
    ("case", "notes"),
    [
        ({}, ()),
        ({"scale": False}, ("{scale} of ones",)),
        ({"center": False}, ("{B} of zeros",)),
        ({"axis": -1}, ("NCHW to NWCH",)),
        ({"input": {"shape": [2, 3, 2, 2, 2, 2], "layout": "NCDHWL"}}, ()),
        ({"input": {"shape": [2, 3, 2, 2, 2, 2], "layout": "NCDHWL"}, "axis": [0, 1]}, ("NCDHWL to D(NC)HWL",)),
        ({"input": {"shape": [3], "layout": "C"}, "axis": 0}, ("C to 1C",)),
    ],
)
def test_the_channel_is_axis_1_of_any_number_of_axes(runner: str, case: dict[str, Any], notes: tuple[str, ...]) -> None:
    names = {"scale": "gamma", "B": "beta"} if runner == "openvino" else {"scale": "scale", "B": "B"}
    assert reading(runner, **case, **INFERENCE).notes == tuple(note.format(**names) for note in notes)


@pytest.mark.parametrize("runner", ONNX)
def test_one_axis_that_is_not_kept_is_handed_over_as_it_is(runner: str) -> None:
    arrangement = reading(runner, input={"shape": [5], "layout": "N"}, axis=[]).arrangement
    assert arrangement is not None
    assert arrangement.groups == ((0,),)


@pytest.mark.parametrize(
    ("spelling", "dtype", "precision"),
    [
        ("openvino", "float32", None),
        ("openvino", "float64", "float32"),
        ("openvino", "float16", "narrow"),
        ("openvino", "bfloat16", "narrow"),
        ("openvino:f32", "float64", "float32"),
        ("openvino:f32", "float16", None),
        ("openvino-onnx", "bfloat16", "narrow"),
        ("openvino-onnx:mixed", "bfloat16", None),
    ],
)
def test_openvino_computes_in_16_bits_where_it_can_and_never_in_float64(
    spelling: str, dtype: str, precision: str | None
) -> None:
    assert differs(spelling, **INFERENCE, input={"dtype": dtype}).get("precision") == precision


def test_openvino_asks_for_a_channel() -> None:
    refusal = reading("openvino", **INFERENCE, input={"shape": [2, 0, 4, 4]}).refusal
    assert refusal is not None
    assert "a span of at least 1" in refusal.words


def test_openvino_trains_from_2026_4_on() -> None:
    assert "came with OpenVINO 2026.4" in unsupported("openvino-onnx", {"openvino": "2026.3.0"})
    assert isinstance(read("openvino-onnx", {"openvino": "2026.4.1"}), Reading)
    assert isinstance(read("openvino-onnx", {"openvino": "2026.3.0"}, **INFERENCE), Reading)
