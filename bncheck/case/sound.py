"""Cases that can be run: well-formed, and with published numbers that the reference reproduces."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bncheck.case import inputs
from bncheck.case.expected import broken
from bncheck.case.load import LoadedCase, load, load_file, name_of
from bncheck.case.model import MAX_ELEMENTS
from bncheck.case.problem import BadCases, Problem


def load_sound(paths: Sequence[Path], *, max_elements: int = MAX_ELEMENTS) -> list[LoadedCase]:
    """All cases below ``paths``, sorted by id. Raises `BadCases` with every problem of every file."""
    try:
        cases, problems = load(paths, max_elements=max_elements), []
    except BadCases as bad:
        cases, problems = list(bad.cases), bad.problems
    return _sound(cases, problems)


def load_sound_file(file: Path, argument: Path, *, max_elements: int = MAX_ELEMENTS) -> list[LoadedCase]:
    """The cases of one file that was found below ``argument``. Raises `BadCases`."""
    return _sound(*load_file(file, name_of(file, argument), max_elements=max_elements))


def _sound(cases: Sequence[LoadedCase], problems: Sequence[Problem]) -> list[LoadedCase]:
    found = {*problems, *(problem for case in cases for problem in [*broken(case), *_overflowing(case)])}
    if found:
        raise BadCases(sorted(found), cases)
    return list(cases)


def _overflowing(loaded: LoadedCase) -> list[Problem]:
    """The tensors of a relation's second call that their dtype cannot hold, though it holds the first's."""
    if loaded.case.relation is None:
        return []
    made = inputs.make(loaded.case, loaded.file.parent)
    finite = {name: int(np.isfinite(tensor).sum()) for name, tensor in made.named.items()}
    second = made.related.named if made.related is not None else {}
    return [
        loaded.text.problem(
            ("relation",),
            f"`{loaded.case.relation}` would make {name} overflow {tensor.dtype.name}; give smaller values",
        )
        for name, tensor in second.items()
        if np.isfinite(tensor).sum() < finite[name]
    ]
