"""Which momentum was used: solved from the moving statistics, with the interval that fits, and the known values in it.

After one step a moving statistic is a straight line in the momentum, after several a polynomial. From the best of a few
starting points it is taken to be straight until that no longer changes the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from bncheck.doubledouble import Array
from bncheck.judge.diagnose.solved import Known, Solved, distinct, followed
from bncheck.judge.trials import Elements, Trials
from bncheck.reference import Tensor
from bncheck.semantics import Semantics

STARTS = 33
STEP = 1e-3
"""Of the difference that gives a slope."""


def solve(trials: Trials, semantics: Semantics, actual: Mapping[str, Tensor]) -> Solved | None:
    """The momentum under which a reading leaves these moving statistics, by name; None if there is none in [0, 1]."""
    seen = np.concatenate([np.asarray(a, dtype=np.float64).reshape(-1) for a in actual.values()])

    def left(momentum: float) -> tuple[Array, Array]:
        """The moving statistics that a momentum leaves, and what each may be off by."""
        read = replace(semantics, momentum=momentum)
        reference = trials.reference(read)
        errors = trials.bounds(reference).moving
        fields = [name.removeprefix("moving_") for name in actual]
        values = [getattr(reference.moving, field).hi for field in fields]
        return np.concatenate(values), np.concatenate([getattr(errors, field) for field in fields])

    return _solved(seen, left, straight=trials.case.steps == 1)


def solve_from(elements: Elements, semantics: Semantics) -> Solved | None:
    """The momentum with which moving statistics were left that make these elements; None if there is none."""

    def made(momentum: float) -> tuple[Array, Array]:
        return elements.expected(replace(semantics, momentum=momentum))

    return _solved(np.asarray(elements.actual, dtype=np.float64), made, straight=False)


def _solved(seen: Array, left: Callable[[float], tuple[Array, Array]], *, straight: bool) -> Solved | None:
    """``left``: what a momentum leaves, and its errors; ``straight``: that is a straight line in the momentum."""

    def off(momentum: float) -> float:
        value, error = left(momentum)
        return float(np.nanmax(np.abs(seen - value) / error, initial=0.0))

    def away(momentum: float) -> float:
        return min(momentum + STEP, 1.0) if momentum < 0.5 else max(momentum - STEP, 0.0)

    with np.errstate(all="ignore"):
        guess = 0.5 if straight else min(np.linspace(0, 1, STARTS), key=off)
        found = followed(seen, lambda momentum: left(min(momentum, 1.0)), guess, away)
    return found if found.fits and found.high >= 0 and found.low <= 1 else None


def known(requested: float | str) -> list[Known]:
    """Values that a momentum is known to take where another was requested. (1 is: not updated.)"""
    values = [
        Known(0.99, "Keras's default 0.99", "Keras's default"),
        Known(0.9, "PyTorch's default 0.9 (its 0.1)", "PyTorch's default (its 0.1)"),
        Known(0.0, "0", "the batch's statistics replace the old ones"),
    ]
    if not isinstance(requested, str):
        exchanged, twice = round(1 - requested, 15), round(requested * requested, 15)
        values.insert(0, Known(exchanged, f"{exchanged:g}", "the weights of old and new are exchanged"))
        values.append(Known(twice, f"{twice:g} (twice)", "as if the batch had entered twice"))
        by_float32 = 1 - float(np.float32(1 - requested)), float(np.float32(requested))
        says = "it went through float32"
        values += [Known(value, f"{value:.12g} (through float32)", says) for value in by_float32]
    return [k for k in distinct(values, requested) if k.value != 1]
