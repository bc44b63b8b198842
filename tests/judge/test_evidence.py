"""Evidence below the bound: honest arithmetic shows none, whatever the data; what is wrong shows where elements do not.

The implementations here are miniatures in float32, so that what they get wrong, and how they sum, is known.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bncheck import channels, reference
from bncheck.bounds import Bounds
from bncheck.doubledouble import DoubleDouble
from bncheck.formats import Format
from bncheck.judge import compare
from bncheck.judge.evidence import Finding, evidence, lines, readings
from bncheck.reference import Normalization, Parameters, Tensor, evaluate
from bncheck.semantics import Semantics

single = np.float32

Sum = Callable[[Tensor], Tensor]
Statistics = Callable[[Tensor], tuple[Tensor, Tensor]]
Form = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]


def sequential(values: Tensor) -> Tensor:
    return np.add.accumulate(values, axis=0)[-1]


def pairwise(values: Tensor) -> Tensor:
    return np.ascontiguousarray(values.T).sum(axis=1)


def blocked(values: Tensor) -> Tensor:
    return sequential(np.stack([sequential(part) for part in np.array_split(values, max(1, len(values) // 50))]))


def two_pass(total: Sum) -> Statistics:
    def statistics(x: Tensor) -> tuple[Tensor, Tensor]:
        n = single(len(x))
        mean = total(x) / n
        return mean, total((x - mean) ** 2) / n

    return statistics


def one_pass(total: Sum) -> Statistics:
    def statistics(x: Tensor) -> tuple[Tensor, Tensor]:
        n = single(len(x))
        mean = total(x) / n
        return mean, np.maximum(total(x * x) / n - mean * mean, 0)

    return statistics


def welford(x: Tensor) -> tuple[Tensor, Tensor]:
    mean, squares = x[0].copy(), np.zeros_like(x[0])
    for count, row in enumerate(x[1:], start=2):
        deviation = row - mean
        mean = mean + deviation / single(count)
        squares = squares + deviation * (row - mean)
    return mean, squares / single(len(x))


def unbiased(x: Tensor) -> tuple[Tensor, Tensor]:
    return x.mean(0, dtype=np.float64).astype(single), x.var(0, ddof=1, dtype=np.float64).astype(single)


def scale_and_shift(x: Tensor, mean: Tensor, root: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
    scale = gamma / root
    return x * scale + (beta - mean * scale)


def subtract_and_scale(x: Tensor, mean: Tensor, root: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
    return (x - mean) * (gamma / root) + beta


def divide(x: Tensor, mean: Tensor, root: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
    return (x - mean) / root * gamma + beta


HONEST: dict[str, Statistics] = {
    "sequential": two_pass(sequential),
    "pairwise": two_pass(pairwise),
    "blocked": two_pass(blocked),
    "welford": welford,
}
FORMS: list[Form] = [scale_and_shift, subtract_and_scale, divide]
DATA: dict[str, Callable[[np.random.Generator, int], Tensor]] = {
    "normal": lambda rng, n: rng.standard_normal(n),
    "uniform": lambda rng, n: rng.uniform(-1, 1, n),
    "half tied": lambda rng, n: np.maximum(rng.standard_normal(n), 0),
    "two values": lambda rng, n: np.resize([0.0, 1.0, 1.0], n),
    "few values": lambda rng, n: rng.integers(0, 5, n).astype(float),
    "sorted": lambda rng, n: np.sort(rng.standard_normal(n)),
    "sorted down": lambda rng, n: -np.sort(rng.standard_normal(n)),
    "linear": lambda rng, n: np.linspace(-1, 1, n),
    "log-normal": lambda rng, n: np.exp(rng.standard_normal(n)),
    "an outlier first": lambda rng, n: np.r_[np.sqrt(n), 1e-3 * rng.standard_normal(n - 1)],
}


def batch(rng: np.random.Generator, n: int, offsets: list[float], kinds: list[str] | None = None) -> Tensor:
    """Channels of data (of every kind, if none is given) with means of so many standard deviations."""
    columns = []
    for c, offset in enumerate(offsets):
        kind = (kinds or list(DATA))[c % len(kinds or DATA)]
        values = DATA[kind](rng, n)
        columns.append(((values - values.mean()) / (values.std() or 1) + offset) * 10 ** rng.uniform(-2, 2))
    return np.stack(columns, axis=1).astype(single)


class Applied:
    """One batch of shape (n, channels), what should become of it, and what an implementation makes of it."""

    def __init__(self, x: Tensor, rng: np.random.Generator, epsilon: float = 1e-6, mode: str = "training") -> None:
        count = x.shape[1]
        self.x, self.epsilon = x, epsilon
        self.gamma = (rng.uniform(0.5, 2, count) * rng.choice([-1, 1], count)).astype(single)
        self.beta = rng.uniform(-2, 2, count).astype(single)
        self.moving_mean = (x.mean(0) + x.std(0)).astype(single)
        self.moving_variance = (1.5 * x.var(0)).astype(single)
        exact = (DoubleDouble.of(p) for p in (self.gamma, self.beta, self.moving_mean, self.moving_variance))
        semantics = Semantics(kept=(1,), mode=mode, epsilon=epsilon)  # type: ignore[arg-type]
        self.reference = evaluate(semantics, [x], Parameters(*exact))

    @property
    def normalization(self) -> Normalization:
        return self.reference.output

    def actual(self, statistics: Statistics, form: Form = scale_and_shift, epsilon: float | None = None) -> Tensor:
        if self.normalization.batch:
            mean, variance = statistics(self.x)
        else:
            mean, variance = self.moving_mean, self.moving_variance
        root = np.sqrt(variance + single(self.epsilon if epsilon is None else epsilon))
        result = form(self.x, mean, root, self.gamma, self.beta)
        assert result.dtype == single
        return result

    def within_bound(self, actual: Tensor) -> bool:
        limit = Bounds(self.reference, "float32", "float32").output
        return compare.compare(actual, compare.of_output(self.normalization, self.x, limit, None)).within

    def evidence(self, actual: Tensor) -> dict[str, Finding]:
        return {f.kind: f for f in evidence(lines(actual, self.x, self.normalization), self.normalization)}


@pytest.mark.parametrize("form", FORMS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("name", HONEST)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(3, 1500), spread=st.floats(0, 4))
def test_honest_training_shows_neither_a_wrong_slope_nor_cancellation(
    name: str, form: Form, seed: int, n: int, spread: float
) -> None:
    rng = np.random.default_rng(seed)
    offsets = [0.0, *(10 ** rng.uniform(0, spread, len(DATA)) * rng.choice([-1, 1], len(DATA)))]
    applied = Applied(batch(rng, n, offsets), rng, epsilon=10 ** rng.uniform(-8, -2))
    found = readings(lines(applied.actual(HONEST[name], form), applied.x, applied.normalization), applied.normalization)
    assert found is not None
    assert found.slope.max() <= 1
    assert found.cancellation.max() <= 1


@pytest.mark.parametrize("form", FORMS, ids=lambda f: f.__name__)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(3, 1500))
def test_honest_inference_shows_nothing(form: Form, seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    applied = Applied(batch(rng, n, list(10 ** rng.uniform(-1, 4, len(DATA)))), rng, mode="inference")
    assert applied.evidence(applied.actual(welford, form)) == {}


@pytest.mark.parametrize("name", HONEST)
@pytest.mark.parametrize("n", [3000, 30_000])
def test_an_epsilon_that_hides_below_the_bound_in_training_moves_the_slope(name: str, n: int) -> None:
    rng = np.random.default_rng(0)
    x = batch(rng, n, [100.0, -300.0, 200.0], ["normal"])
    smallest = float(x.var(0).min())
    applied = Applied(x, rng, epsilon=0.1 * smallest)
    actual = applied.actual(HONEST[name], epsilon=0.12 * smallest)
    assert applied.within_bound(actual)
    slope = applied.evidence(actual)["slope"]
    assert slope.channel == (int(x.var(0).argmin()),)
    assert slope.ratio > 1
    assert slope.size == pytest.approx(np.sqrt(1.1 / 1.12) - 1, rel=0.2)
    assert "is too small by" in slope.message


@pytest.mark.parametrize("total", [sequential, pairwise], ids=lambda t: t.__name__)
@pytest.mark.parametrize(("n", "offset"), [(64, 100.0), (300, 200.0), (1000, 300.0), (1000, 1000.0)])
def test_a_one_pass_variance_that_hides_below_the_bound_is_cancellation(total: Sum, n: int, offset: float) -> None:
    found = hidden = 0
    for seed in range(10):
        rng = np.random.default_rng(seed)
        applied = Applied(batch(rng, n, [0.7 * offset, -offset], ["normal", "uniform"]), rng)
        actual = applied.actual(one_pass(total))
        # Of a variance lost altogether (a negative one) nothing hides.
        hidden += applied.within_bound(actual)
        found += "cancellation" in applied.evidence(actual)
    assert found >= 8
    assert hidden or offset**2 > 10 * n


def test_what_cancellation_says() -> None:
    rng = np.random.default_rng(0)
    applied = Applied(batch(rng, 300, [0.0, 200.0, 1.0], ["normal"]), rng)
    actual = applied.actual(one_pass(pairwise))
    assert applied.within_bound(actual)
    found = applied.evidence(actual)["cancellation"]
    _, variance = one_pass(pairwise)(applied.x)
    exact = applied.x.var(0, dtype=np.float64)
    assert found.channel == (1,)
    assert found.size == pytest.approx(variance[1] / exact[1] - 1, rel=0.05)
    assert "E[x^2] - E[x]^2" in found.message
    assert "200 standard deviations" in found.message


def test_an_unbiased_variance_that_hides_below_the_bound_moves_the_slope() -> None:
    rng = np.random.default_rng(0)
    applied = Applied(batch(rng, 500, [100.0, -300.0, 200.0], ["normal"]), rng)
    actual = applied.actual(unbiased)
    assert applied.within_bound(actual)
    slope = applied.evidence(actual)["slope"]
    assert slope.size == pytest.approx(np.sqrt(499 / 500) - 1, rel=0.05)


def test_an_epsilon_is_not_called_cancellation_where_squares_lose_less() -> None:
    rng = np.random.default_rng(0)
    x = batch(rng, 1000, [1.0, 50.0], ["normal"])
    applied = Applied(x, rng, epsilon=0.1 * float(x.var(0).max()))
    assert set(applied.evidence(applied.actual(HONEST["pairwise"], epsilon=1.2 * applied.epsilon))) == {"slope"}


@pytest.mark.parametrize("form", FORMS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("kind", ["normal", "uniform", "log-normal", "linear", "half tied"])
def test_a_sum_that_drifts_is_accumulation_and_nothing_else(kind: str, form: Form) -> None:
    rng = np.random.default_rng(0)
    applied = Applied(batch(rng, 100_000, [0.0, 100.0, 0.0], [kind]), rng)
    actual = applied.actual(two_pass(sequential), form)
    assert applied.within_bound(actual)
    found = applied.evidence(actual)
    assert set(found) == {"accumulation"}
    drift = found["accumulation"]
    mean, _ = two_pass(sequential)(applied.x)
    off = (mean - applied.normalization.mean.hi) / np.sqrt(applied.normalization.variance.hi)
    assert drift.channel == (1,)
    assert drift.ratio > 1
    assert drift.size == pytest.approx(off[1], abs=2**-24 * 2 * 100)
    assert "100,000 values one after another" in drift.message
    assert applied.evidence(applied.actual(two_pass(pairwise), form)) == {}


def test_a_drift_beyond_a_standard_deviation_is_still_accumulation() -> None:
    rng = np.random.default_rng(0)
    applied = Applied(batch(rng, 1_000_000, [200.0], ["normal"]), rng)
    found = applied.evidence(applied.actual(two_pass(sequential), subtract_and_scale))
    assert set(found) == {"accumulation"}
    assert abs(found["accumulation"].size) > 0.3


def test_noise_on_top_of_a_drift_is_not_accumulation() -> None:
    rng = np.random.default_rng(0)
    applied = Applied(batch(rng, 100_000, [30.0], ["normal"]), rng)
    noisy = applied.actual(two_pass(sequential)) + (1e-3 * rng.standard_normal(applied.x.shape)).astype(single)
    assert applied.within_bound(noisy)
    assert "accumulation" not in applied.evidence(noisy)


@pytest.mark.parametrize("kept", [(1,), (0,), (0, 2), (3,), (1, 3), ()])
@pytest.mark.parametrize("block", [16, 100, 1 << 17])
def test_blocks_threads_and_axes_change_nothing(
    kept: tuple[int, ...], block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    x = (rng.standard_normal((5, 6, 7, 8)) + np.arange(5).reshape(5, 1, 1, 1) * 10).astype(single)
    count = int(np.prod([x.shape[a] for a in kept]))
    one, zero = DoubleDouble.of(np.ones(count)), DoubleDouble.of(np.zeros(count))
    applied = evaluate(Semantics(kept=kept, mode="training"), [x], Parameters(one, zero, zero, one)).output
    actual = (applied.output(x) * (1 + 1e-3) + 1e-4).astype(single)
    expected = np.mean((actual - applied.output(x)), axis=tuple(a for a in range(4) if a not in kept)).reshape(-1)
    whole = readings(lines(actual, x, applied), applied)
    monkeypatch.setattr(channels, "BLOCK", block)
    monkeypatch.setattr(reference, "PARALLEL", 0)
    parts = readings(lines(actual, x, applied), applied)
    assert whole is not None
    assert parts is not None
    assert whole.slope_error == pytest.approx(np.full(count, 1e-3), rel=1e-2)
    drift = -expected / applied.scale.hi / np.sqrt(applied.variance.hi) / (1 + whole.slope_error)
    assert whole.drift == pytest.approx(drift)
    assert parts.slope_error == pytest.approx(whole.slope_error)
    assert parts.drift == pytest.approx(whole.drift)
    assert evidence(lines(actual, x, applied), applied)[0].channel in set(
        np.ndindex(applied.channels.statistic_shape or (1,))
    )


def test_one_statistic_for_everything_has_the_channel_zero() -> None:
    x = np.random.default_rng(0).standard_normal((40, 5)).astype(single)
    one, zero = DoubleDouble.of(np.ones(1)), DoubleDouble.of(np.zeros(1))
    applied = evaluate(Semantics(kept=(), mode="training"), [x], Parameters(one, zero, zero, one)).output
    found = evidence(lines((applied.output(x) * 1.01).astype(single), x, applied), applied)
    assert [(f.kind, f.channel) for f in found] == [("slope", (0,))]


def wrong(x: Tensor, gamma: float = 1.5) -> tuple[Tensor, Normalization]:
    """An output whose slopes are all off by 1 %, and what it should be."""
    count = x.shape[1]
    with np.errstate(all="ignore"):
        numbers = (np.full(count, value) for value in (gamma, 0.3, 0.0, 1.0))
        applied = evaluate(
            Semantics(kept=(1,), mode="training"), [x], Parameters(*(DoubleDouble.of(v) for v in numbers))
        ).output
        return (1.01 * (applied.output(x) - 0.3) + 0.3).astype(x.dtype), applied


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_only_float32_is_judged(dtype: str) -> None:
    x = np.random.default_rng(0).standard_normal((40, 3))
    actual, applied = wrong(x.astype(single))
    assert {f.kind for f in evidence(lines(actual, x.astype(single), applied), applied)} >= {"slope"}
    other = x.astype(Format.of(dtype).dtype)
    actual, applied = wrong(other)
    assert actual.dtype == other.dtype
    assert lines(actual, other, applied) is None


@pytest.mark.parametrize(
    ("spoil", "gamma"),
    [
        (lambda x: x[:2], 1.5),
        (lambda x: x[:0], 1.5),
        (lambda x: x, 0.0),
        (np.ones_like, 1.5),
        (lambda x: np.where(x == x[0], np.nan, x), 1.5),
        (lambda x: np.where(x == x[0], np.inf, x), 1.5),
        (lambda x: x * single(1e19), 1.5),
    ],
    ids=["two values", "none", "gamma 0", "constant", "nan", "infinity", "squares that overflow"],
)
def test_channels_without_a_slope_to_judge_are_left_out(spoil: Callable[[Tensor], Tensor], gamma: float) -> None:
    x = spoil(np.random.default_rng(0).standard_normal((40, 3)).astype(single))
    actual, applied = wrong(x, gamma)
    assert evidence(lines(actual, x, applied), applied) == []


def test_one_channel_that_is_not_finite_does_not_hide_another() -> None:
    x = np.random.default_rng(0).standard_normal((40, 3)).astype(single)
    actual, applied = wrong(x)
    actual[3, 0] = np.nan
    actual[:, 1] = applied.output(x)[:, 1]
    assert {f.channel for f in evidence(lines(actual, x, applied), applied)} == {(2,)}


def test_statistics_that_training_left_behind_are_judged_where_they_are_stored() -> None:
    x = np.random.default_rng(0).standard_normal((40, 3)).astype(single)
    one, zero = DoubleDouble.of(np.ones(3)), DoubleDouble.of(np.zeros(3))
    made = evaluate(Semantics(kept=(1,), mode="training"), [x], Parameters(one, zero, zero, one))
    assert lines((1.01 * made.inference.output(x)).astype(single), x, made.inference) is None
