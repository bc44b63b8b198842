"""The search for a change among releases, some of which cannot be tried."""

from __future__ import annotations

import math
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from bncheck.bisection.search import Bracket, bracket

Outcomes = list[str | None]
"""What each release gives; None: it cannot be tried."""


def search(outcomes: Outcomes) -> tuple[Bracket, int]:
    """Where the search ends, after how many probes between the ends."""
    seen: dict[int, bool | None] = {0: True, len(outcomes) - 1: False}
    while (found := bracket(seen)).probe is not None:
        assert found.probe not in seen
        outcome = outcomes[found.probe]
        seen[found.probe] = None if outcome is None else outcome == outcomes[0]
    return found, len(seen) - 2


@st.composite
def histories(draw: st.DrawFn, one_change: bool = True) -> Outcomes:
    """What each release gives: the ends can be tried and differ."""
    if one_change:
        before, after = draw(st.integers(1, 60)), draw(st.integers(1, 60))
        outcomes: Outcomes = ["old"] * before + ["new"] * after
    else:
        outcomes = ["old", *draw(st.lists(st.sampled_from(["old", "new", "newer"]), max_size=60)), "new"]
    for number in draw(st.sets(st.integers(1, max(1, len(outcomes) - 2)))):
        if number < len(outcomes) - 1:
            outcomes[number] = None
    return outcomes


def most(outcomes: Sequence[str | None]) -> int:
    """The most probes that are due between the ends."""
    between = len(outcomes) - 2
    return outcomes.count(None) + (math.floor(math.log2(between)) + 1 if between else 0)


@given(histories())
def test_one_change_is_found_or_bracketed_by_what_was_skipped(outcomes: Outcomes) -> None:
    found, probes = search(outcomes)
    assert found.same == max(n for n, outcome in enumerate(outcomes) if outcome == "old")
    assert found.changed == min(n for n, outcome in enumerate(outcomes) if outcome == "new")
    assert all(outcomes[number] is None for number in found.between)
    assert probes <= most(outcomes)


@given(histories(one_change=False))
def test_of_several_changes_one_is_found(outcomes: Outcomes) -> None:
    found, probes = search(outcomes)
    assert outcomes[found.same] == "old"
    assert outcomes[found.changed] not in ("old", None)
    assert all(outcomes[number] is None for number in found.between)
    assert probes <= most(outcomes)


@given(histories(), st.data())
def test_what_was_tried_in_any_order_before_is_not_tried_again(outcomes: Outcomes, data: st.DataObject) -> None:
    numbers = data.draw(st.sets(st.integers(0, len(outcomes) - 1)))
    seen = {n: None if outcomes[n] is None else outcomes[n] == "old" for n in numbers | {0, len(outcomes) - 1}}
    found = bracket(seen)
    assert found.probe not in seen
    assert set(found.between).isdisjoint(n for n in seen if seen[n] is not None)


def test_a_thousand_releases_take_ten_probes() -> None:
    assert search(["old"] * 700 + ["new"] * 300)[1] <= 10
