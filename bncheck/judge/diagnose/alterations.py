"""What may be read otherwise than requested: every single change of a reading that implementations are known by.

The order of the kinds is the order of preference among explanations with as many changes: first what ports get wrong
most often.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from bncheck.causes import CauseKind
from bncheck.channels import Channels
from bncheck.semantics import Semantics

PREFERENCE: tuple[CauseKind, ...] = (
    "gradient",
    "epsilon",
    "moving-variance",
    "momentum",
    "axis",
    "batch-variance",
    "mode",
    "epsilon-placement",
    "parameters",
    "moving-update",
    "precision",
)


@dataclass(frozen=True)
class Alteration:
    """One change of a reading: new values for fields of `Semantics`, or a field whose value is to be solved.

    ``rare``: less likely than a solved value that nothing is known of.
    """

    kind: CauseKind
    changes: tuple[tuple[str, Any], ...]
    solved: Literal["epsilon", "momentum"] | None = None
    rare: bool = False

    def of(self, semantics: Semantics) -> Semantics:
        """The reading with this change."""
        return replace(semantics, **dict(self.changes))

    @property
    def fields(self) -> frozenset[str]:
        """The fields that it sets."""
        return frozenset(dict(self.changes)) | ({self.solved} if self.solved else frozenset())

    @property
    def preference(self) -> int:
        """Its place in the order of preference, the first 0."""
        return PREFERENCE.index(self.kind)


def _change(kind: CauseKind, **changes: Any) -> Alteration:
    return Alteration(kind, tuple(changes.items()))


MOST_ALONE = 1 << 17
"""Values up to which each may be normalized by itself, which leaves beta: there are then as many statistics."""


def of_output(base: Semantics, shape: Sequence[int], *, inference: bool = False) -> list[Alteration]:
    """Changes that an output shows; ``inference``: that of moving statistics after training."""
    trained = base.mode == "training"
    found = [Alteration("epsilon", (), solved="epsilon")]
    found += _axes(base, shape)
    found.append(_change("batch-variance", batch_variance=_other(base.batch_variance)))
    if inference:
        found.append(_change("mode", normalized_by="batch"))
    elif trained:
        found += [_change("mode", normalized_by=by) for by in ("moving", "updated")]
    else:
        found += [_change("mode", normalized_by="batch"), _change("mode", normalized_by="updated", update="once")]
    found += [_change("epsilon-placement", placement=place) for place in ("outside", "floor")]
    if base.scale:
        found += [_change("parameters", scale=False), _change("parameters", gamma_offset=1.0)]
    if base.center:
        found.append(_change("parameters", center=False))
    if base.scale and base.center:
        found.append(_change("parameters", exchange="gamma and beta"))
    found += _parts(base)
    found.append(_change("parameters", exchange="mean and variance"))
    found += [_change("parameters", taken=taken) for taken in ("deviation", "square")]
    return found


def of_moving(base: Semantics, shape: Sequence[int]) -> list[Alteration]:
    """Changes that moving statistics show."""
    if base.mode == "inference":
        return [_change("moving-update", update="once")]
    found = [
        _change("moving-variance", moving_variance=_other(base.moving_variance)),
        Alteration("momentum", (), solved="momentum"),
        *_axes(base, shape),
        *_parts(base),
    ]
    if base.momentum != "cumulative":
        found.append(_change("momentum", momentum="cumulative"))
    return found + [_change("moving-update", update=way) for way in ("none", "twice", "crossed", "exchanged")]


def _parts(base: Semantics) -> Iterator[Alteration]:
    """Other things that may become of the positions that a mask hides, and of virtual batches."""
    if base.virtual is not None:
        yield _change("parameters", virtual=None)
        yield _change("parameters", adjacent=True)
    for masking in ("ignored", "zeros", "inverted") if base.mask == "left out" else ():
        yield _change("parameters", mask=masking)


def of_gradients(base: Semantics, shape: Sequence[int]) -> list[Alteration]:
    """Changes that gradients show: of the backward pass, then those of an output that it alone may have."""
    if base.normalizes_by == "batch":
        found = [_change("gradient", backward=way) for way in ("constants", "constant mean", "constant variance")]
        found += [_change("gradient", normalized_by="moving"), _change("gradient", backward_slip="count")]
    else:
        found = [_change("gradient", backward="statistics")]
        if base.mode == "inference":
            found.append(_change("gradient", normalized_by="batch"))
    slips = ["deviation", "averaged"]
    if base.scale:
        slips += ["gamma", "deviation in gamma", "mean in gamma"]
    if base.scale and base.center:
        slips.append("exchanged")
    found += [_change("gradient", backward_slip=slip) for slip in slips]
    return found + [a for a in of_output(base, shape) if a.kind != "mode" and not a.rare]


def of_precision(name: str) -> Alteration:
    """Arithmetic in fewer bits than are due."""
    return _change("precision", precision=name)


def _other(estimator: str) -> str:
    return "unbiased" if estimator == "biased" else "biased"


def matters(semantics: Semantics, alteration: Alteration, *, inference: bool = False, stored: bool = False) -> bool:
    """Whether an output can show a change at all, given the rest of its reading. ``stored``: what the moving statistics
    were made of is not known, and shows in the output alone."""
    by_batch = semantics.normalized_by == "batch" if inference else semantics.normalizes_by == "batch"
    changes = dict(alteration.changes)
    if "batch_variance" in changes:
        return by_batch
    if "kept" in changes and changes.get("along") is not None:
        return by_batch or stored or semantics.normalizes_by == "updated"
    return True


def altered(base: Semantics, chosen: Sequence[Alteration]) -> Semantics:
    """A reading with several changes."""
    for alteration in chosen:
        base = alteration.of(base)
    return base


def combined(alterations: Sequence[Alteration], size: int) -> Iterator[tuple[Alteration, ...]]:
    """All sets of so many changes that do not set the same field."""
    for chosen in itertools.combinations(alterations, size):
        if len(frozenset().union(*(a.fields for a in chosen))) == sum(len(a.fields) for a in chosen):
            yield chosen


def _axes(base: Semantics, shape: Sequence[int]) -> Iterator[Alteration]:
    """Every other set of kept axes, with the parameters where they should be or along it too; memory in other orders.

    Axes of length 1 are averaged over: to keep them makes no difference. A mask fits only the axes that it is made for,
    and so do virtual batches.
    """
    if base.partial:
        return
    home = base.kept if base.along is None else base.along
    long = [axis for axis, length in enumerate(shape) if length > 1]
    own = tuple(axis for axis in home if axis in long)
    statistic = tuple(shape[axis] for axis in own)
    for size in range(len(long) + 1):
        for kept in itertools.combinations(long, size):
            if kept == own:
                continue
            if tuple(shape[axis] for axis in kept) == statistic:
                yield _change("axis", kept=kept, along=None)
            if size < len(long):
                yield _change("axis", kept=kept, along=home)
            elif math.prod(shape) <= MOST_ALONE:
                yield Alteration("axis", (("kept", kept), ("along", home)), rare=True)
    others = [axis for axis in range(len(shape)) if axis not in home]
    if len(home) == 1 and len(others) > 1:
        alike = [Channels(tuple(shape), (axis,)).walked for axis in long]
        for order in ((*others, *home), (others[0], *home, *others[1:])):
            read = Channels(tuple(shape[axis] for axis in order), (order.index(home[0]),))
            if read.walked not in alike:
                yield _change("axis", kept=read.kept, along=None, order=order)


def in_place(semantics: Semantics, base: Channels) -> bool:
    """Whether a reading has the statistics and parameters of the case's own channels, so that it is one of a whole."""
    return semantics.kept == base.kept and semantics.along is None and semantics.order is None


def uniform(semantics: Semantics, base: Channels) -> bool:
    """Whether each channel of the case is one straight line in x under a reading, with a variance that is one."""
    return (
        in_place(semantics, base)
        and semantics.exchange != "mean and variance"
        and semantics.taken == "variance"
        and semantics.precision == "wide"
    )
