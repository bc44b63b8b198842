"""The statistics of a tensor for every set of kept axes at once: what a search for a wrong axis asks for.

One pass gives those that average over a single axis; all others follow by the law of total variance, each from the
smallest set that has one axis more: a mean of means, and a mean of variances plus the variance of means. float64
tensors need more than float64 and are walked once for each set.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from bncheck.channels import BLOCK, Channels
from bncheck.doubledouble import Array, Plain
from bncheck.reference import Statistics, Tensor, batch_statistics


class KeptSets:
    """The statistics of one tensor by kept axes, each computed when it is first asked for."""

    def __init__(self, tensor: Tensor) -> None:
        self._tensor = tensor
        self._found: dict[Channels, Statistics] = {}
        self._pairs: dict[tuple[int, ...], tuple[Array, Array]] = {}

    def __call__(self, channels: Channels) -> Statistics:
        if channels not in self._found:
            self._found[channels] = self._find(channels)
        return self._found[channels]

    def _find(self, channels: Channels) -> Statistics:
        if self._tensor.dtype == np.float64 or not self._tensor.size:
            return batch_statistics(self._tensor, channels)
        if channels.shape == self._tensor.shape:
            with np.errstate(all="ignore"):
                mean, variance = self._pair(channels.kept)
            return Statistics(Plain.of(mean.reshape(-1)), Plain.of(variance.reshape(-1)))
        read = batch_statistics(self._tensor, channels)  # the memory read in another order of axes
        return Statistics(Plain.of(read.mean.hi), Plain.of(read.variance.hi))

    def _pair(self, kept: tuple[int, ...]) -> tuple[Array, Array]:
        """Mean and variance, with the axes averaged over kept as axes of length 1."""
        if kept not in self._pairs:
            shape = self._tensor.shape
            others = [axis for axis in range(len(shape)) if axis not in kept]
            if not others:
                self._pairs[kept] = (self._tensor.astype(np.float64), np.zeros(shape))
            elif len(others) == 1:
                self._pairs |= _all_but_one(self._tensor)
            else:
                over = max(others, key=lambda axis: (-shape[axis], axis))  # leaves the smallest set that has one more
                means, variances = self._pair(tuple(sorted((*kept, over))))
                self._pairs[kept] = _merged(means, variances, over)
        return self._pairs[kept]


def _merged(means: Array, variances: Array, axis: int) -> tuple[Array, Array]:
    """Of groups of one size: the mean of all, and the variance of all."""
    mean = means.mean(axis=axis, keepdims=True)
    away = means - mean
    np.multiply(away, away, out=away)
    away += variances
    return mean, away.mean(axis=axis, keepdims=True)


def _all_but_one(tensor: NDArray[np.generic]) -> dict[tuple[int, ...], tuple[Array, Array]]:
    """The sets that average over one axis alone, each in one pass of blocks that stay in the cache."""
    shape, every = tensor.shape, range(tensor.ndim)
    found = {axis: _empty(shape, axis) for axis in every}
    mean, square = np.zeros((1, *shape[1:])), np.zeros((1, *shape[1:]))  # along the first axis, block by block
    rows = max(1, BLOCK // max(1, math.prod(shape[1:])))
    for start in range(0, shape[0], rows):
        block = tensor[start : start + rows].astype(np.float64)
        for axis in every[1:]:
            found[axis][0][start : start + rows], found[axis][1][start : start + rows] = _spread(block, axis)
        of_block, variance = _spread(block, 0)
        new, all_of_them = len(block), start + len(block)
        apart = of_block - mean
        mean += apart * (new / all_of_them)
        square += variance * new + apart * apart * (start * new / all_of_them)
    found[0] = mean, square / shape[0]
    return {tuple(a for a in every if a != axis): pair for axis, pair in found.items()}


def _empty(shape: tuple[int, ...], axis: int) -> tuple[Array, Array]:
    lengths = [1 if a == axis else d for a, d in enumerate(shape)]
    return (np.empty(lengths), np.empty(lengths)) if axis else (np.empty(0), np.empty(0))


def _spread(block: Array, axis: int) -> tuple[Array, Array]:
    mean = block.mean(axis=axis, keepdims=True)
    away = block - mean
    np.multiply(away, away, out=away)
    return mean, away.mean(axis=axis, keepdims=True)
