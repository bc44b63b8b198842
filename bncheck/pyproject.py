"""A project's pyproject.toml or bncheck.toml: which one holds for a folder, what is in it, and where in it."""

from __future__ import annotations

import bisect
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bncheck.case.problem import Problem
from bncheck.processes import printable

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

NAME = "pyproject.toml"
ALONE = "bncheck.toml"
"""A file of nothing but settings, which goes before a pyproject.toml beside it."""

TABLE = ("tool", "bncheck")


class BadProject(Exception):
    """A file that cannot be used; the message is a line ``file:line:column: what`` for each problem."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("\n".join(str(problem) for problem in sorted(problems)))


@dataclass(frozen=True)
class Project:
    """A file as read: its name as seen from the current folder, its text, and the data in it."""

    file: Path
    text: str
    data: Mapping[str, Any]

    @property
    def _root(self) -> tuple[str, ...]:
        """Where the settings stand: ``[tool.bncheck]``, or in a bncheck.toml without one everything."""
        return () if self.file.name == ALONE and _at(self.data, TABLE) is None else TABLE

    @property
    def table(self) -> Any:
        """The settings: a table, if all is well; None if there are none."""
        return _at(self.data, self._root)

    def problem(self, message: str, *key: str) -> Problem:
        """A problem with a setting, at its place; without a key, with all of them."""
        path, message = (*self._root, *key), printable(message)
        lines = [line + "\n" for line in self.text.split("\n")]

        def has(count: int) -> bool:
            """Whether the key is among the first lines: ``count``, or as many more as the last of them goes on for."""
            for end in range(count, len(lines)):
                try:
                    return _at(tomllib.loads("".join(lines[:end])), path) is not None
                except ValueError:
                    continue
            return True

        line = bisect.bisect_left(range(len(lines)), True, key=has)
        text = lines[line - 1]
        return Problem(self.file, line, max(text.find(path[-1]) if path else 0, 0) + 1, message)


def nearest(folder: Path) -> Project | None:
    """The bncheck.toml, or the pyproject.toml that has ``[tool.bncheck]``, in ``folder`` or else as near above it as
    any.

    Raises `BadProject` if one that speaks of bncheck cannot be read; what is wrong with others is not our business.
    """
    start = Path(os.path.abspath(folder))  # noqa: PTH100  # without `..`
    for place in (start, *start.parents):
        for name in (ALONE, NAME):
            file = Path(os.path.relpath(place / name))
            if not os.path.isfile(file):  # noqa: PTH113  # also where it may not be asked
                continue
            content = read(file)
            about_us = name == ALONE or b"bncheck" in content
            if about_us and (project := parse(file, content)).table is not None:
                return project
    return None


def read(file: Path) -> bytes:
    """The content of a file. Raises `BadProject`."""
    try:
        return file.read_bytes()
    except OSError as error:
        raise BadProject(Problem(file, 1, 1, f"cannot be read: {error.strerror}")) from None


def parse(file: Path, content: bytes) -> Project:
    """What a file says. Raises `BadProject` where it is not TOML."""
    try:
        text = content.decode("utf-8")
        return Project(file, text, tomllib.loads(text))
    except UnicodeDecodeError as error:
        before, message = content[: error.start].decode("utf-8"), "is not UTF-8; save it as that"
    except ValueError as error:
        found = re.fullmatch(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", str(error), re.DOTALL)
        message = f"is not TOML: {found[1] if found else error}"
        if found and found[2]:
            raise BadProject(Problem(file, int(found[2]), int(found[3]), message)) from None
        before = text.rstrip() if found else ""
    lines = before.split("\n")
    raise BadProject(Problem(file, len(lines), len(lines[-1]) + 1, message))


def _at(data: Any, path: tuple[str, ...]) -> Any:
    """What stands below these keys, one in the other; None if nothing does."""
    for key in path:
        if not isinstance(data, Mapping) or key not in data:
            return None
        data = data[key]
    return data
