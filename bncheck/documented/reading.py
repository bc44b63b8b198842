"""How an implementation, by its own documentation, reads a case: the types, and what all modules here share."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from bncheck.case.model import Case
from bncheck.causes import CauseKind
from bncheck.documented.arrangement import Arrangement
from bncheck.documented.installed import before
from bncheck.semantics import Semantics

KINDS: Mapping[str, CauseKind] = {
    "kept": "axis",
    "mode": "mode",
    "epsilon": "epsilon",
    "momentum": "momentum",
    "batch_variance": "batch-variance",
    "moving_variance": "moving-variance",
    "correction": "moving-variance",
    "batch_formula": "cancellation",
    "mask": "parameters",
    "precision": "precision",
    "placement": "epsilon-placement",
    "update": "moving-update",
    "backward": "gradient",
    "backward_slip": "gradient",
}
"""The kind of cause that a difference in each field of `Semantics` is."""


SWITCHES: Mapping[str, tuple[Any, str]] = {
    "trainable": (True, "it has no switch that freezes it"),
    "mask": (None, "it takes no mask"),
    "virtual_batch_size": (None, "it has no virtual batches"),
}
"""What only some implementations can be asked: the case's key, its value where it is not asked, the reason if not."""


@dataclass(frozen=True)
class Call:
    """One case as it is put to an implementation: where, and with what installed.

    ``versions`` are those of the distributions that the implementation needs, and of ``python``. Of one that is not
    there the newest facts are taken. ``variant``: which other way to call it, None for the plain one.
    """

    case: Case
    versions: Mapping[str, str] = field(default_factory=dict)
    device: str = "cpu"
    variant: str | None = None

    def before(self, distribution: str, *release: int) -> bool:
        """Whether what is installed is older than ``release``: ``call.before("torch", 2, 10)``."""
        return before(self.versions, distribution, *release)


@dataclass(frozen=True)
class Source:
    """Where an implementation says what it does: a name that a reader knows, and the page or file to look it up."""

    name: str
    link: str

    def __str__(self) -> str:
        return f"{self.name} <{self.link}>"


@dataclass(frozen=True)
class Fact:
    """One thing that an implementation documents: a value for a field of `Semantics`, its words, where it says so."""

    field: str
    value: Any
    words: str
    source: Source


@dataclass(frozen=True)
class Refusal:
    """That an implementation documents to raise for this call, with ``says`` in what it says."""

    words: str
    says: str
    source: Source


@dataclass(frozen=True)
class Unsupported:
    """That an implementation has no way to be asked this, by its documented interface."""

    reason: str


@dataclass(frozen=True)
class Reading:
    """How an implementation documents to run one case.

    ``facts``: what it reads otherwise than requested. ``arrangement``: the axes it takes, where not the case's.
    ``axis``: what is handed over as the axis. ``parameters_dtype``: in which it holds parameters and statistics.
    ``refusal``: that it documents to raise. ``notes``: what else was done to make the call.
    """

    axis: int | list[int]
    parameters_dtype: str
    facts: tuple[Fact, ...] = ()
    arrangement: Arrangement | None = None
    refusal: Refusal | None = None
    notes: tuple[str, ...] = ()

    def semantics(self, requested: Semantics) -> Semantics:
        """D: the requested reading as the documentation changes it."""
        changes: Mapping[str, Any] = {fact.field: fact.value for fact in self.facts}
        return replace(requested, **changes)


def reading(
    case: Case,
    *facts: Fact | None,
    axis: int | None = None,
    arrangement: Arrangement | None = None,
    parameters_dtype: str | None = None,
    refusal: Refusal | None = None,
    notes: tuple[str, ...] = (),
    takes: Collection[str] = (),
    gradients: bool = True,
) -> Reading | Unsupported:
    """A reading of those facts that differ from what is requested; unsupported if the case forbids what it needs, or
    has a switch that is not among those that the implementation ``takes``, or asks nothing but ``gradients`` of one
    that has none."""
    for switch, (absent, reason) in SWITCHES.items():
        if getattr(case, switch) != absent and switch not in takes:
            return Unsupported(reason)
    if not gradients and all(name.startswith("gradient") for name in case.checked):
        return Unsupported("it has no gradients, and nothing else is checked")
    requested = case.requested
    differing = tuple(f for f in facts if f is not None and f.value != getattr(requested, f.field))
    done = (*((arrangement.note,) if arrangement else ()), *notes)
    if arrangement and not case.adapt:
        return Unsupported(f"it would need adapting ({arrangement.note}), and the case says `adapt: false`")
    return Reading(
        axis=arrangement.axis if arrangement else case.axis if axis is None else axis,
        parameters_dtype=parameters_dtype or case.parameters_dtype,
        facts=differing,
        arrangement=arrangement,
        refusal=refusal,
        notes=done,
    )


def defaults(case: Case, source: Source, **documented: Any) -> tuple[Fact, ...]:
    """The documented defaults (epsilon, momentum, mode) of what the case leaves to the implementation."""
    return tuple(
        Fact(field, value, f"the default {field} is {value}", source)
        for field, value in documented.items()
        if getattr(case, field) == "default"
    )


def without_default(case: Case) -> list[str]:
    """What a case leaves to the implementation and the call needs, for implementations that have no defaults."""
    left = [name for name in ("epsilon", "momentum", "mode") if getattr(case, name) == "default"]
    return [name for name in left if name != "momentum" or case.requested.mode == "training"]


def mixed(case: Case) -> bool:
    """Whether the parameters are float32 beside a 16-bit x."""
    return case.parameters_dtype != case.input.dtype


def single_axis(case: Case) -> tuple[int | None, tuple[str, ...]]:
    """The one axis that the case keeps, as written, and a note if that is a list; None if it keeps none or several."""
    if isinstance(case.axis, int):
        return case.axis, ()
    if len(case.axis) == 1:
        return case.axis[0], (f"axis {case.axis} as {case.axis[0]}",)
    return None, ()
