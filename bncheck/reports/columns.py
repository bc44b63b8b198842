"""Tables of plain text, at most as wide as a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

import click
from tabulate import tabulate

WIDTH = 100


def columns(
    headers: Sequence[str], rows: Iterable[Sequence[Any]], right: Sequence[str] = (), width: int = WIDTH
) -> str:
    """Columns under their headers, those in ``right`` to the right; the last is cut to what is left of the width."""
    cells = [list(headers), *([str(cell) for cell in row] for row in rows)]
    taken = sum(2 + max(len(click.unstyle(row[c])) for row in cells) for c in range(len(headers) - 1))
    for row in cells:
        row[-1] = shortened(row[-1], max(width - taken, 8))
    aligned = ["right" if header in right else "left" for header in headers]
    text = tabulate(cells, tablefmt="plain", colalign=aligned, disable_numparse=True)
    return "\n".join(line.rstrip() for line in text.split("\n"))


def shortened(text: str, width: int) -> str:
    """A text, cut if it is longer than ``width``."""
    return text if len(text) <= width else text[: width - 3] + "..."


def shortened_name(runner: str, width: int) -> str:
    """A runner's name, cut in the middle if it is in an environment: the end of that is its release."""
    if len(runner) <= width or "@" not in runner:
        return shortened(runner, width)
    end = runner[-(width // 2 - 2) :]
    return f"{runner[: width - 3 - len(end)]}...{end}"


def wrapped(text: str, indent: str = "", hanging: str | None = None) -> str:
    """A paragraph, indented, and from its second line by ``hanging`` where that is another indent."""
    after = indent if hanging is None else hanging
    return textwrap.fill(text, WIDTH, initial_indent=indent, subsequent_indent=after, break_on_hyphens=False)


def counted(number: int, noun: str) -> str:
    """A number of things: 1 case, 1,000 cases."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
