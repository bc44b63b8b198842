r"""How far an honest implementation may be from the reference: a bound on rounding, derived, not a tolerance.

Notation: u, the unit roundoff of the arithmetic (2^-24 in float32, which 16-bit implementations use inside; 2^-53 in
float64); uo, that of a 16-bit output (2^-11 float16, 2^-8 bfloat16); m, v, the exact statistics that are used; N, the
values each averages; sigma = sqrt(v); s = gamma/sqrt(v + epsilon); yb = (x - m)*s; Y = yb + beta.

**Output.** ``x*s + t`` with ``t = beta - m*s`` pays one rounding each for x*s, m*s, t and the sum; the error of s
itself multiplies x - m, because the same rounded s stands in both products. ``8|yb|`` holds epsilon rounded and added
(1; the root halves it), an rsqrt of up to 2 ulp (4), gamma (1), x - m (1), the product (1)::

    core = u*( 8|yb| + |x*s| + |m*s| + |beta - m*s| + |Y| )

The error of any order of summation is at most u times the sum of its absolute partial sums S_k. With a mean that
dominates those are k*m, so a mean is off by at most u*N|m|/2; and by Cauchy and Schwarz |S_k - k*m| is at most
sqrt(k(N-k))*sigma, whose sum is pi/8*N^2*sigma. A two-pass variance about a wrong mean is v + dm^2 plus the error of
its own sum; Welford's update multiplies deviations by the error of the running mean, u|m|k/2 after k values, which is
of first order: at most 2/sqrt(3)*sigma*dm in all::

    dm  = u*( N|m|/2 + 2|m| + max(3*sqrt(N), 0.4*N)*sigma )
    dv  = u*(N + 4)*v + 1.16*sigma*dm + dm^2
    rho = dv/(v + epsilon)
    B   = core + |s|*dm/sqrt(1 - rho) + |yb|*( 1/sqrt(1 - rho) - 1 )          infinite for rho >= 0.9

A variance as E[x^2] - E[x]^2 (``batch_formula="squares"``, where that is documented) is the difference of two numbers
of the size v + m^2, each with three roundings for every partial sum::

    dv' = dv + 3u*(N/2 + 4)*(v + m^2)

In inference on given statistics dm and dv are 0; on statistics that training left behind they are the bounds of those.
With |x*s| <= |yb| + |m*s| and |Y| <= |yb| + |beta| the bound is ``a*|yb| + k`` with two numbers a channel, so that
applying it to a large tensor needs no temporaries::

    a = 10u + 1/sqrt(1 - rho) - 1,      k = u*( 2|m*s| + |beta - m*s| + |beta| ) + |s|*dm/sqrt(1 - rho)

**Moving statistics**, w the weight of the old one, e the error that it had, v' the variance that enters::

    em = w*e + (1 - w)*dm + 3u*(|m| + |old|),      ev = w*e + (1 - w)*dv*v'/v + 3u*(v' + |old|)

Of G virtual batches the mean of all statistics enters: a sum of G, whose partial sums are at most that of all sizes,
and a division::

    dm, dv = the mean of theirs + u*G*( the mean of |m|, v' )

**16-bit results**: ``(1 + uo)*B + uo*|Y|``, and 2^-25 for float16's smallest spacing. A correctly rounded float32
result sits at 1, so no factor is left out and no slack added. Implementations that *document* scale, shift or
statistics in 16 bits (``precision="narrow"``) may besides round each of those: one rounding of x*s, two of m*s (the
mean is one), one of the shift, and of s four and a half (the variance, the sum, the root, gamma, x - m)::

    B' = B + uo*( 5.5|yb| + 3|m*s| + |beta - m*s| ),      e' = e + 3uo*(|m| + |old|),      dv' = dv + (uo*m)^2

The last is the variance about a mean that is held in 16 bits.

**Negative variances**, which moving statistics may hold: v and epsilon cancel, and the rounding of each counts,
``rho = (dv + 2u*(|v| + epsilon))/(v + epsilon)``. Where v + epsilon is below 0 for certain, NaN is due.

**Underflow and overflow.** Libraries flush subnormal numbers to zero, so each operation may also lose the smallest
normal number. Where a scale is infinite, or a sum of squares exceeds the arithmetic's largest number, so is the bound.

None of the terms is statistical. A walk of sqrt(N) in place of N is wrong by a factor of 48 on real frameworks, because
adding a nearly constant x to a growing sum repeats the same rounding for a whole binade; 3*sqrt(N)*sigma in place of
0.4*N*sigma by a factor of 4 for NumPy's ``x.mean(axis=0)`` on two constant levels; dm^2 alone, without Welford's cross
term, by a factor of 30 at N = 32 and |m| = 300*sigma.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from bncheck.doubledouble import Array
from bncheck.formats import Format
from bncheck.reference import Normalization, Reference, Statistics, Step
from bncheck.semantics import Estimator, Precision

WEAK = 0.1
"""Beyond this part of a deviation (or of the variance) the bound itself is so wide that it judges little."""


SUMMED = 16
"""Values in a sum of those who compute in 16 bits, and accumulate in a wider format."""

MOST = 0.9
"""The part of v + epsilon that its error may be; beyond it, next to nothing may be left of a variance."""


@dataclass(frozen=True)
class Rounding:
    """The roundoffs of one tensor: ``arithmetic`` inside, ``result`` when it is stored (0 where that is the same),
    ``spacing``, half the smallest spacing stored; ``flushed`` and ``largest``, the arithmetic's smallest normal number
    and its largest."""

    arithmetic: float
    result: float
    spacing: float
    flushed: float
    largest: float

    @classmethod
    def of(cls, dtype: str, precision: Precision = "wide") -> Rounding:
        """Of a dtype by name: float16 and bfloat16 are computed in float32 and stored in 16 bits; ``precision`` may
        name a narrower format for the arithmetic."""
        stored = Format.of(dtype)
        inside = Format.of("float32") if dtype in ("float16", "bfloat16") else stored
        if precision in ("float32", "float16", "bfloat16"):
            inside = Format.of(precision)
        if inside == stored:
            return cls(stored.roundoff, 0.0, 0.0, stored.smallest, stored.largest)
        return cls(inside.roundoff, stored.roundoff, stored.subnormal / 2, inside.smallest, inside.largest)


@dataclass(frozen=True, eq=False)
class OutputBound:
    """``slope*|yb| + floor + result*|Y|`` for the elements of each channel.

    ``mean_error`` and ``variance_error`` are what the statistics may be off by, as parts of sqrt(v + epsilon) and of
    v + epsilon.
    """

    slope: Array
    floor: Array
    result: float
    mean_error: Array
    variance_error: Array

    @property
    def weak(self) -> bool:
        """Whether the bound is so wide for some channel that it judges little."""
        return bool(np.any(self.mean_error > WEAK) or np.any(self.variance_error > WEAK))


@dataclass(frozen=True, eq=False)
class Errors:
    """What the mean and the variance of each channel may be off by, absolutely."""

    mean: Array
    variance: Array


class Bounds:
    """The bounds of a case under one reading: x has ``dtype``, parameters and statistics ``statistics_dtype``."""

    def __init__(self, reference: Reference, dtype: str, statistics_dtype: str) -> None:
        self._reference, semantics = reference, reference.semantics
        self.rounding = Rounding.of(dtype, semantics.precision)
        self.narrow = semantics.precision in ("narrow", "narrow sums")
        # Who computes in 16 bits is taken to sum in a wider format: else next to nothing would be bounded.
        values = reference.values
        self.most_summed = SUMMED if semantics.precision in ("float16", "bfloat16") else None
        self._summed = min(values, self.most_summed or values)
        self.stored = Rounding.of(statistics_dtype)
        self.largest = Format.of(dtype).largest if self.narrow else self.rounding.largest

    @cached_property
    def _moving(self) -> list[Errors]:
        """Of the moving statistics before the first step and after each."""
        none = np.zeros(self._reference.along.count)
        errors = [Errors(none, none)]
        with np.errstate(all="ignore"):
            for step in self._reference.steps:
                errors.append(self._after(step, errors[-1]))
        return errors

    @property
    def moving(self) -> Errors:
        """Of the moving statistics that are left at the end."""
        return self._moving[-1]

    @cached_property
    def output(self) -> OutputBound:
        """Of the application to the last batch, as a whole."""
        statistics, batch, steps_before = self._reference.used
        errors = self.batch(statistics) if batch else self.left(statistics, steps_before)
        return self.of(self._reference.output, errors)

    @cached_property
    def inference(self) -> OutputBound:
        """Of the application, in inference, of what is left at the end, as a whole."""
        return self.of(self._reference.inference, self.left(self._reference.moving, len(self._reference.steps)))

    def batch(self, statistics: Statistics) -> Errors:
        """Of a batch's statistics, as a normalization reads them."""
        return self._read(self._found(statistics), statistics, batch=True)

    def left(self, statistics: Statistics, steps: int) -> Errors:
        """Of the moving ones after so many steps, as a normalization reads them."""
        return self._read(self._moving[steps], statistics, batch=False)

    def of(self, applied: Normalization, errors: Errors) -> OutputBound:
        """Of any application of statistics that may be off by ``errors``."""
        with np.errstate(all="ignore"):
            return _output_bound(applied, errors, self.rounding, self.narrow)

    def _found(self, batch: Statistics) -> Errors:
        with np.errstate(all="ignore"):
            found = _batch_errors(batch.mean.hi, batch.variance.hi, self._summed, self.rounding)
            if self.narrow:
                found = Errors(found.mean, found.variance + (self.rounding.result * batch.mean.hi) ** 2)
            if self._reference.semantics.batch_formula == "deviations":
                return found
            squares = batch.variance.hi + batch.mean.hi * batch.mean.hi
            cancelled = 3 * self.rounding.arithmetic * (self._summed / 2 + 4) * squares
            return Errors(found.mean, found.variance + cancelled)

    def _read(self, errors: Errors, statistics: Statistics, *, batch: bool) -> Errors:
        """What errors of the statistics are in the words in which they are read."""
        semantics, variance = self._reference.semantics, errors.variance
        with np.errstate(all="ignore"):
            if batch and semantics.batch_variance == "unbiased":
                variance = variance * _widened("unbiased", self._reference.values)
            if semantics.taken == "deviation":
                variance = variance / (2 * np.sqrt(statistics.variance.hi))
            elif semantics.taken == "square":
                variance = 2 * statistics.variance.hi * variance
        return (
            Errors(variance, errors.mean)
            if semantics.exchange == "mean and variance"
            else Errors(errors.mean, variance)
        )

    def _after(self, step: Step, before: Errors) -> Errors:
        """Of the moving statistics after a step, where those before it may be off by ``before``."""
        reference, semantics = self._reference, self._reference.semantics
        if semantics.updates == "none":
            return before
        stored = self.stored
        old_weight = step.weight_of_old.hi
        batch = self._found(step.batch)
        momentum = 0.0 if semantics.momentum == "cumulative" else min(semantics.momentum, 1 - self.stored.result)
        widened = _widened(semantics.moving_variance, reference.values)
        if semantics.correction:
            widened *= reference.values / (reference.values - semantics.correction)
        mean, variance = batch.mean, batch.variance * widened
        if reference.channels != reference.along:
            mean = self._averaged(mean, step.batch.mean.hi)
            variance = self._averaged(variance, step.batch.variance.hi * widened)
        if semantics.updates in ("crossed", "exchanged"):
            mean, variance = variance, mean
        if semantics.updates == "exchanged":
            before = Errors(before.variance, before.mean)

        def error(before: Array, batch: Array, old: Array, entered: Array, after: Array) -> Array:
            touched = np.abs(old) + np.abs(entered)
            if semantics.updates == "debiased":  # what is lost of 1 - momentum^steps
                touched = touched / (1 - momentum)
            rounding = self.rounding
            off = old_weight * before + (1 - old_weight) * batch + 3 * rounding.arithmetic * touched + rounding.flushed
            if self.narrow:
                off = off + 3 * (stored.result * touched + stored.spacing)
            return (1 + stored.result) * off + stored.result * np.abs(after) + stored.spacing

        return Errors(
            error(before.mean, mean, step.before.mean.hi, step.entered.mean.hi, step.after.mean.hi),
            error(before.variance, variance, step.before.variance.hi, step.entered.variance.hi, step.after.variance.hi),
        )

    def _averaged(self, error: Array, statistic: Array) -> Array:
        """Of a batch's statistic, averaged in any order over the axes that the moving ones do not lie along."""
        channels, along = self._reference.channels, self._reference.along
        groups = math.prod(channels.shape[a] for a in channels.kept if a not in along.kept)
        return channels.laid(error + groups * self.rounding.arithmetic * np.abs(statistic), along)


def _widened(estimator: Estimator, values: int) -> float:
    """By how much an estimator multiplies a biased variance, and with it its error."""
    return 1.0 if estimator == "biased" else values / max(values - 1, 1)


def _batch_errors(mean: Array, variance: Array, values: int, rounding: Rounding) -> Errors:
    u = rounding.arithmetic
    deviation = np.sqrt(variance)
    walk = max(3 * values**0.5, 0.4 * values) * deviation
    off = u * (values * np.abs(mean) / 2 + 2 * np.abs(mean) + walk) + rounding.flushed
    spoilt = u * (values + 4) * variance + 1.16 * deviation * off + off * off + 2 * rounding.flushed
    squares = values * (variance + mean * mean)
    return Errors(
        np.where(values * (np.abs(mean) + deviation) > rounding.largest, np.inf, off),
        np.where(squares > rounding.largest, np.inf, spoilt),
    )


def spoilt(applied: Normalization, error: Array, rounding: Rounding, narrow: bool) -> tuple[Array, NDArray[np.bool_]]:
    """rho, of a variance that may be off by ``error``: at most `MOST`; and whether v + epsilon is below 0 for certain,
    where NaN is due."""
    variance, epsilon = applied.variance.hi, applied.epsilon
    # Held in 16 bits, v and epsilon may underflow; a negative variance cancels with epsilon, each with its rounding.
    off = error + (2 * rounding.spacing if narrow else 0.0)
    off = off + np.where(variance < 0, 2 * rounding.arithmetic * (np.abs(variance) + epsilon), 0.0)
    lost = np.where(off == 0, 0.0, off * applied.weight_of_variance)
    impossible = np.isfinite(variance) & (variance + epsilon < -off)
    lost = np.where(lost < 0, MOST, lost)
    return np.where(impossible, 0.0, np.minimum(lost, MOST)), impossible


def _output_bound(applied: Normalization, errors: Errors, rounding: Rounding, narrow: bool) -> OutputBound:
    u = rounding.arithmetic
    scale, beta = np.abs(applied.scale.hi), np.abs(applied.beta.hi)
    at_mean = np.abs(applied.mean.hi) * scale
    shift = np.abs(applied.beta.hi - applied.mean.hi * applied.scale.hi)
    rho, impossible = spoilt(applied, errors.variance, rounding, narrow)
    slope = 10 * u + np.expm1(-0.5 * np.log1p(-rho))  # 1/sqrt(1 - rho) - 1
    drift = scale * errors.mean / np.sqrt(1 - rho)  # a wrong mean is multiplied by the scale that was used
    floor = u * (2 * at_mean + shift + beta) + drift + rounding.flushed * (2 * scale + 4)
    floor = np.where((rho >= MOST) | ~(np.isfinite(scale) | impossible), np.inf, floor)
    if narrow:
        slope = slope + 5.5 * rounding.result
        floor = floor + rounding.result * (3 * at_mean + shift) + rounding.spacing * (2 * scale + 4)
    grown = 1 + rounding.result
    mean_error = np.where(errors.mean == 0, 0.0, errors.mean / applied.divisor.hi)
    return OutputBound(grown * slope, grown * floor + rounding.spacing, rounding.result, mean_error, rho)
