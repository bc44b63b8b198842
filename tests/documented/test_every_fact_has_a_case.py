"""Every documented fact of every runner has a shipped case that would notice if it changed.

A wide grid of cases, read by every runner and variant with what is installed here, gives all that is documented for a
CPU: facts, refusals, reasons for unsupported calls, notes. No framework is started.

A fact is noticed by a case in which the reference with it and the one without it are apart in a checked tensor by more
than the bounds of both. Where a fact only widens the bound (less precision, cancellation), a case notices it in which
such arithmetic is beyond the bound of what was requested. Where an implementation documents nothing else, it agrees
with what is requested: then a case is due that notices the reading that other implementations have.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pytest
from conftest import built_in
from pydantic import ValidationError

from bncheck import documented
from bncheck.case import inputs
from bncheck.case.corpus import corpus
from bncheck.case.load import LoadedCase, load
from bncheck.case.model import Case
from bncheck.documented.reading import Fact, Reading, Unsupported
from bncheck.judge.compare import Expected
from bncheck.judge.question import Due, Question
from bncheck.judge.references import References
from bncheck.power import Power, power
from bncheck.semantics import Semantics

Item = tuple[str, str, str]
"""A runner; what it is about, such as the field of a fact; in words."""

FORMS = (
    ([4], "N", []),
    ([4], "C", 0),
    ([4, 3], "NC", 1),
    ([4, 3], "NC", [-1]),
    ([4, 3], "NC", 0),
    ([4, 3], "NC", []),
    ([4, 3], "NC", [0, 1]),
    ([4, 3, 5], "NCL", 1),
    ([4, 3, 5], "NLC", -1),
    ([4, 3, 2, 5], "NCHW", 1),
    ([4, 3, 2, 5], "NHWC", -1),
    ([4, 3, 2, 5], "NCHW", 2),
    ([4, 3, 2, 5], "NCHW", 0),
    ([4, 3, 2, 5], "NCHW", [0, 1]),
    ([0, 3, 2, 5], "NCHW", 1),
    ([1, 3], "NC", 1),
    ([1, 3, 1, 1], "NCHW", 1),
    ([4, 0, 2, 5], "NCHW", 1),
    ([4, 3, 2, 2, 5], "NCDHW", 1),
    ([4, 3, 2, 2, 5], "NDHWC", -1),
    ([4, 3, 2, 2, 5], "NCDHW", [1, 2]),
)
DTYPES = ("float16", "bfloat16", "float32", "float64")
MODES = ("inference", "training", "default")
CHANGES: tuple[Mapping[str, Any], ...] = (
    {},
    {"epsilon": 0.0},
    {"epsilon": 1e-7},
    {"epsilon": "default"},
    {"momentum": "default"},
    {"momentum": "cumulative"},
    {"momentum": 0.0},
    {"momentum": 1.0},
    {"epsilon": "default", "momentum": "default"},
    {"center": False},
    {"scale": False},
    {"center": False, "scale": False},
    {"adapt": False},
    {"check": ["output", "inference"]},
    {"check": ["output", "gradients"]},
    {"steps": 2},
    {"parameters": {"dtype": "float32"}},
    {"trainable": False},
    {"virtual_batch_size": 2},
    {"mask": True},
)
"""Beside shape, axis, dtype and mode, one after the other: what a case can ask for."""

OTHERWISE: Mapping[str, Any] = {
    "epsilon": 1e-5,
    "momentum": 0.9,
    "mode": "training",
    "moving_variance": "unbiased",
    "update": "none",
}
"""How other implementations read what one agrees about with the request; the first three where it is left to them."""


def cases() -> Iterator[tuple[Case, Mapping[str, Any]]]:
    """All cases of the grid that the format allows, each with its change."""
    for (shape, layout, axis), dtype, mode, change in itertools.product(FORMS, DTYPES, MODES, CHANGES):
        data = {"title": "of the grid", "input": {"shape": shape, "layout": layout, "dtype": dtype}}
        data |= {"axis": axis, "mode": mode, "momentum": 0.75, **change}
        if change.get("mask"):
            kept = {a % len(shape) for a in ([axis] if isinstance(axis, int) else axis)}
            count = int(np.prod([n for a, n in enumerate(shape) if a not in kept], dtype=int))
            data["mask"] = [i % 2 for i in range(count)]
        try:
            yield Case.model_validate(data), change
        except ValidationError:
            continue


def read(spelling: str, case: Case) -> Reading | Unsupported:
    return built_in(spelling).documented(case)


def said(spelling: str, read: Reading | Unsupported) -> Iterator[Item]:
    """What a runner says of one case but for the facts; without the axes, which each case has others of."""
    if isinstance(read, Unsupported):
        yield spelling, "unsupported", read.reason.partition(" (")[0]
        return
    if read.refusal is not None:
        yield spelling, "refusal", read.refusal.words
    done = read.notes if read.arrangement is None else read.notes[1:]
    yield from ((spelling, "note", note) for note in done if not note.startswith("axis ["))


def counts(fact: Fact, case: Case, reading: Reading) -> bool:
    """Whether a fact can show in a case at all: what is about moving statistics needs one that is moved."""
    moves = reading.semantics(case.requested).updates == "once"
    return moves or fact.field not in ("momentum", "moving_variance")


def left(case: Case, field: str) -> bool:
    """Whether a case leaves a field that has a default to the implementation."""
    return getattr(case, field, None) == "default"


def agreed(spelling: str, case: Case, reading: Reading) -> Iterator[tuple[Item, str]]:
    """The fields in which a runner agrees with the request, and others do not, with the item that says so."""
    differing = {fact.field for fact in reading.facts}
    semantics = reading.semantics(case.requested)
    for field in OTHERWISE:
        if field in differing or (field in ("epsilon", "momentum", "mode") and not left(case, field)):
            continue
        if field in ("epsilon", "mode") or semantics.updates == "once":
            value = getattr(case.requested, field) or "as requested"
            yield (spelling, field, f"{value}, not {OTHERWISE[field]}"), field
    if case.input.dtype != "float32" and "precision" not in differing:
        yield (spelling, "precision", f"{case.input.dtype} inside at least as wide as requested"), "precision"
    if semantics.mode == "training" and "batch_formula" not in differing:
        yield (spelling, "batch_formula", "the variance of a batch from deviations"), "batch_formula"


@dataclass(frozen=True, eq=False)
class Shipped:
    """One shipped case, ready to be read in any way."""

    loaded: LoadedCase

    @property
    def case(self) -> Case:
        return self.loaded.case

    @cached_property
    def _made(self) -> inputs.Inputs:
        return inputs.make(self.case, self.loaded.file.parent)

    @cached_property
    def _references(self) -> References:
        return References(self._made, self.case.steps)

    @cached_property
    def _power(self) -> Power:
        return power(self.loaded)

    @cached_property
    def _seen(self) -> dict[tuple[Semantics, Semantics, str], bool]:
        return {}

    def notices(self, reading: Reading, field: str, other: Any) -> bool:
        """Whether an implementation would fail, or pass, for another reason if it read ``field`` as ``other``."""
        if field == "precision":
            return self._power.noticed["precision"][0] > 0
        if field == "batch_formula":
            return self._power.noticed["cancellation"][0] > 0
        one = reading.semantics(self.case.requested)
        two = replace(one, **{field: other})
        key = (one, two, reading.parameters_dtype)
        if key not in self._seen:
            question = Question(self.case, self._made, reading, self._references)
            with np.errstate(all="ignore"):
                dues = [Due.of(question, semantics).tensors for semantics in (one, two)]
                self._seen[key] = any(apart(dues[0][name], dues[1][name]) for name in self.case.checked)
        return self._seen[key]


def apart(one: Expected, other: Expected) -> bool:
    """Whether two references are apart somewhere by more than both bounds; a number and NaN always are."""
    for index in one.channels.blocks():
        (value, _, bound), (another, _, bound_of_other) = one.at(index), other.at(index)
        if np.any((np.abs(value - another) > bound + bound_of_other) | (np.isnan(value) != np.isnan(another))):
            return True
    return False


@dataclass
class Documented:
    """What is documented: items, each with whether one case of the grid or of the corpus has it."""

    others: set[Item]
    facts: set[Item]
    agreements: set[Item]


@pytest.fixture(scope="module")
def a_compiler() -> Iterator[None]:
    """torch.compile is documented as on a machine that has one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
        yield


@pytest.fixture(scope="module")
def grid(a_compiler: None) -> Documented:
    found = Documented(set(), set(), set())
    for (case, _), spelling in itertools.product(list(cases()), documented.spellings()):
        answer = read(spelling, case)
        found.others.update(said(spelling, answer))
        if isinstance(answer, Reading):
            found.facts.update(item_of(spelling, fact) for fact in answer.facts if counts(fact, case, answer))
            found.agreements.update(item for item, _ in agreed(spelling, case, answer))
    return found


def item_of(spelling: str, fact: Fact) -> Item:
    return spelling, fact.field, fact.words


@pytest.fixture(scope="module")
def corpus_cases() -> list[Shipped]:
    return [Shipped(loaded) for loaded in load([corpus()])]


@pytest.fixture(scope="module")
def covered(a_compiler: None, corpus_cases: list[Shipped]) -> Documented:
    """What the shipped cases meet and notice."""
    found = Documented(set(), set(), set())
    for shipped, spelling in itertools.product(corpus_cases, documented.spellings()):
        case = shipped.case
        answer = read(spelling, case)
        found.others.update(said(spelling, answer))
        if isinstance(answer, Unsupported) or answer.refusal is not None or case.relation is not None:
            continue
        for fact in answer.facts:
            item = item_of(spelling, fact)
            if item not in found.facts and shipped.notices(answer, fact.field, getattr(case.requested, fact.field)):
                found.facts.add(item)
        for item, field in agreed(spelling, case, answer):
            if item not in found.agreements and shipped.notices(answer, field, OTHERWISE.get(field)):
                found.agreements.add(item)
    return found


def none_without(missing: set[Item], what: str) -> None:
    """Fail with all that is missing, in words."""
    if missing:
        lines = "\n".join(f"  {runner}: {kind}: {words}" for runner, kind, words in sorted(missing))
        pytest.fail(f"{what}:\n{lines}", pytrace=False)


def test_the_grid_has_every_change() -> None:
    accepted = {repr(change) for _, change in cases()}
    assert [change for change in CHANGES if repr(change) not in accepted] == []


def test_every_fact_has_a_case_that_notices_if_it_changes(grid: Documented, covered: Documented) -> None:
    none_without(grid.facts - covered.facts, "no shipped case notices if these facts change")


def test_every_agreement_has_a_case_that_notices_if_it_ends(grid: Documented, covered: Documented) -> None:
    none_without(grid.agreements - covered.agreements, "no shipped case notices if these stop to hold")


def test_every_refusal_reason_and_note_is_met_by_a_case(grid: Documented, covered: Documented) -> None:
    none_without(grid.others - covered.others, "no shipped case meets these")
