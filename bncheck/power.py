"""What a case could ever catch: the reference under every known defect, against what it is allowed to be off by.

A defect is noticed if it moves some checked value by more than rounding may move both a right and a wrong result, so
that every implementation that has it fails. Nothing is run: a reading is evaluated, as in a diagnosis.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from bncheck.case import inputs
from bncheck.case.load import LoadedCase
from bncheck.causes import CauseKind
from bncheck.channels import Channels
from bncheck.doubledouble import Array, DoubleDouble
from bncheck.formats import significant
from bncheck.judge.diagnose import alterations
from bncheck.judge.diagnose.alterations import Alteration
from bncheck.judge.evidence import lines, readings
from bncheck.judge.trials import Elements, Trials, sampled
from bncheck.reference import Statistics, Tensor
from bncheck.semantics import Semantics

ALL_VALUES = 1 << 16
"""Values up to which every element of an output is looked at; of larger tensors a sample, which may miss a little."""

DECADES = 24
STEPS = 12
"""Halvings of an interval of so many powers of ten, which then is known to about 1 %."""

KINDS: tuple[CauseKind, ...] = (
    "axis",
    "batch-variance",
    "moving-variance",
    "mode",
    "epsilon-placement",
    "parameters",
    "moving-update",
    "precision",
    "cancellation",
    "gradient",
)
"""Kinds of defects that a case sees or does not, in the order of preference of a diagnosis."""


@dataclass(frozen=True)
class Power:
    """What one case notices.

    ``epsilon``, ``momentum``: the smallest change of each that is noticed, None if none is. ``noticed``: for each kind,
    how many of how many defects.
    """

    case: str
    epsilon: float | None
    momentum: float | None
    noticed: dict[CauseKind, tuple[int, int]]

    def sees(self, kind: CauseKind) -> bool:
        """Whether it notices some defect of a kind."""
        if kind in ("epsilon", "momentum"):
            return getattr(self, kind) is not None
        return self.noticed[kind][0] > 0


def power(loaded: LoadedCase) -> Power:
    """What one case notices, of its own data and by its own bound. What a relation would is not told: nothing."""
    if loaded.case.relation is not None:
        return Power(loaded.id, None, None, dict.fromkeys(KINDS, (0, 0)))
    made = inputs.make(loaded.case, loaded.file.parent)
    with np.errstate(all="ignore"):
        return _Examined(loaded, made).power()


def unseen(powers: Sequence[Power]) -> list[CauseKind]:
    """The kinds of defects that no case notices."""
    kinds: tuple[CauseKind, ...] = ("epsilon", "momentum", *KINDS)
    return [kind for kind in kinds if not any(p.sees(kind) for p in powers)]


@dataclass(frozen=True, eq=False)
class _Output:
    """One output as it should be: its values, what each may be off by, and by how much of itself each channel's scale
    may be."""

    elements: Elements
    values: Array
    allowed: Array
    slope: Array


class _Examined:
    """One case, ready to be read in any way."""

    def __init__(self, loaded: LoadedCase, made: inputs.Inputs) -> None:
        self._id, self._case, self._made = loaded.id, loaded.case, made
        self._requested = loaded.case.requested
        self._trials = Trials(self._case, made, self._case.parameters_dtype)

    def power(self) -> Power:
        requested, shape = self._requested, self._case.channels.shape
        names = [name for name in self._case.checked if not name.startswith("moving")]
        changes = [
            change
            for change in alterations.of_output(requested, shape)
            if any(alterations.matters(self._read(change), change, inference=name == "inference") for name in names)
        ]
        if len(names) < len(self._case.checked):
            changes += alterations.of_moving(requested, shape)
        noticed: dict[CauseKind, tuple[int, int]] = dict.fromkeys(KINDS, (0, 0))
        for change in dict.fromkeys(c for c in changes if c.kind in KINDS):
            seen, of = noticed[change.kind]
            noticed[change.kind] = seen + self._notices(self._read(change)), of + 1
        if self._case.gradients:
            backward = [c for c in alterations.of_gradients(requested, shape) if c.kind == "gradient"]
            noticed["gradient"] = sum(self._graded(self._read(c), self._trials) for c in backward), len(backward)
        noticed["precision"] = int(self._notices_few_bits()), 1
        noticed["cancellation"] = int(self._notices_one_pass()), int(requested.mode == "training")
        return Power(self._id, self._smallest_epsilon(), self._smallest_momentum(), noticed)

    def _read(self, change: Alteration) -> Semantics:
        return change.of(self._requested)

    def _smallest_epsilon(self) -> float | None:
        def wrong(difference: float) -> Semantics:
            return replace(self._requested, epsilon=self._requested.epsilon + difference)

        return _smallest(lambda difference: self._notices(wrong(difference)), most=1e3)

    def _smallest_momentum(self) -> float | None:
        momentum = self._requested.momentum
        if isinstance(momentum, str):
            return None
        side, most = (1, 1 - momentum) if momentum < 0.5 else (-1, momentum)

        def wrong(difference: float) -> Semantics:
            return replace(self._requested, momentum=momentum + side * difference)

        return _smallest(lambda difference: self._notices(wrong(difference)), most=most)

    @cached_property
    def _outputs(self) -> list[_Output]:
        return [self._expected(name) for name in self._case.checked if name in ("output", "inference")]

    def _expected(self, name: str) -> _Output:
        whole = self._trials.x(name)
        elements = (
            Elements(self._trials, name, whole, np.arange(whole.size))
            if whole.size <= ALL_VALUES
            else sampled(self._trials, name, whole, [])
        )
        values, allowed = elements.expected(self._requested)
        return _Output(elements, values, self._allowed(values, allowed), self._slopes(name, whole))

    def _allowed(self, values: Array, bound: Array) -> Array:
        """What a right result may be off by: the bound, or the tolerance that the case has in its place."""
        tolerance = self._case.tolerance
        if tolerance is None:
            return bound
        allowed: Array = tolerance.atol + tolerance.rtol * np.abs(values)
        return allowed

    def _slopes(self, name: str, x: Tensor) -> Array:
        """The limits of a right output's slopes, where they are judged at all."""
        none = np.full(self._case.channels.count, np.inf)
        judged = name == "output" and x.size <= ALL_VALUES and not self._requested.partial
        if not judged or self._case.tolerance is not None:
            return none
        applied = self._trials.reference(self._requested).output
        found = lines(applied.output(x).astype(x.dtype), x, applied)
        return none if found is None else readings(found, applied).slope_limit

    def _notices(self, semantics: Semantics, trials: Trials | None = None) -> bool:
        """Whether a reading, with the statistics of ``trials``, is seen in any tensor that is checked."""
        trials = trials or self._trials
        if any(self._differs(o, semantics, trials) for o in self._outputs) or self._moved(semantics, trials):
            return True
        return self._case.gradients and self._graded(semantics, trials)

    def _differs(self, output: _Output, semantics: Semantics, trials: Trials) -> bool:
        elements = output.elements if trials is self._trials else output.elements.under(trials)
        values, allowed = elements.expected(semantics)
        if _beyond(values - output.values, allowed + output.allowed):
            return True
        if not alterations.uniform(semantics, self._case.channels) or not np.isfinite(output.slope).any():
            return False
        scale = trials.reference(semantics).output.scale.hi
        right = self._trials.reference(self._requested).output.scale.hi
        return bool(np.any(np.abs(scale / right - 1) > 2 * output.slope))

    def _moved(self, semantics: Semantics, trials: Trials) -> bool:
        right, wrong = self._trials.reference(self._requested), trials.reference(semantics)
        allowed = [self._trials.bounds(r).moving for r in (right, wrong)]
        for name in self._case.checked:
            if name in ("moving_mean", "moving_variance"):
                field = name.removeprefix("moving_")
                values = getattr(right.moving, field).hi
                apart = getattr(wrong.moving, field).hi - values
                of_right, of_wrong = (getattr(errors, field) for errors in allowed)
                if _beyond(apart, self._allowed(values, of_right) + of_wrong):
                    return True
        return False

    def _graded(self, semantics: Semantics, trials: Trials) -> bool:
        for name in self._case.checked:
            if name.startswith("gradient"):
                values, allowed = self._trials.gradient_values(self._requested, name)
                others, of_others = trials.gradient_values(semantics, name)
                if _beyond(others - values, self._allowed(values, allowed) + of_others):
                    return True
        return False

    def _notices_few_bits(self) -> bool:
        """Whether x and what is applied to it may have no fewer bits than they have: those of a narrower format."""
        bits = {"float64": 24, "float32": 11, "float16": 11, "bfloat16": 8}[self._case.input.dtype]
        for output in self._outputs:
            applied, _ = output.elements.applied(self._requested)
            scale = applied.scale.hi
            shift = significant(applied.beta.hi - applied.mean.hi * scale, bits)
            x = significant(np.asarray(output.elements.x, dtype=np.float64), bits)
            if _beyond(x * significant(scale, bits) + shift - output.values, output.allowed):
                return True
        return False

    def _notices_one_pass(self) -> bool:
        """Whether a variance as E[x^2] - E[x]^2, in the arithmetic of the case, is beyond what is allowed."""
        if self._requested.mode != "training" or 0 in self._case.channels.shape:
            return False
        dtype = np.dtype("float64" if self._case.input.dtype == "float64" else "float32")

        def one_pass(batch: Tensor, channels: Channels) -> Statistics:
            view = channels.view(batch).astype(dtype)
            mean = view.mean(axis=channels.reduced)
            variance = (view * view).mean(axis=channels.reduced) - mean * mean
            return Statistics(*(DoubleDouble.of(s.reshape(-1)) for s in (mean, np.maximum(variance, 0))))

        return self._notices(self._requested, Trials(self._case, self._made, self._case.parameters_dtype, one_pass))


def _beyond(apart: Array, allowed: Array) -> bool:
    """Whether anything is further apart than allowed; what is not a number is."""
    return bool(np.any((np.abs(apart) > allowed) | (np.isnan(apart) & ~np.isinf(allowed))))


def _smallest(notices: Callable[[float], bool], most: float) -> float | None:
    """The smallest difference that is noticed, if the largest is: an interval of powers of ten, halved."""
    if most <= 0 or not notices(most):
        return None
    low, high = np.log10(most) - DECADES, np.log10(most)
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if notices(10.0**middle) else (middle, high)
    return float(10.0**high)
