"""The bound holds for honest implementations and fails wrong ones. Both are written here, in miniature, in NumPy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import ml_dtypes  # noqa: F401  (registers bfloat16 with NumPy)
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bncheck.bounds import Bounds, Errors, Rounding, _batch_errors
from bncheck.case import inputs
from bncheck.case.model import Case
from bncheck.channels import Channels
from bncheck.doubledouble import DoubleDouble
from bncheck.judge import compare
from bncheck.reference import Parameters, Reference, Statistics, Step, evaluate
from bncheck.semantics import Semantics

Array = np.ndarray
DTYPES = ("float16", "bfloat16", "float32", "float64")
NAMES = ("gamma", "beta", "moving_mean", "moving_variance")

REPEATABLE = settings(deadline=None, max_examples=60, derandomize=True)
"""The same examples in every run, so that a bound that does not hold is seen by everybody or by nobody."""


# Honest implementations: each step in the arithmetic of x, no step that a careful author would not take. Rows are
# averaged over, columns are channels.


def added_one_by_one(rows: Array) -> Array:
    return np.cumsum(rows, axis=0, dtype=rows.dtype)[-1]


def added_pairwise(rows: Array) -> Array:
    return np.ascontiguousarray(rows.T).sum(axis=1, dtype=rows.dtype)


def in_two_passes(x: Array, add: Callable[[Array], Array]) -> tuple[Array, Array]:
    count = x.dtype.type(len(x))
    mean = add(x) / count
    return mean, add(np.square(x - mean)) / count


def by_welford(x: Array) -> tuple[Array, Array]:
    mean, squares = np.zeros_like(x[0]), np.zeros_like(x[0])
    for count, row in enumerate(x, start=1):
        deviation = row - mean
        mean = mean + deviation / x.dtype.type(count)
        squares = squares + deviation * (row - mean)
    return mean, squares / x.dtype.type(len(x))


STATISTICS: dict[str, Callable[[Array], tuple[Array, Array]]] = {
    "two passes, one by one": lambda x: in_two_passes(x, added_one_by_one),
    "two passes, pairwise": lambda x: in_two_passes(x, added_pairwise),
    "Welford": by_welford,
}


def centred(x: Array, mean: Array, variance: Array, gamma: Array, beta: Array, epsilon: Any) -> Array:
    return (x - mean) * (gamma / np.sqrt(variance + epsilon)) + beta


def folded(x: Array, mean: Array, variance: Array, gamma: Array, beta: Array, epsilon: Any) -> Array:
    scale = gamma / np.sqrt(variance + epsilon)
    return x * scale + (beta - mean * scale)


NORMALIZATIONS = {"(x-m)*s + beta": centred, "x*s + (beta-m*s)": folded}

Update = Callable[[Any, Array, Array], Array]
UPDATES: dict[str, Update] = {
    "w*old + (1-w)*new": lambda w, old, new: w * old + (type(w)(1) - w) * new,
    "old - (old-new)*(1-w)": lambda w, old, new: old - (old - new) * (type(w)(1) - w),
}


@dataclass(frozen=True)
class Data:
    """A well-posed case over (values, channels): all batches, the last of them for `inference`."""

    semantics: Semantics
    batches: list[Array]
    parameters: dict[str, Array]

    @property
    def steps(self) -> list[Array]:
        return self.batches[:-1]

    @property
    def exact(self) -> Parameters:
        return Parameters(**{name: DoubleDouble.of(v.astype(np.float64)) for name, v in self.parameters.items()})


@st.composite
def well_posed(draw: st.DrawFn, dtype: str, mode: str, furthest: float = 1e4, fewest: int = 1) -> Data:
    """Means up to ``furthest`` deviations away, deviations of 1e-4 to 1e4, in float16 as far as its range goes."""
    numbers = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows, columns = draw(st.integers(fewest, 200)), 4
    shape = draw(st.sampled_from(["normal", "uniform", "rectified", "sorted", "halves"]))
    scale = 10.0 ** numbers.uniform(-4, 4, columns)
    ratio = numbers.choice([-1, 1], columns) * 10.0 ** numbers.uniform(-2, np.log10(furthest), columns)
    if dtype == "float16":  # its moving variance neither overflows nor vanishes
        scale = 10.0 ** numbers.uniform(-2, 1.5, columns)
        ratio = np.clip(ratio, -1e4 / scale, 1e4 / scale)

    def batch() -> Array:
        values = numbers.standard_normal((rows, columns))
        if shape == "uniform":
            values = numbers.uniform(-1.7, 1.7, (rows, columns))
        elif shape == "rectified":
            values = np.maximum(values, 0)
        elif shape == "sorted":
            values = np.sort(values, axis=0)
        elif shape == "halves":
            values = np.sign(values)
        return (scale * (ratio + values)).astype(dtype)

    parameters = {
        "gamma": numbers.uniform(0.5, 2.0, columns) * numbers.choice([-1, 1], columns),
        "beta": numbers.uniform(-2.0, 2.0, columns),
        "moving_mean": scale * (ratio + numbers.standard_normal(columns)),
        "moving_variance": np.square(scale) * numbers.uniform(0.5, 2.0, columns),
    }
    steps = draw(st.integers(1, 3)) if mode == "training" else 1
    semantics = Semantics(
        kept=(1,),
        mode=mode,
        epsilon=10.0 ** draw(st.floats(-8, -2)),
        momentum=draw(st.sampled_from([0.0, 0.5, 0.9, 0.99])),
        moving_variance=draw(st.sampled_from(["biased", "unbiased"])),
    )
    return Data(semantics, [batch() for _ in range(steps + 1)], {n: v.astype(dtype) for n, v in parameters.items()})


def honestly(
    data: Data, statistics: Callable[[Array], tuple[Array, Array]], normalize: Callable[..., Array], update: Update
) -> dict[str, Array]:
    """Everything in float32 (float64 for a float64 tensor), each result rounded once to the dtype."""
    dtype = data.batches[0].dtype
    inside = np.result_type(np.float32, dtype)
    epsilon, momentum = inside.type(data.semantics.epsilon), inside.type(data.semantics.momentum)
    gamma, beta, moving_mean, moving_variance = (data.parameters[name].astype(inside) for name in NAMES)
    for x in (batch.astype(inside) for batch in data.steps):
        mean, variance = moving_mean, moving_variance
        if data.semantics.mode == "training":
            mean, variance = statistics(x)
            count, entered = len(x), variance
            if data.semantics.moving_variance == "unbiased":
                entered = variance * inside.type(count / max(count - 1, 1))
            moving_mean = update(momentum, moving_mean, mean).astype(dtype).astype(inside)
            moving_variance = update(momentum, moving_variance, entered).astype(dtype).astype(inside)
        output = normalize(x, mean, variance, gamma, beta, epsilon)
    extra = data.batches[-1].astype(inside)
    inference = normalize(extra, moving_mean, moving_variance, gamma, beta, epsilon)
    found = {"output": output, "inference": inference, "moving_mean": moving_mean, "moving_variance": moving_variance}
    with np.errstate(over="ignore"):  # what lies beyond float16 is infinity there
        return {name: tensor.astype(dtype) for name, tensor in found.items()}


def expectations(reference: Reference, limits: Bounds, x: Array, extra: Array) -> dict[str, compare.Expected]:
    shape = reference.channels.statistic_shape
    mean, variance = reference.moving.mean, reference.moving.variance
    return {
        "output": compare.of_output(reference.output, x, limits.output, None),
        "inference": compare.of_output(reference.inference, extra, limits.inference, None),
        "moving_mean": compare.of_statistic(mean, limits.moving.mean, shape, None),
        "moving_variance": compare.of_statistic(variance, limits.moving.variance, shape, None),
    }


def ratios(
    semantics: Semantics, batches: Sequence[Array], parameters: Parameters, found: dict[str, Array]
) -> dict[str, float]:
    """The largest error over its bound of each tensor that was found; the last batch is that of `inference`."""
    dtype = batches[0].dtype.name
    reference = evaluate(semantics, batches[:-1], parameters)
    expected = expectations(reference, Bounds(reference, dtype, dtype), batches[-2], batches[-1])
    return {name: compare.compare(tensor, expected[name]).bound_ratio for name, tensor in found.items()}


def honest_ratios(data: Data, statistics: str, normalization: str, update: str) -> dict[str, float]:
    found = honestly(data, STATISTICS[statistics], NORMALIZATIONS[normalization], UPDATES[update])
    return ratios(data.semantics, data.batches, data.exact, found)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("statistics", STATISTICS)
@REPEATABLE
@given(data=st.data())
def test_honest_training_is_within_every_bound(
    dtype: str, normalization: str, statistics: str, data: st.DataObject
) -> None:
    case, update = data.draw(well_posed(dtype, "training")), data.draw(st.sampled_from(sorted(UPDATES)))
    found = honest_ratios(case, statistics, normalization, update)
    assert max(found.values()) <= 1, found


@pytest.mark.parametrize("offset", [30, 100, 300])
@pytest.mark.parametrize("statistics", STATISTICS)
def test_an_offset_of_many_deviations_is_within_every_bound(statistics: str, offset: int) -> None:
    """Where Welford's variance errs in the first order of the mean's error."""
    z = np.random.default_rng(offset).standard_normal((32, 400))
    x = (z + offset).astype(np.float32)
    mean, variance = STATISTICS[statistics](x)
    exact = x.astype(np.float64)
    errors = _batch_errors(exact.mean(0), exact.var(0), len(x), Rounding.of("float32"))
    assert np.max(np.abs(mean - exact.mean(0)) / errors.mean) <= 1
    assert np.max(np.abs(variance - exact.var(0)) / errors.variance) <= 1


@pytest.mark.parametrize("count", [1000, 4000, 20000])
def test_two_constant_levels_summed_one_by_one_are_within_every_bound(count: int) -> None:
    """The same rounding is repeated for a whole level: no walk, though the mean is 0."""
    first = int(0.677 * count)
    x = np.full((count, 1), 1.43897 * first / (count - first), np.float32)
    x[:first] = -1.43897
    mean, variance = STATISTICS["two passes, one by one"](x)
    exact = x.astype(np.float64)
    errors = _batch_errors(exact.mean(0), exact.var(0), count, Rounding.of("float32"))
    assert np.max(np.abs(mean - exact.mean(0)) / errors.mean) <= 1
    assert np.max(np.abs(variance - exact.var(0)) / errors.variance) <= 1


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@REPEATABLE
@given(data=st.data())
def test_honest_inference_is_within_its_bound(dtype: str, normalization: str, data: st.DataObject) -> None:
    case = data.draw(well_posed(dtype, "inference"))
    found = honest_ratios(case, "two passes, pairwise", normalization, "w*old + (1-w)*new")
    assert max(found.values()) <= 1, found


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@REPEATABLE
@given(data=st.data())
def test_a_correctly_rounded_16_bit_result_is_just_within_its_bound(dtype: str, data: st.DataObject) -> None:
    """The bound has no slack for 16-bit results: the exact output, rounded once, comes close to 1 and stays below."""
    case = data.draw(well_posed(dtype, "inference"))
    x = case.steps[0]
    reference = evaluate(case.semantics, [x], case.exact)
    rounded = reference.output.output(x).astype(dtype)
    expected = compare.of_output(reference.output, x, Bounds(reference, dtype, dtype).output, None)
    assert compare.compare(rounded, expected).bound_ratio <= 1
    next_to_it = np.nextafter(rounded, np.asarray(np.inf, dtype))
    assert rounded.size < 100 or compare.compare(next_to_it, expected).bound_ratio > 1


def test_a_correctly_rounded_result_is_within_its_bound_where_float16_is_coarse() -> None:
    """Below its smallest normal number, 2^-14, float16 has a spacing of 2^-24, however small the number is."""
    x = np.linspace(-4, 4, 101)[:, None].astype(np.float16)
    parameters = {"gamma": 2.0**-22, "beta": 0.0, "moving_mean": 0.0, "moving_variance": 1.0}
    exact = Parameters(**{name: DoubleDouble.of([value]) for name, value in parameters.items()})
    reference = evaluate(Semantics(kept=(1,), mode="inference"), [x], exact)
    rounded = reference.output.output(x).astype(np.float16)
    expected = compare.of_output(reference.output, x, Bounds(reference, "float16", "float16").output, None)
    assert 0.9 < compare.compare(rounded, expected).bound_ratio <= 1


# Wrong implementations. Exact but for the defect and one rounding to the dtype, on the data that a case without values
# has. Another axis is as long as the channels, so that the wrong axis fits.


SHAPE, CHANNELS = (6, 5, 5, 2), 1


def discriminating(dtype: str, mode: str) -> Case:
    return Case.model_validate(
        {
            "title": "a case without values",
            "input": {"shape": list(SHAPE), "layout": "NCHW", "dtype": dtype},
            "axis": CHANNELS,
            "mode": mode,
            "momentum": 0.9,
        }
    )


@dataclass(frozen=True)
class Defect:
    """What to do otherwise; by default nothing."""

    mode: str = "training"
    axis: int = CHANNELS
    epsilon: float | None = None
    outside: bool = False
    batch_divisor: int = 0
    moving_divisor: int = 0
    gamma: bool = True
    beta: bool = True
    exchanged: bool = False
    updated: bool = True
    tensors: tuple[str, ...] = ("output",)


STATISTIC_TENSORS = ("moving_mean", "moving_variance")

DEFECTS = {
    "epsilon dropped": Defect(epsilon=0.0),
    "epsilon of 1e-5": Defect(epsilon=1e-5),
    "epsilon outside the root": Defect(outside=True),
    "unbiased variance in the output": Defect(batch_divisor=1),
    "wrong axis": Defect(axis=2, tensors=("output", *STATISTIC_TENSORS)),
    "gamma ignored": Defect(gamma=False),
    "beta ignored": Defect(beta=False),
    "unbiased moving variance": Defect(moving_divisor=1, tensors=("moving_variance",)),
    "weights exchanged": Defect(exchanged=True, tensors=STATISTIC_TENSORS),
    "not updated": Defect(updated=False, tensors=STATISTIC_TENSORS),
    "epsilon dropped in inference": Defect("inference", epsilon=0.0),
    "epsilon outside the root in inference": Defect("inference", outside=True),
    "wrong axis in inference": Defect("inference", axis=2),
    "gamma ignored in inference": Defect("inference", gamma=False),
}


def wrongly(case: Case, made: inputs.Inputs, defect: Defect) -> dict[str, Array]:
    x = made.batches[0].astype(np.float64)
    averaged = tuple(a for a in range(x.ndim) if a != defect.axis)

    def along(statistic: Array) -> Array:
        return np.expand_dims(statistic, averaged)

    gamma, beta, old_mean, old_variance = (made.parameters[name].astype(np.float64) for name in NAMES)
    semantics, found = case.requested, {}
    mean, variance = old_mean, old_variance
    if semantics.mode == "training":
        count = x.size // x.shape[defect.axis]
        mean, squares = x.mean(axis=averaged), x.var(axis=averaged) * count
        old, new = semantics.momentum, 1 - semantics.momentum
        if defect.exchanged:
            old, new = new, old
        if not defect.updated:
            old, new = 1.0, 0.0
        variance = squares / (count - defect.batch_divisor)
        found["moving_mean"] = old * old_mean + new * mean
        found["moving_variance"] = old * old_variance + new * squares / (count - defect.moving_divisor)
    epsilon = semantics.epsilon if defect.epsilon is None else defect.epsilon
    deviation = np.sqrt(variance) + epsilon if defect.outside else np.sqrt(variance + epsilon)
    found["output"] = (x - along(mean)) / along(deviation)
    if defect.gamma:
        found["output"] = found["output"] * along(gamma)
    if defect.beta:
        found["output"] = found["output"] + along(beta)
    return {name: tensor.astype(made.batches[0].dtype) for name, tensor in found.items()}


def wrong_ratios(dtype: str, defect: Defect) -> dict[str, float]:
    case = discriminating(dtype, defect.mode)
    made = inputs.make(case)
    found = wrongly(case, made, defect)
    return ratios(case.requested, [*made.batches, made.batches[-1]], made.exact, found)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mode", ["training", "inference"])
def test_without_a_defect_the_result_is_within_every_bound(dtype: str, mode: str) -> None:
    found = wrong_ratios(dtype, Defect(mode))
    assert max(found.values()) <= 1, found


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", DEFECTS)
def test_a_defect_shows_beyond_the_bound_in_what_it_touches_and_nowhere_else(dtype: str, name: str) -> None:
    defect = DEFECTS[name]
    found = wrong_ratios(dtype, defect)
    assert {tensor for tensor, ratio in found.items() if ratio > 1} == set(defect.tensors), found


# 16 bits inside: only for implementations that document it.


def in_16_bits(data: Data) -> Array:
    """`folded`, but statistics, scale and shift are held in the tensor's dtype."""
    dtype = data.batches[0].dtype

    def held(values: Array) -> Array:
        return np.asarray(values, np.float32).astype(dtype).astype(np.float32)

    x = data.steps[-1].astype(np.float32)
    gamma, beta, mean, variance = (data.parameters[name].astype(np.float32) for name in NAMES)
    if data.semantics.mode == "training":
        mean, variance = (held(statistic) for statistic in in_two_passes(x, added_pairwise))
    deviation = held(np.sqrt(held(variance + held(data.semantics.epsilon))))
    scale = held(gamma / deviation)
    return held(held(x * scale) + held(beta - held(mean * scale))).astype(dtype)


def ratio_in_16_bits(data: Data, precision: str) -> float:
    semantics = replace(data.semantics, precision=precision)
    return ratios(semantics, data.batches, data.exact, {"output": in_16_bits(data)})["output"]


@pytest.mark.parametrize(
    ("dtype", "mode"), [("bfloat16", "training"), ("bfloat16", "inference"), ("float16", "inference")]
)
@REPEATABLE
@given(data=st.data())
def test_scale_and_shift_in_16_bits_are_within_the_narrow_bound(dtype: str, mode: str, data: st.DataObject) -> None:
    """Where nothing overflows 16 bits on the way."""
    assert ratio_in_16_bits(data.draw(well_posed(dtype, mode, furthest=10.0)), "narrow") <= 1


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_scale_in_16_bits_is_within_the_narrow_bound_where_only_it_errs(dtype: str) -> None:
    """No mean and no beta, so that nothing but the roundings of the scale, the product and the result is allowed."""
    numbers = np.random.default_rng(7)
    columns = 2000
    ones = np.ones(columns, dtype)
    parameters = {
        "gamma": numbers.uniform(0.5, 2.0, columns).astype(dtype),
        "beta": 0 * ones,
        "moving_mean": 0 * ones,
        "moving_variance": numbers.uniform(0.01, 1.0, columns).astype(dtype),
    }
    x = numbers.standard_normal((20, columns)).astype(dtype)
    data = Data(Semantics(kept=(1,), mode="inference", epsilon=0.01), [x, x], parameters)
    assert ratio_in_16_bits(data, "narrow") <= 1


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("mode", ["training", "inference"])
def test_scale_and_shift_in_16_bits_are_beyond_the_bound_that_holds_where_none_is_documented(
    dtype: str, mode: str
) -> None:
    case = discriminating(dtype, mode)
    made = inputs.make(case)
    rows = np.moveaxis(made.batches[0], CHANNELS, -1).reshape(-1, SHAPE[CHANNELS])
    data = Data(replace(case.requested, kept=(1,)), [rows, rows], made.parameters)
    assert ratio_in_16_bits(data, "wide") > 1
    assert ratio_in_16_bits(data, "narrow") <= 1


# The bound itself.


@pytest.mark.parametrize(
    ("dtype", "arithmetic", "result", "spacing", "flushed", "largest"),
    [
        ("float16", 2.0**-24, 2.0**-11, 2.0**-25, 2.0**-126, (2 - 2.0**-23) * 2.0**127),
        ("bfloat16", 2.0**-24, 2.0**-8, 2.0**-134, 2.0**-126, (2 - 2.0**-23) * 2.0**127),
        ("float32", 2.0**-24, 0.0, 0.0, 2.0**-126, (2 - 2.0**-23) * 2.0**127),
        ("float64", 2.0**-53, 0.0, 0.0, 2.0**-1022, (2 - 2.0**-52) * 2.0**1023),
    ],
)
def test_the_roundoffs_of_each_dtype(dtype, arithmetic, result, spacing, flushed, largest) -> None:
    assert Rounding.of(dtype) == Rounding(arithmetic, result, spacing, flushed, largest)


def summarized(
    values: int, mean: float, variance: float, *, epsilon: float = 1e-3, mode: str = "training"
) -> Reference:
    """The reference of a tensor of which only its statistics are known; gamma is 2, beta 3, the old weight 0."""
    gamma, beta = DoubleDouble.of([2.0]), DoubleDouble.of([3.0])
    statistics = Statistics(DoubleDouble.of([mean]), DoubleDouble.of([variance]))
    channels = Channels((values, 1), (1,))
    steps = ()
    if mode == "training":
        steps = (Step(statistics, DoubleDouble.of(0.0), entered=statistics, before=statistics, after=statistics),)

    semantics = Semantics(kept=(1,), mode=mode, epsilon=epsilon, momentum=0.0)
    parameters = Parameters(gamma, beta, statistics.mean, statistics.variance)
    return Reference(semantics, channels, channels.values, channels, parameters, steps, statistics, precise=False)


@settings(deadline=None)
@given(
    x=st.floats(-1e4, 1e4),
    mean=st.floats(-1e4, 1e4),
    variance=st.floats(1e-8, 1e8),
    epsilon=st.sampled_from([0.0, 1e-5, 1e-3]),
)
def test_two_numbers_a_channel_cover_all_terms_of_the_bound_and_no_more_than_twice(
    x: float, mean: float, variance: float, epsilon: float
) -> None:
    """The five terms of the derivation, written out for one element, against what is applied to large tensors."""
    u, gamma, beta = 2.0**-24, 2.0, 3.0
    limit = Bounds(summarized(8, mean, variance, epsilon=epsilon, mode="inference"), "float32", "float32").output
    scale = gamma / np.sqrt(variance + epsilon)
    scaled = (x - mean) * scale
    shift = beta - mean * scale
    terms = u * (8 * abs(scaled) + abs(x * scale) + abs(mean * scale) + abs(shift) + abs(scaled + beta))
    applied = limit.slope[0] * abs(scaled) + limit.floor[0]
    assert terms * (1 - 1e-9) <= applied <= 2 * terms


def test_given_statistics_have_no_error_however_many_values_they_summarize() -> None:
    few, many = (Bounds(summarized(n, 10.0, 1.0, mode="inference"), "float32", "float32") for n in (8, 10**7))
    for name in ("slope", "floor", "mean_error", "variance_error"):
        np.testing.assert_array_equal(getattr(few.output, name), getattr(many.output, name))
    np.testing.assert_array_equal([few.output.mean_error, few.output.variance_error], 0.0)
    assert isinstance(few.moving, Errors)
    np.testing.assert_array_equal([few.moving.mean, few.moving.variance], 0.0)


@pytest.mark.parametrize("distance", [0.0, 10.0])
def test_what_the_batch_s_own_statistics_may_be_off_by_grows_with_how_many_values_they_summarize(
    distance: float,
) -> None:
    few, many = (Bounds(summarized(n, distance, 1.0), "float32", "float32") for n in (100, 10_000))
    assert (few.output.slope < many.output.slope).all()
    assert (few.output.floor < many.output.floor).all()
    assert (few.moving.mean < many.moving.mean).all()
    assert (few.moving.variance < many.moving.variance).all()


def test_an_unbiased_moving_variance_may_be_off_by_as_much_more_as_it_is_larger() -> None:
    x = np.array([[1000], [1001]], np.float32)
    parameters = Parameters(*(DoubleDouble.of([value]) for value in (1.0, 0.0, 0.0, 0.0)))
    biased, unbiased = (
        Bounds(
            evaluate(Semantics((1,), "training", momentum=0.0, moving_variance=estimator), [x], parameters),
            "float32",
            "float32",
        )
        for estimator in ("biased", "unbiased")
    )
    np.testing.assert_allclose(unbiased.moving.variance, 2 * biased.moving.variance, rtol=1e-12)


def test_float64_is_held_to_float64_s_roundoff() -> None:
    reference = summarized(100, 3.0, 1.0)
    narrow, wide = (Bounds(reference, dtype, dtype) for dtype in ("float64", "float32"))
    for name in ("slope", "floor"):
        np.testing.assert_allclose(
            getattr(narrow.output, name), getattr(wide.output, name) * 2.0**-29, rtol=0.05, atol=0
        )


@pytest.mark.parametrize(
    ("values", "distance", "dtype", "epsilon", "mode", "weak"),
    [
        (10**6, 10.0, "float32", 1e-3, "training", True),
        (10**6, 10.0, "float16", 1e-3, "training", True),
        (10**6, 5.0, "float32", 1e-3, "training", True),
        (10**7, 0.0, "float32", 1e-3, "training", True),
        (10**6, 10.0, "float64", 1e-3, "training", False),
        (10**6, 10.0, "float32", 1e3, "training", False),
        (10**6, 10.0, "float32", 1e-3, "inference", False),
        (10**4, 10.0, "float32", 1e-3, "training", False),
        (480, 5.0, "bfloat16", 1e-3, "training", False),
        (2, 1e3, "float32", 1e-3, "training", False),
    ],
)
def test_the_bound_is_weak_where_statistics_may_be_off_by_a_tenth(
    values: int, distance: float, dtype: str, epsilon: float, mode: str, weak: bool
) -> None:
    """A tenth of a deviation, or of the variance; where epsilon is far greater than the variance, of that."""
    reference = summarized(values, distance, 1.0, epsilon=epsilon, mode=mode)
    assert Bounds(reference, dtype, dtype).output.weak is weak


@pytest.mark.parametrize("mode", ["training", "inference"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_bound_is_not_weak_on_small_cases_without_values(dtype: str, mode: str) -> None:
    case = discriminating(dtype, mode)
    made = inputs.make(case)
    limits = Bounds(evaluate(case.requested, made.batches, made.exact), dtype, dtype)
    assert not limits.output.weak
    assert not limits.inference.weak
