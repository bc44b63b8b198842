"""What was found of one case, in words: how far each tensor is off, where, and why."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence

from bncheck.document import Cause, Result, Tensor
from bncheck.reports.columns import WIDTH, columns


def told(
    tensors: Sequence[Tensor],
    causes: Sequence[Cause],
    notes: Sequence[str],
    *,
    said: str | None = None,
    width: int = WIDTH,
) -> str:
    """``said`` and the causes, the tensors in a table, and the notes, in lines of at most ``width``."""

    def paragraphs(texts: Sequence[str]) -> str:
        return "\n".join(textwrap.fill(text, width, break_on_hyphens=False) for text in texts)

    why = [*([said] if said else []), *sentences(causes, named=True)]
    parts = [paragraphs(why), _table(tensors, width), paragraphs([f"Note: {note}." for note in notes])]
    return "\n\n".join(part for part in parts if part)


def sentences(causes: Sequence[Cause], *, named: bool = False) -> list[str]:
    """What is said of each cause, with its kind where there are several, or ``named``; of other explanations, that they
    are."""
    named = named or len({c.kind for c in causes}) > 1
    return list(
        dict.fromkeys(f"{'or ' if c.alternative else ''}{f'{c.kind}: ' if named else ''}{c.message}" for c in causes)
    )


def ratio(value: float) -> str:
    """An error in units of its bound."""
    return f"{value:.2g}" if value < 100 else f"{value:.3g}"


def subject(result: Result) -> str:
    """The runner, and its device where that is not the CPU."""
    return result.runner if result.device == "cpu" else f"{result.runner} on {result.device}"


def worst(result: Result) -> Tensor | None:
    """The tensor to tell of: of those that the causes name, or else of all, the one that is farthest off."""
    blamed = [t for t in result.tensors if any(c.message.startswith(t.name) for c in result.causes)] or result.tensors
    return max(blamed, key=lambda t: math.inf if t.bound_ratio is None else t.bound_ratio, default=None)


HEADERS = ("tensor", "error", "x bound", "at", "is", "should be")


def _table(tensors: Sequence[Tensor], width: int) -> str:
    return columns(HEADERS, map(row, tensors), right=HEADERS[1:3], width=width) if tensors else ""


def row(tensor: Tensor) -> list[str]:
    """What is told of a tensor's largest error, under `HEADERS`."""
    if tensor.max_abs is None or tensor.bound_ratio is None:
        return [tensor.name, *["-"] * 5]
    of_worst = ["-"] * 3 if tensor.at is None else [str(tensor.at), _number(tensor.actual), _number(tensor.expected)]
    return [tensor.name, f"{tensor.max_abs:.1e}", ratio(tensor.bound_ratio), *of_worst]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.7g}"
