"""What a runner's answer is worth: all verdict policy, in one place.

R is the reference as requested, D as the implementation documents itself for that very call. Tensor by tensor: where R
and D differ by no more than the bound, R judges. Elsewhere what is within the bound of D is ``known``; within that of R
only, it fails because of its documentation; of neither, it fails. The worst tensor's verdict is the result's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from bncheck import document
from bncheck.case.model import Case
from bncheck.document import Cause, Verdict
from bncheck.documented.reading import KINDS, Fact
from bncheck.judge import compare
from bncheck.judge.compare import Comparison, Expected
from bncheck.judge.diagnose.result import Diagnosis, Failed, diagnose, epsilon_seen
from bncheck.judge.diagnose.solved import Solved
from bncheck.judge.diagnose.words import interval_of
from bncheck.judge.evidence import MOST_VALUES, evidence, lines
from bncheck.judge.question import AFFECTS, Due, Question
from bncheck.judge.transposed import transposition
from bncheck.judge.trials import Trials
from bncheck.reference import Reference, Tensor
from bncheck.semantics import Semantics

_WORDS = {
    "wide": "float32 inside",
    "narrow": "16 bits inside",
    "narrow sums": "16 bits inside",
    "none": "not updated",
    None: "updated",
    "floor": "a floor",
    "squares": "E[x^2] - E[x]^2",
    "deviations": "E[(x - E[x])^2]",
    "inside": "inside the root",
    "exact": "as the output",
    "constants": "statistics constant",
    "constant mean": "mean constant",
    "constant variance": "variance constant",
    "statistics": "training formula",
    "ignored": "mask ignored",
    "left out": "mask honoured",
}
"""What users read for values that are no words of theirs."""

_ORDER: tuple[Verdict, ...] = ("pass", "known", "fail")


@dataclass(frozen=True)
class Unlike:
    """A tensor that an equal call gave otherwise: ``count`` of ``size`` values, most at ``at`` (None: in its form)."""

    name: str
    count: int
    size: int
    at: Sequence[int] | None
    first: float
    again: float


@dataclass
class Judgement:
    """What goes into a result."""

    verdict: Verdict = "pass"
    notes: list[str] = field(default_factory=list)
    tensors: list[document.Tensor] = field(default_factory=list)
    causes: list[Cause] = field(default_factory=list)
    documented: document.Documented | None = None
    reason: str | None = None


def refused(question: Question, said: str) -> Judgement:
    """The call itself raised ``said``: known if that is documented, else a fail."""
    refusal = question.reading.refusal
    if refusal is None or refusal.says not in said:
        cause = Cause(kind="refused", effective=said, message=f"The call raised {said}.")
        return Judgement("fail", list(question.reading.notes), causes=[cause])
    source = str(refusal.source)
    message = f"The call raised {said}. Documented: it takes only {refusal.words}."
    cause = Cause(kind="refused", effective=f"takes only {refusal.words}", message=message, source=source)
    documented = document.Documented(source=source, differs=["refused"])
    return Judgement("known", list(question.reading.notes), causes=[cause], documented=documented)


def judge(question: Question, returned: Mapping[str, Tensor], unlike: Sequence[Unlike] = ()) -> Judgement:
    """Judge the tensors that a call returned, by name. What the implementation does not have is left out and noted.

    ``unlike``: what of them an equal call gave otherwise, which fails whatever they are.
    """
    case, reading = question.case, question.reading
    judgement = Judgement(notes=list(reading.notes))
    if (refusal := reading.refusal) is not None:
        judgement.notes.append(f"documented to take only {refusal.words} ({refusal.source.name}), but took this")
    checked = [name for name in case.checked if name in returned]
    absent = [name for name in case.checked if name not in returned]
    if absent:
        judgement.notes.append(f"has no {', '.join(absent)}")
    if not checked:
        reason = f"it has no {', '.join(absent)}, and nothing else is checked"
        return Judgement("unsupported", judgement.notes, reason=reason)
    requested = Due.of(question, case.requested)
    documented = Due.of(question, reading.semantics(case.requested)) if reading.facts else requested
    if requested.weak(checked):
        judgement.notes.append("weakly judged: at this size or offset the rounding bound itself is wide")
    differing: list[Fact] = []
    judged: dict[str, _Judged] = {
        name: _judge_tensor(name, returned[name], question, requested, documented) for name in checked
    }
    for name, found in judged.items():
        judgement.tensors.append(found.record)
        judgement.verdict = max(judgement.verdict, found.verdict, key=_ORDER.index)
        if found.verdict == "known":
            differing += [f for f in _needed(name, returned[name], question) if f not in differing]
    _explain(judgement, judged, question, requested, documented.semantics)
    if differing:
        if judgement.verdict == "known":
            seen = _epsilon_seen(judged, question, documented) if any(f.field == "epsilon" for f in differing) else None
            judgement.causes += [
                _known_cause(fact, case.requested, seen if fact.field == "epsilon" else None) for fact in differing
            ]
        judgement.documented = document.Documented(
            source="; ".join(dict.fromkeys(str(f.source) for f in differing)),
            differs=[KINDS[f.field] for f in differing],
        )
    if again := {each.name: each for each in reversed(unlike) if each.name in checked}:
        judgement.verdict = "fail"
        judgement.causes += map(_nondeterministic, again.values())
    return judgement


def _nondeterministic(unlike: Unlike) -> Cause:
    if unlike.at is None:
        message = f"{unlike.name} has another shape or dtype when the same call is made again."
        return Cause(kind="nondeterministic", message=message)
    message = (
        f"{unlike.name}: {unlike.count:,} of {unlike.size:,} values differ when the same call is made again, most at "
        f"{list(unlike.at)}: {unlike.first:.9g}, then {unlike.again:.9g}."
    )
    return Cause(kind="nondeterministic", effective=abs(unlike.again - unlike.first), message=message)


def _needed(name: str, actual: Tensor, question: Question) -> list[Fact]:
    """The documented facts without which a known tensor would not be."""
    needed = [f for f in question.reading.facts if f.field in AFFECTS[name]]
    for fact in sorted(needed, key=lambda f: f.field != "precision"):  # first what only widens the bound
        rest = [f for f in needed if f is not fact]
        if rest:
            changes = {f.field: f.value for f in rest}
            others = Due.of(question, replace(question.case.requested, **changes))
            if compare.compare(actual, others.tensors[name]).within:
                needed = rest
    return needed


@dataclass(frozen=True, eq=False)
class _Judged:
    """One tensor's verdict, its record, the causes that show in it alone, and what is to be explained if it fails."""

    verdict: Verdict
    record: document.Tensor
    causes: Sequence[Cause] = ()
    comparable: Tensor | None = None
    failed: Failed | None = None


def _judge_tensor(name: str, actual: Tensor, question: Question, requested: Due, documented: Due) -> _Judged:
    tensor, problems = _form(name, actual, question, requested)
    if tensor is None:
        record = document.Tensor(name=name, dtype=actual.dtype.name, shape=list(actual.shape))
        return _Judged("fail", record, problems)
    by_request = compare.compare(tensor, requested.tensors[name])
    verdict: Verdict = "pass" if by_request.within else "fail"
    reading, found = requested, by_request
    causes: list[Cause] = []
    if not requested.same(documented, name):
        by_document = compare.compare(tensor, documented.tensors[name])
        apart = compare.distance(documented.tensors[name], requested.tensors[name]) > 1
        if by_document.within and (apart or not by_request.within):
            verdict, reading, found = "known", documented, by_document
        elif by_request.within and apart:
            verdict = "fail"
            causes.append(
                Cause(kind="documentation", message=_contradiction(name, requested.semantics, documented.semantics))
            )
    failed = Failed(name, tensor, found, below=False) if verdict == "fail" and not causes else None
    if verdict != "fail" and question.case.tolerance is None:
        causes = _below_the_bound(tensor, name, question, reading.reference)
        if _fails(causes) and reading is requested and not requested.same(documented, name):
            by_document_below = _below_the_bound(tensor, name, question, documented.reference)
            if not _fails(by_document_below):
                verdict, reading, causes = "known", documented, by_document_below
        if _fails(causes):
            verdict = "fail"
            failed = Failed(name, tensor, found, below=True)
    if problems:
        verdict = "fail"
    record = recorded(name, actual, tensor, found, reading.tensors[name], verdict)
    return _Judged(verdict, record, [*problems, *causes], tensor, failed)


def _explain(
    judgement: Judgement,
    judged: Mapping[str, _Judged],
    question: Question,
    requested: Due,
    documented: Semantics,
) -> None:
    """Name the causes of what fails: those that show in a tensor by itself, and those that a search finds."""
    failed = [j.failed for j in judged.values() if j.failed is not None]
    diagnosis = Diagnosis()
    if failed:
        trials = Trials(question.case, question.inputs, question.reading.parameters_dtype)
        moving, gradients = (
            {n: j.comparable for n, j in judged.items() if n.startswith(those) and j.comparable is not None}
            for those in ("moving", "gradient")
        )
        diagnosis = diagnose(trials, documented, failed, moving, gradients)
        for each in failed:
            if each.name not in diagnosis.explained and (turned := _turned(each, question.case, requested)) is not None:
                diagnosis.causes = [turned, *(c for c in diagnosis.causes if not c.message.startswith(each.name))]
    for name, found in judged.items():
        formal = [c for c in found.causes if c.kind in ("shape", "dtype", "axis", "documentation", "accumulation")]
        judgement.causes += formal if name in diagnosis.explained else found.causes
    has_other_form = any(c.kind == "dtype" for c in judgement.causes)
    judgement.causes += [
        _with_documentation(cause, question)
        for cause in diagnosis.causes
        if not (has_other_form and cause.kind in ("unexplained", "precision"))
    ]
    judgement.notes += diagnosis.notes


def _with_documentation(cause: Cause, question: Question) -> Cause:
    """A cause that was found, with what is documented instead."""
    if not question.documents or cause.kind in ("unexplained", "nonfinite"):
        return cause
    fact = next((f for f in question.reading.facts if KINDS[f.field] == cause.kind), None)
    said = f"Documented: {fact.words} ({fact.source.name})." if fact else "Not documented for this version."
    return cause.model_copy(update={"message": f"{cause.message} {said}"})


def _turned(failed: Failed, case: Case, requested: Due) -> Cause | None:
    """That an output is the right one with axes of the same length exchanged."""
    if failed.name not in ("output", "inference"):
        return None
    order = transposition(failed.tensor, requested.tensors[failed.name], case.channels.shape)
    if order is None:
        return None
    layout = case.input.layout
    read = "".join(layout[a] for a in order)
    message = f"{failed.name} is right, but transposed: its axes are {read}; they should be {layout}."
    return Cause(kind="axis", requested=layout, effective=read, message=message)


def _below_the_bound(tensor: Tensor, name: str, question: Question, reference: Reference) -> list[Cause]:
    """What slope, offset and remainder of an output's channels show that its elements do not."""
    if name not in ("output", "inference") or tensor.size > MOST_VALUES:
        return []
    semantics = reference.semantics
    if semantics.partial:  # a line would go through the positions, too, that its statistics are not of
        return []
    if semantics.mode == "training" and semantics.batch_formula == "squares":  # a scale may then be off by more
        return []
    x = question.inputs.batches[question.case.steps - 1 if name == "output" else -1]
    applied = getattr(reference, name)
    found = evidence(lines(tensor, x, applied), applied)
    cancels = any(f.kind == "cancellation" for f in found)  # which explains the slope
    return [
        Cause(kind="unexplained" if f.kind == "slope" else f.kind, effective=f.size, message=f"{name}: {f.message}")
        for f in found
        if not (cancels and f.kind == "slope")
    ]


def _fails(causes: Sequence[Cause]) -> bool:
    """Whether there is a cause that does more than inform."""
    return any(cause.kind != "accumulation" for cause in causes)


def _form(name: str, actual: Tensor, question: Question, requested: Due) -> tuple[Tensor | None, list[Cause]]:
    """The tensor as it can be compared (None if it is not), and what is wrong with its shape, its axes or its dtype."""
    case = question.case
    output = name in ("output", "inference", "gradient_x")
    shape = case.channels.shape if output else case.channels.statistic_shape
    if actual.shape != shape:
        message = f"{name} has shape {list(actual.shape)}; it should be {list(shape)}."
        if output and actual.ndim == len(shape) and actual.dtype.kind == "f":
            order = transposition(actual, requested.tensors[name], shape)
            if order is not None:
                read = "".join(case.input.layout[a] for a in order)
                message += f" It is the right output transposed from {case.input.layout} to {read}."
        return None, [Cause(kind="shape", requested=list(shape), effective=list(actual.shape), message=message)]
    dtype = np.dtype(case.input.dtype if output else question.reading.parameters_dtype)
    if actual.dtype == dtype:
        return actual, []
    message = f"{name} is {actual.dtype.name}; it should be {dtype.name}, as what was given."
    with np.errstate(all="ignore"):
        cast = np.real(actual).astype(dtype)
    return cast, [Cause(kind="dtype", requested=dtype.name, effective=actual.dtype.name, message=message)]


def _contradiction(name: str, requested: Semantics, documented: Semantics) -> str:
    changed = [f for f in AFFECTS[name] if getattr(documented, f) != getattr(requested, f)]
    parts = ", ".join(f"{KINDS[f]} {_WORDS.get(value := getattr(documented, f), value)}" for f in changed)
    return f"{name} is as requested, but documented is {parts}."


def _epsilon_seen(judged: Mapping[str, _Judged], question: Question, documented: Due) -> Solved | None:
    """The epsilon that a known output shows, which the documented one fits: the interval says how well that is known.
    None where it shows none."""
    trials = Trials(question.case, question.inputs, question.reading.parameters_dtype)
    for name in ("output", "inference"):
        found = judged.get(name)
        if found is not None and found.verdict == "known" and found.comparable is not None:
            seen = epsilon_seen(trials, name, found.comparable, documented.semantics)
            if seen is not None and np.isfinite(seen.high - seen.low):
                return seen
    return None


def _known_cause(fact: Fact, requested: Semantics, seen: Solved | None) -> Cause:
    used, wanted = (_WORDS.get(value, value) for value in (fact.value, getattr(requested, fact.field)))
    if fact.field == "correction":
        used, wanted = f"N/(N - {fact.value:g}) of it", "as it is"
    low, high = interval_of(seen) if seen else ("", "")
    numbers = [f"{value:g}" if isinstance(value, float) else value for value in (used, wanted)]
    return Cause(
        kind=KINDS[fact.field],
        requested=wanted,
        effective=used,
        interval=[seen.low, seen.high] if seen else None,
        message=f"{numbers[0]} used{f' ({low} to {high} fit)' if seen else ''}, {numbers[1]} requested: {fact.words}.",
        source=str(fact.source),
    )


def recorded(
    name: str, actual: Tensor, tensor: Tensor, found: Comparison, expected: Expected, verdict: Verdict
) -> document.Tensor:
    record = document.Tensor(
        name=name,
        dtype=actual.dtype.name,
        shape=list(actual.shape),
        max_abs=found.max_abs,
        max_ulp=found.max_ulp,
        bound_ratio=found.bound_ratio,
        at=list(found.worst.at) if found.worst else None,
        actual=found.worst.actual if found.worst else None,
        expected=found.worst.expected if found.worst else None,
    )
    if verdict == "pass":
        return record
    more = compare.details(tensor, expected)
    return record.model_copy(
        update={
            "worst": [
                document.Element(at=list(e.at), actual=e.actual, expected=e.expected, bound_ratio=e.bound_ratio)
                for e in more.worst
            ],
            "channels": [
                document.Channel(channel=list(c), max_abs=error, bound_ratio=ratio) for c, error, ratio in more.channels
            ],
            "histogram": document.Histogram(edges=list(compare.EDGES), counts=more.histogram),
        }
    )
