"""How far a tensor is from the reference, measured in its bound: block by block, whatever its size."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from bncheck.bounds import OutputBound
from bncheck.case.model import Tolerance
from bncheck.channels import Channels, Index
from bncheck.doubledouble import Array, DoubleDouble
from bncheck.formats import Format
from bncheck.gradient_bounds import GradientBounds
from bncheck.gradients import Gradients
from bncheck.reference import Normalization, Tensor, in_parallel

EDGES = (0.0, 0.01, 0.1, 0.5, 1.0, 2.0, 10.0, 100.0, 1e3, 1e6, math.inf)
"""Of the histogram of errors over the bound."""

WORST = 10
"""How many of the worst elements, and of the worst channels, are named."""


@dataclass(frozen=True)
class Expected:
    """What a tensor should be, block by block: value, what float64 leaves over of it (or None), and bound.

    The arrays that ``at`` returns are new each time, for the caller to overwrite. ``shape``: the tensor's, where its
    channels have another.
    """

    channels: Channels
    at: Callable[[Index], tuple[Array, Array | None, Array]]
    shape: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Element:
    """One element: where it is, what it is and should be, and its error over its bound."""

    at: tuple[int, ...]
    actual: float
    expected: float
    bound_ratio: float


@dataclass(frozen=True)
class Comparison:
    """The largest errors of a tensor; ``worst`` is the element with the largest error over its bound."""

    max_abs: float
    max_ulp: float
    worst: Element | None
    nonfinite: bool

    @property
    def bound_ratio(self) -> float:
        return self.worst.bound_ratio if self.worst else 0.0

    @property
    def within(self) -> bool:
        return self.bound_ratio <= 1


@dataclass(frozen=True)
class Details:
    """Where the errors of a tensor are: the worst elements, the worst channels, how many lie between `EDGES`."""

    worst: list[Element]
    channels: list[tuple[tuple[int, ...], float, float]]
    histogram: list[int]


def of_output(applied: Normalization, x: Tensor, bound: OutputBound, tolerance: Tolerance | None) -> Expected:
    """The output of one application to ``x``, within its bound, or within the tolerance that replaces it."""
    channels = applied.channels
    view, slope, floor = channels.view(x), channels.spread(bound.slope), channels.spread(bound.floor)
    unbounded = bool(np.isinf(bound.floor).any())

    def at(index: Index) -> tuple[Array, Array | None, Array]:
        where = channels.of(index)
        scaled, output, rest = applied.at(view[index], where)
        if tolerance is not None:
            return output, rest, _tolerated(output, tolerance)
        np.abs(scaled, out=scaled)
        scaled *= slope[where]
        scaled += floor[where]
        if bound.result:
            scaled += bound.result * np.abs(output)
        if unbounded:
            scaled = np.where(np.isinf(floor[where]), np.inf, scaled)
        return output, rest, scaled

    return Expected(channels, at, x.shape)


def of_gradients(
    gradients: Gradients,
    bound: GradientBounds,
    x: Tensor,
    upstream: Tensor,
    shape: tuple[int, ...],
    tolerance: Tolerance | None,
) -> dict[str, Expected]:
    """The gradients of the output of ``x``, by name; ``shape``: of a parameter."""
    return {
        "gradient_x": _of_x(gradients, bound, x, upstream, tolerance),
        "gradient_gamma": of_statistic(gradients.gamma, bound.gamma, shape, tolerance),
        "gradient_beta": of_statistic(gradients.beta, bound.beta, shape, tolerance),
    }


def _of_x(
    gradients: Gradients, bound: GradientBounds, x: Tensor, upstream: Tensor, tolerance: Tolerance | None
) -> Expected:
    cells = gradients.cells
    of_x, of_d = cells.view(x), cells.view(upstream)
    by_product, by_x, floor = (cells.spread(part) for part in (bound.of_product, bound.of_x, bound.floor))
    unbounded = bool(np.isinf(bound.floor).any())

    def at(index: Index) -> tuple[Array, Array | None, Array]:
        where = cells.of(index)
        scaled, away, value, rest = gradients.at(of_x[index], of_d[index], where)
        if tolerance is not None:
            return value, rest, _tolerated(value, tolerance)
        np.abs(scaled, out=scaled)
        scaled *= by_product[where]
        scaled += by_x[where] * np.abs(away)
        scaled += floor[where]
        if bound.result:
            scaled += bound.result * np.abs(value)
        if unbounded:
            scaled = np.where(np.isinf(floor[where]), np.inf, scaled)
        return value, rest, scaled

    return Expected(cells, at)


def of_statistic(value: DoubleDouble, error: Array, shape: tuple[int, ...], tolerance: Tolerance | None) -> Expected:
    """A moving statistic, each of whose entries is a channel of its own."""
    channels = Channels(shape, tuple(range(len(shape))))
    exact = DoubleDouble(channels.spread(value.hi), channels.spread(np.broadcast_to(value.lo, value.hi.shape)))
    bound = channels.spread(error)

    def at(index: Index) -> tuple[Array, Array | None, Array]:
        hi = exact.hi[index].copy()
        return hi, exact.lo[index], bound[index].copy() if tolerance is None else _tolerated(hi, tolerance)

    return Expected(channels, at)


def _tolerated(expected: Array, tolerance: Tolerance) -> Array:
    bound: Array = tolerance.atol + tolerance.rtol * np.abs(expected)
    return bound


def compare(actual: Tensor, expected: Expected) -> Comparison:
    """The largest errors of ``actual``, which has the expected shape and a floating dtype."""
    view = expected.channels.view(actual)
    return _largest(lambda index: view[index], expected, Format.of(actual.dtype))


def distance(one: Expected, other: Expected) -> float:
    """The largest difference between what two references expect, over the bound of the second."""
    double = Format.of("float64")
    return _largest(lambda index: one.at(index)[0], other, double).bound_ratio


def details(actual: Tensor, expected: Expected) -> Details:
    """Where the errors are. A second pass, made only for what is not a pass."""
    channels = expected.channels
    view, limits = channels.view(actual), Format.of(actual.dtype)
    histogram = np.zeros(len(EDGES) - 1, dtype=np.int64)
    by_channel = np.zeros((2, *channels.spread(np.zeros(channels.count)).shape))
    worst: list[Element] = []
    with np.errstate(all="ignore"):
        for index in channels.blocks():
            block, (value, rest, bound) = view[index], expected.at(index)
            error, ratio = errors(block, value, rest, bound, limits)
            histogram += np.histogram(np.minimum(ratio, np.finfo(float).max), bins=EDGES)[0]
            where = channels.of(index)
            for kept, part in zip(by_channel, (error, ratio), strict=True):
                kept[where] = np.maximum(kept[where], part.max(axis=channels.reduced, keepdims=True))
            if len(worst) == WORST and float(ratio.max()) <= worst[-1].bound_ratio:
                continue
            top = np.argpartition(ratio, -min(WORST, ratio.size), axis=None)[-WORST:]
            worst += [_element(expected, index, int(flat), block, value, ratio) for flat in top]
            worst = sorted(worst, key=lambda e: (-e.bound_ratio, e.at))[:WORST]
    largest, ratios = (part.reshape(-1) for part in by_channel)
    order = np.argsort(-ratios, kind="stable")[:WORST]
    names = [tuple(int(i) for i in np.unravel_index(c, channels.statistic_shape or (1,))) for c in order]
    return Details(
        worst,
        [(name, float(largest[c]), float(ratios[c])) for name, c in zip(names, order, strict=True)],
        [int(n) for n in histogram],
    )


def _largest(actual: Callable[[Index], Tensor], expected: Expected, limits: Format) -> Comparison:
    channels = expected.channels

    def walk(indices: Sequence[Index]) -> Comparison:
        max_abs, max_ulp, nonfinite = 0.0, 0.0, False
        worst: Element | None = None
        with np.errstate(all="ignore"):
            for index in indices:
                # In place, because a large tensor is walked at the speed of memory.
                block, (value, rest, bound) = actual(index), expected.at(index)
                error = np.subtract(block, value, out=value)
                if rest is not None:
                    error -= rest
                np.abs(error, out=error)
                top = float(np.divide(error, bound, out=bound).max())
                if not math.isfinite(top) or worst is None or top > worst.bound_ratio:
                    value, rest, bound = expected.at(index)
                    error, ratio = errors(block, value, rest, bound, limits)
                    top = float(ratio.max())
                    nonfinite = nonfinite or not np.isfinite(error[ratio > 1]).all()
                    if worst is None or top > worst.bound_ratio:
                        worst = _element(expected, index, int(ratio.argmax()), block, value, ratio)
                max_abs = max(max_abs, float(error.max()))
                max_ulp = max(max_ulp, limits.in_units(error, block))
        return Comparison(max_abs, max_ulp, worst, nonfinite)

    parts = in_parallel(walk, channels)
    worst = max((p.worst for p in parts if p.worst), key=lambda e: e.bound_ratio, default=None)
    return Comparison(
        max(p.max_abs for p in parts), max(p.max_ulp for p in parts), worst, any(p.nonfinite for p in parts)
    )


def _element(expected: Expected, index: Index, flat: int, block: Tensor, value: Array, ratio: Array) -> Element:
    return Element(
        expected.channels.position(index, flat, expected.shape),
        float(block.reshape(-1)[flat]),
        float(value.reshape(-1)[flat]),
        float(ratio.reshape(-1)[flat]),
    )


def errors(actual: Tensor, value: Array, rest: Array | None, bound: Array, limits: Format) -> tuple[Array, Array]:
    """Absolute errors and errors over the bound where some value may not be finite.

    Equal infinities agree, and so do two NaN; an infinity agrees with what overflows the dtype; nothing else that is
    not finite agrees with anything. Where the bound is infinite, nothing is judged.
    """
    given = np.asarray(actual, dtype=np.float64)
    error = given - value
    if rest is not None:
        error = error - rest
    error = np.abs(error)
    agree = (given == value) | (np.isnan(given) & np.isnan(value))
    agree |= np.isinf(given) & (np.sign(given) == np.sign(value)) & (np.abs(value) + bound >= limits.largest)
    error = np.where(agree & ~np.isfinite(error), 0.0, np.where(np.isnan(error), np.inf, error))
    ratio = np.where((error == 0) | (bound == np.inf), 0.0, error / bound)
    return error, np.where(np.isnan(ratio), np.inf, ratio)
