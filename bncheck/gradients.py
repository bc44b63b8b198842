r"""What the gradients of one application should be, with respect to x, gamma and beta, under any reading.

d is the gradient from above; m, v the statistics that are used, D the divisor, s = gamma/D, z = d*(x - m); sums are
over the N values of a statistic, or over those that share a parameter. In training m and v depend on x::

    d_beta = sum d,    d_gamma = sum z/D
    d_x    = s*d - sum(s*d)/N - (x - m)*w*sum(s*z)/N

w is the derivative of log(D^2) by the batch's biased variance: 1/(v + epsilon), times N/(N - 1) where the variance is
unbiased. Where the statistics are constants, as those of inference are, ``d_x = s*d``. Parameters may lie along other
axes than statistics do (a wrong `axis`): sums are made for each cell of both, and put together.

Of float64 tensors all of it is double-double, of others float64; sums are made block by block, and `Gradients.at` gives
x's gradient of a block.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bncheck.channels import Channels, Index
from bncheck.doubledouble import Array, DoubleDouble
from bncheck.reference import (
    Normalization,
    Parameters,
    Reference,
    Statistics,
    Tensor,
    in_parallel,
    normalize,
)
from bncheck.semantics import Semantics


@dataclass(frozen=True, eq=False)
class Sums:
    """A sum for each of some channels: its total, and of the summands the squares and the sizes, which say what
    rounding may do to it. ``values``: how many they are."""

    channels: Channels
    total: DoubleDouble
    squares: Array
    sizes: Array

    @property
    def values(self) -> int:
        return self.channels.values

    def times(self, factor: DoubleDouble) -> Sums:
        """Of the summands times a number for each channel."""
        size = np.abs(factor.hi)
        return Sums(self.channels, self.total * factor, self.squares * size * size, self.sizes * size)

    def over(self, channels: Channels) -> Sums:
        """The same for channels that keep fewer axes."""
        if channels == self.channels:
            return self
        squares, sizes = (
            _added(DoubleDouble.of(part), self.channels, channels).hi for part in (self.squares, self.sizes)
        )
        return Sums(channels, _added(self.total, self.channels, channels), squares, sizes)


@dataclass(frozen=True, eq=False)
class Gradients:
    """The gradients under one reading: ``gamma`` and ``beta`` of the channels ``along``, x's block by block.

    ``cells`` keep all axes of statistics and of parameters; ``applied`` is what is done to each of them. ``scale`` is s
    or, of a reading that lacks a factor, less than that. ``mean_lost`` and ``variance_lost``, ``d_x = scale*d -
    mean_lost - (x - m)*variance_lost``, are what flows through the statistics: None where they are constants.
    ``weight``: w, 0 where the variance is a constant.
    """

    semantics: Semantics
    statistics: Channels
    along: Channels
    cells: Channels
    applied: Normalization
    upstream: Sums
    products: Sums
    scale: DoubleDouble
    weight: DoubleDouble
    mean_lost: DoubleDouble | None
    variance_lost: DoubleDouble | None
    gamma: DoubleDouble
    beta: DoubleDouble

    def at(self, x: Tensor, upstream: Tensor, where: Index) -> tuple[Array, Array, Array, Array | None]:
        """Of a block: ``scale*d``, ``x - m``, x's gradient, and what its float64 leaves over (or None). All new."""
        spread = self.cells.spread
        if not self.applied.precise:
            away = np.subtract(x, spread(self.applied.mean.hi)[where], dtype=np.float64)
            scaled = np.multiply(upstream, spread(self.scale.hi)[where], dtype=np.float64)
            value = scaled.copy()
            if self.mean_lost is not None:
                value -= spread(self.mean_lost.hi)[where]
            if self.variance_lost is not None:
                value -= away * spread(self.variance_lost.hi)[where]
            return scaled, away, value, None

        def pick(value: DoubleDouble) -> DoubleDouble:
            return DoubleDouble(spread(value.hi)[where], spread(value.lo)[where])

        exact = DoubleDouble.of(x) - pick(self.applied.mean)
        product = DoubleDouble.of(upstream) * pick(self.scale)
        gradient = product
        if self.mean_lost is not None:
            gradient = gradient - pick(self.mean_lost)
        if self.variance_lost is not None:
            gradient = gradient - exact * pick(self.variance_lost)
        return product.hi.copy(), exact.hi, gradient.hi, gradient.lo

    def of_x(self, x: Tensor, upstream: Tensor) -> Array:
        """The whole gradient of x in float64, for small tensors."""
        x_view, upstream_view = self.cells.view(x), self.cells.view(upstream)
        result = np.empty(x_view.shape)
        with np.errstate(all="ignore"):
            for index in self.cells.blocks():
                result[index] = self.at(x_view[index], upstream_view[index], self.cells.of(index))[2]
        return result.reshape(x.shape)


def gradients(reference: Reference, x: Tensor, upstream: Tensor) -> Gradients:
    """The gradients of the output of the last batch, ``x``, where ``upstream`` comes from above."""
    with np.errstate(all="ignore"):
        return _gradients(reference, x, upstream)


def _gradients(reference: Reference, x: Tensor, upstream: Tensor) -> Gradients:
    semantics, channels, along = reference.semantics, reference.channels, reference.along
    shape = channels.shape
    cells = channels if channels == along else Channels(shape, tuple(sorted({*channels.kept, *along.kept})))
    used, batch, steps_before = reference.used
    home = channels if batch else along
    applied = normalize(
        semantics,
        Statistics(_laid(used.mean, home, cells), _laid(used.variance, home, cells)),
        Parameters(*(_laid(value, along, cells) for value in vars(reference.parameters).values())),
        cells,
        values=channels.values,
        batch=batch,
        steps_before=steps_before,
        precise=reference.precise,
    )
    number = type(applied.scale).of
    total, products = _sums(x, upstream, cells, applied)
    values = number(1.0 if semantics.backward_slip == "count" else float(channels.values))
    scale, divisor = applied.scale, applied.divisor
    if semantics.backward_slip == "gamma":
        scale = number(1.0) / divisor
    elif semantics.backward_slip == "deviation":
        scale = applied.gamma
    flows = batch if semantics.backward == "exact" else semantics.backward != "constants"
    by_mean = flows and semantics.backward != "constant mean"
    by_variance = flows and semantics.backward != "constant variance"
    through_mean = _laid(total.times(scale).over(channels).total / values, channels, cells)
    weight = _weight(applied, semantics, channels.values if batch else 0)
    through_divisor = weight * _laid(products.times(scale).over(channels).total / values, channels, cells)
    if semantics.exchange == "mean and variance" and batch:
        # What is subtracted is then the variance, and the mean divides.
        mean = _laid(used.mean, home, cells)
        slope = number(2.0) * through_mean
        through_mean, through_divisor = (
            through_divisor * number(0.5) + (applied.mean - mean) * slope,
            slope,
        )
    gamma = products.times(number(1.0) / divisor).over(along).total
    if semantics.backward_slip == "deviation in gamma":
        gamma = products.over(along).total
    elif semantics.backward_slip == "mean in gamma":
        gamma = gamma + total.times(applied.mean / divisor).over(along).total
    beta = total.over(along).total
    if semantics.backward_slip == "averaged":
        gamma, beta = gamma / number(along.values), beta / number(along.values)
    if (semantics.exchange == "gamma and beta") != (semantics.backward_slip == "exchanged"):
        gamma, beta = beta, gamma
    nothing = number(np.zeros(along.count))
    return Gradients(
        semantics,
        channels,
        along,
        cells,
        applied,
        total,
        products,
        scale,
        weight if by_variance else number(np.zeros(cells.count)),
        through_mean if by_mean else None,
        through_divisor if by_variance else None,
        gamma if semantics.scale else nothing,
        beta if semantics.center else nothing,
    )


def _weight(applied: Normalization, semantics: Semantics, values: int) -> DoubleDouble:
    """The derivative of log(D^2) by the biased variance of a batch of ``values`` values a channel, or by a moving one
    (0)."""
    number = type(applied.scale).of
    variance, divisor = applied.variance, applied.divisor  # the variance as it is taken
    if semantics.placement == "inside":
        weight = number(1.0) / (divisor * divisor)
    elif semantics.placement == "outside":
        weight = number(1.0) / (variance.sqrt() * divisor)
    else:
        weight = number(1.0) / variance
        floored = variance.hi <= semantics.epsilon
        weight = weight * number(np.where(floored, 0.0, 1.0))
    if semantics.taken == "deviation":
        weight = weight / (number(2.0) * variance)
    elif semantics.taken == "square":
        weight = weight * number(2.0) * variance.sqrt()
    if values and semantics.batch_variance == "unbiased":
        weight = weight * number(values) / number(max(values - 1, 1))
    return weight


def _sums(x: Tensor, upstream: Tensor, cells: Channels, applied: Normalization) -> tuple[Sums, Sums]:
    """Of d, and of d*(x - m)."""
    of_x, of_d = cells.view(x), cells.view(upstream)
    mean = cells.spread(applied.mean.hi)

    def add(indices: Sequence[Index]) -> Array:
        totals = np.zeros((6, *mean.shape))
        for index in indices:
            where = cells.of(index)
            part = totals[(slice(None), *where)]
            d = of_d[index].astype(np.float64)
            product = np.subtract(of_x[index], mean[where], dtype=np.float64)
            product *= d
            for total, values in ((part[0:3], d), (part[3:6], product)):
                total[0] += values.sum(axis=cells.reduced, keepdims=True)
                total[1] += np.square(values).sum(axis=cells.reduced, keepdims=True)
                total[2] += np.abs(values, out=values).sum(axis=cells.reduced, keepdims=True)
        return totals

    found = np.sum(in_parallel(add, cells), axis=0).reshape(6, cells.count)
    number = type(applied.scale).of
    totals = number(found[0]), number(found[3])
    if applied.precise:
        exact = DoubleDouble(mean, cells.spread(applied.mean.lo))
        totals = _exact_totals(of_x, of_d, cells, exact)
    return (
        Sums(cells, totals[0], found[1], found[2]),
        Sums(cells, totals[1], found[4], found[5]),
    )


def _exact_totals(of_x: Tensor, of_d: Tensor, cells: Channels, mean: DoubleDouble) -> tuple[DoubleDouble, DoubleDouble]:
    sums = [DoubleDouble.of(np.zeros(mean.hi.shape)) for _ in range(2)]
    for index in cells.blocks():
        where = cells.of(index)
        d = DoubleDouble.of(of_d[index])
        product = d * (DoubleDouble.of(of_x[index]) - mean[where])
        for total, part in zip(sums, (d, product), strict=True):
            added = total[where] + part.sum(cells.reduced)
            total.hi[where], total.lo[where] = added.hi, added.lo
    return sums[0].reshape((cells.count,)), sums[1].reshape((cells.count,))


def _laid(statistic: DoubleDouble, channels: Channels, cells: Channels) -> DoubleDouble:
    """A number for each channel, flat, as one for each cell."""
    if channels == cells:
        return statistic
    return type(statistic)(channels.laid(statistic.hi, cells), channels.laid(statistic.lo, cells))


def _added(value: DoubleDouble, cells: Channels, channels: Channels) -> DoubleDouble:
    """The sum of the numbers of all cells that lie in one channel."""
    lengths = [cells.shape[axis] for axis in cells.kept]
    others = [i for i, axis in enumerate(cells.kept) if axis not in channels.kept]
    if value.lo.ndim == 0:
        return type(value).of(value.hi.reshape(lengths).sum(axis=tuple(others)).reshape(-1))
    full = DoubleDouble(value.hi.reshape(lengths), value.lo.reshape(lengths))
    return full.sum(others).reshape((math.prod(channels.statistic_shape),))
