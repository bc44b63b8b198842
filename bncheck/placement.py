"""Where epsilon goes: the divisor that a variance and an epsilon make, and what can be read back from a divisor.

``inside`` the root, ``sqrt(v + epsilon)``, is batch normalization. Others are known mistakes: ``outside`` it,
``sqrt(v) + epsilon``; and a ``floor`` on the variance, ``sqrt(max(v, epsilon))``.
"""

from __future__ import annotations

import numpy as np

from bncheck.doubledouble import Array, DoubleDouble
from bncheck.semantics import Placement


def divisor(variance: DoubleDouble, epsilon: float, placement: Placement) -> DoubleDouble:
    """What ``x - mean`` is divided by."""
    added = type(variance).of(epsilon)
    if placement == "inside":
        return (variance + added).sqrt()
    if placement == "outside":
        return variance.sqrt() + added
    return variance.maximum(added).sqrt()


def weight_of_variance(variance: Array, epsilon: float, placement: Placement) -> Array:
    """By how much of itself the divisor's square changes for a change of the variance by 1."""
    if placement == "inside":
        return 1 / (variance + epsilon)
    if placement == "outside":
        root = np.sqrt(variance)
        return 1 / (root * (root + epsilon))
    return 1 / np.maximum(variance, epsilon)


def variance_of(divisor: Array, epsilon: float, placement: Placement) -> Array:
    """The variance that makes a divisor with a known epsilon (of a floor: where the variance is above it)."""
    if placement == "outside":
        return (divisor - epsilon) ** 2
    return divisor**2 - (epsilon if placement == "inside" else 0.0)


def epsilon_of(divisor: Array, variance: Array, placement: Placement) -> Array:
    """The epsilon that makes a divisor with a known variance (of a floor: where that is above the variance)."""
    if placement == "outside":
        return divisor - np.sqrt(variance)
    return divisor**2 - (variance if placement == "inside" else 0.0)
