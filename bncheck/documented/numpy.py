"""The formula in NumPy: any axes, everything as requested; a formula has no defaults."""

from __future__ import annotations

from bncheck.documented.reading import Call, Reading, Unsupported, reading, without_default

FAMILY = "numpy"
NEEDS = ("numpy",)
EXTRA = None


def documented(call: Call) -> Reading | Unsupported:
    if left := without_default(call.case):
        return Unsupported(f"a formula has no default {' or '.join(left)}")
    return reading(call.case, takes=("mask",))
