"""The shipped cases on what is installed: what they find is expected.

Here, each case runs on the default runners, and all other spellings run a few cases of each subject (torch:compile,
which takes a second a case, what `test_torch.py` has). All cases on all spellings take minutes: they are what
`bncheck run cases/ --runner '*'` does, and `tests/benchmarks/everything.py`, which says where the time goes. Only there
are expectations of what is not a default runner found stale.
"""

from __future__ import annotations

import itertools

import pytest
from conftest import few_of_each_subject

import bncheck
from bncheck.case.corpus import corpus
from bncheck.case.load import load
from bncheck.document import Document
from bncheck.documented import by_default, spellings

SLOW = {"torch:compile"}


def unexpected(document: Document) -> dict[str, object]:
    assert {i.runner: i.reason for i in document.implementations if not i.available} == {}
    return {f"{r.case} {r.runner}": r.kinds or r.error for r in document.results if r.verdict in ("fail", "error")}


@pytest.fixture(scope="module")
def by_the_usual_runners() -> Document:
    return bncheck.run()


def test_every_case_is_as_requested_as_documented_or_as_expected_on_the_default_runners(
    by_the_usual_runners: Document,
) -> None:
    ran = {(result.case, result.runner) for result in by_the_usual_runners.results}
    assert ran == set(itertools.product([case.id for case in load([corpus()])], by_default()))
    assert unexpected(by_the_usual_runners) == {}
    assert by_the_usual_runners.stale == []


def test_two_runs_differ_only_in_seconds(by_the_usual_runners: Document) -> None:
    again = {(r.case, r.runner): r for r in bncheck.run(expression="questions").results}
    first = {key: r for r in by_the_usual_runners.results if (key := (r.case, r.runner)) in again}
    assert len(first) > 300
    assert [r.model_dump(exclude={"seconds"}) for r in first.values()] == [
        r.model_dump(exclude={"seconds"}) for r in again.values()
    ]


def test_equal_calls_give_equal_bits(by_the_usual_runners: Document) -> None:
    equal = [result for result in by_the_usual_runners.results if "equal-calls" in result.case]
    assert any(result.verdict == "pass" for result in equal)
    assert not any("nondeterministic" in result.kinds for result in equal)


def test_a_few_cases_of_each_subject_are_so_on_every_other_spelling() -> None:
    others = [s for s in spellings() if s not in by_default() and s not in SLOW]
    cases = [case.id for case in few_of_each_subject(load([corpus()]))]
    document = bncheck.run(runners=others, expression=" or ".join(cases))
    assert {(r.case, r.runner) for r in document.results} >= set(itertools.product(cases, others))
    assert unexpected(document) == {}
