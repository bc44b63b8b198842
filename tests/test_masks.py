"""What a mask hides stays out of the statistics: the reference against mpmath, and what else may become of it."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bncheck.bounds import Bounds
from bncheck.channels import Channels
from bncheck.doubledouble import DoubleDouble
from bncheck.masks import Mask
from bncheck.reference import Parameters, Reference, evaluate
from bncheck.semantics import Masking, Semantics

X = np.array([[[1.0], [2.0], [3.0], [100.0]], [[4.0], [5.0], [100.0], [100.0]]])
MASK = Mask(np.array([[1, 1, 1, 0], [1, 1, 0, 0]], dtype=bool))


def neutral(count: int) -> Parameters:
    one, zero = (DoubleDouble.of(np.full(count, value)) for value in (1.0, 0.0))
    return Parameters(one, zero, zero, one)


def reference(x: np.ndarray[Any, Any], mask: Mask | None, masking: Masking | None, kept: int = 2) -> Reference:
    semantics = Semantics((kept,), "training", momentum=0.0, moving_variance="unbiased", mask=masking)
    return evaluate(semantics, [x], neutral(x.shape[kept]), mask=mask)


@pytest.mark.parametrize(
    ("masking", "mean", "variance"),
    [
        ("left out", 3.0, 2.5),
        ("ignored", X.mean(), X.var(ddof=1)),
        ("zeros", 15 / 8, np.var([1, 2, 3, 0, 4, 5, 0, 0], ddof=1)),
        ("inverted", 100.0, 0.0),
    ],
)
def test_each_thing_that_may_become_of_the_hidden_positions(masking: Masking, mean: float, variance: float) -> None:
    moving = reference(X, MASK, masking).moving
    assert moving.mean.hi == pytest.approx([mean], rel=1e-15)
    assert moving.variance.hi == pytest.approx([variance], rel=1e-15)


def test_the_output_is_computed_for_every_position() -> None:
    found = reference(X, MASK, "left out")
    assert np.array_equal(np.isfinite(found.output.output(X)), np.ones(X.shape, bool))
    assert found.output.output(X)[0, 3, 0] == pytest.approx(97 / np.sqrt(2.0 + 1e-3), rel=1e-14)


def test_a_mask_that_hides_nothing_changes_nothing() -> None:
    everything = Mask(np.ones((2, 4), dtype=bool))
    plain = reference(X, None, None)
    for masking in ("left out", "ignored", "zeros"):
        assert reference(X, everything, masking).moving.variance.hi == plain.moving.variance.hi


def test_statistics_of_no_positions_are_nan() -> None:
    nothing = Mask(np.zeros((2, 4), dtype=bool))
    assert np.isnan(reference(X, nothing, "left out").moving.mean.hi).all()


def test_what_a_mask_hides_may_be_anything() -> None:
    spoilt = X.copy()
    spoilt[X == 100.0] = np.nan
    assert reference(spoilt, MASK, "left out").moving.mean.hi == 3.0


def test_the_bound_is_that_of_the_values_that_enter() -> None:
    x = np.random.default_rng(3).normal(5, 1, (64, 32, 2)).astype(np.float32)
    few = np.zeros((64, 32), dtype=bool)
    few[:2, :4] = True
    masked, small = reference(x, Mask(few), "left out"), reference(x[:2, :4], None, None)
    assert np.allclose(
        Bounds(masked, "float32", "float32").moving.mean, Bounds(small, "float32", "float32").moving.mean, rtol=1e-9
    )


@settings(max_examples=60, deadline=None)
@given(data=st.data(), dtype=st.sampled_from(["float16", "float32", "float64"]))
def test_masked_statistics_are_those_of_exact_arithmetic(data: st.DataObject, dtype: str) -> None:
    shape = tuple(data.draw(st.lists(st.integers(1, 4), min_size=2, max_size=4), label="shape"))
    kept = data.draw(st.integers(0, len(shape) - 1), label="kept")
    seed = data.draw(st.integers(0, 1000), label="seed")
    x = np.random.default_rng(seed).normal(3, 2, shape).astype(dtype)
    channels = Channels(shape, (kept,))
    flags = st.lists(st.booleans(), min_size=channels.values, max_size=channels.values).filter(any)
    positions = np.array(data.draw(flags, label="mask")).reshape(channels.reduced_shape)
    moving = reference(x, Mask(positions), "left out", kept).moving
    with mpmath.workdps(40):
        for channel in range(shape[kept]):
            values = [mpmath.mpf(float(v)) for v in np.take(x, channel, axis=kept)[positions]]
            mean = mpmath.fsum(values) / len(values)
            squares = mpmath.fsum((v - mean) ** 2 for v in values)
            assert moving.mean.hi[channel] == pytest.approx(float(mean), rel=1e-14, abs=1e-14)
            assert moving.variance.hi[channel] == pytest.approx(
                float(squares / max(len(values) - 1, 1)), rel=1e-12, abs=1e-12
            )
