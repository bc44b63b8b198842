"""What tests of several rooms need: cases written as a user writes them, and runs of them."""

from __future__ import annotations

import functools
import itertools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bncheck.case.load import LoadedCase, load
from bncheck.case.model import Case
from bncheck.cli.main import main
from bncheck.document import Implementation, Result
from bncheck.running import engine
from bncheck.running.events import Done
from bncheck.running.runners import Runner, select

pytest_plugins = ["pytester"]

OWN = Path(__file__).parent / "running" / "own_runners.py"
"""Functions right and wrong, good and unruly, that tests run as users run their own."""


@functools.cache
def built_in(spelling: str) -> Runner:
    """A built-in runner, as it is installed here."""
    return select([spelling])[0]


def own(label: str, function: str | None = None) -> str:
    """The spelling of a runner from `own_runners`."""
    return f"{label}={OWN}:{function or label.replace('-', '_')}"


@pytest.fixture
def write_case(tmp_path: Path) -> Callable[..., Path]:
    """Writes YAML text to a file below a folder ``cases``."""

    def write(text: str, name: str = "case.yaml") -> Path:
        file = tmp_path / "cases" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file

    return write


def few_of_each_subject(cases: list[LoadedCase]) -> list[LoadedCase]:
    """Of each folder of cases the first and the last, as they are sorted by id."""
    subjects = [list(group) for _, group in itertools.groupby(cases, key=lambda case: case.id.partition("/")[0])]
    return [case for subject in subjects for case in dict.fromkeys((subject[0], subject[-1]))]


def make_case(**changes: Any) -> Case:
    """A small training case on discriminating data; ``input`` is changed key by key."""
    data: dict[str, Any] = {
        "title": "a case",
        "input": {"shape": [4, 3, 5, 2], "layout": "NCHW"},
        "axis": 1,
        "mode": "training",
        "momentum": 0.9,
    }
    data["input"] = {**data["input"], **changes.pop("input", {})}
    return Case.model_validate({**data, **changes})


def run(paths: Path | list[LoadedCase], *spellings: str) -> tuple[dict[str, Result], dict[str, Implementation]]:
    """Results by ``case runner`` and implementations by runner of a real run."""
    cases = load([paths]) if isinstance(paths, Path) else paths
    events = list(engine.run(cases, select(spellings)))
    results = {f"{e.result.case} {e.result.runner}": e.result for e in events if isinstance(e, Done)}
    return results, {e.runner: e for e in events if isinstance(e, Implementation)}


Said = tuple[int, str, str]
"""The exit code, standard output and standard error of a command."""


@pytest.fixture
def bncheck(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Runs a command as the console script does, in this process."""

    def run(*arguments: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["bncheck", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        code = ended.value.code
        return (code if isinstance(code, int) else 0, *capsys.readouterr())

    return run
