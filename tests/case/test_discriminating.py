"""The default data tell defects apart: no parameter is neutral, and no two things that could be mistaken are equal."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from bncheck.case.discriminating import offsets, parameters, scales
from bncheck.case.inputs import make
from bncheck.case.model import Case, Dtype

counts = st.integers(1, 3000)
epsilons = st.one_of(
    st.sampled_from([0.0, 1e-12, 1e-7, 1e-5, 1.001e-5, 1e-3, 1e-2, 1.0, 10.0]),
    st.floats(1e-30, 1e6),
    st.floats(0, 1e300, allow_subnormal=False),
)


def case(shape: list[int], axis: Any, epsilon: float = 1e-3, dtype: str = "float64", **changes: Any) -> Case:
    given = {"shape": shape, "layout": "NCDHWLTF"[: len(shape)], "dtype": dtype}
    return Case.model_validate(
        {"title": "t", "input": given, "axis": axis, "mode": "training", "epsilon": epsilon, **changes}
    )


@st.composite
def cases(draw: st.DrawFn) -> Case:
    shape = draw(st.lists(st.integers(1, 6), min_size=1, max_size=5))
    axes = draw(st.lists(st.integers(0, len(shape) - 1), unique=True))
    return case(shape, axes, draw(epsilons))


@settings(max_examples=100, deadline=None)
@given(counts, epsilons)
def test_epsilon_counts_in_some_channel(count: int, epsilon: float) -> None:
    assume(epsilon > 0)
    assert (scales(count, epsilon) ** 2).min() < epsilon / 2
    assert parameters(count, epsilon)["moving_variance"].min() < epsilon


@settings(max_examples=100, deadline=None)
@given(st.integers(2, 3000), st.floats(1e-12, 0.1))
def test_and_does_not_count_in_another(count: int, epsilon: float) -> None:
    assert scales(count, epsilon).max() == 1
    assert parameters(count, epsilon)["moving_variance"].max() > epsilon


@settings(max_examples=100, deadline=None)
@given(counts, epsilons)
def test_means_lie_between_1_and_4_deviations_from_0_on_either_side(count: int, epsilon: float) -> None:
    away = offsets(count, epsilon) / scales(count, epsilon)
    assert (np.abs(away) >= 1).all()
    assert (np.abs(away) <= 4).all()
    assert count == 1 or away.min() < 0 < away.max()


@settings(max_examples=100, deadline=None)
@given(counts, epsilons)
def test_no_parameter_is_neutral_and_none_is_another(count: int, epsilon: float) -> None:
    made = parameters(count, epsilon)
    gamma, beta = made["gamma"], made["beta"]
    assert (np.abs(gamma - 1) > 0.015).all()
    assert (np.abs(gamma) >= 0.5).all()
    assert (np.abs(gamma) <= 2).all()
    assert (np.abs(beta) >= 0.3).all()
    assert (np.abs(beta) <= 2).all()
    assert not np.isin(gamma, beta).any()
    for values in made.values():
        assert len(np.unique(values)) == count, "each channel has its own"


def test_some_gammas_are_negative() -> None:
    assert (np.sign(parameters(10, 1e-3)["gamma"]) == [1, -1, 1, 1, 1, 1, -1, 1, 1, 1]).all()


@settings(max_examples=100, deadline=None)
@given(counts, epsilons)
def test_moving_statistics_are_unlike_those_of_the_data(count: int, epsilon: float) -> None:
    scale, made = scales(count, epsilon), parameters(count, epsilon)
    away = (made["moving_mean"] - offsets(count, epsilon)) / scale
    assert (away > 0.49).all()
    assert (away < 1.51).all()
    ratio = made["moving_variance"] / scale / scale
    assert (ratio > 0.59).all()
    assert (ratio < 1.91).all()


@settings(max_examples=150, deadline=None)
@given(cases())
@example(case([1], []))
@example(case([1, 1, 1], [1]))
@example(case([6, 6], [0, 1]))
def test_of_a_whole_case(of: Case) -> None:
    """What holds of the formulas holds of the tensors that are made of them."""
    made = make(of)
    (x,) = made.batches
    reduced = tuple(a for a in range(x.ndim) if a not in of.requested.kept)
    mean, variance = x.mean(axis=reduced), x.var(axis=reduced)
    assert all(np.isfinite(values).all() for values in (x, *made.parameters.values()))
    assert (made.parameters["moving_mean"] != mean).all()
    assert (made.parameters["moving_variance"] != variance).all()
    assert not np.isin(made.parameters["gamma"], [1, *made.parameters["beta"].ravel()]).any()
    if of.channels.values >= 8 and of.requested.epsilon > 0:
        assert variance.min() < of.requested.epsilon


@pytest.mark.parametrize("dtype", get_args(Dtype))
def test_rounding_makes_nothing_neutral(dtype: str) -> None:
    """With the default epsilon, in every dtype."""
    made = make(case([4, 100, 5], 1, dtype=dtype))
    held = {name: values.astype(float) for name, values in made.parameters.items()}
    assert np.isfinite(made.batches[0].astype(float)).all()
    assert all(np.isfinite(values).all() for values in held.values())
    assert not (held["gamma"] == 1).any()
    assert not (held["gamma"] == held["beta"]).any()
    assert 0 < held["moving_variance"].min() < 1e-3 < held["moving_variance"].max()


@pytest.mark.parametrize(("kept", "shape"), [(1, [40, 3, 20, 10]), (3, [40, 10, 20, 3]), ([1, 3], [40, 3, 20, 2])])
def test_mean_and_spread_change_along_every_reduced_axis(kept: Any, shape: list[int]) -> None:
    """So that statistics over any other set of axes differ."""
    of = case(shape, kept)
    (x,) = make(of).batches
    axes = of.requested.kept
    reduced = tuple(a for a in range(4) if a not in axes)
    deviations = (x - x.mean(axis=reduced, keepdims=True)) / x.std(axis=reduced, keepdims=True)
    for axis in reduced:
        halves = np.array_split(deviations, 2, axis=axis)
        low, high = (h.mean(axis=tuple(a for a in range(4) if a not in axes)) for h in halves)
        assert (high - low > 0.25).all()
        low, high = (h.std(axis=tuple(a for a in range(4) if a not in axes)) for h in halves)
        assert (high > low).all()


def test_every_kept_index_has_its_own_mean_and_variance() -> None:
    (x,) = make(case([50, 7, 20], 1)).batches
    mean, deviation = x.mean(axis=(0, 2)), x.std(axis=(0, 2))
    assert len(np.unique(np.round(np.log2(deviation), 1))) == 7
    assert (np.abs(np.subtract.outer(mean, mean)) > 0)[~np.eye(7, dtype=bool)].all()
    assert deviation / scales(7, 1e-3) == pytest.approx(1.1, abs=0.15)


def test_data_follow_the_epsilon_that_is_requested() -> None:
    """``default`` asks for Keras's 1e-3, so its data are those of 1e-3."""
    default, same, other = (make(case([4, 3], 1, epsilon)).batches[0] for epsilon in ("default", 1e-3, 1e-12))
    assert np.array_equal(default, same)
    assert not np.array_equal(default, other)
