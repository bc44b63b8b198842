"""A mask over a batch's positions: which of its values enter the statistics."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncheck.channels import Channels
from bncheck.semantics import Masking


class Mask:
    """``positions``: of each position over the axes that are averaged over, in their shape, whether it is to enter."""

    def __init__(self, positions: NDArray[np.bool_]) -> None:
        self.positions = positions
        self._entering: dict[tuple[int, Masking], tuple[NDArray[Any], Channels, NDArray[Any]]] = {}

    def entering(self, batch: NDArray[Any], channels: Channels, masking: Masking) -> tuple[NDArray[Any], Channels]:
        """The values of ``batch`` that enter the statistics of ``channels``, and those channels as they lie in them.

        What is returned for a batch is the same each time, so that what is found of it can be remembered.
        """
        if masking == "ignored":
            return batch, channels
        key = (id(batch), masking)
        if key not in self._entering:
            others = [axis for axis in range(batch.ndim) if axis not in channels.kept]
            values = batch.transpose([*channels.kept, *others]).reshape(*channels.statistic_shape, channels.values)
            positions = self.positions.reshape(-1)
            if masking == "zeros":
                values = np.where(positions, values, np.zeros((), batch.dtype))
            else:
                values = np.ascontiguousarray(values[..., positions == (masking == "left out")])
            kept = tuple(range(values.ndim - 1))
            self._entering[key] = values, Channels(values.shape, kept), batch  # which keeps its id
        values, entering, _ = self._entering[key]
        return values, entering
