"""A number that was solved from the data, with the interval that fits."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from bncheck.doubledouble import Array

ROUNDS = 6
"""Solutions until what depends on the solved number is that of the solution itself."""


@dataclass(frozen=True)
class Known:
    """A value that a solved number may be, with a ``name`` that a user knows it by; ``alone``: what to say if it is the
    only one that fits, where that is more than that it fits."""

    value: float
    name: str
    alone: str | None = None

    @property
    def says(self) -> str:
        """What to say of the only known value that fits."""
        return self.alone or f"{self.name} fits"


@dataclass(frozen=True)
class Solved:
    """``value`` is the best estimate; every number from ``low`` to ``high`` fits."""

    value: float
    low: float
    high: float

    @property
    def fits(self) -> bool:
        """Whether there is a number that fits."""
        return self.low <= self.high

    def within(self, other: Solved) -> Solved:
        """The same estimate, where both fit."""
        low, high = max(self.low, other.low), min(self.high, other.high)
        return Solved(_inside(self.value, low, high), low, high)

    def holds(self, value: float) -> bool:
        """Whether a value fits."""
        return self.low <= value <= self.high

    def named(self, known: Iterable[Known]) -> list[Known]:
        """The known values that fit, in their order."""
        return [k for k in known if self.holds(k.value)]


def followed(
    seen: Array, made: Callable[[float], tuple[Array, Array]], guess: float, away: Callable[[float], float]
) -> Solved:
    """The number of which something is made that was ``seen``: what it makes is taken to be straight about a guess,
    and about the next, until that no longer changes the answer.

    ``made``: what a number makes, and what each may be off by; ``away``: another number near a guess, for a slope.
    """
    for _ in range(ROUNDS):
        (value, error), (other, _) = made(guess), made(away(guess))
        slope = (other - value) / (away(guess) - guess)
        low, high = (guess + (seen - value + side * error * np.sign(slope)) / slope for side in (-1, 1))
        told = (slope != 0) & np.isfinite(error) & np.isfinite(seen)
        found = agreed(
            np.where(told, guess + (seen - value) / slope, np.nan),
            np.where(told, low, -np.inf),
            np.where(told, high, np.inf),
        )
        settled = abs(found.value - guess) <= 1e-3 * (found.high - found.low)
        guess = max(found.value, 0.0)
        if settled:
            break
    return found


def agreed(estimates: Array, low: Array, high: Array) -> Solved:
    """What fits several measurements at once: their mean, each by its precision, and the interval that all share.

    Measurements without limits say nothing. The interval is empty (``low > high``) if no number fits all of them.
    """
    says = np.isfinite(estimates) & np.isfinite(low) & np.isfinite(high)
    bottom, top = float(low.max(initial=-np.inf)), float(high.min(initial=np.inf))
    if says.any():
        widths = np.maximum((high - low)[says], np.finfo(float).tiny)
        weights = (widths.min() / widths) ** 2
        value = float((estimates[says] * weights).sum() / weights.sum())
    else:
        value = bottom if np.isfinite(bottom) else top if np.isfinite(top) else 0.0
    return Solved(_inside(value, bottom, top), bottom, top)


def _inside(value: float, low: float, high: float) -> float:
    """An estimate that fits: the middle where it is so near an end that, rounded, it may not."""
    if not low <= high:
        return value
    if not np.isfinite(high - low):
        return min(max(value, low), high)
    margin = 0.1 * (high - low)
    return value if low + margin <= value <= high - margin else (low + high) / 2


def distinct(known: Iterable[Known], requested: float | str) -> list[Known]:
    """Without what was requested, and each value under its first name."""
    first: dict[float, Known] = {}
    for each in known:
        if each.value != requested:
            first.setdefault(each.value, each)
    return list(first.values())
