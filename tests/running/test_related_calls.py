"""Cases with a relation, from the file to the report: two calls of one worker, judged against each other."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Said, own, run

import bncheck as package
from bncheck.case.load import load
from bncheck.case.problem import BadCases
from bncheck.case.related import RELATIONS
from bncheck.case.sound import load_sound

CASE = """\
title: a relation
input: {{shape: [4, 3, 2], layout: NCL}}
axis: 1
mode: {mode}
momentum: 0.9
relation: {relation}
"""


@pytest.fixture
def cases(write_case: Callable[..., Path]) -> Path:
    """A case of each relation, in a mode that it is about."""
    for name, relation in RELATIONS.items():
        file = write_case(CASE.format(relation=name, mode=relation.modes[0]), f"{name}.yaml")
    return file.parent


def test_a_runner_and_one_s_own_function_are_called_twice_and_hold_them(cases: Path) -> None:
    results, _ = run(cases, "numpy", own("right"))
    assert len(results) == 2 * len(RELATIONS)
    assert {key: r.verdict for key, r in results.items() if r.verdict != "pass"} == {}
    assert {t.name for t in results["absorbed-bias numpy"].tensors} == {"output", "moving_mean", "moving_variance"}


def test_a_script_makes_both_calls_and_ends_as_the_result_does(
    cases: Path, tmp_path: Path, bncheck: Callable[..., Said]
) -> None:
    script = tmp_path / "script.py"
    for name in RELATIONS:
        for runner, code in (("numpy", 0), (own("right"), 0)):
            ended, text, _ = bncheck("repro", name, runner, "--cases", cases)
            assert ended == 0
            script.write_text(text, encoding="utf-8")
            made = subprocess.run([sys.executable, "-I", str(script)], capture_output=True, text=True, check=False)
            assert made.returncode == code, (name, runner, made.stdout, made.stderr)
            assert "The second call" in text or name == "identity-start"


def test_a_script_of_a_relation_that_does_not_hold_ends_with_1(
    cases: Path, tmp_path: Path, bncheck: Callable[..., Said]
) -> None:
    script = tmp_path / "script.py"
    _, text, _ = bncheck("repro", "identity-start", own("epsilon_dropped"), "--cases", cases)
    script.write_text(text, encoding="utf-8")
    made = subprocess.run([sys.executable, "-I", str(script)], capture_output=True, text=True, check=False)
    assert made.returncode == 1
    assert "do not give back x" in text


def test_tensors_too_large_for_a_script_are_refused_in_a_line(
    write_case: Callable[..., Path], bncheck: Callable[..., Said]
) -> None:
    text = CASE.format(relation="relu-scale", mode="inference").replace("[4, 3, 2]", "[100, 3, 50]")
    code, out, said = bncheck("repro", "large", "numpy", "--cases", write_case(text, "large.yaml"))
    assert (code, out) == (2, "")
    assert "those of large are too large; make the case smaller" in " ".join(said.split())


def test_commands_that_run_nothing_cope_with_them(cases: Path, bncheck: Callable[..., Said]) -> None:
    assert bncheck("lint", cases)[:2] == (0, f"{len(RELATIONS)} cases in {len(RELATIONS)} files: no problems\n")
    assert bncheck("explain", cases / "folded.yaml")[0] == 0
    code, table, _ = bncheck("power", cases)
    assert code == 0
    assert all(name in table for name in RELATIONS)
    schema = json.loads(bncheck("schema", "case")[1])
    assert set(RELATIONS) == set(schema["properties"]["relation"]["anyOf"][0]["enum"])


def test_what_would_overflow_is_refused_where_it_stands(write_case: Callable[..., Path]) -> None:
    text = CASE.format(relation="scaled-input", mode="training")
    file = write_case(text.replace("NCL}", "NCL, dtype: float16, values: {arange: [20000, 20024]}}"))
    assert load([file])
    with pytest.raises(BadCases) as bad:
        load_sound([file])
    assert [str(p).rpartition("case.yaml:")[2] for p in bad.value.problems] == [
        "6:11: `scaled-input` would make x0 overflow float16; give smaller values"
    ]


def test_check_judges_one_s_own_function_in_this_process(cases: Path) -> None:
    def forgets_the_mean(x, *, gamma, beta, **given):  # type: ignore[no-untyped-def]
        return {"output": x, "moving_mean": given["moving_mean"], "moving_variance": given["moving_variance"]}

    with pytest.raises(AssertionError, match="the bias is not absorbed"):
        package.check(forgets_the_mean, str(cases / "absorbed-bias.yaml"))
