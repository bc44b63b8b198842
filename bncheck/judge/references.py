"""What the tensors of a case should be under any reading, each found once."""

from __future__ import annotations

from bncheck.case.inputs import Inputs
from bncheck.channels import Channels
from bncheck.reference import Reference, Statistics, Tensor, batch_statistics, evaluate
from bncheck.semantics import Semantics


class References:
    """The reference on a case's tensors; its training ``steps`` are on the first of the batches."""

    def __init__(self, inputs: Inputs, steps: int) -> None:
        self._inputs, self._steps = inputs, steps
        self._found: dict[Semantics, Reference] = {}
        self._statistics: dict[tuple[int, Channels], Statistics] = {}

    def __call__(self, semantics: Semantics) -> Reference:
        if semantics not in self._found:
            batches = self._inputs.batches[: self._steps]
            self._found[semantics] = evaluate(
                semantics, batches, self._inputs.exact, self._remembered, self._inputs.mask
            )
        return self._found[semantics]

    def _remembered(self, batch: Tensor, channels: Channels) -> Statistics:
        """The statistics of a batch, which readings that differ elsewhere share."""
        key = (id(batch), channels)
        if key not in self._statistics:
            self._statistics[key] = batch_statistics(batch, channels)
        return self._statistics[key]
