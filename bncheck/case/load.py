"""Case files to cases: every error of every file at once, each with its place and its cure."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bncheck.case import matrix
from bncheck.case.errors import Error, validate
from bncheck.case.model import MAX_ELEMENTS, Case
from bncheck.case.problem import BadCases, Problem
from bncheck.case.rules import shown
from bncheck.case.text import Text, read

SUFFIXES = (".yaml", ".yml")
EXPECTATIONS = "expectations.yaml"
"""The one file of a folder of cases that is no case."""


@dataclass(frozen=True, eq=False)
class LoadedCase:
    """One case to run: a cell of its file's matrix. ``spec`` is its data as written, ``text`` knows the positions;
    ids begin below the folder ``root``, and the case itself stands on ``line``: that of its title, or of what the last
    key of the matrix is for it."""

    id: str
    case: Case
    spec: dict[str, Any]
    text: Text
    root: Path = Path()
    line: int = 1

    @property
    def file(self) -> Path:
        return self.text.file


def load(paths: Sequence[Path], *, max_elements: int = MAX_ELEMENTS) -> list[LoadedCase]:
    """All cases below ``paths`` (files or folders), sorted by id.

    Raises `BadCases` with every problem of every file, among them paths that do not exist and folders without a case.
    """
    problems: list[Problem] = []
    cases: list[LoadedCase] = []
    seen: set[Path] = set()
    for argument in paths:
        if not argument.exists():
            problems.append(Problem(argument, 1, 1, "does not exist; name a case file or a folder of them"))
            continue
        files = list(case_files(argument))
        if not files:
            suffixes = " or ".join(SUFFIXES)
            problems.append(Problem(argument, 1, 1, f"holds no case; a case is a {suffixes} file"))
        for file in files:
            if not str(file).isprintable():
                problems.append(Problem(Path(repr(str(file))), 1, 1, "has an unprintable name; rename the file"))
                continue
            if (real := file.resolve()) in seen:
                continue
            seen.add(real)
            loaded, found = load_file(file, name_of(file, argument), max_elements=max_elements)
            cases += loaded
            problems += found
    problems += _same_ids(cases)
    if problems:
        raise BadCases(sorted(problems), cases)
    return sorted(cases, key=lambda c: c.id)


def case_files(path: Path) -> Iterator[Path]:
    """The case files at or below ``path``: not those whose name, or whose folder's, begins with ``_`` or ``.``."""
    if path.is_file():
        yield path
        return
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(f for f in folders if f[0] not in "_.")
        for name in sorted(names):
            if is_case(Path(name)):
                yield Path(folder, name)


def is_case(below: Path) -> bool:
    """Whether a file, by its path below a folder of cases, is a case."""
    hidden = any(part[0] in "_." for part in below.parts)
    return below.name.endswith(SUFFIXES) and below.name != EXPECTATIONS and not hidden


def name_of(file: Path, argument: Path) -> str:
    """A case's id without its cell: its path below the nearest folder named ``cases``, else below the argument."""
    absolute = _absolute(file)
    for ancestor in absolute.parents:
        if ancestor.name == "cases":
            return absolute.relative_to(ancestor).with_suffix("").as_posix()
    root = _absolute(argument)
    return absolute.relative_to(root if root.is_dir() else root.parent).with_suffix("").as_posix()


def _absolute(path: Path) -> Path:
    """Without ``..``, but with links left as they are: a case is named by the path that the user sees."""
    return Path(os.path.abspath(path))  # noqa: PTH100


def _same_ids(cases: Sequence[LoadedCase]) -> list[Problem]:
    """Cases of different files that have one id (within a file, the matrix itself is refused)."""
    first: dict[str, LoadedCase] = {}
    problems = []
    for case in cases:
        other = first.setdefault(case.id, case)
        if other.file != case.file:
            message = f"two cases have the id `{case.id}`, the other in {other.file}; rename one of the files"
            problems.append(Problem(case.file, 1, 1, message))
    return problems


def load_file(file: Path, name: str, *, max_elements: int) -> tuple[list[LoadedCase], list[Problem]]:
    """The cases of one file, or what is wrong with it."""
    text = read(file)
    if text.data is None and text.problems:
        return [], text.problems
    if text.is_empty:
        return [], [text.problem((), "the file is empty; a case needs at least title, input, axis and mode")]
    if not isinstance(text.data, dict):
        return [], [
            text.problem((), f"should be a mapping with keys such as title, input and axis, not {shown(text.data)}")
        ]
    context = {"max_elements": max_elements, "folder": file.parent}
    root = _absolute(file).parents[name.count("/")]
    problems, cells = _matrix_problems(text)
    cases = []
    for cell in cells:
        case, errors = validate(Case, cell.data, context)
        problems += [_located(text, cell, error) for error in errors]
        if case is not None:
            cases.append(LoadedCase(name + cell.name, case, cell.data, text, root, _line(text, cell)))
    fresh = [p for p in dict.fromkeys(problems) if (p.line, p.column) not in text.left_out]
    return cases, text.problems + fresh


def _line(text: Text, cell: matrix.MatrixCell) -> int:
    """Where a cell stands, so that cells of one file can be told apart."""
    chosen = list(cell.chosen.values())
    return text.values[chosen[-1]][0] if chosen else text.keys["title",][0]


def _matrix_problems(text: Text) -> tuple[list[Problem], list[matrix.MatrixCell]]:
    """What is wrong with the matrix itself, and the cells to look at all the same (one if it is malformed)."""
    data = text.data
    given = data.get("matrix")
    plain = matrix.expand({k: v for k, v in data.items() if k != "matrix"})
    if "matrix" not in data:
        return [], plain
    if not isinstance(given, dict) or not given:
        message = "the matrix is empty or not a mapping; write for example `matrix: {input.dtype: [float32, float64]}`"
        return [text.problem(("matrix",), message)], plain
    wanting = {key for key, choices in given.items() if not isinstance(choices, list) or not choices}
    problems = [
        text.problem(("matrix", key), f"`{key}` should be a list of values, and at least one; not {shown(choices)}")
        for key, choices in given.items()
        if key in wanting
    ]
    whole = {key: choices for key, choices in given.items() if key not in wanting}
    problems += [text.problem(("matrix", *at), m, at_key=len(at) == 1) for at, m in matrix.broken(whole, data)]
    return problems, plain if problems else matrix.expand(data)


def _located(text: Text, cell: matrix.MatrixCell, error: Error) -> Problem:
    """An error in a cell, at its place in the file: inside the matrix, if the matrix put the value there."""
    for target, source in cell.chosen.items():
        if error.path[: len(target)] == target:
            rest = error.path[len(target) :]
            if error.at_key and not rest:
                return text.problem(source[:-1], error.message, at_key=True)
            return text.problem((*source, *rest), error.message, at_key=error.at_key)
    return text.problem(error.path, error.message, at_key=error.at_key)
