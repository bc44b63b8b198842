"""The formula in NumPy: any axes, everything as requested; a formula has no defaults."""

from __future__ import annotations

from bncheck.documented.reading import Call, Reading, Unsupported, reading, without_default

FAMILY = "numpy"
NEEDS = ("numpy",)
EXTRA = None


def documented(call: Call) -> Reading | Unsupported:
    if left := without_default(call.case):
        return Unsupported(f"a formula has no default {' or '.join(left)}")
    # `where` of mean and var is new in 1.20: https://numpy.org/doc/stable/release/1.20.0-notes.html
    return reading(call.case, takes=() if call.before("numpy", 1, 20) else ("mask",))
