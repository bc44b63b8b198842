"""The change itself: the last release before it and the first after it, found by trying as few as can be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from packaging.version import Version

from bncheck.bisection.search import bracket
from bncheck.bisection.trial import Tried


class EndSkipped(Exception):
    """One of the two ends could not be judged; ``tried`` says why."""

    def __init__(self, tried: Tried) -> None:
        super().__init__(tried.skipped)
        self.tried = tried


@dataclass(frozen=True)
class Change:
    """The change came after the release ``before`` and not after ``after``; ``skipped`` are those between them, in
    order, of which nothing is known. If there is no change, the two are the ends."""

    before: Tried
    after: Tried
    skipped: tuple[Tried, ...] = ()

    @property
    def is_one(self) -> bool:
        return self.before.outcome != self.after.outcome


def find(releases: Sequence[Version], attempt: Callable[[Version], Tried]) -> Change:
    """The first release whose outcome is not that of the one before it, where ``releases`` begin with the one that
    others are compared with; they are in order, up or down. Raises `EndSkipped`."""
    tried = {}
    for end in (0, len(releases) - 1):
        tried[end] = attempt(releases[end])
        if tried[end].result is None:
            raise EndSkipped(tried[end])
    first, last = tried.values()
    if first.outcome != last.outcome:
        while True:
            same = {n: None if t.result is None else t.outcome == first.outcome for n, t in tried.items()}
            found = bracket(same)
            if found.probe is None:
                break
            tried[found.probe] = attempt(releases[found.probe])
        first, last = tried[found.same], tried[found.changed]
        skipped = [tried[number] for number in found.between]
    else:
        skipped = []
    if releases[0] < releases[-1]:
        return Change(first, last, tuple(skipped))
    return Change(last, first, tuple(skipped[::-1]))
