"""What is documented of batch norm that is folded into the layer before it."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import make_case

from bncheck import documented
from bncheck.documented.reading import Call, Reading, Unsupported

FOLDED = ("onnxruntime:folded", "openvino:folded", "torch:folded")
ROWS = {"shape": [4, 3], "layout": "NC"}
NO_PLACES = {"shape": [4, 3, 0], "layout": "NCL"}


def read(spelling: str, **case: Any) -> Reading | Unsupported:
    variant = spelling.partition(":")[2]
    return documented.of(spelling).documented(Call(make_case(**{"mode": "inference", **case}), variant=variant))


def reading(spelling: str, **case: Any) -> Reading:
    found = read(spelling, **case)
    assert isinstance(found, Reading)
    return found


def unsupported(spelling: str, **case: Any) -> str:
    found = read(spelling, **case)
    assert isinstance(found, Unsupported)
    return found.reason


@pytest.mark.parametrize("spelling", FOLDED)
def test_what_trains_is_not_folded(spelling: str) -> None:
    assert "train" in unsupported(spelling, mode="training")


def test_pytorch_trains_by_default_and_onnx_does_not() -> None:
    assert "what trains is not folded" in unsupported("torch:folded", mode="default")
    assert reading("onnxruntime:folded", mode="default").facts == ()


@pytest.mark.parametrize(
    ("spelling", "note"),
    [("onnxruntime:folded", "NC to NC1"), ("openvino:folded", "NC to NC1"), ("torch:folded", None)],
)
def test_rows_are_convolved_as_sequences_of_length_one_but_where_a_linear_layer_folds_too(
    spelling: str, note: str | None
) -> None:
    assert reading(spelling, input=ROWS).notes == (() if note is None else (note,))


@pytest.mark.parametrize("spelling", FOLDED)
def test_an_axis_without_places_cannot_be_convolved(spelling: str) -> None:
    assert unsupported(spelling, input=NO_PLACES) == "there is nothing to convolve"
    assert isinstance(read(spelling, input={"shape": [0, 3, 4], "layout": "NCL"}), Reading)


@pytest.mark.parametrize("spelling", ["onnxruntime:folded", "torch:folded"])
def test_of_16_bits_weight_and_bias_are_folded_in_16_bits(spelling: str) -> None:
    (fact,) = [f for f in reading(spelling, input={"dtype": "float16"}).facts if f.field == "precision"]
    assert fact.value == "narrow"


def test_where_no_kernel_or_no_promise_is_there_is_nothing_to_judge() -> None:
    assert "no kernel of a convolution" in unsupported("onnxruntime:folded", input={"dtype": "float64"})
    assert "whatever the processor has" in unsupported("openvino:folded", input={"dtype": "bfloat16"})
