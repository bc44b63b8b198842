"""The formula in NumPy: any axes, everything as requested; a formula has no defaults."""

from __future__ import annotations

from bncheck.case.model import Case
from bncheck.documented.reading import Reading, Unsupported, reading, without_default

FAMILY = "numpy"
NEEDS = ("numpy",)
EXTRA = None


def documented(case: Case) -> Reading | Unsupported:
    if left := without_default(case):
        return Unsupported(f"a formula has no default {' or '.join(left)}")
    return reading(case)
