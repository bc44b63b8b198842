"""Double-double arithmetic keeps about 100 bits where everything is finite, and is float64 where it is not."""

from __future__ import annotations

import operator
from collections.abc import Callable

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bncheck.doubledouble import DoubleDouble

MP = mpmath.mp.clone()
MP.prec = 400  # the exact value of any pair, and of a sum or product of two, needs no more than about twice 107 bits

PRECISION = MP.mpf(2) ** -98

OPERATIONS = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}

SPECIAL = np.array([0.0, -0.0, 1.0, -1.0, 3.0, 0.1, 1e300, -1e300, 1e-300, np.inf, -np.inf, np.nan])


@st.composite
def pairs(draw: st.DrawFn, *, zero: bool = True, negative: bool = True) -> DoubleDouble:
    """One number of 106 bits or so, between 1e-100 and 1e100 in size, or 0."""
    if zero and draw(st.integers(0, 15)) == 0:
        return DoubleDouble.of(0.0)
    sign = draw(st.sampled_from([1.0, -1.0])) if negative else 1.0
    hi = sign * np.ldexp(draw(st.floats(1, 2, exclude_max=True)), draw(st.integers(-332, 331)))
    lo = hi * 2.0**-54 * draw(st.floats(-1, 1, allow_subnormal=False).filter(lambda f: f == 0 or abs(f) > 1e-30))
    return DoubleDouble(np.asarray(hi), np.asarray(lo))


def exact(number: DoubleDouble) -> mpmath.mpf:
    return MP.mpf(float(number.hi)) + MP.mpf(float(number.lo))


def assert_normalized(number: DoubleDouble) -> None:
    """The representation is unique: the low part is at most half a unit in the last place of the high one."""
    np.testing.assert_array_equal(number.hi, number.hi + number.lo)


@pytest.mark.parametrize("name", OPERATIONS)
@settings(deadline=None, max_examples=300)
@given(data=st.data())
def test_each_operation_keeps_98_bits(name: str, data: st.DataObject) -> None:
    a, b = data.draw(pairs()), data.draw(pairs(zero=name != "/"))
    result, true = OPERATIONS[name](a, b), OPERATIONS[name](exact(a), exact(b))
    assert abs(exact(result) - true) <= PRECISION * abs(true)
    assert_normalized(result)


@settings(deadline=None, max_examples=300)
@given(a=pairs(), nearness=st.integers(1, 104))
def test_a_difference_of_nearly_equal_numbers_keeps_98_bits_of_what_is_left(a: DoubleDouble, nearness: int) -> None:
    """The bits that cancel must cost none of those that remain."""
    b = a + a * DoubleDouble.of(2.0**-nearness)
    true = exact(b) - exact(a)
    for result in (b - a, -a + b, -(a - b)):
        assert abs(exact(result) - true) <= PRECISION * abs(true)


@settings(deadline=None, max_examples=300)
@given(a=pairs(negative=False))
def test_a_square_root_keeps_98_bits(a: DoubleDouble) -> None:
    result, true = a.sqrt(), MP.sqrt(exact(a))
    assert abs(exact(result) - true) <= PRECISION * abs(true)
    assert_normalized(result)


@settings(deadline=None, max_examples=100)
@given(data=st.data())
def test_a_sum_over_any_axes_keeps_98_bits_of_its_largest_partial_sums(data: st.DataObject) -> None:
    shape = data.draw(hnp.array_shapes(max_dims=3, max_side=7))
    axes = data.draw(st.sets(st.integers(0, len(shape) - 1)).map(sorted))
    numbers = data.draw(st.lists(pairs(), min_size=int(np.prod(shape)), max_size=int(np.prod(shape))))
    array = DoubleDouble(
        np.array([n.hi for n in numbers]).reshape(shape), np.array([n.lo for n in numbers]).reshape(shape)
    )
    total = array.sum(axes)
    assert total.hi.shape == tuple(1 if a in axes else d for a, d in enumerate(shape))
    assert_normalized(total)
    for place in np.ndindex(total.hi.shape):
        terms = array[tuple(slice(None) if a in axes else i for a, i in enumerate(place))]
        each = [exact(DoubleDouble(*pair)) for pair in zip(terms.hi.ravel(), terms.lo.ravel(), strict=True)]
        assert abs(exact(total[place]) - MP.fsum(each)) <= PRECISION * MP.fsum(each, absolute=True)


def test_a_sum_keeps_what_float64_would_lose() -> None:
    values = DoubleDouble.of([1e16, 1.0, -1e16, 2.0**-60])
    total = values.sum([0])
    assert (total.hi[0], total.lo[0]) == (1.0, 2.0**-60)


def test_a_sum_of_nothing_is_zero() -> None:
    total = DoubleDouble.of(np.zeros((3, 0, 2))).sum([1])
    assert total.hi.shape == (3, 1, 2)
    assert not total.hi.any()
    assert not total.lo.any()


def test_a_long_sum_drifts_no_more_than_a_short_one() -> None:
    """0.1 a hundred thousand times: float64 is off by 1e-8 when it adds one after the other."""
    count = 100_001
    total = DoubleDouble.of(np.full(count, 0.1)).sum([0])
    true = MP.mpf(0.1) * count
    assert abs(exact(total[0]) - true) <= PRECISION * true


@pytest.mark.parametrize("name", OPERATIONS)
def test_where_float64_is_not_finite_the_result_is_what_float64_has(name: str) -> None:
    """Every pair of special values at once, so that one that overflows does not disturb its neighbours."""
    a, b = SPECIAL[:, None], SPECIAL[None, :]
    with np.errstate(all="ignore"):
        result = OPERATIONS[name](DoubleDouble.of(a), DoubleDouble.of(b))
        plain = OPERATIONS[name](a, b)
    special = ~(np.isfinite(plain) & np.isfinite(a) & np.isfinite(b))
    assert special.any()
    np.testing.assert_array_equal(result.hi[special], plain[special])
    np.testing.assert_array_equal(result.lo[special], 0.0)
    assert np.isfinite(result.hi[~special]).all()


@pytest.mark.parametrize(
    ("evaluate", "expected"),
    [
        pytest.param(lambda: DoubleDouble.of(np.inf) + DoubleDouble.of(1.0), np.inf, id="inf + 1"),
        pytest.param(lambda: DoubleDouble.of(np.inf) - DoubleDouble.of(np.inf), np.nan, id="inf - inf"),
        pytest.param(lambda: DoubleDouble.of(1.0) / DoubleDouble.of(0.0), np.inf, id="1/0"),
        pytest.param(lambda: DoubleDouble.of(-1.0) / DoubleDouble.of(0.0), -np.inf, id="-1/0"),
        pytest.param(lambda: DoubleDouble.of(0.0) / DoubleDouble.of(0.0), np.nan, id="0/0"),
        pytest.param(lambda: DoubleDouble.of(1.0) / DoubleDouble.of(np.inf), 0.0, id="1/inf"),
        pytest.param(lambda: DoubleDouble.of(np.inf) * DoubleDouble.of(0.0), np.nan, id="inf*0"),
        pytest.param(lambda: DoubleDouble.of(1e300) * DoubleDouble.of(1e300), np.inf, id="1e300*1e300"),
        pytest.param(lambda: DoubleDouble.of(0.0).sqrt(), 0.0, id="sqrt(0)"),
        pytest.param(lambda: DoubleDouble.of(np.inf).sqrt(), np.inf, id="sqrt(inf)"),
        pytest.param(lambda: DoubleDouble.of(-1.0).sqrt(), np.nan, id="sqrt(-1)"),
        pytest.param(lambda: DoubleDouble.of([1.0, np.inf, 2.0]).sum([0])[0], np.inf, id="1 + inf + 2"),
        pytest.param(lambda: DoubleDouble.of([1.0, np.inf, -np.inf]).sum([0])[0], np.nan, id="1 + inf - inf"),
    ],
)
def test_values_that_are_not_finite_come_through_as_in_ieee_754(
    evaluate: Callable[[], DoubleDouble], expected: float
) -> None:
    with np.errstate(all="ignore"):
        result = evaluate()
    np.testing.assert_array_equal(result.hi, expected)
    np.testing.assert_array_equal(result.lo, 0.0)


def test_a_value_that_is_not_finite_costs_its_neighbours_no_precision() -> None:
    with np.errstate(all="ignore"):
        result = DoubleDouble.of([np.inf, 1.0, np.nan]) + DoubleDouble.of([1.0, 2.0**-80, 1.0])
    np.testing.assert_array_equal(result.hi, [np.inf, 1.0, np.nan])
    np.testing.assert_array_equal(result.lo, [0.0, 2.0**-80, 0.0])


@pytest.mark.parametrize("value", [0.1, [1.0, 2.0], np.float32(0.1), np.zeros((2, 0)), 3])
def test_of_takes_a_value_exactly(value) -> None:
    number = DoubleDouble.of(value)
    assert number.hi.dtype == np.float64
    np.testing.assert_array_equal(number.hi, np.asarray(value, np.float64))
    np.testing.assert_array_equal(number.lo, np.zeros_like(number.hi))


def test_indexing_and_reshaping_keep_both_parts_together() -> None:
    number = DoubleDouble(np.arange(6.0), np.arange(6.0) * 2.0**-60).reshape((2, 3))
    np.testing.assert_array_equal(number[1].hi, [3.0, 4.0, 5.0])
    np.testing.assert_array_equal(number[1].lo, np.array([3.0, 4.0, 5.0]) * 2.0**-60)
