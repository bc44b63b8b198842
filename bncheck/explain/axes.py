"""A shape split by the axes that are kept, with the layout's letters; a size may be unknown and only have a name."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

CHANNELS = "CF"
"""The letters that batch normalization keeps: the first of them that a layout has."""

Size = int | str
"""A size, or the name of one that is not known."""


@dataclass(frozen=True)
class Product:
    """A product of sizes, of which some may only have a name."""

    factors: tuple[Size, ...]

    @property
    def value(self) -> int | None:
        """The number, if every factor is one."""
        numbers = [f for f in self.factors if isinstance(f, int)]
        return math.prod(numbers) if len(numbers) == len(self.factors) else None

    def written(self, number: str = "") -> str:
        """The numbers multiplied and the names left: ``784*N``. ``number``: the format of the number."""
        product = math.prod(f for f in self.factors if isinstance(f, int))
        names = [f for f in self.factors if isinstance(f, str)]
        return "*".join([*([format(product, number)] if product != 1 or not names else []), *names])

    def __str__(self) -> str:
        """With its factors: ``4*30*64 = 7,680``."""
        whole = self.written(",")
        factors = "*".join(str(f) for f in self.factors)
        return whole if len(self.factors) < 2 or factors == whole else f"{factors} = {whole}"


@dataclass(frozen=True)
class Axes:
    """The axes of a tensor, of which those in ``kept`` (sorted) have statistics of their own.

    ``letters`` is the layout, or empty where none was given.
    """

    sizes: tuple[Size, ...]
    letters: str
    kept: tuple[int, ...]

    @property
    def reduced(self) -> tuple[int, ...]:
        """The axes that are averaged over."""
        return tuple(a for a in range(len(self.sizes)) if a not in self.kept)

    @property
    def statistic(self) -> tuple[Size, ...]:
        """The shape of a mean, a variance, gamma or beta."""
        return tuple(self.sizes[a] for a in self.kept)

    @property
    def count(self) -> Product:
        """How many statistics there are."""
        return Product(self.statistic)

    @property
    def values(self) -> Product:
        """How many values each of them averages."""
        return Product(tuple(self.sizes[a] for a in self.reduced))

    @property
    def channel(self) -> int | None:
        """The axis that the layout says to keep."""
        return next((self.letters.index(c) for c in CHANNELS if c in self.letters), None)

    @property
    def bessel(self) -> str:
        """An unbiased variance over a biased one: ``n/(n-1)`` for n values, in numbers unless they are long. Of a
        single value both are 0: nothing."""
        n = self.values.value
        if n is not None and n < 2:
            return ""
        return f"{n}/{n - 1}" if n is not None and n < 100_000 else "n/(n-1)"

    def keeping(self, *axes: int) -> Axes:
        return replace(self, kept=axes)

    def named(self, axes: Sequence[int]) -> str:
        """Axes in a sentence: ``N, C, H``, or ``axes 0, 1, 2`` where they have no letters."""
        if not axes:
            return "nothing"
        if self.letters:
            return ", ".join(self.letters[a] for a in axes)
        return f"{'axis' if len(axes) == 1 else 'axes'} {', '.join(map(str, axes))}"

    def spelled(self, axes: Sequence[int]) -> str:
        """Axes as Keras takes them: -1 for the last one alone."""
        if len(axes) != 1:
            return str(list(axes))
        return "-1" if axes[0] == len(self.sizes) - 1 else str(axes[0])


def numpy_axis(axes: Sequence[int]) -> str:
    """Axes as NumPy takes them: ``0``, or ``(0, 1, 2)``."""
    return str(axes[0]) if len(axes) == 1 else str(tuple(axes))
