"""PyTorch's function: as the modules, but its mode is inference by default, and it keeps no count of batches."""

from __future__ import annotations

from collections.abc import Mapping

from bncheck.documented.reading import Call, Reading, Unsupported
from bncheck.documented.torch import FUNCTIONAL, NEEDS, batch_norm, without_numpy
from bncheck.documented.torch import companions as companions
from bncheck.documented.ways import Way

FAMILY = "torch"
EXTRA = "torch"

VARIANTS = {"view": "views of all tensors: transposed, with gaps and an offset"}


def way(versions: Mapping[str, str], variant: str | None) -> Way | str:
    del variant  # is called in the same way
    return without_numpy(versions) or Way("torch-functional", NEEDS)


def documented(call: Call) -> Reading | Unsupported:
    if call.case.momentum == "cumulative":
        return Unsupported("momentum is a number; only the modules keep a cumulative average")
    return batch_norm(call, FUNCTIONAL, mode="inference")
