"""What expectations make of a run's results: which failures are known, and which expectations no longer hold."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from bncheck.document import Expectation, Found, Implementation, Result, Stale
from bncheck.expectations.book import Book
from bncheck.expectations.entry import Entry, is_pattern, kinds_of, matches, size_of

REMOVE = "remove the entry, or run bncheck run --update-expectations"


class Trouble(NamedTuple):
    """Why an entry no longer holds: nothing that it expects is there (``gone``), a failure is larger (``exceeded``) or
    of another kind (``otherwise``), or some of its kinds are not seen (``fewer``)."""

    what: Literal["gone", "exceeded", "otherwise", "fewer"]
    message: str


@dataclass(eq=False)
class Seen:
    """What a run showed of one entry: the results that it is about, and among those that fail, which it explains."""

    entry: Entry
    number: int
    book: Book
    cases: set[str] = field(default_factory=set)
    unsupported: bool = False
    failing: bool = False
    kinds: set[str] = field(default_factory=set)
    """Of the expected kinds, those that explain some failure, larger or not."""
    exceeding: list[Result] = field(default_factory=list)
    """Failures of the expected kinds with larger errors."""
    otherwise: list[Result] = field(default_factory=list)
    """Failures of other kinds."""

    @property
    def place(self) -> str:
        return self.book.place(self.number)


class Gate:
    """Takes results one after the other, as a run gives them.

    ``today``: the day on which entries may have expired. ``idle``: runners that are there but not asked to run, so that
    nothing can be said of a pattern which they match; ``known``: all other names of runners that are no misspellings.
    """

    def __init__(
        self, books: Sequence[Book], today: datetime.date, *, idle: Iterable[str] = (), known: Iterable[str] = ()
    ) -> None:
        self._today = today
        self._idle = set(idle)
        self._known = {*known, *self._idle}
        self._versions: dict[tuple[str, str], str | None] = {}
        self.seen = [Seen(entry, number, book) for book in books for number, entry in enumerate(book.entries)]
        self._about: dict[str, list[Seen]] = {}
        """By the case that they name; by "" those that have a pattern."""
        for seen in self.seen:
            self._about.setdefault("" if is_pattern(seen.entry.case) else seen.entry.case, []).append(seen)

    def take(self, found: Found) -> Found:
        """What a run found, as it goes on: of a result that fails as is expected, the known one that it becomes.

        An implementation has to come before its results, which need its version.
        """
        if isinstance(found, Result):
            return self.judge(found)
        if isinstance(found, Implementation):
            self._versions[found.runner, found.device] = found.version
            self._known.add(found.runner)
        return found

    def judge(self, result: Result) -> Result:
        candidates = (*self._about.get(result.case, ()), *self._about.get("", ()))
        entries = [seen for seen in candidates if self._is_about(seen, result)]
        fails = result.verdict in ("fail", "error")
        counting = [seen for seen in entries if not seen.entry.is_guest(result.runner)]
        for seen in counting:
            seen.cases.add(result.case)
            seen.unsupported |= result.verdict == "unsupported"
            seen.failing |= fails
        if not fails:
            return result
        valid = [seen for seen in entries if not seen.entry.expired(self._today)]
        agreeing = [seen for seen in valid if seen.entry.agrees(result)]
        for seen in (each for each in agreeing or valid if each in counting):
            if seen.entry.explains(result):
                seen.kinds |= kinds_of(result) & seen.entry.kinds or seen.entry.kinds
            if not agreeing:
                (seen.exceeding if seen.entry.explains(result) else seen.otherwise).append(result)
        return _as_expected(result, agreeing[0]) if agreeing else result

    def _is_about(self, seen: Seen, result: Result) -> bool:
        version = self._versions.get((result.runner, result.device))
        return result.case in seen.book.ids and seen.entry.is_about(result.case, result.runner, result.device, version)

    def stale_by(self, result: Result) -> list[Stale]:
        """The entries about this result alone that no longer hold, for whoever sees one result and not the run."""
        alone = [seen for seen in self._about.get(result.case, ()) if not is_pattern(seen.entry.runner)]
        return self._stale([seen for seen in alone if self._is_about(seen, result)], cut_short=False)

    def stale(self, *, cut_short: bool = False) -> list[Stale]:
        """The entries that no longer hold. ``cut_short``: results are missing, which says nothing."""
        return self._stale(self.seen, cut_short=cut_short)

    def _stale(self, entries: Iterable[Seen], *, cut_short: bool) -> list[Stale]:
        return [
            Stale(source=seen.place, entry=f"{seen.entry.runner}, {seen.entry.case}", message=trouble.message)
            for seen in entries
            if (trouble := self.trouble(seen, cut_short=cut_short)) is not None
        ]

    def unjudged(self) -> int:
        """How many entries about runners of this run it says nothing about, because their cases did not run on them."""
        ran = {runner: version for (runner, _), version in self._versions.items()}
        return sum(
            not seen.cases
            and any(seen.entry.is_of(*each) and not seen.entry.is_guest(each[0]) for each in ran.items())
            and self.trouble(seen) is None
            for seen in self.seen
        )

    def trouble(self, seen: Seen, *, cut_short: bool = False) -> Trouble | None:
        """Why an entry does not hold any more; None if it does, or if this run cannot tell."""
        entry = seen.entry
        expected = f"expected {_listed(entry.kinds)}"
        if entry.expired(self._today):
            return Trouble(
                "gone", f"held until {entry.expires}; look at it again, then give it another day, or {REMOVE}"
            )
        if seen.book.whole and not any(matches(entry.case, case) for case in seen.book.ids):
            return Trouble("gone", f"matches no case; {REMOVE}")
        if not any(matches(entry.runner, name) for name in self._known):
            message = f"matches no runner; name one's own with --runner or in the settings, or {REMOVE}"
            return Trouble("gone", message)
        if seen.exceeding:
            worst = max(seen.exceeding, key=lambda r: size_of(r) or 0.0)
            message = f"{expected} up to {entry.error:g}, but {_where(worst, entry)} is off by {size_of(worst):.2g}"
            return Trouble("exceeded", message)
        if seen.otherwise:
            first = seen.otherwise[0]
            return Trouble("otherwise", f"{expected}, but {_where(first, entry)} fails by {_listed(kinds_of(first))}")
        if cut_short or not self.complete(seen):
            return None
        if not seen.failing:
            return Trouble("gone", f"{expected}, now {'unsupported' if seen.unsupported else 'passes'}; {REMOVE}")
        if left := entry.kinds - seen.kinds:
            return Trouble(
                "fewer" if seen.kinds else "gone", f"{expected}, but {_listed(left)} is seen no more; {REMOVE}"
            )
        return None

    def complete(self, seen: Seen) -> bool:
        """Whether all that an entry is about has run, so that what did not fail does not fail any more."""
        entry = seen.entry
        if not seen.cases or any(matches(entry.runner, name) for name in self._idle):
            return False
        if not is_pattern(entry.case):
            return True
        return seen.book.whole and all(case in seen.cases for case in seen.book.ids if matches(entry.case, case))


def _listed(kinds: Iterable[str]) -> str:
    return " and ".join(f"`{kind}`" for kind in sorted(kinds))


def _where(result: Result, entry: Entry) -> str:
    """Which of the results that an entry is about."""
    parts = [result.case] if is_pattern(entry.case) else []
    parts += [result.runner] if is_pattern(entry.runner) else []
    return " on ".join(parts) or "it"


def _as_expected(result: Result, seen: Seen) -> Result:
    expectation = Expectation(source=seen.place, reason=seen.entry.reason or "", link=seen.entry.link)
    return result.model_copy(update={"verdict": "known", "expectation": expectation})
