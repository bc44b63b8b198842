"""The one implementation of batch normalization that every result is judged against.

It follows a `Semantics` record in float64 or better. Per-channel numbers are double-double always, since they cost
nothing. The two passes over the tensor (statistics, output) are double-double for float64 tensors and float64 for all
others; the comparison makes the second one block by block, so a large tensor costs no large temporary.

Its own error is at most 1/16 of the bound in `bncheck.bounds` (measured: 2e-9 of it for float32, 2e-15 for float64);
the tests prove it against mpmath.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from bncheck.channels import Channels, Index
from bncheck.doubledouble import Array, DoubleDouble
from bncheck.masks import Mask
from bncheck.placement import divisor, weight_of_variance
from bncheck.semantics import Estimator, Placement, Semantics

Tensor = NDArray[Any]
T = TypeVar("T")

PARALLEL = 1 << 22
"""Tensors of at least so many values are walked by two threads (NumPy's inner loops release the GIL)."""


@dataclass(frozen=True, eq=False)
class Parameters:
    """gamma, beta, moving_mean and moving_variance: one number a channel, flat, in the tensor's order of channels.

    Values exactly as the case's dtype holds them. gamma and beta are ones and zeros where the case has none.
    """

    gamma: DoubleDouble
    beta: DoubleDouble
    moving_mean: DoubleDouble
    moving_variance: DoubleDouble


@dataclass(frozen=True, eq=False)
class Statistics:
    """The mean and the biased variance of each channel."""

    mean: DoubleDouble
    variance: DoubleDouble


@dataclass(frozen=True, eq=False)
class Step:
    """One training step: the batch's statistics, what entered the moving ones, and those before and after.

    ``before`` and ``entered`` are what is blended into each of the two, whichever they are of.
    """

    batch: Statistics
    weight_of_old: DoubleDouble
    entered: Statistics
    before: Statistics
    after: Statistics


@dataclass(frozen=True, eq=False)
class Normalization:
    """What one application does to each channel: ``(x - mean)*scale + beta``.

    ``scale`` is ``gamma/divisor``, and the divisor ``sqrt(variance + epsilon)`` unless epsilon is placed elsewhere.
    ``batch``: mean and variance are those of the batch itself; ``steps_before`` is how many training steps have gone
    into the moving statistics that it uses otherwise.
    """

    channels: Channels
    mean: DoubleDouble
    variance: DoubleDouble
    epsilon: float
    gamma: DoubleDouble
    beta: DoubleDouble
    divisor: DoubleDouble
    scale: DoubleDouble
    batch: bool
    steps_before: int
    precise: bool
    placement: Placement = "inside"

    def at(self, block: Tensor, where: Index) -> tuple[Array, Array, Array | None]:
        """``(x - mean)*scale``, the output, and what its float64 leaves over (None where that is negligible)."""
        spread = self.channels.spread
        if not self.precise:
            scaled = np.subtract(block, spread(self.mean.hi)[where], dtype=np.float64)
            scaled *= spread(self.scale.hi)[where]
            return scaled, scaled + spread(self.beta.hi)[where], None

        def pick(value: DoubleDouble) -> DoubleDouble:
            return DoubleDouble(spread(value.hi)[where], spread(value.lo)[where])

        product = (DoubleDouble.of(block) - pick(self.mean)) * pick(self.scale)
        output = product + pick(self.beta)
        return product.hi, output.hi, output.lo

    def output(self, tensor: Tensor) -> Array:
        """The whole output in float64, for small tensors."""
        view = self.channels.view(tensor)
        result = np.empty(view.shape)
        with np.errstate(all="ignore"):
            for index in self.channels.blocks():
                result[index] = self.at(view[index], self.channels.of(index))[1]
        return result.reshape(tensor.shape)

    @property
    def weight_of_variance(self) -> Array:
        """By how much of itself the divisor's square changes for a change of the variance by 1."""
        return weight_of_variance(self.variance.hi, self.epsilon, self.placement)


@dataclass(frozen=True, eq=False)
class Reference:
    """What a case's tensors should be under one reading.

    ``channels`` are those of the statistics, each of which averages ``values``; ``parameters`` lie along ``along``. An
    output can be had of it as a whole where statistics keep these axes; element by element (`normalize`) always.
    """

    semantics: Semantics
    channels: Channels
    values: int
    along: Channels
    parameters: Parameters
    steps: tuple[Step, ...]
    moving: Statistics
    precise: bool

    @cached_property
    def output(self) -> Normalization:
        """The application to the last batch."""
        used, batch, steps_before = self.used
        return self._whole(used, batch=batch, steps_before=steps_before)

    @cached_property
    def inference(self) -> Normalization:
        """The application, in inference, of the moving statistics that are left at the end."""
        return self._whole(self.moving, batch=False, steps_before=len(self.steps))

    @property
    def used(self) -> tuple[Statistics, bool, int]:
        """The statistics that normalize the last batch; whether they are its own (and have ``channels``, all others
        ``along``); and the number of steps that have gone into them otherwise."""
        if self.semantics.normalizes_by == "batch":
            return self.steps[-1].batch, True, len(self.steps) - 1
        if self.semantics.normalizes_by == "updated" or not self.steps:
            return self.moving, False, len(self.steps)
        return self.steps[-1].before, False, len(self.steps) - 1

    def _whole(self, used: Statistics, *, batch: bool, steps_before: int) -> Normalization:
        channels = self.channels if batch else self.along
        assert set(channels.kept) >= set(self.along.kept)
        parameters = self.parameters
        if channels != self.along:
            parameters = Parameters(*(_laid(value, self.along, channels) for value in vars(parameters).values()))
        with np.errstate(all="ignore"):
            return normalize(
                self.semantics,
                used,
                parameters,
                channels,
                values=self.values,
                batch=batch,
                steps_before=steps_before,
                precise=self.precise,
            )


def evaluate(
    semantics: Semantics,
    batches: Sequence[Tensor],
    parameters: Parameters,
    statistics: Callable[[Tensor, Channels], Statistics] | None = None,
    mask: Mask | None = None,
) -> Reference:
    """Apply batch normalization as ``semantics`` reads it: a training step on each batch, or inference on the first.

    ``batches`` are the tensors of all steps, each of one shape and dtype; in training, ``output`` is the last step's.
    Statistics that are not finite (an empty batch, an infinity in a channel) come out as NaN or infinity, as IEEE 754
    has them. ``statistics`` is `batch_statistics`, or a function that remembers what it found. ``mask`` says which
    values of each batch enter them.
    """
    statistics = statistics or batch_statistics
    first = batches[0]
    shape = first.shape if semantics.order is None else tuple(first.shape[a] for a in semantics.order)
    channels = Channels(shape, semantics.kept)
    along = channels if semantics.along is None else Channels(shape, semantics.along)
    if semantics.virtual is not None:
        channels, along = channels.divided(semantics.virtual, semantics.adjacent)

    def entering(batch: Tensor) -> tuple[Tensor, Channels]:
        if mask is None or semantics.mask is None:
            return batch, channels
        return mask.entering(batch, channels, semantics.mask)

    values = entering(first)[1].values
    with np.errstate(all="ignore"):
        moving = Statistics(parameters.moving_mean, parameters.moving_variance)
        steps: list[Step] = []
        if semantics.updates != "none" or semantics.normalizes_by == "batch" or semantics.mode == "training":
            for number, batch in enumerate(batches, start=1):
                step = _step(semantics, number, statistics(*entering(batch)), moving, channels, along, values)
                steps.append(step)
                moving = step.after
        precise = first.dtype == np.float64
        return Reference(semantics, channels, values, along, parameters, tuple(steps), moving, precise)


def normalize(
    semantics: Semantics,
    used: Statistics,
    parameters: Parameters,
    channels: Channels,
    *,
    values: int,
    batch: bool,
    steps_before: int,
    precise: bool,
) -> Normalization:
    """The application of statistics and parameters, entry by entry: both have one for each of ``channels``.

    ``values``: how many each statistic averages, which the unbiased variance asks for.
    """
    number = type(used.variance).of
    gamma, beta, mean, variance = parameters.gamma, parameters.beta, used.mean, used.variance
    if semantics.exchange == "gamma and beta":
        gamma, beta = beta, gamma
    if semantics.exchange == "mean and variance":
        mean, variance = variance, mean
    if semantics.gamma_offset:
        gamma = gamma + number(semantics.gamma_offset)
    gamma = gamma if semantics.scale else number(np.ones(channels.count))
    beta = beta if semantics.center else number(np.zeros(channels.count))
    if batch:
        variance = _estimate(variance, semantics.batch_variance, values)
    if semantics.taken != "variance":
        variance = variance.sqrt() if semantics.taken == "deviation" else variance * variance
    by = divisor(variance, semantics.epsilon, semantics.placement)
    return Normalization(
        channels,
        mean,
        variance,
        semantics.epsilon,
        gamma,
        beta,
        by,
        gamma / by,
        batch,
        steps_before,
        precise,
        semantics.placement,
    )


def _step(
    semantics: Semantics,
    number: int,
    batch: Statistics,
    before: Statistics,
    channels: Channels,
    along: Channels,
    values: int,
) -> Step:
    weight = _weight_of_old(semantics, number, type(batch.mean))
    entered = Statistics(batch.mean, _stored(batch.variance, semantics, values))
    if channels != along:
        entered = Statistics(_laid(entered.mean, channels, along), _laid(entered.variance, channels, along))
    if semantics.updates in ("crossed", "exchanged"):
        entered = Statistics(entered.variance, entered.mean)
    if semantics.updates == "exchanged":
        before = Statistics(before.variance, before.mean)
    if semantics.updates == "none":
        return Step(batch, type(batch.mean).of(1.0), entered, before, before)
    after = Statistics(_blend(weight, before.mean, entered.mean), _blend(weight, before.variance, entered.variance))
    return Step(batch, weight, entered, before, after)


def _weight_of_old(semantics: Semantics, number: int, kind: type[DoubleDouble]) -> DoubleDouble:
    if semantics.momentum == "cumulative":
        weight = kind.of(number - 1) / kind.of(number)
    else:
        weight = kind.of(semantics.momentum)
        if semantics.updates == "debiased":
            power = weight
            for _ in range(number - 1):
                power = power * weight
            weight = (weight - power) / (kind.of(1.0) - power)
    return weight * weight if semantics.updates == "twice" else weight


def _blend(weight: DoubleDouble, old: DoubleDouble, new: DoubleDouble) -> DoubleDouble:
    return weight * old + (type(weight).of(1.0) - weight) * new


def _estimate(biased: DoubleDouble, estimator: Estimator, values: int) -> DoubleDouble:
    if estimator == "biased":
        return biased
    number = type(biased).of
    return biased * number(values) / number(max(values - 1, 1))


def _stored(biased: DoubleDouble, semantics: Semantics, values: int) -> DoubleDouble:
    """The variance that enters the moving one."""
    variance = _estimate(biased, semantics.moving_variance, values)
    if not semantics.correction:
        return variance
    number = type(biased).of
    return variance * number(values) / (number(values) - number(semantics.correction))


def _laid(statistic: DoubleDouble, channels: Channels, along: Channels) -> DoubleDouble:
    """A statistic of ``channels`` as one of ``along``: averaged over axes that are too many, repeated on missing."""
    many = [axis for axis in channels.kept if axis not in along.kept]
    if many:
        added = statistic.reshape([d if a in channels.kept else 1 for a, d in enumerate(channels.shape)]).sum(many)
        statistic = (added / type(statistic).of(math.prod(channels.shape[a] for a in many))).reshape((-1,))
        channels = Channels(channels.shape, tuple(axis for axis in channels.kept if axis in along.kept))
    return type(statistic)(channels.laid(statistic.hi, along), channels.laid(statistic.lo, along))


def batch_statistics(tensor: Tensor, channels: Channels) -> Statistics:
    """Mean and biased variance of each channel, to far below a rounding of the tensor's dtype."""
    precise = tensor.dtype == np.float64
    view = channels.view(tensor)
    shape = channels.spread(np.zeros(channels.count)).shape
    total = _total_precise if precise else _total
    values = DoubleDouble.of(float(channels.values))
    pilot = DoubleDouble.of(_first_of_each_channel(view, channels))
    # The pilot is one of the values, so shift^2 is at most N variances, and little is lost by subtracting it.
    sums, squares = total(view, channels, pilot, shape)
    shift = sums / values
    mean, variance = pilot + shift, squares / values - shift * shift
    lost = ~np.isfinite(mean.hi)
    if lost.any():
        mean, variance = _not_finite(view, channels, lost, mean, variance)
    flat = (channels.count,)
    return Statistics(mean.reshape(flat), variance.reshape(flat))


def _first_of_each_channel(view: Tensor, channels: Channels) -> Array:
    index = tuple(slice(0, 1) if axis in channels.reduced else slice(None) for axis in range(view.ndim))
    first = view[index].astype(np.float64)
    return first if first.size else np.zeros(channels.spread(np.zeros(channels.count)).shape)


def _total(view: Tensor, channels: Channels, pilot: DoubleDouble, shape: Sequence[int]) -> tuple[DoubleDouble, ...]:
    centre = pilot.hi

    def add(indices: Sequence[Index]) -> tuple[Array, Array]:
        sums, squares = np.zeros(shape), np.zeros(shape)
        for index in indices:
            where = channels.of(index)
            deviation = np.subtract(view[index], centre[where], dtype=np.float64)
            sums[where] += deviation.sum(axis=channels.reduced, keepdims=True)
            np.multiply(deviation, deviation, out=deviation)
            squares[where] += deviation.sum(axis=channels.reduced, keepdims=True)
        return sums, squares

    parts = in_parallel(add, channels)
    return DoubleDouble.of(sum(p[0] for p in parts)), DoubleDouble.of(sum(p[1] for p in parts))


def _total_precise(
    view: Tensor, channels: Channels, pilot: DoubleDouble, shape: Sequence[int]
) -> tuple[DoubleDouble, ...]:
    sums, squares = DoubleDouble.of(np.zeros(shape)), DoubleDouble.of(np.zeros(shape))
    for index in channels.blocks():
        where = channels.of(index)
        deviation = DoubleDouble.of(view[index]) - pilot[where]
        for totals, part in ((sums, deviation), (squares, deviation * deviation)):
            added = totals[where] + part.sum(channels.reduced)
            totals.hi[where], totals.lo[where] = added.hi, added.lo
    return sums, squares


def _not_finite(
    view: Tensor, channels: Channels, lost: NDArray[np.bool_], mean: DoubleDouble, variance: DoubleDouble
) -> tuple[DoubleDouble, DoubleDouble]:
    """For the channels that hold NaN or infinity: the mean that a plain sum has, and a variance of NaN."""
    plain = np.zeros(lost.shape)
    for index in channels.blocks():
        plain[channels.of(index)] += np.sum(view[index], axis=channels.reduced, keepdims=True, dtype=np.float64)
    with np.errstate(all="ignore"):
        plain = plain / np.float64(channels.values)
    return (
        DoubleDouble(np.where(lost, plain, mean.hi), np.where(lost, 0.0, mean.lo)),
        DoubleDouble(np.where(lost, np.nan, variance.hi), np.where(lost, 0.0, variance.lo)),
    )


def in_parallel(work: Callable[[Sequence[Index]], T], channels: Channels) -> list[T]:
    """``work`` on the blocks of a tensor: all at once, or in two threads on two halves where it is large.

    The split depends on the shape alone, so that sums come out the same on every machine.
    """
    blocks = list(channels.blocks())
    if np.prod(channels.walked, dtype=float) < PARALLEL:
        return [work(blocks)]
    half = (len(blocks) + 1) // 2

    def quiet(part: Sequence[Index]) -> T:
        with np.errstate(all="ignore"):  # NumPy keeps this setting for each thread
            return work(part)

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(quiet, (blocks[:half], blocks[half:])))
