r"""What hides below the element-wise bound: slope, offset and remainder of each channel, judged apart.

In training the bound on an element must hold what any order of summation may do to the mean, and with an offset that
term drowns everything else. But a wrong mean cannot move a slope. With e = actual - Y and z = (x - m)*s, least squares
gives ``e = a + b*z + r`` for each channel: the offset a is the mean's error, ``b`` the relative error of the scale, and
what remains has no N in it. Only float32 is judged: a 16-bit output has not been measured, and for float64 the sums
themselves, made in float64, are not exact enough.

Notation: u = 2^-24; N, the values of a channel; m, v, s, epsilon as in `bncheck.bounds`, sigma = sqrt(v), and
``vr = v/(v + epsilon)``; sd(x), mean x, those of the tensor itself; R = |m|/sigma.

**Rounding.** The scale costs 4u: epsilon added (halved by the root), root, division, gamma. Every other rounding that
differs between elements is at most ``u*|x*s|`` or ``2u*|z|`` (the two ways to apply a scale) and ``u*|Y|``, and by
Cauchy and Schwarz a slope fitted to them is at most their root mean square over that of z about its mean::

    r = max( hypot(1, mean x/sd(x)), 2*hypot(1, mean z/sd(z)) ) + hypot(1, mean Y/sd(z)),       rounding = u*(4 + r)

It holds whatever the values are. A standard error of the remainder in its place is smaller for N independent roundings
only: values that repeat (two distinct ones leave no remainder at all) and lattices share roundings, and honest
implementations are then called wrong even where R < 10 (measured: up to 1.7 times).

**Summation**, in training. Let ``dm = -a/(s*(1 + b))`` be the observed error of the mean. A two-pass variance about it
is ``v + dm^2`` plus the error of its own sum, at most ``u*N*v``: its terms are positive, and if a large one comes first
all partial sums are as large as the last. Welford's running variance lies between v and v + dm^2, and besides the error
of the running mean is multiplied with what the mean has still to learn. That product is large only if the data have a
trend, ``T = max|sum of the first k of x - m|/(N*sigma)``: 0.43 for a line, about 0.9/sqrt(N) for random data. A running
mean is off by at most ``u*k|m|/2`` after k values, which gives ``u*N*R/sqrt(3)``, or 4/3*T*u*N*R, for a line::

    running = u*R*(2 + 1.5*N*T)
    tau     = rounding + vr/2*( u*(N + 4) + running ) + 1.1*( sqrt(1 + (dm/sigma)^2*vr) - 1 )

T is read at the ends of at least min(N, `CHUNKS`) pieces, and is widened by what a line does inside one.

**slope**: |b| > tau. **cancellation**: the variance that the slope shows, against what summation does to one::

    seen   = ( (v + epsilon)/(1 + b)^2 - epsilon )/v - 1
    beyond = distance of seen from the interval [0, (dm/sigma)^2]
    Tc     = beyond/( u*(N + 4) + running + 2*rounding/vr + 0.1*(dm/sigma)^2 )                        where vr > 0.1

E[x^2] - E[x]^2 is off by about u*R^2, and by no more than ``3u*(1 + R^2)`` times log2(N) + 8, or times N/2 + 4 if some
channel's mean shows that sums drift. Where a channel with Tc > 1 is off by more, it is not the cause, and Tc is not
called cancellation; the slope finding says that the scale is wrong in both cases. Both are valid, in training, where
|dm| < 0.3 sigma.

**accumulation**, in training: the mean is off by more than the bound of a pairwise sum, by no more than that of any
order (partial sums of deviations are at most ``sigma*sqrt(k(N - k))``), while slope and remainder are honest::

    u*( (log2(N) + 8)*hypot(m, sigma) ) + noise  <  |dm|  <=  u*( N*(|m|/2 + 0.4 sigma) + 2|m| ) + noise
    noise = 2u*( 2*hypot(m, sigma) + |beta/s| + sigma ),       rms remainder <= 2u*(2 + r)*sd(z)

Measured on CPU, 12 channels a case, N 3 to 2e5, R to 1e4; random, sorted, linear, skewed data, few values, an outlier
first: no slope and no cancellation above 1 in 229,000 channels of PyTorch and TensorFlow (largest 0.82) and in 533,000
of miniatures that sum sequentially, pairwise, in blocks, as Welford does or in merged lanes (0.98, reached by the
rounding of Y alone). Without ``running``, Welford on sorted data reaches 300; with N/2 for N, an outlier first 1.37.
Found of one-pass variances with N 64 to 1000 and R 100 to 1000: 97 %, by the element-wise bound 78 %. It costs about
what the element-wise comparison does: one pass, six operations a value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from bncheck.channels import Channels, Index
from bncheck.doubledouble import Array
from bncheck.formats import Format
from bncheck.placement import variance_of
from bncheck.reference import Normalization, Tensor, in_parallel

Kind = Literal["slope", "cancellation", "accumulation"]

MOST_VALUES = 1 << 24
"""Values up to which lines are fitted to an output; larger ones are judged and explained by their elements, at memory's
speed."""

LEAST_VALUES = 3
"""Values of a channel from which on a line through them says anything."""

CHUNKS = 64
"""Into so many pieces a block is cut to see whether its values have a trend."""

VALID = 0.3
"""Beyond this part of a deviation, the mean's error moves the variance by more than the statistics allow for."""


@dataclass(frozen=True)
class Finding:
    """One kind of evidence, in the channel where it is strongest.

    ``ratio`` is the statistic over its limit, above 1; ``size`` the relative error of the slope or of the variance, or
    the drift of the mean in standard deviations.
    """

    kind: Kind
    channel: tuple[int, ...]
    ratio: float
    size: float
    message: str


@dataclass(frozen=True, eq=False)
class Readings:
    """The statistics of each channel over their limits, 0 where one is not valid; and what they are made of.

    ``slope_limit`` is tau: what rounding and summation may do to a scale, as a part of it; infinite where not valid.
    """

    slope: Array
    slope_limit: Array
    cancellation: Array
    accumulation: Array
    slope_error: Array
    variance_error: Array
    drift: Array
    cancels: bool


def evidence(lines: Lines | None, applied: Normalization) -> list[Finding]:
    """What one output shows that its elements do not: at most one finding of each kind, its worst channel."""
    if lines is None:
        return []
    found = readings(lines, applied)
    named = applied.channels.statistic_shape or (1,)
    with np.errstate(all="ignore"):
        offsets = np.abs(applied.mean.hi) / np.sqrt(applied.variance.hi)

    def worst(kind: Kind, ratios: Array, sizes: Array, says: str) -> list[Finding]:
        c = int(ratios.argmax())
        if not ratios[c] > 1:
            return []
        channel = tuple(int(i) for i in np.unravel_index(c, named))
        size, ratio = float(sizes[c]), float(ratios[c])
        way = "large" if size > 0 else "small"
        words = says.format(
            channel=list(channel), size=f"{abs(size):.2g}", way=way, ratio=f"{ratio:.2g}", R=f"{offsets[c]:.3g}"
        )
        return [Finding(kind, channel, ratio, size, words)]

    values = f"{applied.channels.values:,}"
    return [
        *worst(
            "slope",
            found.slope,
            found.slope_error,
            "the scale of channel {channel} is too {way} by {size} of itself: {ratio} times what rounding and "
            "summation can do to it.",
        ),
        *worst(
            "cancellation",
            found.cancellation if found.cancels else np.zeros_like(found.cancellation),
            found.variance_error,
            "the variance of channel {channel} is too {way} by {size} of itself: {ratio} times what summing "
            "squares of deviations can do to it; E[x^2] - E[x]^2 can, where |mean| is {R} standard deviations.",
        ),
        *worst(
            "accumulation",
            found.accumulation,
            found.drift,
            "the mean of channel {channel} is too {way} by {size} standard deviations: so drifts a sum of "
            f"{values} values one after another; it is {{ratio}} times the bound of a pairwise sum.",
        ),
    ]


def lines(actual: Tensor, x: Tensor, applied: Normalization) -> Lines | None:
    """The lines of an output's channels, fitted about what ``applied`` expects; None where they are not judged.

    Statistics that training steps left behind carry the errors of all those steps, which are judged where they are
    stored; an output that applies them is not judged again here.
    """
    single, channels = np.dtype(np.float32), applied.channels
    if actual.dtype != single or x.dtype != single or not actual.size or channels.values < LEAST_VALUES:
        return None
    if not applied.batch and applied.steps_before:
        return None
    return fitted(actual, x, applied)


def fitted(actual: Tensor, x: Tensor, applied: Normalization) -> Lines:
    """The lines of any output's channels, whether or not what they show is judged."""
    with np.errstate(all="ignore"):
        return Lines(applied, _fit(actual, x, applied))


def readings(lines: Lines, applied: Normalization) -> Readings:
    """The statistics of every channel, of an output that should be that of ``applied``."""
    with np.errstate(all="ignore"):
        return _judge(lines.about(applied), applied)


@dataclass(frozen=True, eq=False)
class _Fit:
    """``actual - Y = offset + slope*z + remainder`` of each channel: ``remainder`` and ``deviation`` (of z about
    ``centre``, its mean) are root mean squares; ``trend`` is T."""

    slope: Array
    offset: Array
    remainder: Array
    centre: Array
    deviation: Array
    trend: Array


@dataclass(frozen=True, eq=False)
class Lines:
    """The straight line that each channel of an output is in x: known about one application, and so about any other
    of the same channels."""

    applied: Normalization
    fit: _Fit

    def about(self, other: Normalization) -> _Fit:
        """The same lines, as they differ from what another application expects."""
        if other is self.applied:
            return self.fit
        fit, before = self.fit, self.applied
        s, m, beta = before.scale.hi, before.mean.hi, before.beta.hi
        centre = (m - other.mean.hi + fit.centre / s) * other.scale.hi
        slope = s * (1 + fit.slope) / other.scale.hi - 1
        height = fit.centre * (1 + fit.slope) + beta + fit.offset
        offset = height - centre * (1 + slope) - other.beta.hi
        return _Fit(slope, offset, fit.remainder, centre, fit.deviation * np.abs(other.scale.hi / s), fit.trend)


def _fit(actual: Tensor, x: Tensor, applied: Normalization) -> _Fit:
    channels = applied.channels
    given, view = channels.view(actual), channels.view(x)
    letters = "abcdefghijklmnopqrstuvwxyz"[: view.ndim]
    kept = "".join(letter for axis, letter in enumerate(letters) if axis not in channels.reduced)
    product = f"{letters},{letters}->{kept}"
    shape = channels.spread(np.zeros(channels.count)).shape

    def add(indices: Sequence[Index]) -> tuple[Array, Array]:
        sums, walk = np.zeros((5, *shape)), np.zeros((3, *shape))  # the walk: highest, lowest, how many steps
        for index in indices:
            where = channels.of(index)
            z, error, _ = applied.at(view[index], where)
            np.subtract(given[index], error, out=error)
            part, seen = sums[(slice(None), *where)], walk[(slice(None), *where)]
            steps, axis = _steps(z, channels)
            steps += part[0]
            np.maximum(seen[0], steps.max(axis=axis, keepdims=True), out=seen[0])
            np.minimum(seen[1], steps.min(axis=axis, keepdims=True), out=seen[1])
            seen[2] += steps.shape[axis]
            part[0] = np.take(steps, [-1], axis=axis)
            part[1] += error.sum(axis=channels.reduced, keepdims=True)
            for total, (one, other) in zip(part[2:], ((z, z), (z, error), (error, error)), strict=True):
                total += np.einsum(product, one, other).reshape(total.shape)
        return sums, walk

    sums, walk = np.zeros((5, channels.count)), np.zeros((3, channels.count))
    for part, seen in in_parallel(add, channels):
        part, seen = part.reshape(5, -1), seen.reshape(3, -1)
        walk = np.stack(
            [np.maximum(walk[0], sums[0] + seen[0]), np.minimum(walk[1], sums[0] + seen[1]), walk[2] + seen[2]]
        )
        sums = sums + part
    n = channels.values
    z, error, zz, ze, ee = sums
    zz, ze, ee = zz - z * z / n, ze - z * error / n, ee - error * error / n
    slope = ze / zz
    deviation = np.sqrt(zz / n)
    trend = np.maximum(walk[0], -walk[1]) / (n * deviation) + 0.25 / np.minimum(walk[2], n)
    remainder = np.sqrt(np.maximum(ee - slope * ze, 0.0) / n)
    return _Fit(slope, (error - slope * z) / n, remainder, z / n, deviation, trend)


def _steps(z: Array, channels: Channels) -> tuple[Array, int]:
    """Running sums of a block, in memory's order, at the ends of its chunks; and the axis they run along."""
    axis = next((a for a in channels.reduced if z.shape[a] > 1), channels.reduced[0])
    length = z.shape[axis]
    starts = np.arange(min(length, CHUNKS)) * length // min(length, CHUNKS)
    others = tuple(a for a in channels.reduced if a != axis)
    steps: Array = np.add.reduceat(z, starts, axis=axis).sum(axis=others, keepdims=True)
    return np.cumsum(steps, axis=axis), axis


def _judge(fit: _Fit, applied: Normalization) -> Readings:
    single = Format.of("float32")
    u, n = single.roundoff, applied.channels.values
    m, v, s, beta = (part.hi for part in (applied.mean, applied.variance, applied.scale, applied.beta))
    size, b, sd = np.abs(s), fit.slope, fit.deviation
    weight = applied.weight_of_variance
    sigma, part = np.sqrt(v), v * weight

    varied = np.maximum(np.hypot(1, m * s / sd + fit.centre / sd), 2 * np.hypot(1, fit.centre / sd))
    varied += np.hypot(1, (fit.centre + beta) / sd)
    # Libraries flush subnormal numbers to zero: an operation may lose the smallest normal number instead of a rounding.
    flushed = single.smallest * (weight + (2 * size + 4) / sd)
    cancelled = np.where(v < 0, u * (np.abs(v) + applied.epsilon) * weight, 0.0)  # a negative variance, with epsilon
    rounding = u * (4 + varied) + flushed + cancelled

    # A deviation within 1e-5 of its distance from the origin is lost in sums of float64.
    usable = (size > 0) & (sd > 1e-5 * np.abs(fit.centre)) & np.isfinite(b) & np.isfinite(rounding) & (b > -0.9)
    none = np.zeros_like(b)
    if not applied.batch:
        return Readings(
            np.where(usable, np.abs(b) / rounding, 0.0),
            np.where(usable, rounding, np.inf),
            none,
            none,
            b,
            none,
            none,
            False,
        )

    usable &= (v > 0) & (n * (v + m * m) < single.largest)  # a sum of squares that overflows is no evidence
    drift = -fit.offset / (s * (1 + b) * sigma)
    moved = drift * drift
    summed = u * (n + 4) + u * np.abs(m) / sigma * (2 + 1.5 * n * fit.trend)
    limit = rounding + part / 2 * summed + 1.1 * (np.sqrt(1 + moved * part) - 1)
    slope = np.abs(b) / limit

    seen = variance_of(applied.divisor.hi / (1 + b), applied.epsilon, applied.placement) / v - 1
    beyond = np.abs(seen - np.clip(seen, 0, moved))
    cancellation = beyond / (summed + 2 * rounding / part + 0.1 * moved)

    typical = np.hypot(m, sigma)
    noise = 2 * u * (2 * typical + np.abs(beta / s) + sigma) + flushed * sigma
    pairwise = u * (np.log2(n) + 8) * typical + noise
    any_order = u * (n * (np.abs(m) / 2 + 0.4 * sigma) + 2 * np.abs(m)) + noise
    off = np.abs(drift) * sigma
    pure = (off <= any_order) & (slope <= 1) & (fit.remainder <= 2 * (u * (2 + varied) + flushed) * sd)

    valid = usable & (np.abs(drift) < VALID)
    slope, limit = np.where(valid, slope, 0.0), np.where(valid, limit, np.inf)
    cancellation = np.where(valid & (part > 0.1), cancellation, 0.0)
    accumulation = np.where(usable & pure & ~(cancellation > 1), off / pairwise, 0.0)
    drifts = bool(np.any(usable & (off > pairwise)))
    lost = 3 * u * (n / 2 + 4 if drifts else np.log2(n) + 8) * (1 + (m / sigma) ** 2)
    cancels = bool(np.all((beyond <= lost) | ~(cancellation > 1)))
    return Readings(slope, limit, cancellation, accumulation, b, seen, drift, cancels)
