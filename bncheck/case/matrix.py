"""A file's matrix: the cells it expands to, and their names."""

from __future__ import annotations

import difflib
import itertools
import json
import math
from dataclasses import dataclass
from typing import Any

MAX_CELLS = 10_000

VARIABLE = (
    *("input", "axis", "mode", "epsilon", "momentum", "center", "scale", "trainable"),
    *("parameters", "steps", "check", "upstream", "mask", "virtual_batch_size", "tolerance", "adapt", "relation"),
)
"""The keys that a matrix may vary: all but those that name or explain."""

MAPPINGS = ("input", "parameters", "tolerance")
"""The keys that have keys of their own."""

INDEPENDENT = ("input.dtype", "input.layout", "parameters.dtype", "check", "tolerance", "adapt")
"""What published numbers do not depend on: all other keys may not vary beside ``expected``."""


@dataclass(frozen=True)
class MatrixCell:
    """One choice of a value for each matrix key: its data, its name, and where in the file each chosen value stands."""

    data: dict[str, Any]
    name: str
    chosen: dict[tuple[str, ...], tuple[str | int, ...]]


def broken(matrix: dict[str, Any], data: dict[str, Any]) -> list[tuple[tuple[str | int, ...], str]]:
    """What is wrong with a well-formed matrix: the place below it (a key, or a key and a position), and the words."""
    found: list[tuple[tuple[str | int, ...], str]] = []
    for key, choices in matrix.items():
        if key.split(".")[0] not in VARIABLE:
            close = difflib.get_close_matches(key.split(".")[0], VARIABLE, n=1)
            cure = f"did you mean `{close[0]}`?" if close else f"a matrix varies {', '.join(VARIABLE)}"
            found.append(((key,), f"`{key}` cannot vary in a matrix; {cure}"))
        elif not _is_path(key.split("."), data):
            found.append(((key,), f"`{key}` is not the path of a key, such as `input.dtype`; mend the path"))
        elif "expected" in data and key not in INDEPENDENT:
            found.append(((key,), f"`expected` depends on `{key}`, which varies here; write one case for each value"))
        found += [
            ((other,), f"`{other}` lies inside `{key}`, which varies too; vary one of them")
            for other in matrix
            if other.startswith(key + ".")
        ]
        names = [_shown(choice) for choice in choices]
        found += [
            ((key, i), f"two cases would have the id `[{key}={name}]`; remove the repeated value")
            for i, name in enumerate(names)
            if name in names[:i]
        ]
    cells = math.prod(len(choices) for choices in matrix.values())
    if cells > MAX_CELLS:
        found.append(((next(iter(matrix)),), f"the matrix has {cells:,} cells; at most {MAX_CELLS:,} are taken"))
    return found


def _is_path(parts: list[str], data: Any) -> bool:
    """Whether keys lead through mappings only, as far as the data go."""
    if not all(parts) or (len(parts) > 1 and parts[0] not in MAPPINGS):
        return False
    for part in parts[:-1]:
        data = data.get(part, {})
        if not isinstance(data, dict):
            return False
    return True


def expand(data: dict[str, Any]) -> list[MatrixCell]:
    """The cells of a file's data, in the order of its keys; a file without a matrix is one cell without a name."""
    base = {k: v for k, v in data.items() if k != "matrix"}
    matrix = data.get("matrix")
    if not matrix:
        return [MatrixCell(base, "", {})]
    cells = []
    for choice in itertools.product(*(list(enumerate(choices)) for choices in matrix.values())):
        cell = base
        chosen: dict[tuple[str, ...], tuple[str | int, ...]] = {}
        for key, (position, value) in zip(matrix, choice, strict=True):
            path = tuple(key.split("."))
            cell = _put(cell, path, value)
            chosen[path] = ("matrix", key, position)
        name = ",".join(f"{key}={_shown(value)}" for key, (_, value) in zip(matrix, choice, strict=True))
        cells.append(MatrixCell(cell, f"[{name}]", chosen))
    return cells


def _put(data: Any, path: tuple[str, ...], value: Any) -> dict[str, Any]:
    """``data`` with ``value`` at ``path``; what lies beside it is shared, not copied."""
    inner = data if isinstance(data, dict) else {}
    key, *rest = path
    return {**inner, key: _put(inner.get(key), tuple(rest), value) if rest else value}


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
