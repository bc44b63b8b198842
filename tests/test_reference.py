"""The reference is proven here, against the formula in 200 bits: it errs by less than a sixteenth of the bound."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bncheck import channels as channels_module
from bncheck import reference as reference_module
from bncheck.bounds import Bounds
from bncheck.channels import Channels
from bncheck.doubledouble import DoubleDouble
from bncheck.judge import compare
from bncheck.reference import Parameters, Reference, batch_statistics, evaluate, in_parallel
from bncheck.semantics import Semantics

DTYPES = ("float16", "bfloat16", "float32", "float64")
NAMES = ("gamma", "beta", "moving_mean", "moving_variance")

MP = mpmath.mp.clone()
MP.prec = 200


# The formula, once more, as simply as it can be written: one number at a time, in 200 bits.


@dataclass
class Exact:
    """A case's tensors as dictionaries, by place in the tensor, or by place among the kept axes."""

    output: dict[tuple[int, ...], Any]
    inference: dict[tuple[int, ...], Any]
    moving_mean: dict[tuple[int, ...], Any]
    moving_variance: dict[tuple[int, ...], Any]


def channel(kept: Sequence[int], place: Sequence[int]) -> tuple[int, ...]:
    return tuple(place[a] for a in kept)


def exact_numbers(tensor: np.ndarray) -> dict[tuple[int, ...], Any]:
    return {place: MP.mpf(float(tensor[place])) for place in np.ndindex(tensor.shape)}


def exactly(
    semantics: Semantics, batches: Sequence[np.ndarray], extra: np.ndarray, parameters: dict[str, np.ndarray]
) -> Exact:
    gamma, beta, moving_mean, moving_variance = (exact_numbers(parameters[name]) for name in NAMES)
    epsilon = MP.mpf(semantics.epsilon)

    def normalized(x, mean, variance):
        y = {}
        for place, value in exact_numbers(x).items():
            c = channel(semantics.kept, place)
            y[place] = None  # divided by 0
            if variance[c] + epsilon > 0:
                y[place] = (value - mean[c]) / MP.sqrt(variance[c] + epsilon)
                y[place] = y[place] * gamma[c] if semantics.scale else y[place]
                y[place] = y[place] + beta[c] if semantics.center else y[place]
        return y

    if semantics.mode == "inference":
        output = normalized(batches[0], moving_mean, moving_variance)
    else:
        for number, batch in enumerate(batches, start=1):
            values: dict[tuple[int, ...], list[Any]] = {c: [] for c in gamma}
            for place, value in exact_numbers(batch).items():
                values[channel(semantics.kept, place)].append(value)
            mean, of_batch, of_moving = {}, {}, {}
            for c, of_channel in values.items():
                n = len(of_channel)
                mean[c] = MP.fsum(of_channel) / n
                squares = MP.fsum((value - mean[c]) ** 2 for value in of_channel)
                of_batch[c] = squares / (max(n - 1, 1) if semantics.batch_variance == "unbiased" else n)
                of_moving[c] = squares / (max(n - 1, 1) if semantics.moving_variance == "unbiased" else n)
            cumulative = semantics.momentum == "cumulative"
            old = MP.mpf(number - 1) / number if cumulative else MP.mpf(semantics.momentum)
            output = normalized(batch, mean, of_batch)
            moving_mean = {c: old * moving_mean[c] + (1 - old) * mean[c] for c in mean}
            moving_variance = {c: old * moving_variance[c] + (1 - old) * of_moving[c] for c in mean}
    return Exact(output, normalized(extra, moving_mean, moving_variance), moving_mean, moving_variance)


# What the reference says, and its own error in the bound that would judge a result by it.


def as_parameters(parameters: dict[str, np.ndarray]) -> Parameters:
    return Parameters(**{name: DoubleDouble.of(parameters[name].astype(np.float64).ravel()) for name in NAMES})


def own_error(expected: compare.Expected, exact: dict[tuple[int, ...], Any]) -> float:
    """The largest error of what the comparison takes as expected, over its bound, element by element."""
    worst = 0.0
    with np.errstate(all="ignore"):
        for index in expected.channels.blocks():
            value, rest, bound = expected.at(index)
            rest = np.zeros_like(value) if rest is None else rest
            value, rest, bound = (np.broadcast_to(part, value.shape).ravel() for part in (value, rest, bound))
            for flat in range(value.size):
                true = exact[expected.channels.position(index, flat)]
                if true is None:
                    assert not np.isfinite(value[flat])
                else:
                    error = abs(MP.mpf(float(value[flat])) + MP.mpf(float(rest[flat])) - true)
                    if error != 0:  # what is exact may have a bound of 0
                        worst = max(worst, float(error) / float(bound[flat]))
    return worst


def own_errors(
    semantics: Semantics, batches: Sequence[np.ndarray], extra: np.ndarray, parameters: dict[str, np.ndarray]
) -> dict[str, float]:
    reference = evaluate(semantics, batches, as_parameters(parameters))
    limits = Bounds(reference, batches[0].dtype.name, parameters["gamma"].dtype.name)
    true = exactly(semantics, batches, extra, parameters)
    shape, moving = reference.channels.statistic_shape, reference.moving
    return {
        "output": own_error(compare.of_output(reference.output, batches[-1], limits.output, None), true.output),
        "inference": own_error(compare.of_output(reference.inference, extra, limits.inference, None), true.inference),
        "moving_mean": own_error(compare.of_statistic(moving.mean, limits.moving.mean, shape, None), true.moving_mean),
        "moving_variance": own_error(
            compare.of_statistic(moving.variance, limits.moving.variance, shape, None), true.moving_variance
        ),
    }


@st.composite
def cases(draw: st.DrawFn, dtype: str) -> tuple[Semantics, list[np.ndarray], np.ndarray, dict[str, np.ndarray]]:
    """Small tensors of any rank and kept axes; means up to 1e4 deviations away; deviations of 1e-4 to 1e4."""
    shape = tuple(draw(st.lists(st.integers(1, 4), min_size=1, max_size=4)))
    kept = tuple(sorted(draw(st.sets(st.integers(0, len(shape) - 1)))))
    mode = draw(st.sampled_from(["training", "training", "inference"]))
    momentum = draw(st.one_of(st.just("cumulative"), st.sampled_from([0.0, 0.5, 0.9, 0.99, 1.0]), st.floats(0, 1)))
    semantics = Semantics(
        kept=kept,
        mode=mode,
        epsilon=draw(st.one_of(st.just(0.0), st.floats(-8, -2).map(lambda power: 10.0**power))),
        momentum=momentum,
        center=draw(st.booleans()),
        scale=draw(st.booleans()),
        batch_variance=draw(st.sampled_from(["biased", "unbiased"])),
        moving_variance=draw(st.sampled_from(["biased", "unbiased"])),
    )
    steps = draw(st.integers(1, 3)) if mode == "training" else 1
    furthest = draw(st.sampled_from([0.0, 1.0, 1e2, 1e4]))
    numbers = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    spread = [d if a in kept else 1 for a, d in enumerate(shape)]
    scale = 10.0 ** numbers.uniform(-4, 4, spread)
    ratio = numbers.choice([-1, 1], spread) * furthest ** numbers.uniform(0, 1, spread) if furthest else 0.0
    if dtype == "float16":  # nothing overflows: at most 2^15
        scale = np.minimum(scale, 2.0**15 / (6 + np.abs(ratio)))

    def batch() -> np.ndarray:
        return (scale * (ratio + numbers.standard_normal(shape))).astype(dtype)

    statistic_shape = tuple(shape[a] for a in kept)
    deviation, mean = (np.broadcast_to(part, spread).reshape(statistic_shape) for part in (scale, scale * ratio))
    smallest, largest = float(ml_dtypes.finfo(dtype).smallest_normal), float(ml_dtypes.finfo(dtype).max)
    variance = np.square(deviation) * numbers.uniform(0.5, 2.0, statistic_shape)
    parameters = {
        "gamma": numbers.uniform(0.5, 2.0, statistic_shape) * numbers.choice([-1, 1], statistic_shape),
        "beta": numbers.uniform(-2.0, 2.0, statistic_shape),
        "moving_mean": mean + deviation * numbers.standard_normal(statistic_shape),
        "moving_variance": np.clip(variance, smallest, largest),
    }
    return (
        semantics,
        [batch() for _ in range(steps)],
        batch(),
        {name: np.asarray(value).astype(dtype) for name, value in parameters.items()},
    )


@pytest.mark.parametrize("dtype", DTYPES)
@settings(deadline=None, max_examples=100)
@given(data=st.data())
def test_the_reference_errs_by_less_than_a_sixteenth_of_its_bound(dtype: str, data: st.DataObject) -> None:
    errors = own_errors(*data.draw(cases(dtype)))
    assert max(errors.values()) <= 1 / 16, errors


FEW = 40
MANY = 400


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("count", [FEW, MANY])
@pytest.mark.parametrize("away", [1e3, 1e6, -1e6])
def test_a_first_value_far_from_all_others_costs_no_precision(dtype: str, count: int, away: float) -> None:
    """The first value of a channel is the reference's pilot. Among many others it is not even near the mean."""
    numbers = np.random.default_rng(5)
    x = numbers.standard_normal((count, 2)).astype(dtype)
    x[0] = [away, -away / 2]
    parameters = {name: np.ones(2, dtype) for name in NAMES}
    errors = own_errors(Semantics(kept=(1,), mode="training", momentum=0.0), [x], x, parameters)
    assert max(errors.values()) <= 1 / 16, errors


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_far_first_value_in_one_channel_is_seen_beside_one_that_is_not_a_number(dtype: str) -> None:
    numbers = np.random.default_rng(6)
    far, lost = numbers.standard_normal((MANY, 2)).astype(dtype).T
    far[0], lost[3] = 1e6, np.nan
    alone, beside = (
        batch_statistics(x, Channels(x.shape, (1,))) for x in (far[:, None], np.stack([far, lost], axis=1))
    )
    for one, both in ((alone.mean, beside.mean), (alone.variance, beside.variance)):
        np.testing.assert_allclose(both.hi[0], one.hi[0], rtol=1e-12)


# Cases with known answers.


def plain(count: int, dtype: str = "float32", **values: float) -> Parameters:
    """gamma 1, beta 0, moving mean 0, moving variance 1 unless given."""
    defaults = {"gamma": 1.0, "beta": 0.0, "moving_mean": 0.0, "moving_variance": 1.0}
    return as_parameters({name: np.full(count, v, dtype) for name, v in (defaults | values).items()})


def moving_after(reference: Reference) -> list[tuple[float, float]]:
    """Mean and variance, of a single channel, after each step."""
    return [(float(step.after.mean.hi[0]), float(step.after.variance.hi[0])) for step in reference.steps]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("estimator", "variance"), [("biased", 1.25), ("unbiased", 5 / 3)])
def test_the_moving_variance_of_1_2_3_4(dtype: str, estimator: str, variance: float) -> None:
    x = np.array([[1], [2], [3], [4]], dtype)
    semantics = Semantics(kept=(1,), mode="training", momentum=0.0, moving_variance=estimator)
    assert moving_after(evaluate(semantics, [x], plain(1))) == [(2.5, pytest.approx(variance, rel=1e-15))]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("estimator", "variance"), [("biased", 1.25), ("unbiased", 5 / 3)])
def test_the_batch_variance_normalizes_the_output_and_leaves_the_moving_variance_alone(
    dtype: str, estimator: str, variance: float
) -> None:
    x = np.array([1, 2, 3, 4], dtype)
    semantics = Semantics(kept=(), mode="training", epsilon=0.0, momentum=0.0, batch_variance=estimator)
    reference = evaluate(semantics, [x], plain(1))
    expected = (np.array([1, 2, 3, 4]) - 2.5) / np.sqrt(variance)
    np.testing.assert_allclose(reference.output.output(x), expected, rtol=1e-15)
    assert moving_after(reference)[0][1] == 1.25


@pytest.mark.parametrize("dtype", DTYPES)
def test_cumulative_momentum_averages_all_steps(dtype: str) -> None:
    batches = [np.array(values, dtype) for values in ([[0], [2]], [[4], [8]], [[10], [10]])]
    semantics = Semantics(kept=(1,), mode="training", momentum="cumulative", moving_variance="unbiased")
    found = moving_after(evaluate(semantics, batches, plain(1, moving_mean=77.0, moving_variance=99.0)))
    assert found == [pytest.approx(pair, rel=1e-15) for pair in [(1.0, 2.0), (3.5, 5.0), (17 / 3, 10 / 3)]]


def test_momentum_weighs_the_old_statistic() -> None:
    x = np.array([[1], [3]], np.float32)
    semantics = Semantics(kept=(1,), mode="training", momentum=0.75)
    assert moving_after(evaluate(semantics, [x], plain(1, moving_mean=10.0, moving_variance=5.0))) == [(8.0, 4.0)]


def test_a_debiased_average_forgets_what_it_was_and_weighs_all_steps_to_one() -> None:
    batches = [np.array(values, np.float32) for values in ([[0], [2]], [[4], [8]], [[10], [10]])]
    semantics = Semantics(kept=(1,), mode="training", momentum=0.75, update="debiased")
    found = moving_after(evaluate(semantics, batches, plain(1, moving_mean=77.0, moving_variance=99.0)))
    means = [1.0, (0.75 * 1 + 6) / (0.75 + 1), (0.75**2 * 1 + 0.75 * 6 + 10) / (0.75**2 + 0.75 + 1)]
    assert [mean for mean, _ in found] == [pytest.approx(mean, rel=1e-15) for mean in means]


@pytest.mark.parametrize(("estimator", "variance"), [("biased", 1.25), ("unbiased", 5 / 3)])
def test_a_correction_is_taken_off_the_number_of_values(estimator: str, variance: float) -> None:
    x = np.array([[1], [2], [3], [4]], np.float32)
    semantics = Semantics(kept=(1,), mode="training", momentum=0.0, moving_variance=estimator, correction=1.001)
    corrected = variance * 4 / (4 - 1.001)
    assert moving_after(evaluate(semantics, [x], plain(1))) == [(2.5, pytest.approx(corrected, rel=1e-15))]


def test_momentum_1_keeps_the_old_statistic_and_0_forgets_it() -> None:
    x = np.array([[1], [3]], np.float32)
    parameters = plain(1, moving_mean=10.0, moving_variance=5.0)
    for momentum, expected in ((1.0, (10.0, 5.0)), (0.0, (2.0, 1.0))):
        reference = evaluate(Semantics(kept=(1,), mode="training", momentum=momentum), [x], parameters)
        assert moving_after(reference) == [expected]


def test_inference_uses_the_given_statistics_and_leaves_them_alone() -> None:
    x = np.array([[5.0], [7.0]], np.float32)
    parameters = plain(1, gamma=3.0, beta=10.0, moving_mean=1.0, moving_variance=4.0)
    reference = evaluate(Semantics(kept=(1,), mode="inference", epsilon=0.0), [x], parameters)
    np.testing.assert_array_equal(reference.output.output(x), [[16.0], [19.0]])
    assert reference.steps == ()
    assert (reference.moving.mean.hi[0], reference.moving.variance.hi[0]) == (1.0, 4.0)


@pytest.mark.parametrize(
    ("center", "scale", "expected"), [(True, True, 16.0), (False, True, 6.0), (True, False, 12.0), (False, False, 2.0)]
)
def test_beta_is_added_only_if_center_and_gamma_multiplies_only_if_scale(center, scale, expected) -> None:
    x = np.array([[5.0]], np.float32)
    parameters = plain(1, gamma=3.0, beta=10.0, moving_mean=1.0, moving_variance=4.0)
    semantics = Semantics(kept=(1,), mode="inference", epsilon=0.0, center=center, scale=scale)
    assert evaluate(semantics, [x], parameters).output.output(x) == expected


def test_epsilon_is_added_inside_the_root() -> None:
    x = np.array([[6.0]], np.float32)
    semantics = Semantics(kept=(1,), mode="inference", epsilon=5.0)
    assert evaluate(semantics, [x], plain(1, moving_variance=4.0)).output.output(x) == 2.0


def test_the_output_is_the_last_step_s_and_inference_uses_what_all_steps_left() -> None:
    batches = [np.array(values, np.float32) for values in ([[0], [2]], [[10], [14]])]
    semantics = Semantics(kept=(1,), mode="training", epsilon=0.0, momentum=0.5)
    reference = evaluate(semantics, batches, plain(1))
    np.testing.assert_array_equal(reference.output.output(batches[-1]), [[-1.0], [1.0]])
    assert moving_after(reference) == [(0.5, 1.0), (6.25, 2.5)]
    np.testing.assert_allclose(reference.inference.output(batches[0]), (batches[0] - 6.25) / np.sqrt(2.5), rtol=1e-15)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("value", [0.1, -3.0, 1e-4, 6e4])
def test_a_constant_channel_has_a_variance_of_exactly_zero(dtype: str, value: float) -> None:
    """However its sum would round."""
    x = np.full((7, 3, 11), value, dtype)
    statistics = batch_statistics(x, Channels(x.shape, (1,)))
    np.testing.assert_array_equal(statistics.mean.hi, x[0, :, 0].astype(np.float64))
    for exact_zero in (statistics.mean.lo, statistics.variance.hi, statistics.variance.lo):
        np.testing.assert_array_equal(exact_zero, 0.0)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_single_value_a_channel_normalizes_to_beta(dtype: str) -> None:
    x = np.array([[3.0, -7.0]], dtype)
    semantics = Semantics(kept=(1,), mode="training", momentum=0.0, moving_variance="unbiased")
    reference = evaluate(semantics, [x], plain(2, beta=0.25))
    np.testing.assert_array_equal(reference.output.output(x), [[0.25, 0.25]])
    np.testing.assert_array_equal(reference.moving.mean.hi, [3.0, -7.0])
    np.testing.assert_array_equal(reference.moving.variance.hi, 0.0)


# What is not finite. Warnings are errors, so none of these may warn.


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("poison", "mean"),
    [([np.nan], np.nan), ([np.inf], np.inf), ([-np.inf], -np.inf), ([np.inf, -np.inf], np.nan)],
    ids=["nan", "inf", "-inf", "both infinities"],
)
@pytest.mark.parametrize("first", [0, 2], ids=["from the first value on", "later"])
def test_a_value_that_is_not_finite_poisons_its_channel_and_no_other_in_training(
    dtype: str, poison: list[float], mean: float, first: int
) -> None:
    clean = np.random.default_rng(3).standard_normal((5, 3, 4)).astype(dtype)
    x = clean.copy()
    x[first, 1, : len(poison)] = poison
    semantics = Semantics(kept=(1,), mode="training", momentum=0.5, moving_variance="unbiased")
    poisoned, healthy = (evaluate(semantics, [batch], plain(3)) for batch in (x, clean))
    others = [0, 2]
    for applied in ("output", "inference"):
        got, expected = (getattr(r, applied).output(b) for r, b in ((poisoned, x), (healthy, clean)))
        np.testing.assert_array_equal(got[:, others], expected[:, others])
        assert np.isnan(got[:, 1]).all()
    for name in ("mean", "variance"):
        got, expected = (getattr(r.moving, name) for r in (poisoned, healthy))
        np.testing.assert_array_equal(got.hi[others], expected.hi[others])
        np.testing.assert_array_equal(got.lo[others], expected.lo[others])
    np.testing.assert_array_equal(poisoned.moving.mean.hi[1], mean)
    assert np.isnan(poisoned.moving.variance.hi[1])


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_value_that_is_not_finite_touches_only_itself_in_inference(dtype: str) -> None:
    x = np.array([[1.0, 2.0], [np.inf, np.nan], [-np.inf, 4.0]], dtype)
    parameters = plain(2, gamma=-2.0, beta=1.0, moving_variance=4.0)
    output = evaluate(Semantics(kept=(1,), mode="inference", epsilon=0.0), [x], parameters).output.output(x)
    np.testing.assert_array_equal(output, [[0.0, -1.0], [-np.inf, np.nan], [np.inf, -3.0]])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("estimator", ["biased", "unbiased"])
@pytest.mark.parametrize(("shape", "kept"), [((0, 3), (1,)), ((2, 3, 0), (1,)), ((0,), ())])
def test_an_empty_batch_has_no_statistics(dtype: str, estimator: str, shape, kept) -> None:
    x = np.zeros(shape, dtype)
    semantics = Semantics(kept=kept, mode="training", moving_variance=estimator)
    reference = evaluate(semantics, [x], plain(Channels(shape, kept).count))
    assert reference.output.output(x).shape == shape
    assert np.isnan(reference.moving.mean.hi).all()
    assert np.isnan(reference.moving.variance.hi).all()


def test_an_empty_batch_leaves_given_statistics_alone_in_inference() -> None:
    x = np.zeros((0, 2), np.float32)
    reference = evaluate(Semantics(kept=(1,), mode="inference"), [x], plain(2, moving_mean=3.0))
    assert reference.output.output(x).shape == (0, 2)
    np.testing.assert_array_equal(reference.moving.mean.hi, [3.0, 3.0])


def test_a_tensor_without_channels_has_no_statistics() -> None:
    x = np.zeros((4, 0), np.float32)
    reference = evaluate(Semantics(kept=(1,), mode="training"), [x], plain(0))
    assert reference.output.output(x).shape == (4, 0)
    assert reference.moving.mean.hi.shape == (0,)


@pytest.mark.parametrize("dtype", DTYPES)
def test_no_variance_and_no_epsilon_is_not_a_number(dtype: str) -> None:
    x = np.ones((4, 1), dtype)
    output = evaluate(Semantics(kept=(1,), mode="training", epsilon=0.0), [x], plain(1)).output.output(x)
    assert np.isnan(output).all()


# Large tensors are walked in blocks, by two threads.


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every tensor counts as large, and a block holds seven values."""
    monkeypatch.setattr(channels_module, "BLOCK", 7)
    monkeypatch.setattr(reference_module, "PARALLEL", 1)


def test_a_large_tensor_is_walked_by_two_threads_each_with_half_of_the_blocks(small_blocks) -> None:
    channels = Channels((5, 3, 4), (1,))
    meeting = threading.Barrier(2, timeout=30)

    def work(part):
        meeting.wait()  # passes only if both halves are under way at once
        return list(part)

    parts = in_parallel(work, channels)
    assert len(parts) == 2
    assert parts[0] + parts[1] == list(channels.blocks())


def test_a_small_tensor_is_walked_at_once() -> None:
    channels = Channels((5, 3, 4), (1,))
    assert in_parallel(list, channels) == [list(channels.blocks())]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kept", [(), (1,), (0, 2), (0, 1, 2)])
def test_large_tensors_give_the_same_as_small_ones(dtype: str, kept, request: pytest.FixtureRequest) -> None:
    x = (3 + np.random.default_rng(8).standard_normal((6, 5, 4))).astype(dtype)
    semantics, parameters = Semantics(kept=kept, mode="training"), plain(Channels(x.shape, kept).count)

    def everything() -> list[np.ndarray]:
        reference = evaluate(semantics, [x], parameters)
        statistics = reference.steps[0].batch
        return [statistics.mean.hi, statistics.variance.hi, reference.output.output(x), reference.inference.output(x)]

    at_once = everything()
    request.getfixturevalue("small_blocks")
    in_blocks, again = everything(), everything()
    for one, other, third in zip(at_once, in_blocks, again, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-13, atol=1e-13)
        np.testing.assert_array_equal(third, other)


@pytest.mark.parametrize("dtype", DTYPES)
def test_what_is_not_finite_does_not_warn_in_a_thread_either(dtype: str, small_blocks) -> None:
    """Each thread has its own settings of what NumPy warns of."""
    x = np.zeros((6, 5, 4), dtype)
    x[::3, :, :2] = [np.inf, -np.inf]
    reference = evaluate(Semantics(kept=(1,), mode="training"), [x], plain(5))
    assert np.isnan(reference.output.output(x)).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_reference_is_as_precise_on_large_tensors(dtype: str, small_blocks) -> None:
    x = (30 + np.random.default_rng(9).standard_normal((6, 5, 4))).astype(dtype)
    parameters = {name: np.ones(5, dtype) for name in NAMES}
    errors = own_errors(Semantics(kept=(1,), mode="training", momentum=0.5), [x, x[::-1].copy()], x, parameters)
    assert max(errors.values()) <= 1 / 16, errors
