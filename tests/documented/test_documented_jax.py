"""What Flax and Haiku document, as the parent reads it before any call."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import make_case

from bncheck import documented
from bncheck.documented.reading import Call, Reading, Unsupported

SQUARES = {"batch_formula": "squares"}
HALF = {"input": {"dtype": "float16"}}


def read(spelling: str, versions: dict[str, str] | None = None, **case: Any) -> Reading | Unsupported:
    variant = spelling.partition(":")[2] or None
    return documented.of(spelling).documented(Call(make_case(**case), versions or {}, variant=variant))


def reading(spelling: str, versions: dict[str, str] | None = None, **case: Any) -> Reading:
    found = read(spelling, versions, **case)
    assert isinstance(found, Reading)
    return found


def facts(found: Reading) -> dict[str, Any]:
    return {fact.field: fact.value for fact in found.facts}


@pytest.mark.parametrize(
    ("runner", "case", "expected"),
    [
        ("flax-linen", {}, SQUARES),
        ("flax-linen:jit", {}, SQUARES),
        ("flax-linen:slow-variance", {}, {}),
        ("flax-linen", {"epsilon": "default"}, {**SQUARES, "epsilon": 1e-5}),
        ("flax-linen", {"momentum": "default"}, SQUARES),
        ("flax-linen", {**HALF, "mode": "inference"}, SQUARES),
        ("flax-nnx", {"epsilon": "default"}, {**SQUARES, "epsilon": 1e-5}),
        ("flax-nnx:jit", {"mode": "default"}, {**SQUARES, "mode": "training"}),
        ("flax-nnx", {"input": {"dtype": "float64"}, "mode": "inference"}, SQUARES),
        ("haiku", {}, {}),
        ("haiku", {"epsilon": "default"}, {"epsilon": 1e-5}),
        ("haiku:jit", HALF, {"precision": "narrow"}),
    ],
)
def test_facts_that_differ_from_what_is_requested(runner: str, case: dict[str, Any], expected: dict[str, Any]) -> None:
    assert facts(reading(runner, **case)) == expected


@pytest.mark.parametrize(
    ("version", "case", "narrow"),
    [
        ("0.12.8", {"mode": "inference"}, True),
        ("0.12.1", {"mode": "inference"}, True),
        ("0.12.0", {"mode": "inference"}, False),
        ("0.10.0", {"mode": "inference"}, False),
        ("0.12.8", {"mode": "training"}, False),
        ("0.12.8", {"mode": "training", "check": ["output", "inference"]}, True),
        ("0.12.8", {"mode": "default"}, False),
    ],
)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_nnx_promotes_moving_statistics_from_0_12_1_on(
    version: str, case: dict[str, Any], narrow: bool, dtype: str
) -> None:
    found = facts(reading("flax-nnx", {"flax": version}, input={"dtype": dtype}, **case))
    assert ("precision" in found) == narrow


@pytest.mark.parametrize(
    ("runner", "dtype", "held"),
    [
        ("flax-linen", "float16", "float32"),
        ("flax-linen", "float32", "float32"),
        ("flax-linen", "float64", "float64"),
        ("flax-nnx", "bfloat16", "float32"),
        ("flax-nnx", "float64", "float64"),
        ("haiku", "bfloat16", "bfloat16"),
    ],
)
def test_flax_keeps_statistics_of_16_bit_tensors_in_float32(runner: str, dtype: str, held: str) -> None:
    found = reading(runner, input={"dtype": dtype})
    assert found.parameters_dtype == held
    assert ("parameters in float32" in found.notes) == (held != dtype)


@pytest.mark.parametrize(
    ("runner", "axis", "handed", "notes"),
    [
        ("flax-linen", -3, -3, ()),
        ("flax-linen", [3, 1], [3, 1], ()),
        ("flax-linen", [], [], ()),
        ("flax-nnx", -3, -3, ()),
        ("flax-nnx", [1], 1, ("axis [1] as 1",)),
        ("flax-nnx", [1, 3], 2, ("NCHW to NH(CW)",)),
        ("haiku", [1, 3], [1, 3], ("averages as after many steps",)),
        ("haiku", 0, 0, ("averages as after many steps",)),
    ],
)
def test_what_is_handed_over_as_the_axis(runner: str, axis: Any, handed: Any, notes: tuple[str, ...]) -> None:
    found = reading(runner, axis=axis)
    assert (found.axis, found.notes) == (handed, notes)


@pytest.mark.parametrize(
    ("runner", "case", "reason"),
    [
        ("flax-linen", {"mode": "default"}, "use_running_average must be given"),
        ("flax-linen", {"momentum": "cumulative"}, "no cumulative average"),
        ("flax-nnx", {"momentum": "cumulative"}, "no cumulative average"),
        ("flax-nnx", {"axis": [1, 2], "adapt": False}, "adapt: false"),
        ("haiku", {"mode": "default"}, "is_training must be given"),
        ("haiku", {"momentum": "default", "mode": "inference"}, "decay_rate must be given"),
        ("haiku", {"momentum": "default", "mode": "default"}, "decay_rate and is_training must be given"),
        ("haiku", {"momentum": "cumulative"}, "no cumulative average"),
        ("haiku", {"momentum": 1.0}, "below 1"),
    ],
)
def test_what_an_interface_cannot_be_asked(runner: str, case: dict[str, Any], reason: str) -> None:
    found = read(runner, **case)
    assert isinstance(found, Unsupported)
    assert reason in found.reason
