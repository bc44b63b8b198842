"""Virtual batches have statistics of their own: the reference against plain NumPy and mpmath on the rows of each."""

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
from bncheck.judge import compare
from bncheck.reference import Parameters, Reference, evaluate
from bncheck.semantics import Semantics

Array = np.ndarray[Any, Any]
MOMENTUM, EPSILON = 0.75, 1e-3


def parameters(count: int) -> Parameters:
    numbers = np.random.default_rng(8).uniform(0.5, 2.0, (4, count))
    return Parameters(*map(DoubleDouble.of, numbers))


def reference(batches: list[Array], rows: int, kept: tuple[int, ...], **changes: Any) -> Reference:
    semantics = Semantics(kept, "training", EPSILON, MOMENTUM, virtual=rows, **changes)
    return evaluate(semantics, batches, parameters(Channels(batches[0].shape, kept).count))


def by_hand(batches: list[Array], rows: int, kept: tuple[int, ...], adjacent: bool = False) -> dict[str, Array]:
    """The last output, and the moving statistics, virtual batch by virtual batch."""
    x = batches[0]
    groups = len(x) // rows
    others = tuple(a for a in range(x.ndim) if a not in kept)
    given = {name: value.hi for name, value in vars(parameters(Channels(x.shape, kept).count)).items()}
    shape = [d if a in kept else 1 for a, d in enumerate(x.shape)]
    gamma, beta, mean, variance = (np.asarray(given[name], dtype=x.dtype).reshape(shape) for name in given)
    for batch in batches:
        output, means, variances = np.empty_like(batch), [], []
        for g in range(groups):
            own = slice(g * rows, (g + 1) * rows) if adjacent else slice(g, None, groups)
            part = batch[own]
            means.append(part.mean(axis=others, keepdims=True))
            variances.append(part.var(axis=others, keepdims=True))
            output[own] = (part - means[-1]) / np.sqrt(variances[-1] + x.dtype.type(EPSILON)) * gamma + beta
        old, new = x.dtype.type(MOMENTUM), x.dtype.type(1 - MOMENTUM)
        mean = old * mean + new * np.mean(means, axis=0, dtype=x.dtype)
        variance = old * variance + new * np.mean(variances, axis=0, dtype=x.dtype)
    return {"output": output, "mean": mean.reshape(-1), "variance": variance.reshape(-1)}


@st.composite
def batches_of(draw: st.DrawFn, dtype: str = "float64") -> tuple[list[Array], int, tuple[int, ...]]:
    rows, groups = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    shape = (rows * groups, *draw(st.lists(st.integers(1, 3), min_size=1, max_size=3)))
    kept = tuple(sorted(draw(st.sets(st.integers(1, len(shape) - 1)))))
    random = np.random.default_rng(draw(st.integers(0, 1000)))
    steps = draw(st.integers(1, 2))
    return [random.normal(3, 2, shape).astype(dtype) for _ in range(steps)], rows, kept


@settings(max_examples=80, deadline=None)
@given(case=batches_of(), adjacent=st.booleans())
def test_each_virtual_batch_is_normalized_by_its_own_rows(case: Any, adjacent: bool) -> None:
    batches, rows, kept = case
    found, due = reference(batches, rows, kept, adjacent=adjacent), by_hand(batches, rows, kept, adjacent)
    assert found.values == batches[0].size // (len(batches[0]) // rows) // found.along.count
    np.testing.assert_allclose(found.output.output(batches[-1]), due["output"], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(found.moving.mean.hi, due["mean"], rtol=1e-12)
    np.testing.assert_allclose(found.moving.variance.hi, due["variance"], rtol=1e-12)


@settings(max_examples=80, deadline=None)
@given(case=batches_of("float32"))
def test_what_float32_makes_of_them_is_within_the_bound(case: Any) -> None:
    batches, rows, kept = case
    found, made = reference(batches, rows, kept), by_hand(batches, rows, kept)
    limits = Bounds(found, "float32", "float32")
    due = compare.of_output(found.output, batches[-1], limits.output, None)
    assert compare.compare(made["output"], due).within
    for name in ("mean", "variance"):
        assert np.all(np.abs(made[name] - getattr(found.moving, name).hi) <= getattr(limits.moving, name))


def test_a_mean_of_many_statistics_that_is_summed_one_by_one_is_within_the_bound() -> None:
    x = np.full((1 << 14, 1), 1.1, dtype=np.float32)
    found = reference([x], 1, (1,))
    old, new = np.float32(MOMENTUM), np.float32(1 - MOMENTUM)
    before = np.float32(parameters(1).moving_mean.hi)
    made = old * before + new * (np.cumsum(x[:, 0], dtype=np.float32)[-1] / np.float32(len(x)))
    off = np.abs(made - found.moving.mean.hi)
    bound = Bounds(found, "float32", "float32").moving.mean
    alone = Bounds(reference([x[:1]], 1, (1,)), "float32", "float32").moving.mean  # with nothing to be summed
    assert alone < off < bound


def test_the_mean_of_many_statistics_is_exact_in_float64() -> None:
    x = np.random.default_rng(5).normal(1e6, 1, (3000, 1))
    moving = reference([x], 3, (1,)).moving
    old, new = mpmath.mpf(MOMENTUM), 1 - mpmath.mpf(MOMENTUM)
    with mpmath.workdps(50):
        groups = [[mpmath.mpf(float(v)) for v in x[g::1000, 0]] for g in range(1000)]
        means = [mpmath.fsum(group) / 3 for group in groups]
        spread = [mpmath.fsum((v - mean) ** 2 for v in group) / 3 for group, mean in zip(groups, means, strict=True)]
        before = parameters(1)
        for statistic, of, was in (
            (moving.mean, means, before.moving_mean),
            (moving.variance, spread, before.moving_variance),
        ):
            due = old * mpmath.mpf(float(was.hi[0])) + new * mpmath.fsum(of) / 1000
            error = mpmath.mpf(float(statistic.hi[0])) + mpmath.mpf(float(statistic.lo[0])) - due
            assert abs(error / due) < 1e-24


def test_a_virtual_batch_of_all_rows_is_the_batch() -> None:
    x = np.random.default_rng(2).normal(size=(4, 3))
    one, whole = reference([x], 4, (1,)), evaluate(Semantics((1,), "training", EPSILON, MOMENTUM), [x], parameters(3))
    assert np.array_equal(one.output.output(x), whole.output.output(x))
    assert np.array_equal(one.moving.variance.hi, whole.moving.variance.hi)


def test_in_inference_they_have_no_part() -> None:
    x = np.random.default_rng(2).normal(size=(4, 3))
    cut, whole = (
        evaluate(Semantics((1,), "inference", virtual=rows), [x], parameters(3)).output.output(x) for rows in (2, None)
    )
    assert np.array_equal(cut, whole)


@pytest.mark.parametrize("at", [(5, 1, 0), (0, 2, 3), (3, 0, 1)])
def test_what_is_wrong_is_named_by_its_place_in_x(at: tuple[int, ...]) -> None:
    x = np.random.default_rng(4).normal(size=(6, 3, 4))
    found = reference([x], 2, (1,))
    due = compare.of_output(found.output, x, Bounds(found, "float64", "float64").output, None)
    wrong = found.output.output(x)
    wrong[at] += 1
    assert compare.compare(wrong, due).worst.at == at  # type: ignore[union-attr]
    named = compare.details(wrong, due)
    assert named.worst[0].at == at
    assert named.channels[0][0] == (at[0] % 3, at[1])  # the virtual batch, and the channel in it
