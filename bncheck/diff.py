"""What changed from one run to another, wherever each was made: results are matched, and each pair is judged.

A pair is one case on one implementation and device. Where an implementation ran on a single device in each run and
these differ, as on a CPU machine and a GPU machine, its results are pairs too; so they are where it ran in a single
environment in each run and these differ, as before and after an upgrade. A case that now asks something else is
not compared.

It is a regression that a pass or known result fails or is in error, that a failure becomes an error, and that a failure
has a kind of cause that it did not have, or an error that grew. What came, went or became unsupported is none, because
no answer is worse: `unsupported` is decided before any call, by what is documented.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from bncheck import moved
from bncheck.causes import CauseKind
from bncheck.document import Cause, Document, Result, Stale
from bncheck.growth import grew
from bncheck.moved import Difference, Place, present

Effect = Literal["regression", "other", "better"]

NOT_ASKED = {"title", "why", "links", "expected"}
"""Keys of a case that no implementation sees: words, and the numbers that guard the reference."""

PLAIN: set[CauseKind] = {"shape", "dtype", "nonfinite", "refused"}
"""Kinds of cause that are seen at once, so that what is unexplained has none of them."""

_BADNESS = {"pass": 0, "known": 0, "fail": 1, "error": 2}


@dataclass(frozen=True)
class LoneImplementation:
    """An implementation that ran on a device in one run only. ``reason``: why the other run could not, None if it was
    not asked to."""

    runner: str
    device: str
    version: str | None
    reason: str | None
    results: tuple[Result, ...]


@dataclass(frozen=True)
class LoneCase:
    """A case of one run only, with its results on implementations of both."""

    case: str
    results: tuple[Result, ...]


@dataclass(frozen=True)
class Lone:
    """What one run has and the other has not. ``results``: those whose case and implementation the other run has too,
    but which it lacks, as one does that was cut short."""

    implementations: tuple[LoneImplementation, ...]
    cases: tuple[LoneCase, ...]
    results: tuple[Result, ...]


@dataclass(frozen=True)
class Altered:
    """A case that asks something else since the ``keys`` of its file changed; its results are not compared."""

    case: str
    keys: tuple[str, ...]
    old: tuple[Result, ...]
    new: tuple[Result, ...]


@dataclass(frozen=True)
class Change:
    """A pair of results that are not alike.

    Where both fail: the ``kinds`` of cause that are new, and the tensors whose error has ``grown``. Where both fail or
    are known: the kinds of cause that are ``revalued``, because another value explains what is seen.
    """

    old: Result
    new: Result
    effect: Effect
    kinds: tuple[CauseKind, ...] = ()
    grown: tuple[str, ...] = ()
    revalued: tuple[CauseKind, ...] = ()


@dataclass(frozen=True)
class Diff:
    """All that changed from ``old`` to ``new``.

    ``devices``: implementations whose results on one device are compared with those on another; ``environments``: those
    whose results in one environment are compared with those in another (None: bncheck's own), called as in the new run.
    ``stale``: expectations
    that are stale only in ``new``. ``alike``: how many pairs of results are.
    """

    old: Document
    new: Document
    environment: tuple[Difference, ...]
    versions: tuple[Difference, ...]
    devices: tuple[Difference, ...]
    environments: tuple[Difference, ...]
    went: Lone
    came: Lone
    altered: tuple[Altered, ...]
    changes: tuple[Change, ...]
    stale: tuple[Stale, ...]
    alike: int

    @property
    def is_empty(self) -> bool:
        """Whether the runs are alike in all but when they were made."""
        lone = (part for one in (self.went, self.came) for part in (one.implementations, one.cases, one.results))
        differing = (
            self.environment,
            self.versions,
            self.devices,
            self.environments,
            self.altered,
            self.changes,
            self.stale,
        )
        return not any((*differing, *lone))

    @property
    def keeps(self) -> bool:
        """Whether the new run has every result of the old one, as it was."""
        return not (self.changes or self.altered or self.went.implementations or self.went.cases or self.went.results)

    def of(self, effect: Effect) -> tuple[Change, ...]:
        """The changes that have an effect."""
        return tuple(change for change in self.changes if change.effect == effect)


def diff(old: Document, new: Document) -> Diff:
    """What changed from ``old`` to ``new``. Every result of both is in one place: in a change, in a pair that is alike,
    in an altered case, or in what went or came."""
    environments = moved.environments(old, new)
    old = moved.called_as_new(old, environments)
    devices = moved.devices(old, new)
    before = _Side(old, {d.name: d.old for d in devices})
    after = _Side(new, {d.name: d.new for d in devices})
    altered = {case: keys for case in before.specs if (keys := _altered(case, before, after))}
    pairs = [
        (result, after.results[key])
        for key, result in before.results.items()
        if key in after.results and result.case not in altered
    ]
    changes = [change for pair in pairs if (change := _change(*pair)) is not None]
    went, altered_before = _unpaired(before, after, altered)
    came, altered_after = _unpaired(after, before, altered)
    both_gpu = bool(old.environment.gpu and new.environment.gpu)
    return Diff(
        old=old,
        new=new,
        environment=_differences(_facts(old, apart=both_gpu), _facts(new, apart=both_gpu)),
        versions=_differences(_versions(before, after), _versions(after, before)),
        devices=devices,
        environments=environments,
        went=went,
        came=came,
        altered=tuple(
            Altered(case, keys, tuple(altered_before[case]), tuple(altered_after[case]))
            for case, keys in altered.items()
        ),
        changes=tuple(changes),
        stale=tuple(s for s in new.stale if s.entry not in {o.entry for o in old.stale}),
        alike=len(pairs) - len(changes),
    )


class _Side:
    """One run, by what is matched: the device of a runner is left empty where it ``moved``."""

    def __init__(self, document: Document, moved: Mapping[str, str | None]) -> None:
        def place(runner: str, device: str) -> Place:
            return runner, "" if moved.get(runner) == device else device

        self.cut_short = document.cut_short
        self.specs = {c.id: c.spec for c in document.cases}
        self.implementations = {place(i.runner, i.device): i for i in document.implementations}
        self.present = {place(*p) for p in present(document)}
        self.results = {(r.case, place(r.runner, r.device)): r for r in document.results}

    def lacks(self, place: Place) -> bool:
        """Whether an implementation is not there, and not only because the run ended before its turn came."""
        return place not in self.present and not (self.cut_short and place not in self.implementations)

    def reason(self, runner: str) -> str | None:
        """Why a runner was not available."""
        return next((i.reason for (name, _), i in self.implementations.items() if name == runner and i.reason), None)

    def version(self, place: Place) -> str | None:
        """The version of an implementation, and of Python where that is not bncheck's own."""
        if place not in self.implementations:
            return None
        found = self.implementations[place]
        python = f"Python {found.environment.python}" if found.environment else None
        return ", ".join(part for part in (found.version, python) if part) or None


def _unpaired(this: _Side, other: _Side, altered: Iterable[str]) -> tuple[Lone, Mapping[str, list[Result]]]:
    """What only this side has, and its results of altered cases."""
    places: dict[Place, list[Result]] = {place: [] for place in sorted(this.present) if other.lacks(place)}
    cases: dict[str, list[Result]] = {case: [] for case in this.specs if case not in other.specs}
    aside: dict[str, list[Result]] = {case: [] for case in altered}
    missing: list[Result] = []
    for (case, place), result in this.results.items():
        if place in places:
            places[place].append(result)
        elif case in cases:
            cases[case].append(result)
        elif case in aside:
            aside[case].append(result)
        elif (case, place) not in other.results:
            missing.append(result)
    implementations = (
        LoneImplementation(*place, this.version(place), other.reason(place[0]), tuple(results))
        for place, results in places.items()
    )
    lone_cases = (LoneCase(case, tuple(results)) for case, results in cases.items())
    return Lone(tuple(implementations), tuple(lone_cases), tuple(missing)), aside


def _altered(case: str, before: _Side, after: _Side) -> tuple[str, ...]:
    """The keys by which a case of both sides asks something else."""
    if case not in after.specs:
        return ()
    return tuple(sorted(_differing(_asked(before.specs[case]), _asked(after.specs[case]))))


def _asked(spec: Mapping[str, Any]) -> dict[str, Any]:
    """What a case asks, by dotted key."""
    asked: dict[str, Any] = {}
    for key, value in spec.items():
        if key not in NOT_ASKED:
            asked |= {f"{key}.{k}": v for k, v in value.items()} if isinstance(value, dict) else {key: value}
    return asked


def _differing(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """The keys of either with another value in the other, in order."""
    return [key for key in dict.fromkeys([*old, *new]) if old.get(key) != new.get(key)]


def _differences(old: Mapping[str, str | None], new: Mapping[str, str | None]) -> tuple[Difference, ...]:
    return tuple(Difference(name, old.get(name), new.get(name)) for name in _differing(old, new))


def _facts(document: Document, *, apart: bool) -> dict[str, str | None]:
    """What a run was made with. ``apart``: the switches of a GPU each by itself, because both runs have them."""
    machine = document.environment
    facts = {"bncheck": document.bncheck, "python": machine.python, "platform": machine.platform, "cpu": machine.cpu}
    gpu = {"gpu" if name == "name" else name: str(value) for name, value in (machine.gpu or {}).items()}
    if gpu and not apart:
        switches = ", ".join(f"{name} {value}" for name, value in gpu.items() if name != "gpu")
        gpu = {"gpu": f"{gpu.get('gpu', 'of no name')} ({switches})"}
    return {**facts, **gpu}


def _versions(side: _Side, other: _Side) -> dict[str, str | None]:
    """The versions of the runners that both have."""
    return {place[0]: side.version(place) for place in sorted(side.present & other.present)}


def _change(old: Result, new: Result) -> Change | None:
    """How a pair of results changed; None if they are alike."""
    effect: Effect
    if _worse(old, new):
        effect = "regression"
    elif _worse(new, old) and not new.expectation:  # to expect a failure does not mend it
        effect = "better"
    elif _signature(old) != _signature(new) or _revalued(old, new):
        effect = "other"
    else:
        return None
    if old.verdict == new.verdict == "fail":
        return Change(old, new, effect, _new_kinds(old, new), _grown(old, new), _revalued(old, new))
    return Change(old, new, effect, revalued=_revalued(old, new))


def _worse(old: Result, new: Result) -> bool:
    """Whether a result is worse than it was."""
    if "unsupported" in (old.verdict, new.verdict):
        return False
    if old.verdict == new.verdict == "fail":
        return bool(_new_kinds(old, new) or _grown(old, new))
    return _BADNESS[new.verdict] > _BADNESS[old.verdict]


def _new_kinds(old: Result, new: Result) -> tuple[CauseKind, ...]:
    """Kinds of cause that a failure did not have.

    None is new that was another explanation before, or that has another explanation by what it was before. What was
    unexplained may have had any cause that has to be searched for: it is no news that it has a name now.
    """
    had, has = {c.kind for c in old.causes}, new.kinds
    found = tuple(k for k in has if k not in had and (k in PLAIN or "unexplained" not in had))
    others = {c.kind for c in new.causes if c.alternative and c.kind not in has}
    return found if len(found) > len(others.intersection(old.kinds)) else ()


def _grown(old: Result, new: Result) -> tuple[str, ...]:
    """The tensors of both failures whose error grew."""
    before = {t.name: math.inf if t.max_abs is None else t.max_abs for t in old.tensors}
    return tuple(t.name for t in new.tensors if t.name in before and grew(t, before[t.name]))


def _revalued(old: Result, new: Result) -> tuple[CauseKind, ...]:
    """Kinds of cause of both results, of one verdict, that have another value."""
    if old.verdict != new.verdict:
        return ()
    common = set(old.kinds) & set(new.kinds)
    return tuple(k for k in new.kinds if k in common and (_has_other(k, old, new) or _has_other(k, new, old)))


def _has_other(kind: CauseKind, these: Result, others: Result) -> bool:
    """Whether some cause that explains the one result is none that fits the other."""
    known = [c for c in others.causes if c.kind == kind]
    return any(
        not any(_same_value(cause, other) for other in known)
        for cause in these.causes
        if cause.kind == kind and cause.explains
    )


def _same_value(one: Cause, other: Cause) -> bool:
    """Whether two causes of a kind have the same value, as far as what is solved or measured can tell."""
    if one.interval and other.interval:
        return not (one.interval[1] < other.interval[0] or other.interval[1] < one.interval[0])
    measured = one.source is None and isinstance(one.effective, (int, float))
    if measured and isinstance(other.effective, (int, float)):
        return True
    if one.kind == "refused":
        return unnumbered(one.effective) == unnumbered(other.effective)
    return repr(one.effective) == repr(other.effective)


def _signature(result: Result) -> object:
    """What two results of a verdict have in common if they are alike, their values apart."""
    if result.verdict == "error":
        return "error", unnumbered(result.error)
    if result.verdict == "known":
        source = result.documented.source if result.documented else None
        return "known", frozenset(result.kinds), source, result.expectation is None
    return result.verdict, frozenset(result.kinds)


def unnumbered(said: object) -> str:
    """What an implementation said, without times, addresses and process numbers."""
    return re.sub(r"0x[0-9a-f]+|[0-9]+(\.[0-9]+)?", "#", str(said))
