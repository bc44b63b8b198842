"""Which runners a command names, and which of them can run here, without importing any framework."""

from __future__ import annotations

import difflib
import fnmatch
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bncheck import documented
from bncheck.documented.installed import version_of
from bncheck.documented.reading import Call, Reading, Unsupported
from bncheck.environments.interpreter import Environment
from bncheck.environments.wanted import NAME
from bncheck.spelling import Spelling

if TYPE_CHECKING:
    from bncheck.case.model import Case


class BadRunner(Exception):
    """A spelling that names no runner; the message says how to mend it."""


@dataclass(frozen=True)
class Runner:
    """One implementation to run.

    ``spelling`` is its name in results, with its ``variant`` if it has one; ``family`` the worker process that it
    shares, ``load`` what that worker is told to load. ``missing`` says why it cannot run here, or is None; ``named``:
    by its name, not by a pattern. ``own``: FILE.py:FUNCTION as written, for one's own; None for a built-in runner.
    ``environment``: where it runs, if not here. ``versions``: of Python and of the distributions that a built-in runner
    needs, there.
    """

    spelling: str
    family: str
    load: str
    named: bool
    missing: str | None = None
    own: str | None = None
    environment: Environment | None = None
    versions: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def name(self) -> str:
        """Its spelling without the environment."""
        return self.spelling.partition("@")[0]

    @property
    def variant(self) -> str | None:
        return self.name.partition(":")[2] or None

    def documented(self, case: Case, device: str = "cpu") -> Reading | Unsupported:
        """How what is installed documents to read ``case``; one's own function is taken to do what is requested."""
        where = self.environment
        if where and "ml-dtypes" not in where.distributions and "bfloat16" in (case.input.dtype, case.parameters_dtype):
            return Unsupported("there is no ml_dtypes in its environment, and so no bfloat16 in NumPy")
        if self.own is not None:
            return as_requested(case)
        return documented.of(self.name).documented(Call(case, self.versions, device, self.variant))


def as_requested(case: Case) -> Reading:
    """How one's own function is taken to read a case."""
    return Reading(axis=case.axis, parameters_dtype=case.parameters_dtype)


def select(spellings: Sequence[str], environments: Mapping[str, Environment | str] | None = None) -> list[Runner]:
    """The runners of ``--runner`` options, each once, in order; without any, the usual ones.

    ``environments``: those that the spellings name, or why there is none. A pattern picks among what is installed. The
    result holds also what is not: built-in runners that were named, and all others as absent, so that reports can list
    them. Raises `BadRunner`.
    """
    chosen: dict[str, Runner] = {}
    if not spellings:
        chosen = {name: _built_in(Spelling(name), None, named=False) for name in documented.by_default()}
    for spelling in map(Spelling.parse, spellings):
        where = (environments or {})[spelling.environment] if spelling.environment else None
        for runner in _matching(spelling, where):
            before = chosen.get(runner.spelling)
            if before is not None and (before.own, before.family) != (runner.own, runner.family):
                raise BadRunner(f"two runners are labelled {runner.spelling!r}; give each a label of its own")
            if before is None or runner.named:
                chosen[runner.spelling] = runner
    return list(chosen.values())


def _matching(spelling: Spelling, where: Environment | str | None) -> list[Runner]:
    """The runners of one spelling. Raises `BadRunner`."""
    names, name = documented.spellings(), spelling.name
    if spelling.own is not None:
        own = _own(spelling, None if isinstance(where, str) else where)
        return [replace(own, missing=where) if isinstance(where, str) else own]
    matched = fnmatch.filter(names, name)
    if name not in names and not any(c in name for c in "*?["):
        close = difflib.get_close_matches(name.lower(), names, n=1)
        hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(names)}"
        if ".py" in name:
            hint = "one's own is written LABEL=FILE.py:FUNCTION"
        raise BadRunner(f"there is no runner {name!r}; {hint}")
    if not matched:
        raise BadRunner(f"no runner matches {name!r}; there are {', '.join(names)}")
    if isinstance(where, str):  # what would match is not known, but it was asked for
        return [Runner(spelling.whole, spelling.whole, name, named=True, missing=where)]
    found = [_built_in(replace(spelling, name=each), where, named=name in names) for each in matched]
    if where is None or name in names:
        return found
    can_run = [runner for runner in found if runner.missing is None]
    why = f"nothing that it matches can run there: {found[0].missing}"
    return can_run or [Runner(spelling.whole, spelling.whole, name, named=True, missing=why)]


def idle(runners: Sequence[Runner]) -> list[str]:
    """The built-in runners that could run here and are not among ``runners``."""
    chosen = {runner.spelling for runner in runners}
    return [r.spelling for r in select(["*"]) if not r.missing and r.spelling not in chosen]


def _built_in(spelling: Spelling, where: Environment | None, *, named: bool) -> Runner:
    name = spelling.name
    module = documented.of(name)
    versions = _installed(name, where)
    way = documented.way(name, versions)
    load, missing = name, None
    if isinstance(way, str):
        missing = f"{way} is installed" if where is None else f"{way} is in {where.name}"
    else:
        load = way.load
        if absent := ", ".join(need for need in way.needs if need not in versions):
            cure = f"not installed; pip install 'bncheck[{module.EXTRA}]'"
            missing = f"{absent} {cure if where is None else f'not installed in {where.name}'}"
    family = _in(name if documented.apart(name) else module.FAMILY, where)
    return Runner(spelling.whole, family, load, named, missing, environment=where, versions=versions)


def _in(family: str, where: Environment | None) -> str:
    return family if where is None else f"{family}@{where.name}"


def _installed(name: str, where: Environment | None) -> Mapping[str, str]:
    """The versions of Python and of the distributions that a built-in runner needs; what is absent is left out."""
    elsewhere = where.distributions if where else None
    found = {need: version_of(need, elsewhere) for need in documented.of(name).NEEDS}
    python = where.python_version if where else platform.python_version()
    return {"python": python, **{need: version for need, version in found.items() if version is not None}}


def _own(spelling: Spelling, where: Environment | None) -> Runner:
    label, target = spelling.name, str(spelling.own)
    if not NAME.fullmatch(label):
        raise BadRunner(f"{label!r} is no label: letters, digits, _ . and -, beginning with a letter or digit")
    if label in documented.spellings():
        raise BadRunner(f"{label!r} is a built-in runner; give your own another label")
    file, colon, function = target.rpartition(":")
    if not colon or not function.isidentifier() or not file:
        raise BadRunner(
            f"{str(spelling)!r} should be LABEL=FILE.py:FUNCTION, for example {label}=kernels/bn.py:batch_norm"
        )
    path = Path(file)
    if path.suffix != ".py":
        raise BadRunner(f"{str(spelling)!r}: {file} is no Python file; name one that ends in .py")
    if not path.is_file():
        raise BadRunner(f"{str(spelling)!r}: there is no file {file}")
    family, load = _in(f"own:{path.resolve()}", where), f"own:{path.resolve()}:{function}"
    return Runner(spelling.whole, family, load, named=True, own=target, environment=where)
