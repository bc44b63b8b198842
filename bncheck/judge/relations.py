"""What a relation says of two calls: the results of the second, made of those of the first, without a reference.

Any epsilon, momentum or estimator will do as long as the relation holds. What rounding may add is the sum of the bounds
of both calls, under the reading that the first follows: as it is documented, or as requested, or else the one that a
search finds. A relation that does not hold fails, unless both calls are what is documented.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from bncheck import document
from bncheck.case import related
from bncheck.case.model import Case
from bncheck.channels import Channels
from bncheck.document import Cause
from bncheck.documented.reading import Reading
from bncheck.doubledouble import Array
from bncheck.formats import Format
from bncheck.judge import compare, verdict
from bncheck.judge.compare import Comparison, Expected
from bncheck.judge.diagnose.search import MovingSearch, OutputSearch
from bncheck.judge.question import Due, Question
from bncheck.judge.references import References
from bncheck.judge.trials import Trials
from bncheck.judge.verdict import Judgement, recorded
from bncheck.reference import Tensor
from bncheck.semantics import Semantics

PREFIX = "related_"
"""Before the names of the second call's tensors."""

_EXACT = 2.0**-52
"""Twice the roundoff of what is computed here."""

BROKEN = {
    "absorbed-bias": ("that of x without the bias", "the bias is not absorbed"),
    "identity-start": ("x", "gamma and beta made of the moving statistics and epsilon do not give back x"),
    "permuted-batch": ("that of the samples in their own order", "the order of the samples counts"),
    "scaled-input": ("that of x as it was", "the scale of x counts, though epsilon is scaled alike"),
    "relu-scale": ("that without the scale, times it", "a scale before relu is not a scale after it"),
    "folded": (
        "that of the layer with one scale and one shift for each channel folded in",
        "it cannot be folded into the layer before it",
    ),
}
"""For each relation, what a tensor of the second call should be, and what it means that it is not."""


@dataclass(frozen=True, eq=False)
class Both:
    """Two calls of one case: what is asked of each, and what it returned."""

    question: Question
    other: Question
    first: Mapping[str, Tensor]
    again: Mapping[str, Tensor]

    @property
    def case(self) -> Case:
        return self.question.case

    @property
    def x(self) -> tuple[Array, Array]:
        """The last batch of each."""
        return _wide(self.question.inputs.batches[-1]), _wide(self.other.inputs.batches[-1])


@dataclass(frozen=True, eq=False)
class Held:
    """What a tensor is by a relation: it is ``actual``, and ``expected``, to within ``bound``."""

    actual: Tensor
    expected: Array
    bound: Array


def second(question: Question, reading: Reading) -> Question:
    """What is asked of the second call; where there is none, what is asked of the first."""
    inputs = question.inputs.related
    if inputs is None:
        return question
    case = related.second_case(question.case)
    return replace(question, case=case, inputs=inputs, reading=reading, reference=References(inputs, case.steps))


def refused(question: Question, other: Question, said: str) -> Judgement:
    """One of the calls raised ``said``: known if that is documented, else a fail."""
    return verdict.refused(other if question.reading.refusal is None else question, said)


def judge(question: Question, other: Question, returned: Mapping[str, Tensor]) -> Judgement:
    """Judge the tensors that both calls returned, the second's by names with `PREFIX`."""
    case = question.case
    again = {n.removeprefix(PREFIX): t for n, t in returned.items() if n.startswith(PREFIX)}
    first = {n: t for n, t in returned.items() if not n.startswith(PREFIX)}
    if other is question:
        again = first
    judgement = Judgement(notes=list(question.reading.notes))
    alone = case.relation == "never-applied"  # then one's own function has no statistics that could be others
    checked = [name for name in case.checked if name in first and (alone or name in again)]
    if absent := [name for name in case.checked if name not in checked]:
        judgement.notes.append(f"has no {', '.join(absent)}")
    if not checked:
        reason = f"it has no {', '.join(absent)}, and nothing else is checked"
        return Judgement("unsupported", judgement.notes, reason=reason)
    calls = (question, first), (other, again)
    for asked, tensors in calls:
        if not all(_has_form(name, tensors[name], asked) for name in checked if name in tensors):
            return verdict.judge(asked, tensors)
    judged: list[dict[str, Tensor]] = [{n: t[n] for n in checked if n in t} for t in (first, again)]
    both = Both(question, other, *judged)
    semantics, due, due_again = _followed(both)
    if due.weak(checked) or due_again.weak(checked):
        judgement.notes.append("weakly judged: at this size or offset the rounding bound itself is wide")
    messages = []
    for name in checked:
        with np.errstate(all="ignore"):
            found, held, expected = _worst(_held(name, both, due, due_again), name, case)
        tensor_verdict: document.Verdict = "pass" if found.within else "fail"
        judgement.tensors.append(recorded(name, held.actual, held.actual, found, expected, tensor_verdict))
        if not found.within:
            judgement.verdict = "fail"
            messages.append(_message(name, both, found))
    if messages:
        _explain(judgement, both, messages)
    elif semantics != case.requested and semantics != question.reading.semantics(case.requested):
        judgement.notes.append("not as requested, which this relation leaves open")
    return judgement


def _has_form(name: str, tensor: Tensor, question: Question) -> bool:
    case, output = question.case, name in ("output", "inference")
    shape = case.channels.shape if output else case.channels.statistic_shape
    return tensor.shape == shape and tensor.dtype == (case.input.dtype if output else question.reading.parameters_dtype)


def _explain(judgement: Judgement, both: Both, messages: list[str]) -> None:
    """Why a relation does not hold: what is found of each call by itself, or else just that."""
    plain = [verdict.judge(both.question, both.first)]
    if both.again and both.other is not both.question:
        plain.append(verdict.judge(both.other, both.again))
    worst = max(plain, key=lambda p: ("pass", "unsupported", "known", "fail").index(p.verdict))
    causes: dict[tuple[str, str], Cause] = {}
    for each in plain:
        for cause in each.causes:
            if each.verdict == worst.verdict and cause.kind not in ("unexplained", "accumulation"):
                causes.setdefault((cause.kind, repr(cause.effective)), cause)
    if worst.verdict == "known":
        judgement.verdict, judgement.documented = "known", worst.documented
    told = "; ".join(messages) + "."
    if relation := BROKEN.get(str(both.case.relation)):
        told = f"{told[:-1]}: {relation[1]}."
    if not causes:
        judgement.causes.append(Cause(kind="unexplained", message=told))
        return
    chief, *rest = causes.values()
    judgement.causes += [chief.model_copy(update={"message": f"{told} {chief.message}"}), *rest]


def _message(name: str, both: Both, found: Comparison) -> str:
    assert found.worst is not None
    worst, relation = found.worst, str(both.case.relation)
    where = f"{name}{list(worst.at)}"
    if relation == "never-applied":
        if name in both.again and not np.array_equal(both.again[name], both.question.inputs.parameters[name]):
            return f"{where} is {worst.actual:.9g} without training, but was given as {worst.expected:.9g}"
        return f"{where} is {worst.actual:.9g}, as it was given: one training step does not move it"
    of, _ = BROKEN[relation]
    if relation == "absorbed-bias" and name == "moving_mean":
        of = "that of x without the bias, moved by it"
    off = abs(worst.actual - worst.expected)
    return (
        f"{where} is {worst.actual:.9g}, and {of} is {worst.expected:.9g}: off by {off:.1e}, "
        f"{worst.bound_ratio:.3g} times what rounding explains"
    )


def due_by_documents(question: Question, other: Question) -> dict[str, Held]:
    """What the relation says of calls that are as documented, exactly: for its bounds."""
    dues = [Due.of(q, q.reading.semantics(q.case.requested)) for q in (question, other)]
    names = question.case.checked
    made: list[dict[str, Tensor]] = []
    for asked, due in zip((question, other), dues, strict=True):
        shapes = {n: asked.case.channels.shape if n in ("output", "inference") else None for n in names}
        made.append({n: _whole(due, n, shape or asked.case.channels.statistic_shape) for n, shape in shapes.items()})
    both = Both(question, other, *made)
    with np.errstate(all="ignore"):
        return {name: _held(name, both, *dues)[-1] for name in names}


def bias_of(question: Question, other: Question) -> Array:
    """The bias of each channel in ``absorbed-bias``."""
    x, biased = (_wide(q.inputs.batches[-1]) for q in (question, other))
    bias: Array = (biased - x).max(axis=tuple(a for a in range(x.ndim) if a not in question.case.channels.kept))
    return bias


def _followed(both: Both) -> tuple[Semantics, Due, Due]:
    """The reading that the first call follows, as far as is known, and both calls under it."""
    question, other = both.question, both.other
    requested = question.case.requested
    documented = question.reading.semantics(requested)
    due = Due.of(question, documented)
    found = documented
    if not _fits(due, both.first) and not (documented != requested and _fits(Due.of(question, requested), both.first)):
        found = _searched(both, documented)
    again = other.reading.semantics(other.case.requested)
    if found != documented:
        due = Due.of(question, found)
        ratio = other.case.requested.epsilon / requested.epsilon if requested.epsilon else 1.0
        again = replace(found, mode=other.case.requested.mode, epsilon=found.epsilon * ratio)
    return found, due, Due.of(other, again)


def _fits(due: Due, tensors: Mapping[str, Tensor]) -> bool:
    return all(compare.compare(tensor, due.tensors[name]).within for name, tensor in tensors.items())


def _searched(both: Both, documented: Semantics) -> Semantics:
    """The reading that a search finds for the first call, as far as its bounds can be had of it."""
    case = both.case
    trials = Trials(case, both.question.inputs, both.question.reading.parameters_dtype)
    found = documented
    if moving := {name: tensor for name, tensor in both.first.items() if name.startswith("moving")}:
        for explanation in MovingSearch(trials, moving).run([case.requested, documented]).explanations[:1]:
            stored = explanation.semantics
            found = replace(
                found, momentum=stored.momentum, moving_variance=stored.moving_variance, update=stored.update
            )
    for name in ("output", "inference"):
        if name in both.first:
            search = OutputSearch(trials, name, both.first[name])
            for explanation in search.run([found]).explanations[:1]:
                seen = explanation.semantics
                if (seen.kept, seen.along, seen.order) == (found.kept, found.along, found.order):
                    found = seen
    return found


def _worst(candidates: list[Held], name: str, case: Case) -> tuple[Comparison, Held, Expected]:
    """The first of those that do not hold, or the last."""
    shape = candidates[0].expected.shape
    kept = case.channels.kept if name in ("output", "inference") else tuple(range(len(shape)))
    channels = Channels(shape, kept)
    for held in candidates:
        expected = _as_expected(channels, held)
        found = compare.compare(held.actual, expected)
        if not found.within:
            break
    return found, held, expected


def _as_expected(channels: Channels, held: Held) -> Expected:
    value, bound = (channels.view(np.ascontiguousarray(part)) for part in (held.expected, held.bound))
    return Expected(channels, lambda index: (value[index].copy(), None, bound[index].copy()))


def _wide(tensor: Tensor) -> Array:
    return tensor.astype(np.float64)


def _bound(due: Due, name: str, shape: tuple[int, ...]) -> Array:
    """The bound of a whole tensor."""
    expected = due.tensors[name]
    whole = np.empty(expected.channels.walked)
    for index in expected.channels.blocks():
        whole[index] = expected.at(index)[2]
    return whole.reshape(shape)


def _held(name: str, both: Both, due: Due, due_again: Due) -> list[Held]:
    """What the relation says of one tensor."""
    case, actual = both.case, both.again.get(name, both.first[name])
    shape = actual.shape
    bound, bound_again = (_bound(d, name, shape) for d in (due, due_again))
    first = _wide(both.first[name])
    if case.relation == "never-applied":
        return _moved(name, both, bound)
    if case.relation == "identity-start":
        return [_identity(both, actual, bound)]
    if case.relation == "folded":
        return [_folded(both, actual, bound, bound_again)]
    if name == "moving_mean" and case.relation == "absorbed-bias":
        return [_biased(both, actual, first, bound + bound_again)]
    change = _CHANGES.get((str(case.relation), name))
    if change is not None:
        first, bound = change(first, case), change(bound, case)
    if case.relation == "relu-scale" and name in ("output", "inference"):
        actual, first = np.maximum(actual, actual.dtype.type(0)), np.maximum(first, 0)
    return [Held(actual, first, bound + bound_again)]


def _in_order(values: Array, case: Case) -> Array:
    axis = case.input.layout.index("N")
    return np.take(values, related.order(values.shape[axis]), axis)


def _by_factors(values: Array, case: Case) -> Array:
    factors = related.factors(case.channels.count)
    return values * factors.reshape([d if a in case.channels.kept else 1 for a, d in enumerate(values.shape)])


_CHANGES: Mapping[tuple[str, str], Callable[[Array, Case], Array]] = {
    ("permuted-batch", "output"): _in_order,
    ("permuted-batch", "inference"): _in_order,
    ("scaled-input", "moving_mean"): lambda values, _: values * related.FACTOR,
    ("scaled-input", "moving_variance"): lambda values, _: values * related.FACTOR**2,
    ("relu-scale", "output"): _by_factors,
    ("relu-scale", "inference"): _by_factors,
}
"""What becomes of a tensor, and of its bound, from the first call to the second; nothing of others."""


def _biased(both: Both, actual: Tensor, first: Array, bound: Array) -> Held:
    """The moving mean moves by one part of the bias, the same in each channel: 1 - momentum after one step, whatever
    the momentum is."""
    case = both.case
    bias = bias_of(both.question, both.other)
    momentum = case.requested.momentum
    requested = 1.0 if isinstance(momentum, str) else 1 - momentum**case.steps
    moved, size = _wide(actual) - first, np.abs(bias)
    weight = np.where(np.isfinite(moved) & (bound > 0), (size / bound) ** 2, 0)
    if not np.any(weight > 0) or not np.any(np.abs(moved) > bound):
        return Held(actual, first + requested * bias, bound)
    part = float(np.sum(np.where(weight > 0, moved / bias * weight, 0)) / weight.sum())
    part = min(max(part, 0.0), 1.0)
    return Held(actual, first + part * bias, bound + size * float(np.min(bound / size)))


def _identity(both: Both, actual: Tensor, bound: Array) -> Held:
    """x, to which the rounding of gamma itself adds."""
    case, given = both.case, both.question.inputs.parameters
    x = both.x[0]
    shape = [d if a in case.channels.kept else 1 for a, d in enumerate(x.shape)]
    mean, variance, gamma = (_wide(given[n]).reshape(shape) for n in ("moving_mean", "moving_variance", "gamma"))
    rounded = np.abs(gamma / np.sqrt(variance + case.requested.epsilon) - 1) + 2 * _EXACT
    return Held(actual, x, bound + np.where(x == mean, 0, rounded * np.abs(x - mean)))


def _folded(both: Both, probe: Tensor, bound: Array, bound_of_probe: Array) -> Held:
    """The first output, by a scale and a shift that are measured on two values for each channel, with all between."""
    case = both.case
    x, probed = both.x
    (low, high), (at_low, at_high) = related.probed(case, probed), related.probed(case, _wide(probe))
    of_low, of_high = related.probed(case, bound_of_probe)
    scale = (at_high - at_low) / (high - low)
    shift = at_low - scale * low
    layer = related.Layer.of(case)
    expected = layer.folded(scale.reshape(-1), shift.reshape(-1))
    part = (x - low) / (high - low)
    sizes = layer.sizes(scale.reshape(-1)) + np.abs(shift) + np.abs(at_low) + np.abs(at_high) + np.abs(scale * low)
    bound = bound + (1 - part) * of_low + part * of_high + 40 * _EXACT * sizes
    lost = ~np.isfinite(at_low + at_high)  # nothing can be measured on what overflows
    first = both.first["output"]
    return Held(first, np.where(lost, _wide(first), expected), np.where(lost, np.inf, bound))


def _moved(name: str, both: Both, bound: Array) -> list[Held]:
    """What a layer that was not trained has, as it was given; and that training moves all that it should move by more
    than rounding."""
    given = _wide(both.question.inputs.parameters[name])
    found = []
    smallest = np.full(given.shape, Format.of(both.first[name].dtype).subnormal)
    if name in both.again:
        found.append(Held(both.again[name], given, smallest / 2))
    requested = Due.of(both.question, both.case.requested)
    moved = _whole(requested, name, given.shape)
    stays = (_wide(both.first[name]) == given) & (np.abs(moved - given) > _bound(requested, name, given.shape))
    after = np.where(stays, moved, _wide(both.first[name]))
    return [*found, Held(both.first[name], after, np.maximum(bound, smallest))]


def _whole(due: Due, name: str, shape: tuple[int, ...]) -> Array:
    expected = due.tensors[name]
    whole = np.empty(expected.channels.walked)
    for index in expected.channels.blocks():
        whole[index] = expected.at(index)[0]
    return whole.reshape(shape)
