"""Case files to cases: every error of every file at once, each with its place and its cure."""

from __future__ import annotations

import difflib
import functools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from bncheck.case import matrix
from bncheck.case.model import MAX_ELEMENTS, Case
from bncheck.case.problem import BadCases, Problem
from bncheck.case.rules import Broken, shown
from bncheck.case.text import Path_, Text, read

SUFFIXES = (".yaml", ".yml")
NOT_CASES = ("expectations.yaml",)


@dataclass(frozen=True)
class LoadedCase:
    """One case to run: a cell of its file's matrix. ``spec`` is its data as written, ``text`` knows the positions."""

    id: str
    case: Case
    spec: dict[str, Any]
    text: Text

    @property
    def file(self) -> Path:
        return self.text.file

    @property
    def line(self) -> int:
        return 1


def load(paths: Sequence[Path], *, max_elements: int = MAX_ELEMENTS) -> list[LoadedCase]:
    """All cases below ``paths`` (files or folders), sorted by id.

    Raises `BadCases` with every problem of every file, among them paths that do not exist and folders without a case.
    """
    problems: list[Problem] = []
    cases: list[LoadedCase] = []
    seen: dict[Path, Path] = {}
    for argument in paths:
        if not argument.exists():
            problems.append(Problem(argument, 1, 1, "does not exist; name a case file or a folder of them"))
            continue
        files = list(case_files(argument))
        if not files:
            suffixes = " or ".join(SUFFIXES)
            problems.append(Problem(argument, 1, 1, f"holds no case; a case is a {suffixes} file"))
        for file in files:
            if (real := file.resolve()) in seen:
                continue
            seen[real] = file
            loaded, found = load_file(file, name_of(file, argument), max_elements=max_elements)
            cases += loaded
            problems += found
    problems += _same_ids(cases)
    if problems:
        raise BadCases(sorted(problems))
    return sorted(cases, key=lambda c: c.id)


def case_files(path: Path) -> Iterator[Path]:
    """The case files at or below ``path``: not those whose name, or whose folder's, begins with ``_`` or ``.``."""
    if path.is_file():
        yield path
        return
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(f for f in folders if f[0] not in "_.")
        for name in sorted(names):
            if name.endswith(SUFFIXES) and name[0] not in "_." and name not in NOT_CASES:
                yield Path(folder, name)


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
    first: dict[str, LoadedCase] = {}
    problems = []
    for case in cases:
        other = first.setdefault(case.id, case)
        if other is not case:
            where = "in this matrix" if other.file == case.file else f"in {other.file}"
            cure = "remove the repeated value" if other.file == case.file else "rename one of the files"
            problems.append(Problem(case.file, 1, 1, f"two cases have the id `{case.id}`, the other {where}; {cure}"))
    return list(dict.fromkeys(problems))


def load_file(file: Path, name: str, *, max_elements: int) -> tuple[list[LoadedCase], list[Problem]]:
    """The cases of one file, or what is wrong with it."""
    text = read(file)
    if text.data is None and text.problems:
        return [], text.problems
    if not isinstance(text.data, dict):
        return [], [
            text.problem((), f"should be a mapping with keys such as title, input and axis, not {shown(text.data)}")
        ]
    context = {"max_elements": max_elements, "folder": file.parent}
    problems, cells = _matrix_problems(text)
    cases = []
    for cell in cells:
        case, errors = _validate(cell.data, context)
        problems += [_located(text, cell, path, message, at_key) for path, message, at_key in errors]
        if case is not None:
            cases.append(LoadedCase(name + cell.name, case, cell.data, text))
    already = {(p.line, p.column) for p in text.problems}
    fresh = [p for p in dict.fromkeys(problems) if (p.line, p.column) not in already]
    return cases, text.problems + fresh


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
    problems = [
        text.problem(("matrix", key), f"`{key}` should be a list of values, and at least one; not {shown(choices)}")
        for key, choices in given.items()
        if not isinstance(choices, list) or not choices
    ]
    if not problems:
        problems = [text.problem(("matrix", key), m, at_key=True) for key, m in matrix.broken(given, data)]
    return problems, plain if problems else matrix.expand(data)


_Error = tuple[Path_, str, bool]


def _validate(data: dict[str, Any], context: dict[str, Any]) -> tuple[Case | None, list[_Error]]:
    """The case, or its errors as (path, message, whether the key rather than its value is wrong).

    What is wrong is taken out and the rest is looked at again, so that one error hides no other.
    """
    try:
        return Case.model_validate(data, context=context), []
    except ValidationError as error:
        details = error.errors(include_url=False)
    errors = _messages(details, data)
    broken = {_key(path) for path, _, _ in errors if _key(path) and _value_at(_key(path), data) is not _ABSENT}
    if broken:
        absent = {(path, _missing(path)) for path in broken}
        _, others = _validate(_without(data, broken), context)
        errors += [e for e in others if e not in errors and (e[0], e[1]) not in {(p[:-1], m) for p, m in absent}]
    return None, errors


def _key(path: Path_) -> Path_:
    """The key of the case, or of one of its mappings, whose value holds ``path``."""
    path = path[:2]
    while path and not isinstance(path[-1], str):
        path = path[:-1]
    return path


def _without(data: Any, paths: set[Path_], here: Path_ = ()) -> Any:
    if isinstance(data, dict):
        return {k: _without(v, paths, (*here, k)) for k, v in data.items() if (*here, k) not in paths}
    if isinstance(data, list):
        return [_without(v, paths, (*here, i)) for i, v in enumerate(data)]
    return data


def _path(loc: Sequence[str | int], data: Any) -> Path_:
    """Where in the data a pydantic location points: it also names union members, which the data do not have."""
    path: list[str | int] = []
    for i, part in enumerate(loc):
        inside = isinstance(data, dict) and part in data
        inside = inside or (isinstance(data, list) and isinstance(part, int) and part < len(data))
        if inside:
            data = data[part]
            path.append(part)
        elif i == len(loc) - 1 and isinstance(data, dict) and isinstance(part, str):
            path.append(part)  # a key that is missing
    return tuple(path)


_WANTED = {
    "float_type": "a number",
    "int_type": "an integer",
    "int_from_float": "an integer",
    "string_type": "text",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "finite_number": "a finite number",
    "none_required": "",
}


def _messages(details: Sequence[ErrorDetails], data: Any) -> list[_Error]:
    """One message a place: where a value fits no member of a union, what each of them wants is joined by "or"."""
    wanted: dict[Path_, list[str]] = {}
    others: list[_Error] = []
    for detail in details:
        path, kind, context = _path(detail["loc"], data), detail["type"], detail.get("ctx", {})
        if kind == "rules":
            root = context["root"] if context["root"] is not None else path
            others += [((*root, *b.at), b.message, False) for b in cast(list[Broken], context["broken"])]
        elif kind == "extra_forbidden":
            others.append((path, _unknown(path), True))
        elif kind == "missing":
            others.append((path[:-1], _missing(path), False))
        elif kind in _WANTED or kind in ("literal_error", "greater_than_equal", "less_than_equal", "less_than"):
            phrase = _WANTED.get(kind)
            if kind == "literal_error":
                phrase = str(context["expected"]).replace("'", "`")
            elif phrase is None:
                phrase = {
                    "greater_than_equal": "at least {ge}",
                    "less_than_equal": "at most {le}",
                    "less_than": "less than {lt}",
                }[kind].format(**{k: f"{v:g}" for k, v in context.items()})
            wanted.setdefault(path, []).append(phrase)
        else:
            others.append((path, _plain(kind, detail["msg"], context), False))
    return [
        (
            path,
            f"should be {' or '.join(dict.fromkeys(p for p in phrases if p))}, not {shown(_value_at(path, data))}",
            False,
        )
        for path, phrases in wanted.items()
        if not any(len(other) > len(path) and other[: len(path)] == path for other, _, _ in others)
    ] + others


_ABSENT = object()


def _value_at(path: Path_, data: Any) -> Any:
    for part in path:
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            return _ABSENT
    return data


def _plain(kind: str, message: str, context: dict[str, Any]) -> str:
    if kind == "too_short":
        return f"should have at least {context['min_length']} entries, not {context['actual_length']}"
    if kind == "too_long":
        return f"should have at most {context['max_length']} entries, not {context['actual_length']}"
    if kind == "string_too_short":
        return "should not be empty; say in a sentence what the case pins"
    return message


@functools.cache
def _schema() -> dict[str, Any]:
    return Case.model_json_schema()


def _schema_at(path: Path_) -> dict[str, Any]:
    """The JSON Schema of the mapping at ``path``, for suggestions."""
    schema = _schema()
    definitions: dict[str, dict[str, Any]] = schema["$defs"]
    node = schema
    for part in path:
        options = [node.get("properties", {}).get(part, {})]
        options += [o for key in ("anyOf", "oneOf", "allOf") for o in options[0].get(key, [])]
        reference = next((o["$ref"] for o in options if "$ref" in o), None)
        if reference is None:
            return {}
        node = definitions[reference.rsplit("/", 1)[1]]
    return node


def _unknown(path: Path_) -> str:
    key = str(path[-1])
    known = list(_schema_at(path[:-1]).get("properties", {}))
    close = difflib.get_close_matches(key, known, n=1)
    if close:
        return f"unknown key `{key}`; did you mean `{close[0]}`?"
    return f"unknown key `{key}`; " + (f"known here are {', '.join(known)}" if known else "remove it")


def _missing(path: Path_) -> str:
    key = str(path[-1])
    examples = _schema_at(path[:-1]).get("properties", {}).get(key, {}).get("examples")
    return f"`{key}` is missing; add " + (f"for example `{key}: {examples[0]}`" if examples else "it")


def _located(text: Text, cell: matrix.MatrixCell, path: Path_, message: str, at_key: bool) -> Problem:
    """An error in a cell, at its place in the file: inside the matrix, if the matrix put the value there."""
    for target, source in cell.chosen.items():
        if path[: len(target)] == target:
            rest = path[len(target) :]
            return text.problem((*source, *rest), message, at_key=at_key and bool(rest))
    return text.problem(path, message, at_key=at_key)
