"""A valid case as text, ways to spoil it, and loading a text as a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from bncheck.case.load import LoadedCase, load
from bncheck.case.problem import BadCases, Problem

VALID = """\
title: t
input: {shape: [2, 3, 4], layout: NCL}
axis: 1
mode: training
"""


def also(line: str) -> str:
    """`VALID` with ``line`` as its fifth."""
    return f"{VALID}{line}\n"


def instead(old: str, new: str, text: str = VALID) -> str:
    """``text`` with ``new`` where ``old`` stood."""
    assert old in text
    return text.replace(old, new)


def values(recipe: str) -> str:
    """`VALID` with values, which begin at 2:48."""
    return instead("NCL", f"NCL, values: {recipe}")


def load_text(folder: Path, text: str | bytes, **options: int) -> list[LoadedCase]:
    """The cases of ``text``, written to ``a.yaml`` as it is, line ends included."""
    file = folder / "a.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load([file], **options)


def problems_of(folder: Path, text: str | bytes, **options: int) -> list[Problem]:
    """What is wrong with ``text``, which must be refused."""
    with pytest.raises(BadCases) as refused:
        load_text(folder, text, **options)
    return refused.value.problems


def places(problems: list[Problem]) -> str:
    """Where the problems stand, as "5:1 7:8"."""
    return " ".join(f"{p.line}:{p.column}" for p in problems)
