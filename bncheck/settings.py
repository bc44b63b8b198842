"""A project's settings: what its pyproject.toml or bncheck.toml says in place of the command line."""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bncheck import pyproject
from bncheck.case.problem import Problem
from bncheck.environments.wanted import Misplaced, Wanted, is_path, of_table
from bncheck.pyproject import BadProject, Project
from bncheck.spelling import Spelling

DEVICE_CHOICES = ("cpu", "gpu", "all")


@dataclass(frozen=True)
class Settings:
    """The settings that hold for a folder; None, or empty, where nothing is said.

    ``paths``: case files and folders of them, which exist. ``runners``: as after ``--runner``, yet to be judged by
    `running.runners.select`. ``device``: one of `DEVICE_CHOICES`. ``timeout``: seconds for a case. ``max_memory``:
    bytes for a worker. ``expectations``: a file, which may not exist. ``environments``: by their names. What was
    relative to the file is now relative to the current folder. ``project`` is where they stand.
    """

    paths: tuple[Path, ...] = ()
    runners: tuple[str, ...] = ()
    device: str | None = None
    timeout: float | None = None
    max_memory: int | None = None
    expectations: Path | None = None
    environments: Mapping[str, Wanted] = field(default_factory=dict)
    project: Project | None = None

    def bad(self, name: str, message: str) -> BadProject:
        """What turns out to be wrong with a setting that was made, at its place in the file; to be raised."""
        assert self.project is not None, f"{name} was not set"
        return BadProject(self.project.problem(f"{name}: {message}", name))


def read(folder: Path) -> Settings:
    """The settings of the nearest bncheck.toml, or pyproject.toml that has ``[tool.bncheck]``, at or above ``folder``.

    Raises `BadProject` with everything that is wrong with them, each with its place and its cure.
    """
    project = pyproject.nearest(folder)
    if project is None:
        return Settings()
    table = project.table
    if not isinstance(table, dict):
        raise BadProject(project.problem("should be a table; write [tool.bncheck] on a line of its own"))
    found: dict[str, Any] = {}
    problems: list[Problem] = []
    for name, value in table.items():
        if name not in _JUDGES:
            problems.append(project.problem(_unknown(name), name))
            continue
        try:
            found[name.replace("-", "_")] = _JUDGES[name](value, project.file.parent)
        except _Deeper as wrong:
            problems += [project.problem(f"{name}.{message}", name, *keys) for message, keys in wrong.places]
        except (ValueError, OverflowError) as error:
            problems.append(project.problem(f"{name}: {error}", name))
    if problems:
        raise BadProject(*problems)
    return Settings(**found, project=project)


def size(text: str) -> int:
    """A number of bytes as people write it: 800M, 2G, 1.5GiB. Raises `ValueError`."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) ?([KMGT])(i?B)?", text, re.IGNORECASE)
    if match is None:
        raise ValueError(f"{text!r} is not a size; write for example 800M or 2G")
    return int(float(match[1]) * 1024.0 ** (1 + "KMGT".index(match[2].upper())))


def _unknown(name: str) -> str:
    close = difflib.get_close_matches(name.lower().replace("_", "-"), _JUDGES, n=1)
    hint = f"did you mean `{close[0]}`?" if close else f"there are {', '.join(_JUDGES)}"
    return f"unknown setting `{name}`; {hint}"


def _paths(value: Any, home: Path) -> tuple[Path, ...]:
    paths = tuple(Path(_from_here(text, home)) for text in _texts(value, '["cases"]'))
    if absent := [path for path in paths if not path.exists()]:
        raise ValueError(f"{absent[0]} does not exist; name case files or folders of them")
    return paths


def _runners(value: Any, home: Path) -> tuple[str, ...]:
    return tuple(_runner(text, home) for text in _texts(value, '["torch", "mine=kernels/bn.py:batch_norm"]'))


def _runner(text: str, home: Path) -> str:
    spelling = Spelling.parse(text)
    file, colon, function = (spelling.own or "").rpartition(":")
    if colon and file:
        spelling = replace(spelling, own=f"{_from_here(file, home)}:{function}")
    if spelling.environment and is_path(spelling.environment):
        spelling = replace(spelling, environment=_from_here(spelling.environment, home))
    return str(spelling)


class _Deeper(Exception):
    """What is wrong in the tables of a setting: ``places`` are messages, each with its keys below the setting's."""

    def __init__(self, places: Sequence[tuple[str, tuple[str, ...]]]) -> None:
        super().__init__()
        self.places = places


def _environments(value: Any, home: Path) -> dict[str, Wanted]:
    if not isinstance(value, dict):
        raise ValueError(f"should be a table; write [tool.bncheck.environments.NAME], not {_shown(value)}")
    found, wrong = {}, []
    for name, table in value.items():
        try:
            found[name] = of_table(name, table, home)
        except ValueError as error:
            keys = (name, error.key) if isinstance(error, Misplaced) else (name,)
            wrong.append((f"{name}: {error}", keys))
    if wrong:
        raise _Deeper(wrong)
    return found


def _device(value: Any, home: Path) -> str:  # noqa: ARG001
    if value not in DEVICE_CHOICES:
        raise ValueError(f"should be one of {', '.join(DEVICE_CHOICES)}, not {_shown(value)}")
    return str(value)


def _timeout(value: Any, home: Path) -> float:  # noqa: ARG001
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise ValueError(f"should be a number of seconds above 0, not {_shown(value)}")
    return float(value)


def _max_memory(value: Any, home: Path) -> int:  # noqa: ARG001
    if not isinstance(value, str):
        raise ValueError(f'should be a size, for example "2G", not {_shown(value)}')
    return size(value)


def _expectations(value: Any, home: Path) -> Path:
    if not isinstance(value, str) or not value:
        raise ValueError(f'should be a file, for example "cases/expectations.yaml", not {_shown(value)}')
    return Path(_from_here(value, home))


_JUDGES: dict[str, Callable[[Any, Path], Any]] = {
    "paths": _paths,
    "runners": _runners,
    "device": _device,
    "timeout": _timeout,
    "max-memory": _max_memory,
    "expectations": _expectations,
    "environments": _environments,
}
"""The settings that there are, each with what makes its value of what was written in a file in ``home``, or raises
`ValueError`, or `_Deeper`."""


def _texts(value: Any, example: str) -> list[str]:
    if not isinstance(value, list) or not value or not all(isinstance(v, str) and v for v in value):
        raise ValueError(f"should be a list of texts, for example {example}, not {_shown(value)}")
    return value


def _from_here(path: str, home: Path) -> str:
    """A path that was written in a file in ``home``, as the current folder sees it."""
    return path if os.path.isabs(path) else os.path.relpath(home / path)  # noqa: PTH117


def _shown(value: Any) -> str:
    """A value as TOML writes it, more or less, cut short."""
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else text[:57] + "..."
