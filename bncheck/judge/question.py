"""What is asked of a call, and what its tensors are due to be under one reading."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bncheck.bounds import Bounds
from bncheck.case.inputs import Inputs
from bncheck.case.model import Case
from bncheck.documented.reading import Reading
from bncheck.gradient_bounds import GradientBounds, gradient_bounds
from bncheck.gradients import gradients
from bncheck.judge import compare
from bncheck.judge.compare import Expected
from bncheck.reference import Reference
from bncheck.semantics import Semantics

AFFECTS = {
    "output": ("kept", "mode", "mask", "epsilon", "placement", "batch_variance", "batch_formula", "precision"),
    "moving_mean": ("kept", "mode", "mask", "momentum", "update", "precision"),
    "moving_variance": (
        *("kept", "mode", "mask", "momentum", "moving_variance", "correction", "batch_formula"),
        *("update", "precision"),
    ),
    "inference": (
        "kept",
        "mode",
        "mask",
        "epsilon",
        "placement",
        "momentum",
        "moving_variance",
        "correction",
        "batch_formula",
        "update",
        "precision",
    ),
    "gradient_x": (
        *("kept", "mode", "epsilon", "placement", "batch_variance", "batch_formula", "precision"),
        *("backward", "backward_slip"),
    ),
    "gradient_gamma": (
        *("kept", "mode", "epsilon", "placement", "batch_variance", "batch_formula", "precision"),
        "backward_slip",
    ),
    "gradient_beta": ("kept", "precision", "backward_slip"),
}
"""Which fields of a reading each tensor depends on."""


@dataclass(frozen=True, eq=False)
class Question:
    """What is to be judged: the case, its tensors, how it is documented, and the reference under any reading.

    ``documents``: whether the implementation has documentation, which one's own function has not.
    """

    case: Case
    inputs: Inputs
    reading: Reading
    reference: Callable[[Semantics], Reference]
    documents: bool = False


@dataclass(frozen=True, eq=False)
class Due:
    """Every tensor as one reading has it."""

    semantics: Semantics
    reference: Reference
    bounds: Bounds
    tensors: Mapping[str, Expected]
    gradients: GradientBounds | None = None

    @classmethod
    def of(cls, question: Question, semantics: Semantics) -> Due:
        case = question.case
        reference = question.reference(semantics)
        limits = Bounds(reference, case.input.dtype, question.reading.parameters_dtype)
        shape = case.channels.statistic_shape
        x, extra = question.inputs.batches[case.steps - 1], question.inputs.batches[-1]
        tensors = {
            "output": compare.of_output(reference.output, x, limits.output, case.tolerance),
            "inference": compare.of_output(reference.inference, extra, limits.inference, case.tolerance),
            "moving_mean": compare.of_statistic(reference.moving.mean, limits.moving.mean, shape, case.tolerance),
            "moving_variance": compare.of_statistic(
                reference.moving.variance, limits.moving.variance, shape, case.tolerance
            ),
        }
        upstream = question.inputs.upstream
        if upstream is None:
            return cls(semantics, reference, limits, tensors)
        found = gradients(reference, x, upstream)
        may = gradient_bounds(found, reference, limits)
        tensors |= compare.of_gradients(found, may, x, upstream, shape, case.tolerance)
        return cls(semantics, reference, limits, tensors, may)

    def weak(self, checked: Sequence[str]) -> bool:
        """Whether the bound of an output or a gradient that is checked is itself so wide that it judges little."""
        outputs = {"output": self.bounds.output, "inference": self.bounds.inference}
        if self.gradients is not None and self.gradients.weak and "gradient_x" in checked:
            return True
        return any(bound.weak for name, bound in outputs.items() if name in checked)

    def same(self, other: Due, name: str) -> bool:
        """Whether two readings of a tensor agree by their fields alone."""
        return all(getattr(self.semantics, f) == getattr(other.semantics, f) for f in AFFECTS[name])


def expected(question: Question, semantics: Semantics) -> Mapping[str, Expected]:
    """What each tensor should be under one reading."""
    return Due.of(question, semantics).tensors
