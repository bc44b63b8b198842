"""Which runners a spelling names: built-in ones, their variants, patterns, and what runs where nothing is named."""

from __future__ import annotations

import platform
from typing import Any

import numpy as np
import pytest

from bncheck import documented
from bncheck.documented.reading import Call, Reading
from bncheck.running.runners import BadRunner, select


@pytest.fixture
def variants(monkeypatch: pytest.MonkeyPatch) -> None:
    """NumPy's runner with two variants."""
    monkeypatch.setattr(documented.of("numpy"), "VARIANTS", {"fast": "faster", "odd": "odder"}, raising=False)
    documented.spellings.cache_clear()
    yield
    documented.spellings.cache_clear()


def test_without_a_name_the_families_run_that_people_port_between_and_no_variant() -> None:
    chosen = select([])
    assert {r.family for r in chosen} == {"numpy", "tensorflow", "torch"}
    assert not any(r.named or r.variant for r in chosen)


def test_a_star_is_everything() -> None:
    assert [r.spelling for r in select(["*"])] == list(documented.spellings())
    assert {r.load for r in select(["*"])} == set(documented.built_in())


def test_a_variant_shares_the_worker_of_its_runner(variants: None) -> None:
    plain, fast, odd = select(["numpy*"])
    assert [r.spelling for r in (plain, fast, odd)] == ["numpy", "numpy:fast", "numpy:odd"]
    assert {(r.family, r.load) for r in (plain, fast, odd)} == {("numpy", "numpy")}
    assert (plain.variant, fast.variant) == (None, "fast")
    assert [r.named for r in select(["numpy:fast", "numpy:o*"])] == [True, False]


def test_a_variant_that_there_is_not_is_refused(variants: None) -> None:
    with pytest.raises(BadRunner, match=r"there is no runner 'numpy:fats'; did you mean numpy:fast\?"):
        select(["numpy:fats"])


def test_what_is_documented_is_asked_of_the_variant(variants: None, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Call] = []

    def documented_(call: Call) -> Any:
        asked.append(call)
        return Reading(axis=0, parameters_dtype="float32")

    monkeypatch.setattr(documented.of("numpy"), "documented", documented_)
    (fast,) = select(["numpy:fast"])
    fast.documented(None)  # type: ignore[arg-type]
    versions = {"numpy": np.__version__, "python": platform.python_version()}
    assert (asked[0].variant, asked[0].versions) == ("fast", versions)
