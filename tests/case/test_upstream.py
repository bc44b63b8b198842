"""The gradient that comes from above: what a case may say of it, and what it is where a case says nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import make_case
from pydantic import ValidationError
from valid_case import also, places, problems_of

from bncheck.case import inputs

REFUSED = {
    "unused": ("upstream: {normal: {}}", "5:11", "none are checked; add `gradients` to `check`, or remove it"),
    "ones": ("check: [gradients]\nupstream: {constant: 1}", "6:11", "makes the gradient of x vanish in training"),
    "one for each channel": (
        "check: [gradients]\nupstream: {uniform: {low: [1, 2, 3], high: [1, 2, 3]}}",
        "6:11",
        "give values that differ within a channel",
    ),
    "too few": ("check: [gradients]\nupstream: [1, 2]", "6:11", "the list has shape [2]; it should be [2, 3, 4]"),
    "not checked": ("expected: {gradient_beta: [1, 2, 3]}", "5:27", "but not checked; add `gradients` to `check`"),
    "no gamma": (
        "check: [gradients]\nscale: false\nexpected: {gradient_gamma: [1, 2, 3]}",
        "7:28",
        "but there is no gamma; remove it, or set `scale: true`",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_makes_no_sense_is_refused_with_its_cure(tmp_path: Path, name: str) -> None:
    lines, place, says = REFUSED[name]
    problems = problems_of(tmp_path, also(lines))
    assert any(says in problem.message for problem in problems), problems
    assert places(problems) == place


def test_gradients_stand_for_those_that_the_case_has() -> None:
    assert make_case(check=["output", "gradients"]).checked[1:] == ("gradient_x", "gradient_gamma", "gradient_beta")
    assert make_case(check=["gradients"], scale=False).checked == ("gradient_x", "gradient_beta")
    assert make_case(check=["gradients"], center=False).checked == ("gradient_x", "gradient_gamma")
    assert inputs.make(make_case()).upstream is None


def test_a_tensor_is_not_checked_by_its_own_name() -> None:
    with pytest.raises(ValidationError, match="gradients"):
        make_case(check=["gradient_x"])


@pytest.mark.parametrize("values", [None, {"arange": [0, 120]}])
def test_absent_it_has_an_offset_in_each_channel_and_a_part_along_x(values: Any) -> None:
    made = inputs.make(make_case(check=["gradients"], input={"values": values}))
    assert made.upstream is not None
    d, x = np.moveaxis(made.upstream, 1, 0).reshape(3, -1), np.moveaxis(made.batches[0], 1, 0).reshape(3, -1)
    assert len(set(np.sign(d.mean(axis=1)))) == 2
    assert np.all(np.abs(d.mean(axis=1)) > 0.2)
    assert np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(d, x, strict=True)]) > 0.1


def test_absent_it_is_the_same_on_every_machine() -> None:
    """Made of exactly rounded arithmetic: its bits are these."""
    upstream = inputs.make(make_case(check=["gradients"], input={"dtype": "float64"})).upstream
    assert upstream is not None
    assert [float(v).hex() for v in upstream.reshape(-1)[:2]] == FIRST


def test_it_goes_with_the_last_step() -> None:
    made = inputs.make(make_case(check=["gradients"], steps=3))
    assert made.upstream is not None
    d, x = np.moveaxis(made.upstream, 1, 0).reshape(3, -1), np.moveaxis(made.batches[2], 1, 0).reshape(3, -1)
    assert np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(d, x, strict=True)]) > 0.3


FIRST = ["0x1.f3a77ac064b18p-1", "0x1.a6427bc43d70ap+0"]
