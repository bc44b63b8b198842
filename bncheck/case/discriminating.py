"""The default data: chosen so that every defect moves the result by far more than rounding does.

Standard normal data with gamma 1, beta 0, moving mean 0 and moving variance 1 hide a fifth of all defects below the
bound. These do not: scales from 1 to below sqrt(epsilon), so that epsilon counts in some channel and not in another;
offsets of 1 to 4 deviations; a trend and a growing spread along every reduced axis, so that statistics over other axes
differ; parameters and moving statistics of which no two are alike, and none is neutral. All of it is made by exactly
rounded arithmetic, so that it is the same everywhere.
"""

from __future__ import annotations

import math

import numpy as np

from bncheck.channels import Channels
from bncheck.doubledouble import Array

SMALLEST_SCALE = 3e-3
TREND = 0.6
GROWTH = 0.4
ALONG_X = 0.5
"""The part of the normalized x in the gradient from above: without it, x's gradient would hardly show a term."""
_GOLDEN = 0.6180339887498949
_SILVER = 0.41421356237309503


def _sequence(count: int, start: float, step: float) -> Array:
    """Well spread numbers in [0, 1): the fractional parts of ``start + step*c``."""
    values = start + step * np.arange(count, dtype=np.float64)
    return values - np.floor(values)


def _signs(count: int) -> Array:
    return np.where(np.arange(count) % 2 == 0, 1.0, -1.0)


def scales(count: int, epsilon: float) -> Array:
    """A deviation for each channel, from 1 down to below sqrt(epsilon)/2, shuffled.

    ``2^-k*(1 - f/2)`` for equally spaced k + f: geometric but for 6 %, without a power function, which no standard
    requires to be rounded correctly.
    """
    smallest = min(SMALLEST_SCALE, math.sqrt(epsilon) / 2) if epsilon > 0 else SMALLEST_SCALE
    octaves = 1 - math.frexp(smallest)[1]
    order = np.argsort(np.argsort(_sequence(count, 0.5, _GOLDEN), kind="stable"), kind="stable")
    exponent = octaves * order.astype(np.float64) / (count - 1) if count > 1 else np.full(count, float(octaves))
    whole = np.floor(exponent)
    return np.ldexp(1.0 - (exponent - whole) / 2, -whole.astype(np.int64))


def offsets(count: int, epsilon: float) -> Array:
    """A mean for each channel: 1 to 4 of its deviations, with alternating signs."""
    return scales(count, epsilon) * (1 + 3 * _sequence(count, 0.1, _GOLDEN)) * _signs(count)


def parameters(count: int, epsilon: float) -> dict[str, Array]:
    """gamma 0.5 to 2, one in five negative, none 1; beta of 0.3 to 2, either sign; the moving statistics half a
    deviation to one and a half away from the data's mean, and 0.6 to 1.9 times its variance."""
    scale = scales(count, epsilon)
    gamma = 0.5 + 1.5 * _sequence(count, 0.3, _GOLDEN)
    gamma = np.where(np.abs(gamma - 1) < 0.02, gamma + 0.05, gamma)
    beta = (0.3 + 1.7 * _sequence(count, 0.7, _SILVER)) * -_signs(count)
    return {
        "gamma": np.where(np.arange(count) % 5 == 1, -gamma, gamma),
        "beta": beta,
        "moving_mean": offsets(count, epsilon) + scale * (0.5 + _sequence(count, 0.9, _SILVER)),
        "moving_variance": scale * scale * (0.6 + 1.3 * _sequence(count, 0.2, _GOLDEN)),
    }


def upstream_offsets(count: int) -> Array:
    """The mean of the gradient from above in each channel: 0.5 to 3, with alternating signs."""
    return (0.5 + 2.5 * _sequence(count, 0.4, _SILVER)) * _signs(count)


def upstream(normal: Array, deviations: Array) -> Array:
    """A gradient from above, but for its offset: normal numbers and a part of x in deviations."""
    return normal + ALONG_X * deviations


def deviations(normal: Array, first: int, channels: Channels) -> Array:
    """The values number ``first`` onwards (C order) in deviations: normal numbers with a trend and a growing spread.

    ``normal`` and the result are flat.
    """
    place = np.unravel_index(np.arange(first, first + normal.size), channels.shape)
    along = np.zeros(normal.size)
    axes = 0
    for axis, length in enumerate(channels.shape):
        if axis not in channels.kept and length > 1:
            along += (2 * place[axis] - (length - 1)) / float(length)
            axes += 1
    if axes == 0:
        return normal
    return normal * (1 + GROWTH * along / axes) + TREND * along
