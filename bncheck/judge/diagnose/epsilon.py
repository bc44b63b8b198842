"""Which epsilon was used: solved from an output, with the interval that fits, and the known values in it.

An element of the output gives a divisor, ``gamma*(x - mean)/(y - beta)``, and its bound an interval of divisors; where
a channel's slope is known more exactly than its elements are, it gives a narrower one. Each is an interval of epsilon,
and what they all share fits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import ml_dtypes
import numpy as np

from bncheck.bounds import OutputBound
from bncheck.doubledouble import Array
from bncheck.judge.diagnose.solved import ROUNDS, Known, Solved, agreed, distinct, followed
from bncheck.judge.evidence import Lines, readings
from bncheck.judge.trials import Elements
from bncheck.placement import epsilon_of
from bncheck.reference import Normalization
from bncheck.semantics import Placement, Semantics

STARTS = (0.0, *(10.0**power for power in np.arange(-12, 1.1, 0.5)))
"""Where a solution is begun that cannot be read from elements."""


def solve(elements: Elements, semantics: Semantics) -> Solved | None:
    """The epsilon under which a reading reproduces the elements; None if there is none."""
    actual = np.asarray(elements.actual, dtype=np.float64)
    with np.errstate(all="ignore"):
        semantics = replace(semantics, epsilon=_start(actual, elements.x, elements.applied(semantics)[0]))
        for _ in range(ROUNDS):
            applied, bound = elements.applied(semantics)
            found = _measured(actual, elements.x, applied, bound)
            if np.isinf(found.high - found.low) and found.holds(semantics.epsilon):
                return replace(found, value=semantics.epsilon)  # bounds say too little; a slope may say more
            settled = abs(found.value - semantics.epsilon) <= 1e-3 * (found.high - found.low)
            semantics = replace(semantics, epsilon=max(found.value, 0.0))
            if settled:
                break
    return found if found.fits and found.high >= 0 else None


def solve_from(made: Callable[[float], tuple[Array, Array]], seen: Array) -> Solved | None:
    """The epsilon of which something is made that was ``seen``; None if there is none. ``made``: what an epsilon makes,
    and what each number may be off by."""

    def off(value: float) -> float:
        values, allowed = made(value)
        return float(np.nanmax(np.abs(seen - values) / allowed, initial=0.0))

    with np.errstate(all="ignore"):
        found = followed(seen, made, min(STARTS, key=off), lambda value: 1.001 * value + 1e-12)
    return found if found.fits and found.high >= 0 else None


def _start(actual: Array, x: Array, applied: Normalization) -> float:
    """An epsilon to begin with, since the bound of another may say nothing: what the elements show that show it best,
    far from their mean and of a small variance. What was requested, if they show none."""
    size = np.abs(applied.gamma.hi * (np.asarray(x, dtype=np.float64) - applied.mean.hi))
    seen = (actual - applied.beta.hi) * np.sign(applied.gamma.hi * (x - applied.mean.hi))
    variance = applied.variance.hi
    estimates = epsilon_of(size / seen, variance, applied.placement)
    told = np.isfinite(estimates) & (seen > 0)
    if not told.any():
        return applied.epsilon
    weight = np.where(told, seen / (variance + np.abs(estimates)), -1.0)
    best = estimates[np.argsort(weight)[-max(1, int(told.sum()) // 4) :]]
    return max(float(np.median(best)), 0.0) or applied.epsilon


def _measured(actual: Array, x: Array, applied: Normalization, bound: OutputBound) -> Solved:
    away = applied.gamma.hi * (np.asarray(x, dtype=np.float64) - applied.mean.hi)
    seen = (actual - applied.beta.hi) * np.sign(away)
    off = bound.slope * np.abs(seen) + bound.floor + bound.result * np.abs(actual)
    off = off / np.maximum(
        1 - bound.slope - bound.result, 0.0
    )  # the bound is that of what was due, not of what is seen
    size, variance, placement = np.abs(away), applied.variance.hi, applied.placement
    told = (size > 0) & np.isfinite(off)
    low = np.where(seen + off > 0, _least(size / (seen + off), variance, placement), np.inf)  # else y is beyond beta
    high = np.where(seen > off, _most(size / (seen - off), variance, placement), np.inf)
    return agreed(
        epsilon_of(size / seen, variance, placement), np.where(told, low, -np.inf), np.where(told, high, np.inf)
    )


def _least(divisor: Array, variance: Array, placement: Placement) -> Array:
    epsilon = epsilon_of(divisor, variance, placement)
    return np.where(epsilon <= variance, -np.inf, epsilon) if placement == "floor" else epsilon


def _most(divisor: Array, variance: Array, placement: Placement) -> Array:
    epsilon = epsilon_of(divisor, variance, placement)
    return np.where(epsilon < variance, -np.inf, epsilon) if placement == "floor" else epsilon


def narrowed(found: Solved, lines: Lines, applied: Callable[[float], Normalization]) -> Solved | None:
    """A solution narrowed by the slopes of all channels, the limits of which depend on epsilon; ``applied`` is what an
    epsilon makes. None if none fits."""
    value, best = found.value, None
    for _ in range(ROUNDS):
        best = sharpened(found, lines, applied(max(value, 0.0)))
        if best is None or abs(best.value - value) <= 1e-3 * (best.high - best.low):
            break
        value = best.value
    return best


def sharpened(found: Solved, lines: Lines, applied: Normalization) -> Solved | None:
    """The same, with the limits of one application."""
    with np.errstate(all="ignore"):
        seen = readings(lines, applied)
        divisor, tolerance = applied.divisor.hi / (1 + seen.slope_error), seen.slope_limit
        told = np.isfinite(tolerance) & np.isfinite(divisor)
        variance, placement = applied.variance.hi, applied.placement
        by_slopes = agreed(
            epsilon_of(divisor, variance, placement),
            np.where(told, _least(divisor * np.maximum(1 - tolerance, 0.0), variance, placement), -np.inf),
            np.where(told, _most(divisor * (1 + tolerance), variance, placement), np.inf),
        )
    narrowed = by_slopes.within(found) if told.any() else found
    return narrowed if narrowed.fits else None


def known(requested: float) -> list[Known]:
    """Values that an epsilon is known to take where another was requested."""
    with np.errstate(over="ignore"):
        rounded = {"float16": float(np.float16(requested)), "bfloat16": float(ml_dtypes.bfloat16(requested))}
    values = [
        Known(0.0, "0", "it was dropped"),
        Known(1e-3, "Keras's default 0.001", "Keras's default"),
        Known(1e-5, "PyTorch's default 1e-05", "PyTorch's default"),
        Known(1.001e-5, "TensorFlow's old minimum 1.001e-05", "TensorFlow's old minimum"),
        Known(1e-4, "the default 0.0001 of TensorFlow's raw operation", "the default of TensorFlow's raw operation"),
        Known(2 * requested, f"{2 * requested:g} (added twice)", "it was added twice"),
        Known(requested * requested, f"{requested * requested:g} (squared)", "it was squared"),
        *(Known(v, f"{v:.6g} (rounded to {name})", f"it was rounded to {name}") for name, v in rounded.items()),
    ]
    return distinct(values, requested)
