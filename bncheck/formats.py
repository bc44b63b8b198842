"""The floating-point formats that tensors come in, float16 and bfloat16 among them: how they store a number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import ml_dtypes
import numpy as np

from bncheck.doubledouble import Array


@dataclass(frozen=True)
class Format:
    """``spacing`` is that of 1, twice the unit roundoff; ``smallest`` the smallest normal number, ``subnormal`` the
    smallest number of all; ``exponent`` masks the bits of a power of two in an ``integer`` of the same width."""

    dtype: np.dtype[Any]
    spacing: float
    smallest: float
    subnormal: float
    largest: float
    exponent: int
    integer: np.dtype[Any]

    @classmethod
    def of(cls, dtype: str | np.dtype[Any]) -> Format:
        """Of a floating dtype, or its name."""
        info = cast(Any, ml_dtypes).finfo(dtype)
        exact = np.dtype(dtype)
        return cls(
            dtype=exact,
            spacing=float(info.eps),
            smallest=float(info.smallest_normal),
            subnormal=float(info.smallest_subnormal),
            largest=float(info.max),
            exponent=((1 << int(info.nexp)) - 1) << int(info.nmant),
            integer=np.dtype(f"u{exact.itemsize}"),
        )

    @property
    def roundoff(self) -> float:
        """The unit roundoff: the largest relative error of rounding to nearest."""
        return self.spacing / 2

    def power(self, values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """The largest power of two that is not above each value's size; 0 for 0 and for subnormal numbers."""
        bits = np.ascontiguousarray(values, dtype=self.dtype).view(self.integer) & self.integer.type(self.exponent)
        power: np.ndarray[Any, Any] = bits.view(self.dtype)
        return power if self.dtype.itemsize >= 4 else power.astype(np.float32)

    def unit(self, values: np.ndarray[Any, Any]) -> Array:
        """The unit in the last place of each value."""
        unit: Array = np.maximum(self.power(values), self.smallest, dtype=np.float64)
        return unit * self.spacing

    def in_units(self, error: Array, values: np.ndarray[Any, Any]) -> float:
        """The largest error in units of the last place of the values; overwrites ``error``."""
        power = self.power(values)
        if power.all():
            return float(np.divide(error, power, out=error).max()) / self.spacing
        return float(np.max(error / self.unit(values)))


def significant(values: Array, bits: int) -> Array:
    """Values rounded to so many significant bits, in the range of float64."""
    mantissa, exponent = np.frexp(values)
    rounded: Array = np.ldexp(np.rint(mantissa * 2.0**bits) / 2.0**bits, exponent)
    return rounded
