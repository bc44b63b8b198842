"""Statistics that are off in no way that a reading has: what cancellation and long sums in few bits leave behind.

Where no reading explains an output, but each channel is still one straight line in x, the line says which mean and
which variance were used. How far they are off, against what a variance as E[x^2] - E[x]^2 and what a sum in 16 bits may
be off by, is the cause; if neither, it is at least known that the statistics are wrong and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from bncheck.bounds import Errors
from bncheck.causes import CauseKind
from bncheck.doubledouble import Array, DoubleDouble
from bncheck.formats import Format
from bncheck.judge import compare
from bncheck.judge.evidence import LEAST_VALUES, MOST_VALUES, fitted
from bncheck.judge.trials import Trials
from bncheck.placement import variance_of
from bncheck.reference import Tensor

FAR = 10.0
"""Deviations that a mean must be away from 0 for E[x^2] - E[x]^2 to lose more than other variances do."""

LARGER = 0.25
"""Of itself: by how much more than is due a variance of sums in few bits can be. Sums that grow large lose what is
added, so that they are too small; but about a wrong mean, a variance is larger by that error's square."""

EXACT = {"float64": 1e-9, "float32": 1e-6}
"""Of itself, or of a deviation: what of a slope or a height is no error worth telling."""

LEFT = 4.0
"""Of the bound: what a line that is fitted by least squares may leave of an honest output."""


@dataclass(frozen=True)
class OtherStatistics:
    """The statistics that an output shows: the mean off by so many deviations, the variance by so much of itself."""

    kind: CauseKind | None
    mean: float
    variance: float
    message: str


def of_output(trials: Trials, actual: Tensor) -> OtherStatistics | None:
    """Which other statistics of its batch an output shows; None if it is not that of any."""
    case = trials.case
    semantics = case.requested
    if semantics.mode != "training" or actual.size > MOST_VALUES:
        return None
    if not np.isfinite(np.asarray(actual, dtype=np.float64)).all():
        return None
    reference = trials.reference(semantics)
    x, applied = trials.x("output"), reference.output
    channels = applied.channels
    if channels.values < LEAST_VALUES:
        return None
    with np.errstate(all="ignore"):
        fit = fitted(actual, x, applied).fit
        divisor = applied.divisor.hi / (1 + fit.slope)
        variance = variance_of(divisor, applied.epsilon, applied.placement)
        mean = applied.mean.hi - fit.offset / (applied.scale.hi * (1 + fit.slope))
        seen = replace(
            applied,
            mean=DoubleDouble.of(mean),
            variance=DoubleDouble.of(variance),
            divisor=DoubleDouble.of(divisor),
            scale=DoubleDouble.of(applied.gamma.hi / divisor),
        )
        none = np.zeros(channels.count)
        bound = trials.bounds(reference).of(seen, Errors(none, none))
        # A fit is itself off by its standard error, which in 16 bits is more than float32 may be off by near 0.
        noise = LEFT * fit.remainder / np.sqrt(channels.values)
        bound = replace(bound, floor=bound.floor + noise, slope=bound.slope + noise / fit.deviation)
        left = compare.compare(actual, compare.of_output(seen, x, bound, None))
        if not left.bound_ratio <= LEFT or not (np.isfinite(fit.slope).any() and np.isfinite(fit.offset).any()):
            return None
        line = _line(fit.slope, fit.offset / np.maximum(fit.deviation, np.finfo(float).tiny), fit.offset, actual)
        real = np.isfinite(variance).all() and np.isfinite(mean).all() and (variance >= 0).all()
        if not real or np.any(fit.slope <= -1):  # another sign is no other variance
            return OtherStatistics(None, np.nan, np.nan, line)
        return _told(
            line,
            (mean - applied.mean.hi) / np.sqrt(applied.variance.hi),
            variance / applied.variance.hi - 1,
            np.abs(applied.mean.hi) / np.sqrt(applied.variance.hi),
            applied.variance.hi,
            channels.values,
            case.input.dtype,
        )


def _told(
    line: str, mean: Array, variance: Array, offset: Array, due: Array, values: int, dtype: str
) -> OtherStatistics:
    """``mean``, ``variance``: what is off; ``offset``: |mean| in deviations; ``due``: the variance that is due."""
    single = Format.of("float64" if dtype == "float64" else "float32").roundoff
    off_mean, off_variance = np.abs(mean), np.abs(variance)

    def drift(u: float) -> Array:
        limit: Array = u * (values * (offset / 2 + 0.4) + 4 * offset + 4)
        return limit

    def summed(u: float) -> Array:
        limit: Array = 2 * u * (values + 8) + 1.16 * off_mean + off_mean**2
        return limit

    worst = int(np.argmax(off_variance + off_mean))
    sizes = float(mean[worst]), float(variance[worst])
    said = f"the variance is off by {sizes[1]:+.2g} of itself, the mean by {sizes[0]:+.2g} deviations"
    lost = 3 * single * (1 + offset**2) * (values / 2 + 4)
    far, material = offset.max() >= FAR, np.any(off_variance > summed(single))
    if far and material and np.all((off_mean <= drift(single)) & (off_variance <= np.maximum(lost, summed(single)))):
        return OtherStatistics(
            "cancellation",
            *sizes,
            f"In the worst channel {said}, as E[x^2] - E[x]^2 is where |mean| is {offset.max():.3g} deviations. "
            "Subtract the mean before squaring.",
        )
    if dtype in ("float16", "bfloat16"):
        low, subnormal = Format.of(dtype).roundoff, Format.of(dtype).subnormal
        lost = 3 * low * (1 + offset**2) * values + subnormal / due  # of a small variance, squares underflow
        as_sums = (off_mean <= drift(low)) & (off_variance <= summed(low) + lost) & (variance <= LARGER + off_mean**2)
        if np.all(as_sums):
            return OtherStatistics(
                "accumulation",
                *sizes,
                f"In the worst channel {said}, as sums of {values:,} values in {dtype} are. Accumulate in float32.",
            )
    return OtherStatistics(None, *sizes, line)


def _largest(values: Array) -> float:
    """The largest by size, with its sign."""
    return float(values[int(np.nanargmax(np.abs(values)))])


def _line(slope: Array, height: Array, offset: Array, actual: Tensor) -> str:
    """What is wrong with the straight lines that an output is in x."""
    least = EXACT.get(actual.dtype.name, 2.0**-9)
    told = []
    if np.nanmax(np.abs(slope)) > least:
        told.append(f"the slope is off by up to {_largest(slope):+.3g} of itself")
    if np.nanmax(np.abs(height)) > least:
        told.append(f"the height at the mean is off by up to {_largest(offset):+.2g}")
    right = (
        "" if len(told) != 1 else " and every height is right" if "slope" in told[0] else " and every slope is right"
    )
    return f"In each channel it is still a straight line in x; {' and '.join(told) or 'both nearly right'}{right}."


def of_moving(trials: Trials, name: str, actual: Tensor) -> str | None:
    """What entered a moving statistic in place of the batch's, if one step says so."""
    case = trials.case
    semantics, momentum = case.requested, case.requested.momentum
    if semantics.mode != "training" or case.steps > 1 or isinstance(momentum, str) or momentum == 1:
        return None
    field = name.removeprefix("moving_")
    reference = trials.reference(semantics)
    with np.errstate(all="ignore"):
        limit = getattr(trials.bounds(reference).moving, field) / (1 - momentum)
        old, due = getattr(reference.steps[0].before, field).hi, getattr(reference.steps[0].entered, field).hi
        entered = (np.asarray(actual, dtype=np.float64).reshape(-1) - momentum * old) / (1 - momentum)
        if not np.isfinite(entered).all() or not np.isfinite(limit).all():
            return None
        root = np.sqrt(due)
        known = {
            "0": np.zeros_like(due),
            f"the batch's {field} subtracted": -due,
            **(
                {}
                if field == "mean"
                else {
                    "the batch's deviation": root,
                    "the batch's variance with epsilon added": due + semantics.epsilon,
                    "the inverse of the batch's deviation": 1 / np.sqrt(due + semantics.epsilon),
                }
            ),
        }
        for words, value in known.items():
            if np.all(np.abs(entered - value) <= limit + 1e-6 * np.abs(value)):
                return f"What entered {name} is {words}."
        factor, off = entered / due, limit / np.abs(due)
        middle = float(np.median(factor))
        if factor.size > 1 and np.all(np.abs(factor - middle) <= off + 1e-6):
            return f"What entered {name} is the batch's {field} times {middle:.6g} in every channel."
        return (
            f"What entered {name} is the batch's {field} times {factor.min():.4g} to {factor.max():.4g}."
            if np.all(due != 0)
            else None
        )
