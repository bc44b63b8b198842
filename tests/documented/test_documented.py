"""What each implementation documents, as the parent reads it before any call."""

from __future__ import annotations

import platform
import re
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from conftest import make_case

from bncheck import documented
from bncheck.case.load import load
from bncheck.documented.reading import Call, Reading, Source, Unsupported
from bncheck.running import engine, runners
from bncheck.running.events import Options

NHWC = {"shape": [4, 5, 6, 3], "layout": "NHWC"}


def reading(runner: str, versions: dict[str, str] | None = None, device: str = "cpu", **case: Any) -> Reading:
    read = documented.of(runner).documented(Call(make_case(**case), versions or {}, device))
    assert isinstance(read, Reading)
    return read


def unsupported(runner: str, **case: Any) -> str:
    read = documented.of(runner).documented(Call(make_case(**case)))
    assert isinstance(read, Unsupported)
    return read.reason


def differs(read: Reading) -> dict[str, Any]:
    return {fact.field: fact.value for fact in read.facts}


@pytest.mark.parametrize(
    ("runner", "case", "expected"),
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
        ("torch", {"input": {"shape": [0, 3, 4, 4]}}, {"moving_variance": "unbiased", "update": "none"}),
        ("torch", {"input": {"shape": [0, 3, 4, 4]}, "mode": "inference"}, {"moving_variance": "unbiased"}),
        ("torch-functional", {"mode": "default"}, {"moving_variance": "unbiased"}),
        ("numpy", {"axis": []}, {}),
    ],
)
def test_facts_that_differ_from_what_is_requested(runner: str, case: dict[str, Any], expected: dict[str, Any]) -> None:
    assert differs(reading(runner, **case)) == expected


TINY = {"epsilon": 1e-7}
UNFUSED = {"axis": 2}
RAISED = {"moving_variance": "unbiased", "epsilon": 1.001e-5}
UNBIASED = {"moving_variance": "unbiased"}


@pytest.mark.parametrize(
    ("runner", "installed", "case", "expected"),
    [
        ("tf-fused", "tensorflow 1.15.5", TINY, {**RAISED, "momentum": 0.0}),
        ("tf-fused", "tensorflow 2.11.1", TINY, RAISED),
        ("tf-fused", "tensorflow 2.11.1", {"epsilon": 0.0}, RAISED),
        ("tf-fused", "tensorflow 2.11.1", {"epsilon": 1e-5, "mode": "inference"}, RAISED),
        ("tf-fused", "tensorflow 2.11.1", {"epsilon": 1.001e-5}, UNBIASED),
        ("tf-fused", "tensorflow 2.11.1", {"epsilon": "default"}, UNBIASED),
        ("tf-fused", "tensorflow 2.12.0rc0", TINY, UNBIASED),
        ("tf-fused", "tensorflow 2.12.0", TINY, UNBIASED),
        ("tf-fused", "", TINY, UNBIASED),
        ("tf-keras", "tensorflow 2.11.1", TINY, RAISED),
        ("tf-keras", "tensorflow 2.11.1", {**TINY, **UNFUSED}, {}),
        ("tf-keras", "tensorflow 2.16.2", TINY, UNBIASED),
        ("tf-layers", "tensorflow 2.11.1", TINY, RAISED),
        ("tf-nn", "tensorflow 2.11.1", TINY, {}),
        ("keras", "tensorflow 2.11.1", TINY, {}),
    ],
)
def test_an_epsilon_is_raised_where_an_old_tensorflow_is_fused(
    runner: str, installed: str, case: dict[str, Any], expected: dict[str, Any]
) -> None:
    versions = dict([installed.split()]) if installed else {}
    for device in ("cpu", "gpu"):
        assert differs(reading(runner, versions, device, **case)) == expected


@pytest.mark.parametrize("runner", ["torch", "torch-functional"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_on_a_gpu_pytorch_computes_16_bit_statistics_in_float32(runner: str, dtype: str) -> None:
    assert differs(reading(runner, device="cpu", input={"dtype": dtype}))["precision"] == "narrow"
    assert "precision" not in differs(reading(runner, device="gpu", input={"dtype": dtype}))


@pytest.mark.parametrize(
    ("version", "before"),
    [
        ("1.15.5", True),
        ("2.9", True),
        ("2.9.1+cu128", True),
        ("2.10.0", False),
        ("2.10.0rc1", False),
        ("2.10.0.dev20251101+cpu", False),
        ("2.100.0", False),
        ("3", False),
        ("unknown", False),
        ("", False),
    ],
)
def test_versions_are_compared_by_their_numbers(version: str, before: bool) -> None:
    assert Call(make_case(), {"x": version}).before("x", 2, 10) is before


def test_of_a_version_that_is_not_known_the_newest_facts_are_taken() -> None:
    assert not Call(make_case()).before("torch", 99)


def test_a_run_asks_what_is_documented_of_what_is_installed_on_each_device(
    write_case: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Call] = []

    def remember(call: Call) -> Unsupported:
        calls.append(call)
        return Unsupported("only asked")

    monkeypatch.setattr(documented.of("numpy"), "documented", remember)
    file = write_case("title: a case\ninput: {shape: [2, 3], layout: NC}\naxis: 1\nmode: training\n")
    list(engine.run(load([file]), runners.select(["numpy"]), Options(devices=("cpu", "gpu"))))
    assert [(call.versions, call.device) for call in calls] == [
        ({"numpy": version("numpy"), "python": platform.python_version()}, d) for d in ("cpu", "gpu")
    ]


def test_versions_are_those_of_what_a_runner_needs_and_what_is_absent_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(runners, "version_of", {"tensorflow": "2.21.0", "torch": "2.13.0"}.get)
    (runner,) = runners.select(["tf-keras"])
    assert {**runner.versions, "python": ""} == {"tensorflow": "2.21.0", "python": ""}


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


INFERENCE = {"mode": "inference"}
HALF = {"input": {"dtype": "float16"}}
ONE_VALUE = {"input": {"shape": [1, 3, 1, 1]}}


@pytest.mark.parametrize("runner", ["torch", "torch-functional"])
@pytest.mark.parametrize(
    ("torch", "device", "case", "words"),
    [
        ("2.13.0", "cpu", {}, None),
        ("2.13.0", "cpu", {"epsilon": "default"}, None),
        ("2.13.0", "cpu", ONE_VALUE, "more than one value per channel in training"),
        ("2.1.2", "gpu", ONE_VALUE, "more than one value per channel in training"),
        ("2.13.0", "cpu", {**ONE_VALUE, **INFERENCE}, None),
        ("2.13.0", "cpu", {"input": {"shape": [0, 3, 4, 4]}}, None),
        ("2.13.0", "cpu", {"epsilon": 0.0}, "eps above 0 in training"),
        ("2.12.0", "gpu", {"epsilon": 0.0}, "eps above 0 in training"),
        ("2.12.0", "cpu", {"epsilon": 0.0, **INFERENCE}, None),
        ("2.11.0", "cpu", {"epsilon": 0.0}, "eps above 0"),
        ("2.10.0", "cpu", {"epsilon": 0.0, **INFERENCE}, "eps above 0"),
        ("2.10.0", "cpu", {"epsilon": 1e-12}, None),
        ("2.9.1", "cpu", {"epsilon": 0.0}, None),
        ("2.2.0", "cpu", HALF, None),
        ("2.1.2+cu121", "cpu", HALF, "bfloat16, float32 and float64 on a CPU before 2.2"),
        ("2.1.2+cu121", "cpu", {**HALF, **INFERENCE}, "bfloat16, float32 and float64 on a CPU before 2.2"),
        ("2.1.2+cu121", "gpu", HALF, None),
        ("2.1.2+cu121", "cpu", {"input": {"dtype": "bfloat16"}}, None),
    ],
)
def test_what_torch_documents_to_refuse(
    runner: str, torch: str, device: str, case: dict[str, Any], words: str | None
) -> None:
    refusal = reading(runner, {"torch": torch}, device, **case).refusal
    assert (None if refusal is None else refusal.words) == words


def sources() -> list[tuple[str, str, Source]]:
    modules = [(name, vars(documented.of(name))) for name in documented.built_in()]
    return [(n, key, value) for n, names in modules for key, value in names.items() if isinstance(value, Source)]


def test_every_framework_has_sources() -> None:
    assert {name for name, _, _ in sources()} == set(documented.built_in()) - {"numpy"}


@pytest.mark.parametrize(("runner", "name", "source"), sources(), ids=lambda value: str(value).split(" <")[0])
def test_a_source_is_a_place_that_stays(runner: str, name: str, source: Source) -> None:
    """A page of documentation, a pull request, or a file at a tag; not one on a branch that moves."""
    assert source.link.startswith("https://")
    if "/blob/" in source.link:
        assert re.search(r"/blob/v\d+\.\d+\.\d+/", source.link)
