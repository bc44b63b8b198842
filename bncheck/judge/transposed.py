"""Whether a tensor is the right one with its axes in another order."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from bncheck.judge import compare
from bncheck.judge.compare import Expected
from bncheck.reference import Tensor


def transposition(actual: Tensor, expected: Expected, shape: Sequence[int]) -> tuple[int, ...] | None:
    """The axes of the right tensor, which has ``shape``, in the order in which ``actual`` has them; None if it is not
    the right one in any order but its own."""
    for order in itertools.permutations(range(len(shape))):
        if order != tuple(range(len(shape))) and tuple(shape[a] for a in order) == actual.shape:
            restored = np.ascontiguousarray(np.transpose(actual, np.argsort(order)))
            if compare.compare(restored, expected).within:
                return order
    return None
