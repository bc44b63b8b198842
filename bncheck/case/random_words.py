"""Random numbers that are the same on every machine, with every version of NumPy.

NumPy guarantees the raw stream of a bit generator, not what its distributions make of it. So numbers are made here of
the raw words of Philox, a counter-based generator (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
SC'11), by arithmetic that is exact.
"""

from __future__ import annotations

import hashlib

import numpy as np

from bncheck.doubledouble import Array


class Stream:
    """The random numbers of one name, in order; equal names give equal numbers."""

    def __init__(self, name: str) -> None:
        digest = hashlib.sha256(name.encode()).digest()
        self._words = np.random.Philox(key=np.frombuffer(digest[:16], dtype="<u8").astype(np.uint64))

    def uniform(self, count: int) -> Array:
        """Multiples of 2^-53 in [0, 1)."""
        words = np.asarray(self._words.random_raw(count), dtype=np.uint64)
        scaled: Array = np.multiply(words >> np.uint64(11), 2.0**-53, dtype=np.float64)
        return scaled

    def normal(self, count: int) -> Array:
        """Mean 0, variance 1: the sum of twelve 32-bit uniform numbers less six, exact; nothing lies beyond 6."""
        words = np.asarray(self._words.random_raw(6 * count), dtype=np.uint64).reshape(count, 6)
        halves = (words >> np.uint64(32)).sum(axis=1) + (words & np.uint64(0xFFFFFFFF)).sum(axis=1)
        centred: Array = halves.astype(np.float64) - 6 * 2.0**32
        return centred * 2.0**-32
