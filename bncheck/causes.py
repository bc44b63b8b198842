"""The kinds of cause that a difference can have: words that reports, expectations and users share."""

from typing import Literal

CauseKind = Literal[
    "epsilon",
    "epsilon-placement",
    "axis",
    "batch-variance",
    "moving-variance",
    "momentum",
    "moving-update",
    "mode",
    "parameters",
    "precision",
    "accumulation",
    "cancellation",
    "nonfinite",
    "shape",
    "dtype",
    "gradient",
    "refused",
    "nondeterministic",
    "documentation",
    "unexplained",
]
