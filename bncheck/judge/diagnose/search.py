"""The smallest change of a reading that reproduces what was seen: no change, then every single one, then every pair.

An output and the moving statistics are searched apart, because they depend on different things: what normalizes need
not be what is stored. Among explanations with as many changes, one whose solved value has a name comes first, then the
order of preference; how well they fit carries no order, since all honest results fit equally well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bncheck.doubledouble import Array
from bncheck.judge.diagnose import alterations, epsilon, momentum, precision
from bncheck.judge.diagnose.alterations import Alteration
from bncheck.judge.diagnose.solved import Known, Solved
from bncheck.judge.evidence import LEAST_VALUES, MOST_VALUES, Lines, fitted, lines, readings
from bncheck.judge.trials import Trials, everywhere, sampled
from bncheck.reference import Tensor
from bncheck.semantics import Semantics

MOST = 2
"""Changes of one side that are tried together."""

MOST_PAIRED = 1 << 14
"""Values of a gradient up to which pairs are tried, each of which takes the whole of it."""

FAR = 1e4
"""Times the bound: what is so far off is looked at no further."""

LEAST_NOISE = 0.01
"""Of the bound of arithmetic in fewer bits: errors that are smaller are not those of such arithmetic."""

LEAST_REST = 0.003
"""Of errors that are straight lines in x: what arithmetic in few bits leaves beside them at least."""

LEAST_ALIKE = 3
"""Channels of which it can be said that they are off alike."""

CONFIRMED = 3
"""Times that elements which a solved value missed are added to those that it is solved from."""


@dataclass(frozen=True)
class Explanation:
    """A reading, as changes of another; ``ratio`` is the largest error that it leaves, over its bound."""

    alterations: tuple[Alteration, ...]
    semantics: Semantics
    solved: Solved | None
    ratio: float

    @property
    def fits(self) -> bool:
        return self.ratio <= 1

    def named(self, requested: Semantics) -> list[Known]:
        """The known values that the solved number may be."""
        if self.solved is None:
            return []
        field = next(a.solved for a in self.alterations if a.solved)
        known = epsilon.known(requested.epsilon) if field == "epsilon" else momentum.known(requested.momentum)
        return self.solved.named(known)

    def order(self, requested: Semantics) -> tuple[int, bool, tuple[int, ...]]:
        """By which explanations are sorted, the likeliest first."""
        unlikely = self.solved is not None and not self.named(requested)
        unlikely |= any(a.rare for a in self.alterations)
        return len(self.alterations), unlikely, tuple(sorted(a.preference for a in self.alterations))


@dataclass(frozen=True)
class Found:
    """What a search of one side found: all equally small explanations, the likeliest first, or how near it came."""

    explanations: list[Explanation]
    nearest: Explanation | None


Try = Callable[[tuple[Alteration, ...], Semantics], Explanation | None]


@np.errstate(all="ignore")
def _search(
    bases: Sequence[Semantics],
    changes: Callable[[Semantics], Sequence[Alteration]],
    attempt: Try,
    confirm: Callable[[Explanation], Explanation | None],
    few_bits: Sequence[str],
) -> Found:
    """``few_bits``: precisions that are tried last, since they widen the bound."""
    nearest: Explanation | None = None
    for size in range(MOST + 1):
        fitting: list[Explanation] = []
        for base in bases:
            for chosen in alterations.combined(changes(base), size):
                tried = attempt(chosen, base)
                if tried is not None and tried.fits:
                    tried = confirm(tried)
                if tried is not None and tried.fits:
                    fitting.append(tried)
                elif tried is not None and (nearest is None or tried.ratio < nearest.ratio):
                    nearest = tried
        if fitting:
            requested = bases[0]
            return Found(sorted(_distinct(fitting), key=lambda e: e.order(requested)), None)
    for base in bases:
        for change in map(alterations.of_precision, few_bits):
            tried = attempt((change,), base)
            if tried is not None and LEAST_NOISE <= tried.ratio <= 1:
                tried = confirm(tried)
                if tried is not None and tried.fits:
                    return Found([tried], None)
    return Found([], nearest)


def _distinct(explanations: Iterable[Explanation]) -> list[Explanation]:
    """Without those that say the same of two bases."""
    return list({(frozenset(e.alterations), e.semantics): e for e in explanations}.values())


def _few_bits(trials: Trials, actual: Sequence[Tensor], suspected: str | None) -> list[str]:
    """Precisions that tensors may have been computed in: all results are then numbers of that format. In 16 bits they
    always are; the one that is ``suspected`` comes first, then the most bits."""
    dtype = trials.case.input.dtype
    if dtype in ("float64", "float32"):
        narrower = [n for n in ("bfloat16", "float16", "float32") if n != dtype]
        return [n for n in narrower if all(precision.is_of(t, n) for t in actual)][:1]
    if not all(precision.is_of(t, dtype) for t in actual):
        return []
    return sorted(("narrow", dtype), key=lambda name: name != suspected)


class OutputSearch:
    """The search for what one output, ``output`` or ``inference``, was made of.

    ``among``: elements that must be looked at. ``below``: that it is wrong shows below the bound of its elements only.
    ``stored``: what the moving statistics are that it applies is not known from themselves, and so searched too.
    """

    def __init__(
        self,
        trials: Trials,
        name: str,
        actual: Tensor,
        *,
        among: Sequence[tuple[int, ...]] = (),
        below: bool = False,
        stored: bool = False,
    ) -> None:
        self._trials, self._actual, self._below, self._stored = trials, actual, below, stored
        self._inference, self._own = name == "inference", trials.case.channels
        self._elements = sampled(trials, name, actual, among)
        self._told = self._elements.told(trials.case.requested)
        self._lines: Lines | None = None
        if not self._inference and actual.size <= MOST_VALUES and not trials.case.requested.partial:
            applied = trials.reference(trials.case.requested).output
            self._lines = lines(actual, trials.x(name), applied)
            if self._lines is not None:
                self._told = max(self._told, self._by_lines(trials.case.requested)[1])

    def run(self, bases: Sequence[Semantics], suspected: str | None = None) -> Found:
        """Explanations as changes of any of ``bases``, the first of which is what was requested. ``suspected``: the
        precision that other tensors show."""
        shape = self._own.shape

        def changes(base: Semantics) -> Sequence[Alteration]:
            found = alterations.of_output(base, shape, inference=self._inference)
            return [*dict.fromkeys([*found, *alterations.of_moving(base, shape)])] if self._stored else found

        few_bits = _few_bits(self._trials, [self._actual], suspected) if self._irregular() else []
        return _search(bases, changes, self._attempt, self._confirm, few_bits)

    def _irregular(self) -> bool:
        """Whether errors are not of one kind: neither straight lines in x, nor one factor for all channels. Of wider
        tensors, the format of their values says more."""
        if self._trials.case.input.dtype in ("float32", "float64"):
            return True
        if self._actual.size > MOST_VALUES or self._own.values < LEAST_VALUES or self._inference:
            return True
        applied = self._trials.reference(self._trials.case.requested).output
        if not applied.batch and applied.steps_before:
            return True
        with np.errstate(all="ignore"):
            fit = fitted(self._actual, self._trials.x("output"), applied).fit
            line = np.abs(fit.offset) + np.abs(fit.slope) * fit.deviation
            if not np.any(fit.remainder > LEAST_REST * line):
                return False
            slopes = fit.slope[np.isfinite(fit.slope)]
            spread = np.ptp(slopes) if slopes.size else 0.0
            return bool(slopes.size < LEAST_ALIKE or spread > 0.2 * np.abs(slopes).max())

    def _attempt(self, chosen: tuple[Alteration, ...], base: Semantics) -> Explanation | None:
        semantics = alterations.altered(base, chosen)
        if not all(alterations.matters(semantics, a, inference=self._inference, stored=self._stored) for a in chosen):
            return None
        if sum(a.solved is not None for a in chosen) > 1:
            return None
        return self._tried(Explanation(chosen, semantics, None, np.inf))

    def _tried(self, explanation: Explanation) -> Explanation | None:
        semantics, solved = explanation.semantics, None
        solves = next((a.solved for a in explanation.alterations if a.solved), None)
        by_lines = self._lines is not None and alterations.uniform(semantics, self._own)
        if self._below and not by_lines:
            return None  # what is so different shows in the elements
        if solves == "momentum":
            solved = None if semantics.updates == "none" else momentum.solve_from(self._elements, semantics)
            if solved is None or solved.holds(1.0):  # 1 is: not updated
                return None
            semantics = replace(semantics, momentum=min(max(solved.value, 0.0), 1.0))
        elif solves == "epsilon":
            if (solved := epsilon.solve(self._elements, semantics)) is None:
                return None
            if by_lines and self._lines is not None:
                solved = epsilon.narrowed(
                    solved, self._lines, lambda value: self._trials.reference(replace(semantics, epsilon=value)).output
                )
                if solved is None:
                    return None
            if np.isinf(solved.low) and np.isinf(solved.high):
                return None  # it shows nowhere
            if solved.holds(0.0) and np.isnan(np.asarray(self._elements.actual, dtype=np.float64)).any():
                solved = replace(solved, value=0.0)  # a divisor of 0 makes NaN of 0, and next to none does not
            semantics = replace(semantics, epsilon=max(solved.value, 0.0))
        ratio, told = self._elements.compare(semantics).bound_ratio, 0.0
        if by_lines and ratio <= 1:
            by_slopes, told = self._by_lines(semantics)
            ratio = max(ratio, by_slopes)
        if ratio <= 1:
            told = max(told, self._elements.told(semantics))
            if told == 0 or told < min(0.5, self._told):
                return None  # without a number or a bound, everything fits
        return replace(explanation, semantics=semantics, solved=solved, ratio=ratio)

    def _by_lines(self, semantics: Semantics) -> tuple[float, float]:
        """How far slopes and variances are from those of a reading, over what rounding and summation can do; and the
        part of the channels of which that says something."""
        applied = self._trials.reference(semantics).output
        assert self._lines is not None
        if not applied.batch and applied.steps_before:
            return 0.0, 0.0
        seen = readings(self._lines, applied)
        found = seen.slope.max(initial=0.0)
        if seen.cancels:
            found = max(found, seen.cancellation.max(initial=0.0))
        return float(found), float(np.isfinite(seen.slope_limit).mean())

    def _confirm(self, explanation: Explanation) -> Explanation | None:
        """The explanation, tried on all elements. A value that was solved from some is solved again with those that it
        missed."""
        for _ in range(CONFIRMED):
            missed, ratio = self._missed(explanation)
            if not missed or explanation.solved is None:
                return replace(explanation, ratio=max(explanation.ratio, ratio))
            self._elements = self._elements.with_positions(missed)
            again = self._tried(explanation)
            if again is None or not again.fits:
                return again
            explanation = again
        return None

    def _missed(self, explanation: Explanation) -> tuple[list[int], float]:
        """The worst element of each block that an explanation does not reproduce, and the largest error over bound."""
        if self._elements.actual.size == self._actual.size:
            return [], explanation.ratio
        by_batch = self._inference and explanation.semantics.normalized_by == "batch"
        if alterations.in_place(explanation.semantics, self._own) and not by_batch:
            found = self._trials.whole(explanation.semantics, self._elements.name, self._actual)
            at = found.worst.at if found.worst else ()
            return [] if found.within else [int(np.ravel_multi_index(at, self._actual.shape))], found.bound_ratio
        missed, ratio = [], 0.0
        for block in everywhere(self._trials, self._elements.name, self._actual):
            found = block.compare(explanation.semantics)
            ratio = max(ratio, found.bound_ratio)
            if not found.within:
                missed.append(block.position(found))
        return missed, ratio


class MovingSearch:
    """The search for what the moving statistics that are checked were made of, by name."""

    def __init__(self, trials: Trials, actual: Mapping[str, Tensor]) -> None:
        self._trials, self._actual = trials, actual

    def run(self, bases: Sequence[Semantics]) -> Found:
        """Explanations as changes of any of ``bases``, the first of which is what was requested."""
        case = self._trials.case

        def changes(base: Semantics) -> Sequence[Alteration]:
            return alterations.of_moving(base, case.channels.shape)

        few_bits = _few_bits(self._trials, [*self._actual.values()], None)[:1]  # one rounding or two, not sums of them
        return _search(bases, changes, self._attempt, lambda found: found, few_bits)

    def _attempt(self, chosen: tuple[Alteration, ...], base: Semantics) -> Explanation | None:
        semantics, solved = alterations.altered(base, chosen), None
        if any(alteration.solved for alteration in chosen):
            if semantics.updates == "none":
                return None
            solved = momentum.solve(self._trials, semantics, self._actual)
            if solved is None or solved.holds(1.0):  # 1 is: not updated
                return None
            semantics = replace(semantics, momentum=min(max(solved.value, 0.0), 1.0))
        ratio = max(self._trials.moving(semantics, name, tensor).bound_ratio for name, tensor in self._actual.items())
        return Explanation(chosen, semantics, solved, ratio)


class GradientSearch:
    """The search for what the gradients that are checked were made of, by name."""

    def __init__(self, trials: Trials, actual: Mapping[str, Tensor]) -> None:
        self._trials, self._actual = trials, actual
        self._size = max(tensor.size for tensor in actual.values())

    def run(self, bases: Sequence[Semantics]) -> Found:
        """Explanations as changes of any of ``bases``, the first of which is what the output was found to be."""
        shape = self._trials.case.channels.shape

        def changes(base: Semantics) -> Sequence[Alteration]:
            return alterations.of_gradients(base, shape)

        few_bits = _few_bits(self._trials, [*self._actual.values()], None)
        return _search(bases, changes, self._attempt, lambda found: found, few_bits)

    def _attempt(self, chosen: tuple[Alteration, ...], base: Semantics) -> Explanation | None:
        if len(chosen) > 1 and (self._size > MOST_PAIRED or not any(a.kind == "gradient" for a in chosen)):
            return None
        semantics, solved = alterations.altered(base, chosen), None
        if any(alteration.solved for alteration in chosen):
            solved = epsilon.solve_from(lambda value: self._made(replace(semantics, epsilon=value)), self._seen)
            if solved is None or np.isinf(solved.high):
                return None
            semantics = replace(semantics, epsilon=max(solved.value, 0.0))
        ratio = 0.0
        for name, tensor in sorted(self._actual.items()):  # that of x, which is dearest, last
            ratio = max(ratio, self._trials.gradient(semantics, name, tensor).bound_ratio)
            if ratio > FAR:
                break
        if ratio <= 1 and not np.isfinite(self._made(semantics)[1]).any():
            return None  # without a bound, everything fits
        return Explanation(chosen, semantics, solved, ratio)

    @property
    def _seen(self) -> Array:
        return np.concatenate([np.asarray(t, dtype=np.float64).reshape(-1) for t in self._actual.values()])

    def _made(self, semantics: Semantics) -> tuple[Array, Array]:
        """The gradients under a reading, and what each may be off by."""
        made = [self._trials.gradient_values(semantics, name) for name in self._actual]
        values, allowed = zip(*made, strict=True)
        return np.concatenate(values), np.concatenate(allowed)
