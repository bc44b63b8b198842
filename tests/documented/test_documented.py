"""What each implementation documents, as the parent reads it before any call."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import make_case

from bncheck import documented
from bncheck.documented.reading import Reading, Unsupported

NHWC = {"shape": [4, 5, 6, 3], "layout": "NHWC"}


def reading(runner: str, **case: Any) -> Reading:
    read = documented.of(runner).documented(make_case(**case))
    assert isinstance(read, Reading)
    return read


def unsupported(runner: str, **case: Any) -> str:
    read = documented.of(runner).documented(make_case(**case))
    assert isinstance(read, Unsupported)
    return read.reason


@pytest.mark.parametrize(
    ("runner", "case", "differs"),
    [
        ("keras", {}, {}),
        ("keras", {"epsilon": "default", "momentum": "default"}, {}),
        ("tf-keras", {}, {"moving_variance": "unbiased"}),
        ("tf-keras", {"input": {"dtype": "float64"}}, {}),
        ("tf-keras", {"axis": 2}, {}),
        ("tf-keras", {"axis": -1}, {"moving_variance": "unbiased"}),
        ("tf-keras", {"axis": [1, 3]}, {}),
        ("tf-keras", {"input": {"shape": [4, 3], "layout": "NC"}}, {}),
        ("tf-layers", {}, {"moving_variance": "unbiased"}),
        ("tf-fused", {"axis": 2}, {"moving_variance": "unbiased"}),
        ("tf-fused", {"momentum": "default"}, {"moving_variance": "unbiased", "momentum": 0.0}),
        ("tf-nn", {}, {}),
        ("tf-nn", {"input": {"dtype": "float16"}}, {"precision": "narrow"}),
        ("torch", {}, {"moving_variance": "unbiased"}),
        ("torch", {"epsilon": "default"}, {"moving_variance": "unbiased", "epsilon": 1e-5}),
        ("torch", {"mode": "default"}, {"moving_variance": "unbiased", "mode": "training"}),
        ("torch", {"mode": "inference", "input": {"dtype": "float16"}}, {"moving_variance": "unbiased"}),
        (
            "torch",
            {"input": {"dtype": "bfloat16"}},
            {"moving_variance": "unbiased", "precision": "narrow"},
        ),
        ("torch-functional", {"mode": "default"}, {"moving_variance": "unbiased"}),
        ("numpy", {"axis": []}, {}),
    ],
)
def test_facts_that_differ_from_what_is_requested(runner: str, case: dict[str, Any], differs: dict[str, Any]) -> None:
    read = reading(runner, **case)
    assert {f.field: f.value for f in read.facts} == differs
    assert all(f.source.link.startswith("https://") for f in read.facts)


@pytest.mark.parametrize(
    ("runner", "case", "notes"),
    [
        ("keras", {"axis": -2}, ()),
        ("keras", {"axis": [1]}, ("axis [1] as 1",)),
        ("keras", {"axis": [1, 2]}, ("NCHW to NW(CH)",)),
        ("keras", {"axis": []}, ("NCHW to NCHW1",)),
        ("tf-keras", {"axis": [1, 2]}, ()),
        ("tf-keras", {"input": {"dtype": "float16"}}, ("parameters in float32",)),
        ("tf-fused", {"input": {"shape": [4, 3], "layout": "NC"}}, ("NC to N11C",)),
        ("tf-fused", {"scale": False}, ("scale of ones",)),
        ("tf-nn", {"axis": [0, 2]}, ()),
        ("torch", {}, ()),
        ("torch", {"input": NHWC, "axis": -1}, ("NHWC to NCHW",)),
        ("torch", {"input": NHWC, "axis": [1, 2, 3]}, ("NHWC to N(HWC)",)),
        ("torch", {"input": NHWC, "axis": 0}, ("NHWC to HNWC",)),
        ("torch", {"input": NHWC, "axis": []}, ("NHWC to N1HWC",)),
        ("torch", {"input": {"shape": [2, 2, 2, 2, 2, 3], "layout": "NDHWLC"}, "axis": 5}, ("NDHWLC to NC(DHWL)",)),
        ("torch", {"center": False}, ("bias of zeros",)),
        ("numpy", {"axis": [0, 1, 2, 3]}, ()),
    ],
)
def test_what_is_adapted_is_noted_and_refused_if_the_case_says_so(
    runner: str, case: dict[str, Any], notes: tuple[str, ...]
) -> None:
    assert reading(runner, **case).notes == notes
    if any(" to " in note for note in notes):
        assert "adapt: false" in unsupported(runner, **case, adapt=False)
    else:
        assert reading(runner, **case, adapt=False).notes == notes


@pytest.mark.parametrize(
    ("runner", "case", "reason"),
    [
        ("keras", {"momentum": "cumulative"}, "cumulative average"),
        ("tf-keras", {"momentum": "cumulative"}, "cumulative average"),
        ("tf-nn", {"momentum": "cumulative"}, "cumulative average"),
        ("tf-fused", {"momentum": "cumulative"}, "cumulative average"),
        ("torch-functional", {"momentum": "cumulative"}, "cumulative average"),
        ("tf-nn", {"epsilon": "default"}, "epsilon must be given"),
        ("tf-nn", {"mode": "default", "momentum": "default"}, "mode must be given"),
        ("numpy", {"momentum": "default"}, "no default momentum"),
        ("tf-fused", {"input": {"dtype": "float64"}}, "float16, bfloat16 and float32"),
    ],
)
def test_what_an_interface_cannot_be_asked(runner: str, case: dict[str, Any], reason: str) -> None:
    assert reason in unsupported(runner, **case)


def test_torch_documents_a_cumulative_average() -> None:
    assert reading("torch", momentum="cumulative").facts[0].field == "moving_variance"


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ({"input": {"shape": [1, 3, 1, 1]}}, "more than one value per channel"),
        ({"epsilon": 0.0}, "eps above 0"),
        ({"epsilon": 0.0, "mode": "inference"}, None),
        ({}, None),
    ],
)
def test_what_torch_documents_to_refuse(case: dict[str, Any], words: str | None) -> None:
    refusal = reading("torch", **case).refusal
    assert (refusal is None) if words is None else (refusal is not None and words in refusal.words)
