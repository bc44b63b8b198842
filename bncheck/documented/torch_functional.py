"""PyTorch's function: as the modules, but its mode is inference by default, and it keeps no count of batches."""

from __future__ import annotations

from bncheck.case.model import Case
from bncheck.documented.reading import Reading, Unsupported
from bncheck.documented.torch import FUNCTIONAL, batch_norm

FAMILY = "torch"
NEEDS = ("torch",)
EXTRA = "torch"


def documented(case: Case) -> Reading | Unsupported:
    if case.momentum == "cumulative":
        return Unsupported("momentum is a number; only the modules keep a cumulative average")
    return batch_norm(case, FUNCTIONAL, mode="inference")
