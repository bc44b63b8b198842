"""A number that was solved from the data, with the interval that fits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from bncheck.doubledouble import Array


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
        return Solved(min(max(self.value, low), high) if low <= high else self.value, low, high)

    def holds(self, value: float) -> bool:
        """Whether a value fits."""
        return self.low <= value <= self.high

    def named(self, known: Iterable[Known]) -> list[Known]:
        """The known values that fit, nearest first."""
        return sorted((k for k in known if self.holds(k.value)), key=lambda k: abs(k.value - self.value))


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
    return Solved(min(max(value, bottom), top) if bottom <= top else value, bottom, top)


def distinct(known: Iterable[Known], requested: float | str) -> list[Known]:
    """Without what was requested, and each value under its first name."""
    first: dict[float, Known] = {}
    for each in known:
        if each.value != requested:
            first.setdefault(each.value, each)
    return list(first.values())
