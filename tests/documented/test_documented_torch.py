"""What PyTorch documents of its other ways to be called: compiled, exported, in other memory, in mixed precision."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import make_case

from bncheck import documented
from bncheck.documented import torch as module
from bncheck.documented.reading import Call, Reading, Unsupported
from bncheck.documented.ways import Way

BFLOAT16 = {"input": {"dtype": "bfloat16"}}
FLOAT64 = {"input": {"dtype": "float64"}}
CUMULATIVE = {"momentum": "cumulative"}
ONE_VALUE = {"input": {"shape": [1, 3, 1, 1]}}
INFERENCE = {"mode": "inference"}
MATRIX = {"input": {"shape": [4, 3], "layout": "NC"}}


def read(
    variant: str | None,
    runner: str = "torch",
    device: str = "cpu",
    release: str = "2.13.0",
    python: str = "3.11.7",
    **case: Any,
) -> Reading | Unsupported:
    call = Call(make_case(**case), {"torch": release, "python": python}, device, variant)
    return documented.of(runner).documented(call)


def reading(variant: str | None, **options: Any) -> Reading:
    found = read(variant, **options)
    assert isinstance(found, Reading)
    return found


@pytest.fixture(autouse=True)
def compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.delenv("CXX", raising=False)


VARIANTS = [*documented.variants("torch")]


@pytest.mark.parametrize("variant", [v for v in VARIANTS if v not in ("mixed", "folded")])
def test_every_variant_reads_a_float32_case_as_the_module_does(variant: str) -> None:
    assert (reading(variant).facts, reading(variant).notes) == (reading(None).facts, reading(None).notes)


@pytest.mark.parametrize(
    ("variant", "narrow"),
    [
        (None, True),
        ("channels-last", True),
        ("export", True),
        ("view", True),
        ("autocast", False),
        ("compile", False),
        ("mixed", False),
    ],
)
def test_statistics_of_16_bit_tensors_are_held_in_16_bits_in_training_where_parameters_are_and_nothing_is_compiled(
    variant: str | None, narrow: bool
) -> None:
    assert ("precision" in {fact.field for fact in reading(variant, **BFLOAT16).facts}) is narrow
    assert "precision" not in {fact.field for fact in reading(variant, **BFLOAT16, **INFERENCE).facts}


@pytest.mark.parametrize(
    ("variant", "case", "dtype"),
    [
        ("mixed", BFLOAT16, "float32"),
        ("autocast", BFLOAT16, "float32"),
        ("autocast", {}, "float32"),
        ("autocast", FLOAT64, "float64"),
        ("compile", BFLOAT16, "bfloat16"),
        ("view", BFLOAT16, "bfloat16"),
    ],
)
def test_parameters_are_float32_beside_a_16_bit_tensor_where_that_is_asked_for(
    variant: str, case: dict[str, Any], dtype: str
) -> None:
    found = reading(variant, **case)
    assert found.parameters_dtype == dtype
    assert ("parameters in float32" in found.notes) is (case == BFLOAT16 and dtype == "float32")


@pytest.mark.parametrize(
    ("variant", "case", "reason"),
    [
        ("mixed", {}, "16-bit tensors only"),
        ("mixed", FLOAT64, "16-bit tensors only"),
        ("channels-last", MATRIX, "four axes or five"),
        ("channels-last", {"axis": [1, 2, 3]}, "four axes or five"),
        ("export", CUMULATIVE, "count of batches"),
    ],
)
def test_what_a_variant_cannot_be_asked(variant: str, case: dict[str, Any], reason: str) -> None:
    found = read(variant, **case)
    assert isinstance(found, Unsupported)
    assert reason in found.reason


def test_in_inference_no_batches_are_counted() -> None:
    assert reading("export", **CUMULATIVE, **INFERENCE).notes == ()
    assert reading("compile", **CUMULATIVE, **INFERENCE).notes == ()


@pytest.mark.parametrize(("environment", "compiler"), [({}, "g++"), ({"CXX": "my-c++"}, "my-c++")])
def test_torch_compile_needs_a_compiler_on_a_cpu(
    environment: dict[str, str], compiler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module.shutil, "which", lambda _: None)
    monkeypatch.setattr(module.sys, "platform", "linux")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert read("compile") == Unsupported(f"torch.compile needs a C++ compiler, and there is no {compiler}")
    assert isinstance(read("compile", device="gpu"), Reading)
    assert isinstance(read("export"), Reading)


def test_what_torch_compile_refuses_it_says_in_words_of_its_own() -> None:
    (refusal, plain) = (reading(variant, **ONE_VALUE).refusal for variant in ("compile", None))
    assert refusal is not None
    assert plain is not None
    assert (refusal.words, refusal.source) == (plain.words, plain.source)
    assert refusal.says == "TorchRuntimeError"


def test_a_cumulative_average_is_not_compiled_so_it_is_read_as_the_module() -> None:
    found, plain = (reading(variant, **CUMULATIVE, **BFLOAT16) for variant in ("compile", None))
    assert found.facts == plain.facts
    assert found.notes == ("the count of batches breaks the graph: not compiled",)
    one = {"input": {**ONE_VALUE["input"], **BFLOAT16["input"]}}
    assert reading("compile", **CUMULATIVE, **one).refusal == reading(None, **CUMULATIVE, **one).refusal


def test_the_function_takes_views_of_all_tensors() -> None:
    assert [*documented.variants("torch-functional")] == ["view"]
    assert read("view", "torch-functional") == read(None, "torch-functional")


@pytest.mark.parametrize(
    ("variant", "release", "python", "reason"),
    [
        ("compile", "1.13.1", "3.10.13", "came with PyTorch 2.1; this is PyTorch 1.13.1"),
        ("compile", "2.0.1", "3.10.13", "came with PyTorch 2.1; this is PyTorch 2.0.1"),
        ("compile", "2.3.1", "3.12.1", "takes Python 3.12 from PyTorch 2.4 on; this is PyTorch 2.3.1"),
        ("compile", "2.5.1", "3.13.0", "takes Python 3.13 from PyTorch 2.6 on; this is PyTorch 2.5.1"),
        ("compile", "2.9.1", "3.14.0", "takes Python 3.14 from PyTorch 2.10 on; this is PyTorch 2.9.1"),
        ("export", "2.1.2", "3.11.7", "came with PyTorch 2.2; this is PyTorch 2.1.2"),
    ],
)
def test_what_a_release_does_not_have_it_cannot_be_asked(variant: str, release: str, python: str, reason: str) -> None:
    found = read(variant, release=release, python=python)
    assert isinstance(found, Unsupported)
    assert reason in found.reason


@pytest.mark.parametrize(
    ("variant", "release", "python"),
    [
        ("compile", "2.1.0", "3.11.7"),
        ("compile", "2.4.0", "3.12.1"),
        ("compile", "2.6.0", "3.13.0"),
        ("compile", "2.10.0", "3.14.0"),
        ("export", "2.2.0", "3.8.18"),
        ("folded", "1.13.1", "3.7.16"),
    ],
)
def test_from_the_release_that_brought_it_on_it_can(variant: str, release: str, python: str) -> None:
    assert isinstance(read(variant, release=release, python=python, mode="inference"), Reading)


def refused(variant: str | None, release: str, **options: Any) -> str | None:
    """What the call is documented to raise."""
    found = read(variant, release=release, **options)
    assert isinstance(found, Reading)
    return found.refusal.says if found.refusal else None


FLOAT16 = {"input": {"dtype": "float16"}}
EMPTY = {"input": {"shape": [0, 3, 5, 2], "dtype": "float16"}}
OF_ONE_VALUE = {"input": {"shape": [1, 3, 1, 1], "dtype": "float16"}}
NARROW_BESIDE_FLOAT32 = {"input": {"dtype": "bfloat16"}, "parameters": {"dtype": "float32"}, "mode": "inference"}
OF_FEATURES = {**NARROW_BESIDE_FLOAT32, "input": {"shape": [4, 3], "layout": "NC", "dtype": "bfloat16"}}


@pytest.mark.parametrize(
    ("variant", "case", "release", "says"),
    [
        (None, FLOAT16, "2.1.2", "not implemented for 'Half'"),
        (None, FLOAT16, "2.2.0", None),
        (None, EMPTY, "2.1.2", None),
        ("compile", FLOAT16, "2.1.2", None),
        ("compile", {**FLOAT16, **CUMULATIVE}, "2.1.2", "not implemented for 'Half'"),
        (None, OF_ONE_VALUE, "2.1.2", "Expected more than 1 value per channel"),
        ("autocast", FLOAT16, "2.1.2", "AutocastCPU only support Bfloat16"),
        ("autocast", OF_ONE_VALUE, "2.1.2", "AutocastCPU only support Bfloat16"),
        ("autocast", FLOAT16, "2.2.0", None),
        ("autocast", BFLOAT16, "1.13.1", None),
        (None, {"epsilon": 0.0}, "2.9.1", None),
        (None, {"epsilon": 0.0}, "2.10.0", "eps must be positive"),
        (None, {"epsilon": 0.0, **INFERENCE}, "2.11.0", "eps must be positive"),
        (None, {"epsilon": 0.0, **INFERENCE}, "2.12.0", None),
        (None, {"epsilon": 0.0}, "2.12.0", "eps must be positive"),
        ("folded", NARROW_BESIDE_FLOAT32, "2.0.1", "the same"),
        ("folded", NARROW_BESIDE_FLOAT32, "2.1.0", None),
        ("folded", OF_FEATURES, "2.4.1", "the same"),
        ("folded", OF_FEATURES, "2.5.0", None),
    ],
)
def test_what_a_release_refuses(variant: str | None, case: dict[str, Any], release: str, says: str | None) -> None:
    assert refused(variant, release, **case) == says


def test_on_a_gpu_old_releases_take_float16_too() -> None:
    assert refused(None, "1.13.1", device="gpu", **FLOAT16) is None
    assert refused("autocast", "1.13.1", device="gpu", **FLOAT16) is None


@pytest.mark.parametrize("runner", ["torch", "torch:view", "torch-functional"])
def test_until_2_2_tensors_come_from_numpy_1_only(runner: str) -> None:
    reason = "PyTorch 2.2.2 needs numpy<2; NumPy 2.2.6"
    assert documented.way(runner, {"torch": "2.2.2", "numpy": "2.2.6"}) == reason
    for versions in ({"torch": "2.2.2", "numpy": "1.26.4"}, {"torch": "2.3.0", "numpy": "2.2.6"}, {"numpy": "2.2.6"}):
        assert documented.way(runner, versions) == Way(runner.partition(":")[0], ("torch", "numpy"))
