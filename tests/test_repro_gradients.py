"""Scripts of cases that check gradients; and that those of other cases say nothing about them."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import make_case, own

from bncheck.case.inputs import make
from bncheck.case.load import LoadedCase, load
from bncheck.case.model import Case
from bncheck.case.text import Text
from bncheck.document import Implementation, Result
from bncheck.documented import built_in
from bncheck.documented.reading import Unsupported
from bncheck.repro import builtin
from bncheck.repro.call import filled_in
from bncheck.repro.script import script
from bncheck.repro.seen import Seen
from bncheck.repro.tensors import tensors
from bncheck.running import engine
from bncheck.running.events import Done
from bncheck.running.line import call_arguments
from bncheck.running.runners import select
from bncheck.worker.call import Arranged, Call

STEPS = """\
title: gradients after three steps
input: {shape: [5, 3], layout: NC}
axis: -1
mode: training
momentum: 0.8
steps: 3
check: [output, moving_mean, inference, gradients]
"""
INFERENCE = """\
title: gradients with given statistics
input: {shape: [2, 3, 4], layout: NLC}
axis: [2, 0]
mode: inference
check: [output, gradients]
"""


def scripts(file: Path, *spellings: str) -> list[tuple[Result, str]]:
    """What is found of a case on runners, with its script."""
    (case,), runners = load([file]), {runner.spelling: runner for runner in select(spellings)}
    events = list(engine.run([case], list(runners.values())))
    versions = {e.runner: e.version for e in events if isinstance(e, Implementation)}
    found = []
    for result in (e.result for e in events if isinstance(e, Done)):
        runner = runners[result.runner]
        seen = Seen(case, runner, runner.documented(case.case), result, versions[result.runner], "NumPy")
        found.append((result, script(seen, make(case.case))))
    return found


def executed(text: str) -> tuple[Any, str]:
    """How a script ends, and what it prints."""
    printed = io.StringIO()
    with pytest.raises(SystemExit) as ended, contextlib.redirect_stdout(printed):
        exec(compile(text, "<script>", "exec"), {"__name__": "__main__"})
    return ended.value.code, printed.getvalue()


@pytest.mark.parametrize("text", [STEPS, INFERENCE], ids=["steps", "inference"])
def test_a_script_judges_gradients_as_a_run_does(write_case: Callable[..., Path], text: str) -> None:
    runners = ["numpy", own("with_gradients"), own("gradient_of_gamma_averaged"), own("right")]
    for result, made in scripts(write_case(text), *runners):
        code, printed = executed(made)
        assert code == (result.runner == "gradient_of_gamma_averaged"), printed
        lines = [line for line in printed.splitlines() if " times " in line]
        assert [line.partition("[")[0] for line in lines] == [t.name for t in result.tensors]
        ratios = [float(line.rpartition(", ")[2].split()[0]) for line in lines]
        assert ratios == pytest.approx([t.bound_ratio for t in result.tensors], rel=6e-3)


@pytest.mark.parametrize("shape", [[4, 3, 5, 2], [20, 3, 5, 2], [40, 60, 3, 2]])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"steps": 2, "check": ["inference", "gradients"]},
        {"input": {"values": {"uniform": {"low": 0, "high": 1}}}},
        {"upstream": {"normal": {"mean": 1.0, "std": 3.0}}},
        {"upstream": {"arange": [0, 24000]}},
    ],
    ids=["default", "steps", "given x", "given", "arange"],
)
def test_a_script_makes_the_gradient_from_above_byte_for_byte(
    changes: dict[str, Any], dtype: str, shape: list[int]
) -> None:
    changes = {"check": ["gradients"], **changes}
    if "arange" in str(changes):
        changes["upstream"] = {"arange": [0, int(np.prod(shape))]}
    changes["input"] = {"shape": shape, "dtype": dtype, **changes.get("input", {})}
    case = make_case(**changes)
    made = make(case)
    text = tensors(LoadedCase("a", case, {}, Text(Path("a.yaml"))), made, [])
    names: dict[str, Any] = {}
    exec("\n".join(["import numpy as np", *text.imports, *text.definitions, *text.statements]), names)
    batches = names["batches"] if case.batches > 1 else [names["x"]]
    assert made.upstream is not None
    for mine, theirs in zip([*made.batches, made.upstream], [*batches, names["upstream"]], strict=True):
        assert (theirs.dtype, theirs.shape, theirs.tobytes()) == (mine.dtype, mine.shape, mine.tobytes())


def parts(name: str, case: Case) -> str | None:
    """The text of a built-in runner's call; None if it is not supported."""
    (runner,) = select([name])
    reading = runner.documented(case)
    if isinstance(reading, Unsupported):
        return None
    arguments = call_arguments(case, reading, variant=runner.variant)
    return "\n".join(builtin.written(runner.load, case, reading, make(case), arguments, case.checked).parts)


@pytest.mark.parametrize("name", built_in())
def test_the_script_of_an_ordinary_case_says_nothing_of_gradients(name: str) -> None:
    for mode in ("training", "inference"):
        text = parts(name, make_case(mode=mode))
        if text is not None:
            for word in ("upstream", "gradient", "GradientTape", "vjp", "differentiated", "requires_grad"):
                assert word not in text


@pytest.mark.parametrize(
    ("runner", "its", "others"),
    [
        ("keras", "tf.GradientTape", ["torch", "jax"]),
        ("keras-torch", "torch.autograd.grad", ["tf.", "jax"]),
        ("keras-jax", "jax.vjp", ["tf.", "torch"]),
    ],
)
def test_a_script_of_keras_differentiates_by_its_backend_alone(runner: str, its: str, others: list[str]) -> None:
    text = parts(runner, make_case(check=["output", "gradients"]))
    assert text is not None
    assert its in text
    assert not [word for word in [*others, "KERAS_BACKEND"] if word in text]


def test_functions_that_nothing_calls_any_more_are_left_out() -> None:
    runner = """\
def run(case):
    def helper(x):
        return x

    def used(x):
        return x

    if case.mode == "inference":
        return helper(case.steps)
    return used(case.steps)
"""
    case = make_case()
    (numpy,) = select(["numpy"])
    call = Call(call_arguments(case, numpy.documented(case)), make(case).named, Arranged(None))
    expected = "def run(case):\n    def used(x):\n        return x\n\n    return used(case.steps)"
    assert filled_in(runner, call).parts == [expected]
