"""The gate of a run: what is expected of its cases, on the runners that it has."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence

from bncheck import documented
from bncheck.expectations.book import Book
from bncheck.expectations.gate import Gate
from bncheck.running.runners import Runner, idle
from bncheck.spelling import Spelling


def gate(books: Sequence[Book], started: float, runners: Sequence[Runner], spellings: Iterable[str] = ()) -> Gate:
    """``started`` in seconds since the epoch says what day it is; ``spellings``: of runners that a project has beside
    the ``runners`` of this run, so that an entry about one of them is no misspelling."""
    known = [*documented.spellings(), *(Spelling.parse(spelling).whole for spelling in spellings)]
    return Gate(books, datetime.date.fromtimestamp(started), idle=idle(runners), known=known)
