"""The log of a bisection: what was tried is there when it goes on, and nothing else is taken for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bncheck.bisection.log import BadLog, Log
from bncheck.bisection.trial import Tried
from bncheck.document import Cause, Documented, Result, Tensor


def tried(release: str, **what: object) -> Tried:
    return Tried.model_validate({"release": release, "python": "3.9.18", "seconds": 1.5, **what})


FOUND = tried(
    "2.11.1",
    distributions={"tensorflow-cpu": "2.11.1"},
    result=Result(
        case="a",
        runner="tf-keras@tensorflow-cpu==2.11.1",
        device="cpu",
        verdict="fail",
        tensors=[Tensor(name="output", dtype="float32", shape=[1], max_abs=float("inf"))],
        causes=[Cause(kind="epsilon", requested=0.0, effective=1.001e-05, message="it is raised")],
    ),
)
SKIPPED = tried("2.12.0", skipped="uv: No solution found")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "log.jsonl"


def test_what_was_added_is_there_afterwards_as_it_was(path: Path) -> None:
    log = Log(path, "question")
    log.add(FOUND)
    log.add(SKIPPED)
    assert log.tried == Log(path, "question").tried == {"2.11.1": FOUND, "2.12.0": SKIPPED}


def test_what_answers_another_question_counts_for_nothing_and_stays(path: Path) -> None:
    Log(path, "question").add(FOUND)
    other = Log(path, "other")
    assert other.tried == {}
    other.add(SKIPPED)
    assert set(Log(path, "question").tried) == {"2.11.1"}
    assert set(Log(path, "other").tried) == {"2.12.0"}


def test_wherever_a_log_was_cut_off_the_whole_lines_count_and_it_goes_on(path: Path) -> None:
    log = Log(path, "question")
    log.add(FOUND)
    first = path.stat().st_size
    log.add(SKIPPED)
    whole = path.read_bytes()
    for end in (0, 1, 12, 40, first - 2, first, first + 1, first + 20, len(whole) - 2):
        path.write_bytes(whole[:end])
        cut = Log(path, "question")
        assert set(cut.tried) == ({"2.11.1"} if end >= first else set())
        cut.add(tried("2.13.0", skipped="it hung"))
        assert set(Log(path, "question").tried) == {*cut.tried}
        assert "2.13.0" in cut.tried


@pytest.mark.parametrize("text", ["title: a case\n", "{}", '{"schema": 1}\n', "\0", " "])
def test_a_file_that_is_no_log_is_refused_and_left_as_it_is(path: Path, text: str) -> None:
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(BadLog, match="is no log of a bisection"):
        Log(path, "question")
    assert path.read_text() == text


@pytest.mark.parametrize("line", ['{"question": "question"}', '{"question": "question", "tried": 3}', "[" * 100_000])
def test_a_line_that_says_nothing_sensible_counts_for_nothing(path: Path, line: str) -> None:
    Log(path, "question").add(FOUND)
    with path.open("a") as file:
        file.write(f"{line}\n")
    Log(path, "question").add(SKIPPED)
    assert set(Log(path, "question").tried) == {"2.11.1", "2.12.0"}


def test_what_is_no_file_or_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place, says in ((tmp_path, "is no file"), (tmp_path / "file" / "log", "cannot be used")):
        with pytest.raises(BadLog, match=says):
            Log(place, "question")


def test_outcomes_are_compared_by_verdict_and_causes_and_not_by_numbers() -> None:
    result = FOUND.result
    assert result is not None
    another = result.causes[0].model_copy(update={"effective": 2e-05, "message": "it is raised more"})
    other_kind = result.causes[0].model_copy(update={"kind": "mode"})

    def outcome(**changes: object) -> str:
        return FOUND.model_copy(update={"result": result.model_copy(update=changes)}).outcome

    assert outcome() == outcome(causes=[another]) == "fail: epsilon"
    assert outcome(causes=[other_kind]) == "fail: mode"
    known = Documented(source="its page", differs=["moving-variance"])
    assert outcome(verdict="known", documented=known) == "known: epsilon, moving-variance"
    assert outcome(verdict="pass", causes=[], documented=known) == "pass"
    assert SKIPPED.outcome == "skipped"
