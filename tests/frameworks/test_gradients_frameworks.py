"""Gradients of the real frameworks, taken as their users take them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict

import pytest

from bncheck.case.inputs import make
from bncheck.case.load import load
from bncheck.document import Implementation, Result
from bncheck.documented import built_in
from bncheck.repro.script import script
from bncheck.repro.seen import Seen
from bncheck.running import engine
from bncheck.running.events import Done
from bncheck.running.runners import select

CASES = {
    "kinds": """\
title: every dtype in both modes
input: {shape: [4, 3, 5, 2], layout: NCHW}
axis: 1
mode: training
momentum: 0.9
check: [output, gradients]
matrix: {input.dtype: [float16, bfloat16, float32, float64], mode: [training, inference]}
""",
    "steps": """\
title: three steps, then inference
input: {shape: [4, 3, 5, 2], layout: NCHW}
axis: 1
mode: training
momentum: 0.8
steps: 3
check: [output, moving_mean, moving_variance, inference, gradients]
""",
    "plain": """\
title: the same without gradients
input: {shape: [4, 3, 5, 2], layout: NCHW}
axis: 1
mode: training
momentum: 0.8
steps: 3
check: [output, moving_mean, moving_variance, inference]
""",
    "alone": """\
title: gradients and nothing else, of a layer without gamma
input: {shape: [3, 4, 2], layout: NLC}
axis: [2, 0]
mode: inference
scale: false
check: [gradients]
""",
}
NONE = ("onnx", "onnxruntime", "openvino", "openvino-onnx")
DEFECTS = {  # of releases, by what is checked besides or by the gradients: see the README
    "kinds[input.dtype=float64,mode=training] keras-torch",
    "kinds[input.dtype=float64,mode=inference] keras-torch",
    "kinds[input.dtype=float16,mode=inference] torch-functional:view",
    "kinds[input.dtype=bfloat16,mode=inference] torch-functional:view",
}
WITH = tuple(name for name in built_in() if name not in NONE)
VARIANTS = ("keras:graph", "keras:predict", "torch:export", "torch-functional:view")

RUN_ALL = """
import contextlib, io, json, sys
for file, places in json.loads(sys.argv[1]).items():
    names = {"__name__": "__main__"}
    with open(file, encoding="utf-8") as text, contextlib.redirect_stdout(io.StringIO()):
        with contextlib.suppress(SystemExit):
            exec(compile(text.read(), file, "exec"), names)
    print(json.dumps({name: float(names["result"][name][tuple(at)]) for name, at in places.items()}))
"""

Scripted = list[tuple[Result, dict[str, float]]]


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Result], Scripted]:
    """All cases on all runners, run once; and what the scripts of the steps return."""
    folder = tmp_path_factory.mktemp("gradients")
    for name, text in CASES.items():
        (folder / f"{name}.yaml").write_text(text)
    cases = {case.id: case for case in load([folder])}
    runners = {r.spelling: r for r in select([*WITH, *VARIANTS, *NONE])}
    events = list(engine.run(list(cases.values()), list(runners.values())))
    versions = {e.runner: e.version for e in events if isinstance(e, Implementation) and e.available}
    assert set(versions) == set(runners), "these tests need everything: pip install -e '.[all,test]'"
    results = {f"{e.result.case} {e.result.runner}": e.result for e in events if isinstance(e, Done)}
    wanted: dict[str, dict[str, dict[str, list[int]]]] = defaultdict(dict)
    by_file = {}
    for result in (r for r in results.values() if r.case == "steps" and r.runner in WITH):
        runner, loaded = runners[result.runner], cases[result.case]
        seen = Seen(loaded, runner, runner.documented(loaded.case), result, versions[result.runner], "here")
        file = folder / f"{result.runner}.py"
        file.write_text(script(seen, make(loaded.case)), encoding="utf-8")
        family = runner.family if runner.family.startswith("keras-") else "all"  # which choose a backend of their own
        wanted[family][str(file)] = {t.name: list(t.at) for t in result.tensors if t.at is not None}
        by_file[str(file)] = result
    scripted = []
    for places in wanted.values():
        process = subprocess.run(
            [sys.executable, "-c", RUN_ALL, json.dumps(places)], capture_output=True, text=True, check=False
        )
        assert process.returncode == 0, process.stderr
        returned = [json.loads(line) for line in process.stdout.splitlines() if line.startswith("{")]
        scripted += list(zip((by_file[file] for file in places), returned, strict=True))
    return results, scripted


@pytest.fixture(scope="module")
def results(ended: tuple[dict[str, Result], Scripted]) -> dict[str, Result]:
    return ended[0]


def test_nothing_honest_is_called_wrong(results: dict[str, Result]) -> None:
    of_those = {k: r for k, r in results.items() if r.runner not in NONE and not k.endswith("keras:predict")}
    wrong = {name for name, result in of_those.items() if result.verdict in ("fail", "error")}
    assert wrong == DEFECTS


@pytest.mark.parametrize("runner", WITH)
def test_every_runner_that_can_differentiate_does(results: dict[str, Result], runner: str) -> None:
    judged = {case: [t.name for t in results[f"{case} {runner}"].tensors] for case in ("steps", "alone")}
    assert judged["steps"][-3:] == ["gradient_x", "gradient_gamma", "gradient_beta"]
    assert judged["alone"] == ["gradient_x", "gradient_beta"]


@pytest.mark.parametrize("runner", WITH)
def test_nothing_else_changes_by_taking_gradients(results: dict[str, Result], runner: str) -> None:
    with_gradients, plain = (results[f"{case} {runner}"] for case in ("steps", "plain"))
    seen = [(t.name, t.at, t.actual, t.max_abs) for t in plain.tensors]
    assert [(t.name, t.at, t.actual, t.max_abs) for t in with_gradients.tensors][: len(seen)] == seen


@pytest.mark.parametrize("runner", [*NONE, "keras:predict"])
def test_what_cannot_differentiate_leaves_gradients_out(results: dict[str, Result], runner: str) -> None:
    alone = results[f"alone {runner}"]
    assert (alone.verdict, alone.reason) == ("unsupported", "it has no gradients, and nothing else is checked")
    beside = results[f"kinds[input.dtype=float32,mode=inference] {runner}"]
    assert (beside.verdict, [t.name for t in beside.tensors]) == ("pass", ["output"])
    assert "has no gradient_x, gradient_gamma, gradient_beta" in beside.notes


def test_of_an_exported_module_there_are_gradients_in_inference_only(results: dict[str, Result]) -> None:
    modes = {m: results[f"kinds[input.dtype=float32,mode={m}] torch:export"] for m in ("training", "inference")}
    assert [t.name for t in modes["training"].tensors] == ["output"]
    assert "gradient_x" in [t.name for t in modes["inference"].tensors]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("runner", ["torch", "torch-functional", "flax-linen", "flax-nnx", "haiku", "tf-nn"])
def test_16_bit_training_is_known_to_round_on_the_way_back(results: dict[str, Result], runner: str, dtype: str) -> None:
    result = results[f"kinds[input.dtype={dtype},mode=training] {runner}"]
    assert (result.verdict, [c.kind for c in result.causes]) == ("known", ["precision"])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize(
    "runner", ["keras", "keras:graph", "keras-torch", "keras-jax", "tf-keras", "tf-fused", "numpy"]
)
def test_who_casts_to_float32_first_is_exact_on_the_way_back(
    results: dict[str, Result], runner: str, dtype: str
) -> None:
    result = results[f"kinds[input.dtype={dtype},mode=training] {runner}"]
    assert {t.name: t.bound_ratio is not None and t.bound_ratio <= 1 for t in result.tensors} == dict.fromkeys(
        ["output", "gradient_x", "gradient_gamma", "gradient_beta"], True
    )
    assert result.verdict == "pass"


def test_a_script_makes_the_very_call(ended: tuple[dict[str, Result], Scripted]) -> None:
    assert {result.runner for result, _ in ended[1]} == set(WITH)
    for result, values in ended[1]:
        assert values == {t.name: t.actual for t in result.tensors if t.at is not None}, result.runner
