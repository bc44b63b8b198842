"""Why a result fails: the searches of its output and of its moving statistics, put together and into words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncheck.case.model import Case
from bncheck.document import Cause
from bncheck.formats import Format
from bncheck.judge.compare import Comparison
from bncheck.judge.diagnose import epsilon, precision, statistics, words
from bncheck.judge.diagnose.search import Explanation, Found, GradientSearch, MovingSearch, OutputSearch
from bncheck.judge.diagnose.solved import Solved
from bncheck.judge.trials import Elements, Trials, sampled
from bncheck.reference import Tensor
from bncheck.semantics import Semantics

FIRST_ROUNDED = 1 << 17
"""Values up to which it is tried first whether they were only rounded: of larger tensors, if nothing else is found."""

NEAR = 0.01
"""Of the error: what a reading may leave that is said to come near."""

FEW = 0.5
"""Of an output: values that are wrong of which it is said how many, and where."""

LISTED = 4
"""Equal explanations that are told; more are counted."""

_APPLIED = ("epsilon", "placement", "center", "scale", "gamma_offset", "exchange", "taken", "precision")
"""Fields that say how statistics are applied, whichever they are."""

_STATISTICS = ("kept", "along", "order", "mask", "virtual", "adjacent")
"""Fields that say which values a batch's statistics are of."""


@dataclass(frozen=True, eq=False)
class Failed:
    """One tensor that fails: as it can be compared, how far it is off, and whether that shows only below its bound."""

    name: str
    tensor: Tensor
    found: Comparison
    below: bool


@dataclass
class Diagnosis:
    """The causes of a result's failure, what else there is to say, and the tensors that are ``explained``."""

    causes: list[Cause] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    explained: set[str] = field(default_factory=set)

    def add(self, names: Sequence[str], found: Found, case: Case, *, backward: bool = False) -> Explanation | None:
        """Take in what a search found, and return the likeliest explanation. ``backward``: it is of gradients alone."""

        def causes(explanation: Explanation) -> list[Cause]:
            said = words.causes(explanation, case)
            return [_in_the_backward_pass(cause) if backward else cause for cause in said]

        if not found.explanations:
            return None
        first, *others = found.explanations
        if first.alterations or case.tolerance is not None:  # else it fails for what elements do not show
            self.explained |= set(names)
        if not first.alterations:
            self._tell([_intolerant(names, first)] if case.tolerance is not None else [])
            return first
        self._tell(causes(first))
        for other in others[: LISTED - 1]:
            self._tell([_or(cause) for cause in causes(other)])
        if others:
            listed = "; ".join(words.summary(e, case) for e in found.explanations[:LISTED])
            more = f"; and {len(others) + 1 - LISTED} more" if len(others) >= LISTED else ""
            self.notes.append(f"{names[0]}: this case cannot tell apart {listed}{more}")
        return first

    def _tell(self, causes: Sequence[Cause]) -> None:
        said = {(c.kind, repr(c.effective)) for c in self.causes}
        self.causes += [c for c in causes if (c.kind, repr(c.effective)) not in said]


def _intolerant(names: Sequence[str], explanation: Explanation) -> Cause:
    message = (
        f"{' and '.join(names)}: rounding explains it all ({explanation.ratio:.2g} of the bound), but the case's "
        "tolerance is narrower than that; widen or remove it."
    )
    return Cause(kind="precision", message=message)


def _in_the_backward_pass(cause: Cause) -> Cause:
    if cause.kind == "gradient":
        return cause
    message = f"In the backward pass alone, {cause.message[:1].lower()}{cause.message[1:]}"
    return cause.model_copy(update={"message": message})


def _or(cause: Cause) -> Cause:
    return cause.model_copy(update={"alternative": True})


def diagnose(
    trials: Trials,
    documented: Semantics,
    failed: Sequence[Failed],
    moving: Mapping[str, Tensor],
    gradients: Mapping[str, Tensor],
) -> Diagnosis:
    """Explain the tensors that failed as changes of what was requested, or of what is ``documented``.

    ``moving``: all moving statistics that can be compared, since one may tell explanations of the other apart;
    ``gradients``: likewise.
    """
    forward = [f for f in failed if f.name not in gradients]
    diagnosis, applied = _forward(trials, documented, forward, moving) if forward else (Diagnosis(), None)
    backward = {f.name: f for f in failed if f.name in gradients}
    if backward:
        _backward(trials, documented, backward, gradients, diagnosis, applied)
    return diagnosis


def _forward(
    trials: Trials, documented: Semantics, failed: Sequence[Failed], moving: Mapping[str, Tensor]
) -> tuple[Diagnosis, Explanation | None]:
    """Of the output and the moving statistics; and how the output was explained, if it was."""
    case, requested = trials.case, trials.case.requested
    diagnosis = Diagnosis()
    bases = [requested, documented] if documented != requested else [requested]
    by_name = {f.name: f for f in failed}
    wrong_tensors = {f.name: f.tensor for f in failed}
    in_elements = not any(f.below for f in failed)
    small = all(tensor.size <= FIRST_ROUNDED for tensor in wrong_tensors.values())
    if small and in_elements and (cause := precision.rounded(trials, wrong_tensors, bases)) is not None:
        return Diagnosis([cause], explained=set(by_name)), None
    outputs = {name: tensor for name, tensor in wrong_tensors.items() if name in ("output", "inference")}
    for name, tensor in outputs.items():
        if (cause := precision.overflowed(trials, name, tensor)) is not None:
            diagnosis.causes.append(cause)
            diagnosis.explained.add(name)
            del by_name[name]
    stored: Sequence[Explanation] = ()
    if wrong := [name for name in moving if name in by_name]:
        found = MovingSearch(trials, moving).run(bases)
        stored = found.explanations
        if diagnosis.add(wrong, found, case) is None:
            for name in wrong:
                _stored_alone(trials, by_name[name], found, bases, diagnosis)
    applied: Explanation | None = None
    if (output := by_name.get("output")) is not None:
        left = [_with_stored(base, stored[0].semantics) if stored else base for base in bases]
        suspected = stored[0].semantics.precision if stored else None
        applied = _output(trials, output, left, diagnosis, suspected=suspected)
    if (inference := by_name.get("inference")) is not None:
        kept = [
            _with_statistics(_with_stored(base, e.semantics), e.semantics) for base in bases for e in stored
        ] or bases
        if applied is not None and not moving:
            kept = [_with_statistics(base, applied.semantics) for base in kept] + [*kept]
        left = [_with_applied(base, applied) for base in kept]
        _output(trials, inference, [*dict.fromkeys([*left, *bases])], diagnosis, stored=not moving)
    if any(cause.kind == "cancellation" for cause in diagnosis.causes):
        _cancelled(trials, [by_name[name] for name in wrong if name not in diagnosis.explained], bases, diagnosis)
    unexplained = len(diagnosis.explained) < len(by_name)
    if not small and in_elements and unexplained:
        cause = precision.rounded(trials, wrong_tensors, bases)
        return diagnosis if cause is None else Diagnosis([cause], explained=set(by_name)), applied
    return diagnosis, applied


def _backward(
    trials: Trials,
    documented: Semantics,
    failed: Mapping[str, Failed],
    gradients: Mapping[str, Tensor],
    diagnosis: Diagnosis,
    applied: Explanation | None,
) -> None:
    """Of the gradients: as they follow from what the output was found to be (``applied``), else by themselves."""
    requested = trials.case.requested
    bases = [*dict.fromkeys([*([applied.semantics] if applied else []), requested, documented])]
    if any(cause.kind == "cancellation" for cause in diagnosis.causes):  # and so is the variance of the gradients
        squares = [replace(base, batch_formula="squares") for base in bases]
        follow = {n for n, f in failed.items() if any(trials.gradient(s, n, f.tensor).within for s in squares)}
        diagnosis.explained |= follow
        failed = {name: each for name, each in failed.items() if name not in follow}
        if not failed:
            return
    found = GradientSearch(trials, gradients).run(bases)
    if _told_of_gradients([*failed], found, diagnosis, trials.case):
        return
    for name, each in failed.items():
        alone = GradientSearch(trials, {name: each.tensor}).run(bases) if len(gradients) > 1 else found
        if not _told_of_gradients([name], alone, diagnosis, trials.case):
            diagnosis.causes.append(_unexplained(each, alone.nearest, trials))


def _told_of_gradients(names: Sequence[str], found: Found, diagnosis: Diagnosis, case: Case) -> bool:
    """Take in what a search of gradients found: nothing more is said where they follow from the output's reading."""
    first = next(iter(found.explanations), None)
    if first is None:
        return False
    if not first.alterations and first.semantics != case.requested:
        diagnosis.explained |= set(names)
    else:
        diagnosis.add(names, found, case, backward=True)
    return True


def _stored_alone(
    trials: Trials, failed: Failed, together: Found, bases: Sequence[Semantics], diagnosis: Diagnosis
) -> None:
    """One moving statistic that no reading explains together with the other: by itself, or what entered it."""
    found = MovingSearch(trials, {failed.name: failed.tensor}).run(bases)
    case = trials.case
    first = next(iter(found.explanations), None)
    rare = first is not None and any(a.rare for a in first.alterations)
    if first is not None and not rare and (first.solved is None or first.named(case.requested)):
        diagnosis.causes += [
            cause.model_copy(update={"message": f"{failed.name} alone: {cause.message[:1].lower()}{cause.message[1:]}"})
            for cause in words.causes(first, case)
        ]
        diagnosis.explained.add(failed.name)
        return
    cause = _unexplained(failed, together.nearest, trials)
    if (entered := statistics.of_moving(trials, failed.name, failed.tensor)) is not None:
        cause = cause.model_copy(update={"message": f"{cause.message} {entered}"})
    diagnosis.causes.append(cause)


def _cancelled(trials: Trials, failed: Sequence[Failed], bases: Sequence[Semantics], diagnosis: Diagnosis) -> None:
    """Moving statistics that nothing explained, where the variance that normalizes is E[x^2] - E[x]^2, and that may be
    off by as much as that is."""
    squares = [replace(base, batch_formula="squares") for base in bases]
    for each in failed:
        if any(trials.moving(reading, each.name, each.tensor).within for reading in squares):
            diagnosis.explained.add(each.name)
            diagnosis.causes = [c for c in diagnosis.causes if not c.message.startswith(f"{each.name}[")]


def _with_stored(base: Semantics, found: Semantics) -> Semantics:
    """A reading with the moving statistics that were found to be stored."""
    return replace(base, momentum=found.momentum, moving_variance=found.moving_variance, update=found.update)


def _with_statistics(base: Semantics, found: Semantics) -> Semantics:
    """A reading with the statistics of a batch that were found."""
    changes: dict[str, Any] = {name: getattr(found, name) for name in _STATISTICS}
    return replace(base, **changes)


def _with_applied(base: Semantics, applied: Explanation | None) -> Semantics:
    """A reading with the application that was found to be made."""
    if applied is None:
        return base
    changes: dict[str, Any] = {name: getattr(applied.semantics, name) for name in _APPLIED}
    return replace(base, **changes)


def _output(
    trials: Trials,
    failed: Failed,
    bases: Sequence[Semantics],
    diagnosis: Diagnosis,
    *,
    stored: bool = False,
    suspected: str | None = None,
) -> Explanation | None:
    case = trials.case
    among = [failed.found.worst.at] if failed.found.worst else []
    search = OutputSearch(trials, failed.name, failed.tensor, among=among, below=failed.below, stored=stored)
    found = search.run(bases, suspected)
    if (explanation := diagnosis.add([failed.name], found, case)) is not None:
        if not any(a.kind == "epsilon" for a in explanation.alterations):
            diagnosis.notes += _epsilon_unseen(trials, failed, explanation)
        return explanation
    other = statistics.of_output(trials, failed.tensor) if failed.name == "output" else None
    if other is not None and other.kind is not None:
        diagnosis.causes.append(Cause(kind=other.kind, effective=other.variance, message=other.message))
        diagnosis.explained.add(failed.name)
    elif not failed.below:
        cause = _unexplained(failed, found.nearest, trials)
        if other is not None:
            cause = cause.model_copy(update={"message": f"{cause.message} {other.message}"})
        diagnosis.causes.append(cause)
    return None


def epsilon_seen(trials: Trials, name: str, output: Tensor, semantics: Semantics) -> Solved | None:
    """The epsilon that an output shows, ``output`` or ``inference`` by its ``name``, if it is otherwise read like that;
    None if there is none."""
    return epsilon.solve(sampled(trials, name, output, []), semantics)


def _epsilon_unseen(trials: Trials, failed: Failed, explanation: Explanation) -> list[str]:
    """That an output cannot show its epsilon, if it cannot."""
    seen = epsilon_seen(trials, failed.name, failed.tensor, explanation.semantics)
    if seen is None or not (seen.holds(0.0) and seen.holds(trials.case.requested.epsilon) and np.isfinite(seen.high)):
        return []
    return [f"{failed.name} cannot show epsilon: the variance drowns any up to {seen.high:.2g}"]


def _unexplained(failed: Failed, nearest: Explanation | None, trials: Trials) -> Cause:
    """What is seen of a tensor that no reading explains, and the reading that comes nearest."""
    name, found, case = failed.name, failed.found, trials.case
    assert found.worst is not None  # something is beyond its bound
    worst = found.worst
    actual, expected = f"{worst.actual:.9g}", f"{worst.expected:.9g}"
    if actual == expected:
        actual, expected = f"{worst.actual:.17g}", f"{worst.expected:.17g}"
    where = f"{name}{list(worst.at)} is {actual}; it should be {expected}"
    if found.nonfinite:
        return Cause(kind="nonfinite", effective=repr(worst.actual), message=f"{where}.{_not_finite(failed, case)}")
    limit = "what rounding can explain" if case.tolerance is None else "the case's tolerance"
    message = f"{where}: {worst.bound_ratio:.2g} times {limit}.{_pattern(failed, trials)}"
    if nearest is not None and np.isfinite(nearest.ratio):
        near = words.summary(nearest, case)
        if nearest.ratio <= NEAR * worst.bound_ratio:
            message += f" Nearest: {near}, which leaves {nearest.ratio:.2g} times the bound."
        else:
            message += f" No known reading comes near (of all, {near}: {nearest.ratio:.2g} times the bound)."
    return Cause(kind="unexplained", message=message)


def _pattern(failed: Failed, trials: Trials) -> str:
    """Which values of an output are wrong, where that says something."""
    tensor, case = failed.tensor, trials.case
    if failed.name not in ("output", "inference") or tensor.size > FIRST_ROUNDED:
        return ""
    elements = Elements(trials, failed.name, tensor, np.arange(tensor.size))
    expected, allowed = elements.expected(case.requested)
    seen = np.asarray(elements.actual, dtype=np.float64)
    with np.errstate(all="ignore"):
        wrong = np.abs(seen - expected) > allowed
    if not wrong.any():
        return ""
    if np.all(seen[wrong] == 0) and np.all(expected[wrong] < 0):
        return " Every value that should be negative is 0, and all others are right: a ReLU is applied."
    if wrong.mean() > FEW:
        return ""
    channels = _channels(wrong.reshape(tensor.shape), case)
    place = f", all in channel {channels[0].tolist()}" if len(channels) == 1 < case.channels.count else ""
    return f" {int(wrong.sum()):,} of {wrong.size:,} values {'is' if wrong.sum() == 1 else 'are'} wrong{place}."


def _channels(among: NDArray[np.bool_], case: Case) -> NDArray[np.intp]:
    """The indices of the channels that hold some of the values marked."""
    others = tuple(a for a in range(among.ndim) if a not in case.channels.kept)
    return np.argwhere(np.atleast_1d(among.any(axis=others)))


def _not_finite(failed: Failed, case: Case) -> str:
    """How many values are not finite, and in which channels."""
    spoilt = ~np.isfinite(np.asarray(failed.tensor, dtype=np.float64))
    count = int(spoilt.sum())
    text = f" {count:,} of {spoilt.size:,} values are not finite"
    if failed.name in ("output", "inference") and case.channels.kept:
        channels = _channels(spoilt, case)
        if len(channels) <= 3 < case.channels.count:
            text += f", all in channel{'s' if len(channels) > 1 else ''} {', '.join(str(c.tolist()) for c in channels)}"
    if case.input.dtype == "float16" and count > 1:
        text += f"; float16 ends at {Format.of('float16').largest:,.0f}, and so do squares and sums in it"
    return f"{text}."
