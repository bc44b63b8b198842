"""``bncheck power`` as a user meets it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Said

from bncheck.case.corpus import corpus
from bncheck.cli.power import COLUMNS, SEEN_BY
from bncheck.power import KINDS


@pytest.fixture
def power(bncheck: Callable[..., Said]) -> Callable[..., Said]:
    return functools.partial(bncheck, "power")


def test_the_corpus_sees_every_kind_of_defect(power: Callable[..., Said]) -> None:
    code, out, err = power(corpus())
    assert (code, err) == (0, "")
    assert out.splitlines()[0].split()[-12:] == ["epsilon", "momentum", *COLUMNS.values()]
    assert out.endswith("Every kind of defect is seen by some case.\n")
    assert max(map(len, out.splitlines())) <= 100


def test_what_no_case_sees_is_said_with_the_case_that_would(power: Callable[..., Said]) -> None:
    _, out, _ = power(corpus() / "questions" / "epsilon-0.yaml")
    row = next(line for line in out.splitlines() if line.startswith("epsilon-0"))
    assert row.split()[1:] == ["2e-06", "-", "-", "n/a", "n/a", "all", "-", "3/7", "n/a", "-", "n/a", "n/a"]
    assert "No case sees\n  a wrong momentum: add a case in training" in out


def test_cases_can_be_chosen_by_their_ids(power: Callable[..., Said]) -> None:
    _, out, _ = power(corpus(), "-k", "video and flattened")
    assert [line.split()[0] for line in out.splitlines()[:2]] == ["case,", "video-flattened"]
    assert "no case matches 'nowhere'" in power(corpus(), "-k", "nowhere")[2]


def test_bad_cases_and_no_cases_are_usage_errors(power: Callable[..., Said], write_case: Callable[..., Path]) -> None:
    bad = write_case("title: no more than that\n")
    assert power(bad)[0] == 2
    assert f"{bad}:1:1" in power(bad)[2]
    assert power()[0] == 2


def test_every_kind_of_defect_has_a_heading_and_a_cure() -> None:
    assert set(COLUMNS) == set(KINDS)
    assert set(SEEN_BY) == {"epsilon", "momentum", *KINDS}
