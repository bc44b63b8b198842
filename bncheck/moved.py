"""What of two runs is one implementation that ran elsewhere: on another device, or in another environment."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from bncheck.document import Document, Implementation, Result
from bncheck.spelling import Spelling

RunnersPart = TypeVar("RunnersPart", Implementation, Result)


@dataclass(frozen=True)
class Difference:
    """Something that both runs have, with another value; None where one of them has none."""

    name: str
    old: str | None
    new: str | None


Place = tuple[str, str]
"""A runner and its device."""


def present(document: Document) -> set[Place]:
    """What was available, or has results all the same: those of a runner that does not load are errors."""
    available = {(i.runner, i.device) for i in document.implementations if i.available}
    return available | {(r.runner, r.device) for r in document.results}


def _runners(document: Document) -> set[Spelling]:
    return {Spelling.parse(runner) for runner, _ in present(document)}


def environments(old: Document, new: Document) -> tuple[Difference, ...]:
    """The runners that each run has in a single environment that the other has not; None is bncheck's own."""
    before, after = _runners(old) - _runners(new), _runners(new) - _runners(old)
    moved = []
    for name in sorted({spelling.name for spelling in before | after}):
        ours, theirs = ([s.environment for s in side if s.name == name] for side in (before, after))
        if len(ours) == len(theirs) == 1:
            moved.append(Difference(name, ours[0], theirs[0]))
    return tuple(moved)


def called_as_new(old: Document, moved: tuple[Difference, ...]) -> Document:
    """The old document with the runners that have ``moved`` called as in the new one."""
    names = {Spelling(d.name, d.old).whole: Spelling(d.name, d.new).whole for d in moved}
    return old.model_copy(
        update={
            "implementations": [_renamed(i, names) for i in old.implementations],
            "results": [_renamed(result, names) for result in old.results],
        }
    )


def _renamed(part: RunnersPart, names: Mapping[str, str]) -> RunnersPart:
    return part.model_copy(update={"runner": names[part.runner]}) if part.runner in names else part


def devices(old: Document, new: Document) -> tuple[Difference, ...]:
    """The runners that were on a single device each time, but not on the same one."""
    before, after = _devices(old), _devices(new)
    return tuple(
        Difference(runner, before[runner][0], after[runner][0])
        for runner in sorted(before.keys() & after.keys())
        if len(before[runner]) == len(after[runner]) == 1 and before[runner] != after[runner]
    )


def _devices(document: Document) -> dict[str, list[str]]:
    found = defaultdict(list)
    for runner, device in present(document):
        found[runner].append(device)
    return found
