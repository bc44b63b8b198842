"""Comparison: the largest errors are found wherever they are, whatever the blocks."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import make_case
from hypothesis import given
from hypothesis import strategies as st

from bncheck import channels
from bncheck.bounds import Bounds
from bncheck.case import inputs
from bncheck.formats import Format
from bncheck.judge import compare
from bncheck.reference import evaluate

CASE = make_case()
MADE = inputs.make(CASE)
REFERENCE = evaluate(CASE.requested, MADE.batches, MADE.exact)
EXPECTED = compare.of_output(REFERENCE.output, MADE.batches[0], Bounds(REFERENCE, "float32", "float32").output, None)
HONEST = REFERENCE.output.output(MADE.batches[0]).astype(np.float32)


@given(flat=st.integers(0, HONEST.size - 1), factor=st.floats(1.01, 1e6), block=st.integers(1, 64))
def test_the_worst_element_is_named(flat: int, factor: float, block: int) -> None:
    actual = HONEST.copy()
    at = np.unravel_index(flat, actual.shape)
    actual[at] = actual[at] * factor + 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(channels, "BLOCK", block)
        found = compare.compare(actual, EXPECTED)
        more = compare.details(actual, EXPECTED)
    error = abs(float(actual[at]) - REFERENCE.output.output(MADE.batches[0])[at])
    assert found.worst is not None
    assert found.worst.at == tuple(at)
    assert found.worst.actual == actual[at]
    assert found.max_abs == pytest.approx(error)
    assert not found.within
    assert more.worst[0] == found.worst
    assert more.channels[0][0] == (at[1],)
    assert sum(more.histogram) == actual.size


def test_a_rounded_reference_is_within_its_bound_and_half_a_unit() -> None:
    found = compare.compare(HONEST, EXPECTED)
    assert found.within
    assert found.max_ulp <= 0.5 * 2  # a power of two between the value and its rounding doubles the unit


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_the_unit_in_the_last_place(dtype: str) -> None:
    form = Format.of(dtype)
    values = np.array([1.0, -1.5, 2.0, 0.0, 1e-30, 3e4]).astype(dtype)
    exact = values.astype(np.float64)
    powers = 2.0 ** np.floor(np.log2(np.maximum(np.abs(exact), form.smallest)))
    assert np.array_equal(form.unit(values), powers * form.spacing)


def test_equal_infinities_agree_and_so_does_what_overflows() -> None:
    case = make_case(input={"dtype": "float16", "shape": [4, 3], "layout": "NC"}, mode="inference")
    made = inputs.make(case)
    exact = made.exact
    exact.gamma.hi[:] = 1e6
    reference = evaluate(case.requested, made.batches, exact)
    expected = compare.of_output(
        reference.output, made.batches[0], Bounds(reference, "float16", "float16").output, None
    )
    with np.errstate(over="ignore"):
        actual = reference.output.output(made.batches[0]).astype(np.float16)
    assert np.isinf(actual).any()
    assert compare.compare(actual, expected).within
    assert not compare.compare(-actual, expected).within
