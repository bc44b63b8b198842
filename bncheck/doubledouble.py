"""Arithmetic on unevaluated sums of two float64 arrays, about 100 bits, on every machine.

float64 cases are judged by bounds of a few units of 2^-53, so their reference needs more than float64, and NumPy's
``longdouble`` *is* float64 on Windows and on many ARM machines. Error-free transformations need nothing but correctly
rounded float64: T. J. Dekker, "A floating-point technique for extending the available precision", Numer. Math. 18
(1971); Y. Hida, X. Li, D. Bailey, "Library for double-double and quad-double arithmetic" (2007).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_SPLITTER = 134217729.0  # 2^27 + 1


def _two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    s = a + b
    t = s - a
    return s, (a - (s - t)) + (b - t)


def _quick_two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    s = a + b
    return s, b - (s - a)


def _split(a: Array) -> tuple[Array, Array]:
    t = _SPLITTER * a
    high = t - (t - a)
    return high, a - high


def _two_product(a: Array, b: Array) -> tuple[Array, Array]:
    p = a * b
    a_high, a_low = _split(a)
    b_high, b_low = _split(b)
    return p, ((a_high * b_high - p) + a_high * b_low + a_low * b_high) + a_low * b_low


@dataclass(frozen=True, eq=False)
class DoubleDouble:
    """The array ``hi + lo``, with ``|lo| <= ulp(hi)/2``. Where ``hi`` is not finite, ``lo`` is 0."""

    hi: Array
    lo: Array

    @classmethod
    def of(cls, value: Any) -> DoubleDouble:
        hi = np.asarray(value, dtype=np.float64)
        return cls(hi, np.zeros_like(hi))

    @classmethod
    def _settled(cls, hi: Array, lo: Array, rough: Array) -> DoubleDouble:
        """``hi + lo``; where the error-free steps overflowed into NaN, the plain float64 result."""
        hi, lo = _quick_two_sum(hi, lo)
        good = np.isfinite(hi) & np.isfinite(lo)
        if good.all():
            return cls(hi, lo)
        return cls(np.where(good, hi, rough), np.where(good, lo, 0.0))

    def __add__(self, other: DoubleDouble) -> DoubleDouble:
        s, e = _two_sum(self.hi, other.hi)
        t, f = _two_sum(self.lo, other.lo)
        s2, e2 = _quick_two_sum(s, e + t)
        return self._settled(s2, e2 + f, s)

    def __neg__(self) -> DoubleDouble:
        return DoubleDouble(-self.hi, -self.lo)

    def __sub__(self, other: DoubleDouble) -> DoubleDouble:
        return self + -other

    def __mul__(self, other: DoubleDouble) -> DoubleDouble:
        p, e = _two_product(self.hi, other.hi)
        return self._settled(p, e + (self.hi * other.lo + self.lo * other.hi), p)

    def __truediv__(self, other: DoubleDouble) -> DoubleDouble:
        first = self.hi / other.hi
        rest = self - other * DoubleDouble.of(first)
        second = rest.hi / other.hi
        rest = rest - other * DoubleDouble.of(second)
        q, e = _quick_two_sum(first, second)
        return self._settled(q, e + rest.hi / other.hi, first)

    def sqrt(self) -> DoubleDouble:
        root = np.sqrt(self.hi)
        rest = self - DoubleDouble.of(root) * DoubleDouble.of(root)
        correction = np.divide(rest.hi, 2.0 * root, out=np.zeros_like(root), where=root != 0)
        return self._settled(root, correction, root)

    def maximum(self, other: DoubleDouble) -> DoubleDouble:
        """The larger of each two."""
        larger = self.hi >= other.hi
        return type(self)(np.where(larger, self.hi, other.hi), np.where(larger, self.lo, other.lo))

    def sum(self, axes: Sequence[int]) -> DoubleDouble:
        """The sum over ``axes``, which stay as axes of length 1; added pairwise, each addition to 100 bits."""
        total = self
        for axis in axes:
            total = DoubleDouble(np.moveaxis(total.hi, axis, 0), np.moveaxis(total.lo, axis, 0))
            if total.hi.shape[0] == 0:
                total = DoubleDouble.of(np.zeros((1, *total.hi.shape[1:])))
            while (length := total.hi.shape[0]) > 1:
                half = (length + 1) // 2
                front, back = total[:half], total[half:]
                folded = front[: length - half] + back
                if length % 2:
                    last = front[half - 1 :]
                    folded = DoubleDouble(np.concatenate([folded.hi, last.hi]), np.concatenate([folded.lo, last.lo]))
                total = folded
            total = DoubleDouble(np.moveaxis(total.hi, 0, axis), np.moveaxis(total.lo, 0, axis))
        return total

    def __getitem__(self, index: Any) -> DoubleDouble:
        return DoubleDouble(self.hi[index], self.lo[index])

    def reshape(self, shape: Sequence[int]) -> DoubleDouble:
        return DoubleDouble(self.hi.reshape(shape), self.lo.reshape(shape))


_NOTHING = np.zeros(())


class Plain(DoubleDouble):
    """Plain float64 in the same clothes, for the thousands of trials of a search that 100 bits would make slow."""

    @classmethod
    def of(cls, value: Any) -> Plain:
        return cls(np.asarray(value, dtype=np.float64), _NOTHING)

    def __add__(self, other: DoubleDouble) -> Plain:
        return Plain(self.hi + other.hi, _NOTHING)

    def __neg__(self) -> Plain:
        return Plain(-self.hi, _NOTHING)

    def __mul__(self, other: DoubleDouble) -> Plain:
        return Plain(self.hi * other.hi, _NOTHING)

    def __truediv__(self, other: DoubleDouble) -> Plain:
        return Plain(self.hi / other.hi, _NOTHING)

    def sqrt(self) -> Plain:
        return Plain(np.sqrt(self.hi), _NOTHING)

    def maximum(self, other: DoubleDouble) -> Plain:
        return Plain(np.maximum(self.hi, other.hi), _NOTHING)

    def sum(self, axes: Sequence[int]) -> Plain:
        return Plain(self.hi.sum(axis=tuple(axes), keepdims=True), _NOTHING)

    def __getitem__(self, index: Any) -> Plain:
        return Plain(self.hi[index], _NOTHING)

    def reshape(self, shape: Sequence[int]) -> Plain:
        return Plain(self.hi.reshape(shape), _NOTHING)
