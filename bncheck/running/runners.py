"""Which runners a command names, and which of them can run here, without importing any framework."""

from __future__ import annotations

import difflib
import fnmatch
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from bncheck import documented
from bncheck.documented.installed import version_of
from bncheck.documented.reading import Call, Reading, Unsupported

if TYPE_CHECKING:
    from bncheck.case.model import Case

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


class BadRunner(Exception):
    """A spelling that names no runner; the message says how to mend it."""


@dataclass(frozen=True)
class Runner:
    """One implementation to run.

    ``spelling`` is its name in results, with its ``variant`` if it has one; ``family`` the worker process that it
    shares, ``load`` what that worker is told to load. ``missing`` says why it cannot run here, or is None; ``named``:
    by its name, not by a pattern. ``own``: FILE.py:FUNCTION as written, for one's own; None for a built-in runner.
    """

    spelling: str
    family: str
    load: str
    named: bool
    missing: str | None = None
    own: str | None = None

    @property
    def variant(self) -> str | None:
        return self.spelling.partition(":")[2] or None

    def documented(self, case: Case, device: str = "cpu") -> Reading | Unsupported:
        """How what is installed documents to read ``case``; one's own function is taken to do what is requested."""
        if self.own is not None:
            return as_requested(case)
        return documented.of(self.spelling).documented(Call(case, installed(self.load), device, self.variant))


def as_requested(case: Case) -> Reading:
    """How one's own function is taken to read a case."""
    return Reading(axis=case.axis, parameters_dtype=case.parameters_dtype)


def select(spellings: Sequence[str]) -> list[Runner]:
    """The runners of ``--runner`` options, each once, in order; without any, the usual ones.

    A pattern picks among what is installed. The result holds also what is not: built-in runners that were named, and
    all others as absent, so that reports can list them. Raises `BadRunner`.
    """
    names = documented.spellings()
    chosen: dict[str, Runner] = {}
    if not spellings:
        chosen = {name: _built_in(name, named=False) for name in documented.by_default()}
    for spelling in spellings:
        if "=" in spelling:
            own = _own(spelling)
            if own.spelling in chosen and chosen[own.spelling] != own:
                raise BadRunner(f"two runners are labelled {own.spelling!r}; give each a label of its own")
            chosen[own.spelling] = own
        elif spelling in names:
            chosen[spelling] = _built_in(spelling, named=True)
        elif any(c in spelling for c in "*?["):
            matched = fnmatch.filter(names, spelling)
            if not matched:
                raise BadRunner(f"no runner matches {spelling!r}; there are {', '.join(names)}")
            for name in matched:
                chosen.setdefault(name, _built_in(name, named=False))
        else:
            close = difflib.get_close_matches(spelling.lower(), names, n=1)
            hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(names)}"
            if ".py" in spelling:
                hint = "one's own is written LABEL=FILE.py:FUNCTION"
            raise BadRunner(f"there is no runner {spelling!r}; {hint}")
    return list(chosen.values())


def idle(runners: Sequence[Runner]) -> list[str]:
    """The built-in runners that could run here and are not among ``runners``."""
    chosen = {runner.spelling for runner in runners}
    return [r.spelling for r in select(["*"]) if not r.missing and r.spelling not in chosen]


def _built_in(spelling: str, *, named: bool) -> Runner:
    module = documented.of(spelling)
    absent = [need for need in module.NEEDS if version_of(need) is None]
    missing = None
    if absent:
        missing = f"{', '.join(absent)} not installed; pip install 'bncheck[{module.EXTRA}]'"
    family = spelling if documented.apart(spelling) else module.FAMILY
    return Runner(spelling, family, spelling.partition(":")[0], named, missing)


@cache
def installed(name: str) -> Mapping[str, str]:
    """The versions of the distributions that a built-in runner needs; what is absent is left out."""
    found = {need: version_of(need) for need in documented.of(name).NEEDS}
    return {need: version for need, version in found.items() if version is not None}


def _own(spelling: str) -> Runner:
    label, _, target = spelling.partition("=")
    if not NAME.fullmatch(label):
        raise BadRunner(f"{label!r} is no label: letters, digits, _ . and -, beginning with a letter or digit")
    if label in documented.spellings():
        raise BadRunner(f"{label!r} is a built-in runner; give your own another label")
    file, colon, function = target.rpartition(":")
    if not colon or not function.isidentifier() or not file:
        raise BadRunner(f"{spelling!r} should be LABEL=FILE.py:FUNCTION, for example {label}=kernels/bn.py:batch_norm")
    path = Path(file)
    if path.suffix != ".py":
        raise BadRunner(f"{spelling!r}: {file} is no Python file; name one that ends in .py")
    if not path.is_file():
        raise BadRunner(f"{spelling!r}: there is no file {file}")
    return Runner(label, f"own:{path.resolve()}", f"own:{path.resolve()}:{function}", named=True, own=target)
