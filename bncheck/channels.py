"""A tensor seen as channels: which values share one statistic, and in which blocks to walk through them.

Both the reference and the comparison pass over tensors that may fill most of the memory, so both walk the same small
blocks, and neither ever copies the tensor.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK = 1 << 17
"""Values a block: a MiB in float64, so that the few temporaries stay near a core; 2^16 to 2^18 are alike."""

Index = tuple[slice, ...]


@dataclass(frozen=True)
class Channels:
    """``shape`` split by the axes in ``kept`` (sorted, non-negative), which keep their own statistics.

    Neighbouring axes of one kind are merged, so (1024, 30, 64, 64) keeping axis 1 is walked as (1024, 30, 4096).
    """

    shape: tuple[int, ...]
    kept: tuple[int, ...]

    @cached_property
    def statistic_shape(self) -> tuple[int, ...]:
        """The shape of a statistic or parameter: the kept axes, in the tensor's order."""
        return tuple(self.shape[a] for a in self.kept)

    @cached_property
    def count(self) -> int:
        """How many statistics there are."""
        return math.prod(self.statistic_shape)

    @cached_property
    def reduced_shape(self) -> tuple[int, ...]:
        """The shape of what is averaged over: the other axes, in the tensor's order."""
        return tuple(d for a, d in enumerate(self.shape) if a not in self.kept)

    @cached_property
    def values(self) -> int:
        """N: how many values each statistic averages."""
        return math.prod(self.reduced_shape)

    @cached_property
    def _groups(self) -> list[tuple[bool, int]]:
        flagged = [(a in self.kept, d) for a, d in enumerate(self.shape) if d != 1] or [(True, 1)]
        return [(kept, math.prod(d for _, d in run)) for kept, run in itertools.groupby(flagged, key=lambda f: f[0])]

    @cached_property
    def walked(self) -> tuple[int, ...]:
        """The merged shape in which the tensor is walked."""
        return tuple(d for _, d in self._groups)

    @cached_property
    def reduced(self) -> tuple[int, ...]:
        """The axes of the merged shape that are averaged over."""
        return tuple(i for i, (kept, _) in enumerate(self._groups) if not kept)

    def view(self, tensor: NDArray[Any]) -> NDArray[Any]:
        """``tensor`` in its merged shape, not copied."""
        return tensor.reshape(self.walked)

    def spread(self, statistic: NDArray[Any]) -> NDArray[Any]:
        """One number a channel, shaped to broadcast against the merged tensor."""
        return statistic.reshape([d if kept else 1 for kept, d in self._groups])

    def laid(self, statistic: NDArray[Any], along: Channels) -> NDArray[Any]:
        """One number a channel, flat, as one a channel of ``along``: averaged over the axes that ``along`` has not,
        repeated on those that it has besides."""
        if statistic.ndim == 0:
            return statistic
        full = statistic.reshape([d if a in self.kept else 1 for a, d in enumerate(self.shape)])
        full = full.mean(axis=tuple(a for a in self.kept if a not in along.kept), keepdims=True)
        lengths = [d if a in along.kept else 1 for a, d in enumerate(self.shape)]
        return np.broadcast_to(full, lengths).reshape(-1)

    def divided(self, rows: int, adjacent: bool) -> tuple[Channels, Channels]:
        """The tensor with its first axis cut into virtual batches of so many ``rows``: one statistic for each of them,
        and one for all of them. Each has every G-th row, where there are G, or rows that follow each other."""
        groups = self.shape[0] // rows
        shape = (*((groups, rows) if adjacent else (rows, groups)), *self.shape[1:])
        kept = tuple(axis + 1 for axis in self.kept)
        return Channels(shape, (0 if adjacent else 1, *kept)), Channels(shape, kept)

    def of(self, index: Index) -> Index:
        """The part of a spread statistic that belongs to a block."""
        return tuple(s if kept else slice(None) for s, (kept, _) in zip(index, self._groups, strict=True))

    def blocks(self) -> Iterator[Index]:
        """The merged tensor in C order, cut into pieces of about `BLOCK` values."""
        if 0 in self.walked:
            return
        cut = 0
        while cut < len(self.walked) - 1 and math.prod(self.walked[cut + 1 :]) > BLOCK:
            cut += 1
        step = max(1, BLOCK // math.prod(self.walked[cut + 1 :]))
        for outer in np.ndindex(self.walked[:cut]):
            head = tuple(slice(i, i + 1) for i in outer)
            for start in range(0, self.walked[cut], step):
                tail = (slice(None),) * (len(self.walked) - cut - 1)
                yield (*head, slice(start, min(start + step, self.walked[cut])), *tail)

    def position(self, index: Index, flat: int, shape: tuple[int, ...] | None = None) -> tuple[int, ...]:
        """Where in the tensor, or in one of another ``shape``, the ``flat``-th value of a block lies."""
        lengths = [len(range(*s.indices(d))) for s, d in zip(index, self.walked, strict=True)]
        inside = np.unravel_index(flat, lengths)
        offset = [(s.start or 0) + int(i) for s, i in zip(index, inside, strict=True)]
        return tuple(int(i) for i in np.unravel_index(np.ravel_multi_index(offset, self.walked), shape or self.shape))
