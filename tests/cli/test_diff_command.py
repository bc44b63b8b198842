"""``bncheck diff`` as a user meets it, on documents of real runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Said, own

CASE = """\
title: a training step
input: {shape: [4, 3, 5, 2], layout: NCHW}
axis: 1
mode: training
matrix: {epsilon: [0.1, 0.001]}
"""

Bncheck = Callable[..., Said]


@pytest.fixture
def made(bncheck: Bncheck, write_case: Callable[..., Path], tmp_path: Path) -> Callable[[str], Path]:
    """The document of a real run of NumPy's formula and one's own function."""

    def run(function: str) -> Path:
        path = tmp_path / f"{function}.json"
        mine = own("mine", function)
        code, _, _ = bncheck("run", write_case(CASE), "--runner", "numpy", "--runner", mine, "--report", f"json={path}")
        assert code in (0, 1)
        return path

    return run


def test_a_kernel_that_became_wrong_is_exit_1_and_one_that_became_right_is_exit_0(
    bncheck: Bncheck, made: Callable[[str], Path]
) -> None:
    right, wrong = made("right"), made("epsilon_dropped")
    code, out, err = bncheck("diff", right, wrong)
    assert (code, err) == (1, "")
    assert "own_runners.py:right -> " in " ".join(out.split())
    assert "mine: pass -> fail (epsilon): 2 results\n" in out
    assert "case[epsilon=0.1]" in out
    assert "0 used" in out
    assert out.endswith("\n2 regressions, 2 results alike\n")

    code, out, err = bncheck("diff", wrong, right)
    assert (code, err) == (0, "")
    assert "mine: fail -> pass (was epsilon): 2 results: case[epsilon=0.001], case[epsilon=0.1]\n" in out

    assert bncheck("diff", wrong, wrong) == (0, "no changes: 4 results alike\n", "")


def test_a_strict_diff_fails_for_what_changed_for_the_better_and_for_what_went(
    bncheck: Bncheck, made: Callable[[str], Path]
) -> None:
    right, wrong = made("right"), made("epsilon_dropped")
    assert bncheck("diff", wrong, right)[0] == 0
    assert bncheck("diff", "--strict", wrong, right)[0] == 1
    assert bncheck("diff", "--strict", right, right)[0] == 0
    document = json.loads(right.read_text())
    document["results"] = [part for part in document["results"] if part["runner"] == "numpy"]
    document["implementations"] = [part for part in document["implementations"] if part["runner"] == "numpy"]
    right.write_text(json.dumps(document))
    assert bncheck("diff", wrong, right)[0] == 0
    assert bncheck("diff", "--strict", wrong, right)[0] == 1


def test_another_machines_device_is_no_other_implementation(bncheck: Bncheck, made: Callable[[str], Path]) -> None:
    path = made("right")
    document = json.loads(path.read_text())
    for part in (*document["results"], *document["implementations"]):
        part["device"] = "gpu"
    elsewhere = path.with_name("gpu.json")
    elsewhere.write_text(json.dumps(document))
    code, out, _ = bncheck("diff", path, elsewhere)
    assert code == 0
    assert "\nmine, numpy on cpu -> on gpu\n\nno changes: 4 results alike\n" in out


@pytest.mark.parametrize(("option", "listed"), [((), 3), (("--all",), 9)])
def test_all_lists_every_result_that_changed(
    bncheck: Bncheck, made: Callable[[str], Path], option: tuple[str, ...], listed: int
) -> None:
    path = made("right")
    old, new = path.with_name("old.json"), path.with_name("new.json")
    document = json.loads(path.read_text())
    one = document["results"][0]
    document["results"] = [{**one, "case": f"case-{n}"} for n in range(9)]
    old.write_text(json.dumps(document))
    document["results"] = [{**one, "case": f"case-{n}", "verdict": "error", "error": "killed"} for n in range(9)]
    new.write_text(json.dumps(document))
    code, out, _ = bncheck("diff", *option, old, new)
    assert (code, out.count("  case-")) == (1, listed)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("missing.json", None, "does not exist"),
        ("text.json", "not JSON", "is not a whole JSON document"),
        ("deep.json", "[" * 200_000, "is not a whole JSON document"),
        ("other.json", '{"name": "something else"}', "is not a results document of bncheck; name one that"),
        ("newer.json", '{"schema": 99}', "has schema 99, newer than"),
        ("run.json.partial", "", "is not a whole JSON document"),
    ],
)
def test_what_is_no_document_is_exit_2_on_either_side(
    bncheck: Bncheck, made: Callable[[str], Path], name: str, content: str | None, words: str
) -> None:
    good = made("right")
    bad = good.with_name(name)
    if content is not None:
        bad.write_text(content)
    for pair in ((good, bad), (bad, good)):
        code, out, err = bncheck("diff", *pair)
        assert (code, out) == (2, "")
        assert name in err
        assert words in " ".join(err.split())


def test_the_journal_of_a_run_that_was_cut_short_is_compared(bncheck: Bncheck, made: Callable[[str], Path]) -> None:
    path = made("right")
    document = json.loads(path.read_text())
    first = {**document, "results": [], "implementations": []}
    lines = [first, {"implementation": document["implementations"][0]}, {"result": document["results"][0]}]
    partial = path.with_name("later.json.partial")
    partial.write_text("".join(json.dumps(line) + "\n" for line in lines))
    code, out, _ = bncheck("diff", path, partial)
    assert code == 0
    assert "1 result, cut short\n" in out
    assert "not compared: 3 results, because new was cut short\n" in out


def test_two_documents_are_needed(bncheck: Bncheck) -> None:
    code, out, err = bncheck("diff", "old.json")
    assert (code, out) == (2, "")
    assert "Missing argument 'NEW'" in err
