"""What the diagnosis is worth: miniature implementations that are wrong in every known way, and right ones.

Four tables. **Causes**: each wrong miniature on each case and in each dtype, whether it is caught and whether the right
cause is named first. **Honest**: right miniatures on random cases, none of which may fail. **Epsilon**: how near the
effective epsilon is to the one that was used. **Cost**: the time of a diagnosis, against that of the reference.

    python tests/benchmarks/diagnosis.py [--seed 1] [--cases 20] [--honest 10000] [--epsilons 2000] [--only TEXT]

``--cases`` is the number of random cases besides the varied ones that are listed here; ``--only`` takes defects with
that text in their name, and skips the other tables.

What a case can tell apart is computed: a wrong miniature in float64 is compared with the reading that was named in
place of its own. Where they differ by no more than the bound in every element, no diagnosis could choose between them.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import math
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import calibration
from benchmarks.calibration import share, table
from judge.miniatures import DEFECTS, EXACT, HONEST, Defect, Miniature, returned

from bncheck.case import inputs
from bncheck.case.model import Case
from bncheck.channels import Channels
from bncheck.document import Cause
from bncheck.documented.reading import Fact, Reading
from bncheck.judge import verdict
from bncheck.judge.diagnose import result
from bncheck.judge.diagnose.search import Explanation, Found
from bncheck.judge.evidence import fitted, readings
from bncheck.judge.question import Question
from bncheck.judge.trials import Trials, everywhere
from bncheck.judge.verdict import Judgement
from bncheck.reference import Reference, Statistics, Tensor, batch_statistics, evaluate
from bncheck.semantics import Semantics

DTYPES = ("float32", "float16")


# Cases

NORMAL = {
    "values": {"normal": {}},
    "parameters": {"gamma": 1.0, "beta": 0.0, "moving_mean": 0.0, "moving_variance": 1.0},
}
"""What tests usually take: it hides much."""


def case(shape: Sequence[int], layout: str, axis: int | list[int], mode: str = "training", **changes: Any) -> Case:
    values = changes.pop("values", None)
    data = {
        "title": "a case",
        "input": {"shape": list(shape), "layout": layout, "dtype": changes.pop("dtype", "float32"), "values": values},
        "axis": axis,
        "mode": mode,
        "momentum": 0.9,
        **changes,
    }
    return Case.model_validate(data)


VARIED: dict[str, dict[str, Any]] = {
    "channels first": {"shape": [4, 3, 5, 2], "layout": "NCHW", "axis": 1},
    "channels first, larger": {"shape": [8, 6, 7, 5], "layout": "NCHW", "axis": 1},
    "channels last": {"shape": [8, 6, 7, 5], "layout": "NHWC", "axis": -1},
    "channels last, momentum 0.99": {"shape": [8, 6, 7, 5], "layout": "NHWC", "axis": -1, "momentum": 0.99},
    "rank 2": {"shape": [64, 7], "layout": "NC", "axis": 1},
    "rank 2, square": {"shape": [16, 16], "layout": "NF", "axis": 1},
    "rank 3, channels first": {"shape": [8, 4, 30], "layout": "NCL", "axis": 1},
    "rank 3, time kept": {"shape": [6, 10, 8], "layout": "NTF", "axis": 2},
    "rank 5": {"shape": [3, 4, 3, 5, 4], "layout": "NCDHW", "axis": 1},
    "rank 5, channels last": {"shape": [3, 4, 3, 5, 6], "layout": "NDHWC", "axis": -1},
    "width as long as channels": {"shape": [6, 5, 7, 5], "layout": "NCHW", "axis": 1},
    "height as long as channels": {"shape": [6, 5, 5, 7], "layout": "NCHW", "axis": 1},
    "all axes of one length": {"shape": [6, 6, 6, 6], "layout": "NCHW", "axis": 1},
    "two axes kept": {"shape": [8, 3, 5, 6], "layout": "NCHW", "axis": [1, 2]},
    "two axes kept, apart": {"shape": [8, 3, 5, 4], "layout": "NHWC", "axis": [1, 3]},
    "all kept but the batch": {"shape": [24, 3, 4], "layout": "NCL", "axis": [1, 2]},
    "no axis kept": {"shape": [6, 4, 5], "layout": "NCL", "axis": []},
    "one channel": {"shape": [8, 1, 6, 6], "layout": "NCHW", "axis": 1},
    "one sample": {"shape": [1, 4, 9, 8], "layout": "NCHW", "axis": 1},
    "few values": {"shape": [2, 5, 3], "layout": "NCL", "axis": 1},
    "many values": {"shape": [16, 6, 24, 20], "layout": "NCHW", "axis": 1},
    "many channels": {"shape": [20, 96, 3], "layout": "NCL", "axis": 1},
    "three steps": {
        "shape": [6, 4, 5, 5],
        "layout": "NCHW",
        "axis": 1,
        "steps": 3,
        "check": ["output", "moving_mean", "moving_variance", "inference"],
    },
    "inference after a step": {"shape": [6, 4, 5, 5], "layout": "NCHW", "axis": 1, "check": ["inference"]},
    "cumulative, two steps": {"shape": [6, 4, 5, 5], "layout": "NCHW", "axis": 1, "steps": 2, "momentum": "cumulative"},
    "epsilon 1e-5": {"shape": [8, 6, 7, 5], "layout": "NHWC", "axis": -1, "epsilon": 1e-5},
    "epsilon 0": {"shape": [8, 6, 7, 5], "layout": "NHWC", "axis": -1, "epsilon": 0.0},
    "epsilon 0.1": {"shape": [8, 6, 7, 5], "layout": "NHWC", "axis": -1, "epsilon": 0.1},
    "rectified": {
        "shape": [8, 6, 7, 5],
        "layout": "NHWC",
        "axis": -1,
        "values": {"relu": {"normal": {"mean": [0.5, -0.3, 0.2, 1.0, 0.1], "std": [1.0, 0.3, 0.05, 2.0, 0.5]}}},
    },
    "no beta": {"shape": [8, 6, 7, 5], "layout": "NHWC", "axis": -1, "center": False},
    "no gamma": {"shape": [8, 6, 7, 5], "layout": "NHWC", "axis": -1, "scale": False},
    "normal data": {"shape": [8, 6, 7, 5], "layout": "NHWC", "axis": -1, **NORMAL},
    "normal data, channels first": {"shape": [8, 6, 7, 5], "layout": "NCHW", "axis": 1, **NORMAL},
    "normal data, all axes of one length": {"shape": [6, 6, 6, 6], "layout": "NCHW", "axis": 1, **NORMAL},
    "large offsets": {
        "shape": [32, 3, 8],
        "layout": "NCL",
        "axis": 1,
        "values": {"normal": {"mean": [300, -200, 500], "std": [1.0, 0.5, 2.0]}},
    },
    "inference": {"shape": [8, 6, 7, 5], "layout": "NHWC", "axis": -1, "mode": "inference"},
    "inference, channels first": {"shape": [6, 5, 7, 5], "layout": "NCHW", "axis": 1, "mode": "inference"},
    "inference, rank 2": {"shape": [64, 7], "layout": "NC", "axis": 1, "mode": "inference"},
    "inference, two axes kept": {"shape": [8, 3, 5, 6], "layout": "NCHW", "axis": [1, 2], "mode": "inference"},
    "inference, normal data": {"shape": [8, 6, 7, 5], "layout": "NHWC", "axis": -1, "mode": "inference", **NORMAL},
    "inference, statistics checked": {
        "shape": [8, 6, 7, 5],
        "layout": "NHWC",
        "axis": -1,
        "mode": "inference",
        "check": ["output", "moving_mean", "moving_variance"],
    },
}
"""Cases of every kind; what is not said is training, discriminating data, epsilon 1e-3, momentum 0.9."""


@dataclass(frozen=True, eq=False)
class Asked:
    """A case with its tensors, ready to be judged any number of times."""

    name: str
    question: Question

    @classmethod
    def of(cls, name: str, asked: Case, *facts: Fact, folder: Path | None = None) -> Asked:
        made = inputs.make(asked, folder)
        known: dict[Any, Any] = {}

        def statistics(batch: Tensor, channels: Channels) -> Statistics:
            key = id(batch), channels
            if key not in known:
                known[key] = batch_statistics(batch, channels)
            return known[key]

        def reference(semantics: Semantics) -> Reference:
            if semantics not in known:
                known[semantics] = evaluate(semantics, made.batches[: asked.steps], made.exact, statistics)
            return known[semantics]

        reading = Reading(axis=asked.axis, parameters_dtype=asked.input.dtype, facts=facts)
        return cls(name, Question(asked, made, reading, reference))

    @property
    def case(self) -> Case:
        return self.question.case

    def returned(self, miniature: Miniature) -> dict[str, Tensor]:
        """The tensors that are checked."""
        with np.errstate(all="ignore"):
            found = returned(miniature, self.case, self.question.inputs)
        return {name: found[name] for name in self.case.checked}

    def trials(self) -> Trials:
        return Trials(self.case, self.question.inputs, self.case.input.dtype)


def varied(dtype: str) -> Iterator[Asked]:
    for name, data in VARIED.items():
        yield Asked.of(name, case(**{**data, "dtype": dtype}))


# Readings of miniatures


def reading_of(miniature: Miniature, asked: Case) -> Semantics | None:
    """A miniature as a record of the judge's; None if it has no such reading."""
    if miniature.one_pass or miniature.summed or miniature.finish:
        return None
    requested = asked.requested
    own = requested.kept
    kept = own if miniature.kept is None else miniature.kept
    along = own if miniature.parameters_along is None else miniature.parameters_along
    order = miniature.order
    if order is not None:
        kept = along = tuple(order.index(a) for a in own)
    changes: dict[str, Any] = {
        "kept": kept,
        "along": None if kept == along else along,
        "order": order,
        "placement": miniature.placement,
        "batch_variance": "unbiased" if miniature.batch_unbiased else "biased",
        "moving_variance": "unbiased" if miniature.moving_unbiased else "biased",
        "normalized_by": miniature.normalized_by,
        "update": miniature.update,
        "scale": asked.scale and miniature.gamma != "ignored",
        "center": asked.center and miniature.beta != "ignored",
        "gamma_offset": 1.0 if miniature.gamma == "one more" else 0.0,
        "exchange": miniature.exchanged or "none",
        "taken": miniature.variance_is,
        "precision": miniature.arithmetic if miniature.arithmetic not in (None, "float64") else "wide",
    }
    if miniature.epsilon is not None:
        changes["epsilon"] = miniature.epsilon
    if miniature.momentum is not None:
        changes["momentum"] = miniature.momentum
    return replace(requested, **changes)


APPLIED = ("epsilon", "placement", "scale", "center", "gamma_offset", "exchange", "taken", "precision")
STATISTICS = ("kept", "along", "order")


def agrees(explanation: Explanation, truth: Semantics, tensor: str, asked: Case) -> bool:
    """Whether an explanation says what a miniature does, in all that shows in a tensor."""
    said = explanation.semantics
    if truth.precision != "wide":
        return said.precision != "wide"
    said, truth = _once(said, asked), _once(truth, asked)
    fields: list[str] = []
    if tensor.startswith("moving"):
        if truth.updates == "none":
            return said.updates == "none"
        fields += ["updates", "momentum", "moving_variance", *STATISTICS]
    else:
        fields += [*APPLIED, *STATISTICS]
        by = "inference" if tensor == "inference" else truth.normalizes_by
        if tensor == "output":
            fields.append("normalizes_by")
        elif (truth.normalized_by == "batch") != (said.normalized_by == "batch"):
            return False
        if by == "batch":
            fields.append("batch_variance")
        if tensor == "inference" or by == "updated":
            fields += ["updates", "momentum", "moving_variance"]
    solved = next((a.solved for a in explanation.alterations if a.solved), None)
    for name in fields:
        one, other = getattr(said, name), getattr(truth, name)
        if name in ("epsilon", "momentum") and not (isinstance(one, str) or isinstance(other, str)):
            held = name == solved and explanation.solved is not None and explanation.solved.holds(other)
            if not (held or math.isclose(one, other, rel_tol=2e-2)):  # a solved number is not exact
                return False
        elif name in STATISTICS:
            if _long(said, asked) != _long(truth, asked):
                return False
        elif one != other:
            return False
    return True


def _once(semantics: Semantics, asked: Case) -> Semantics:
    """The same reading with a batch that enters once: twice is as good as the square of the weight of the old."""
    if semantics.updates != "twice" or isinstance(semantics.momentum, str):
        return semantics
    update = None if asked.requested.mode == "training" else "once"
    return replace(semantics, update=update, momentum=semantics.momentum**2)


def _long(semantics: Semantics, asked: Case) -> tuple[Any, ...]:
    """What is kept and what parameters lie along, without axes of length 1."""
    shape = asked.input.shape
    if semantics.order is not None:
        return semantics.order, semantics.kept
    along = semantics.kept if semantics.along is None else semantics.along
    return tuple(tuple(a for a in axes if shape[a] > 1) for axes in (semantics.kept, along))


# Judging


@dataclass
class Heard:
    """A judgement, with what each search found: by the tensors that it explains."""

    judgement: Judgement
    found: dict[str, Found]

    @property
    def first(self) -> list[Cause]:
        return [c for c in self.judgement.causes if not c.alternative]


def heard(question: Question, tensors: Mapping[str, Tensor]) -> Heard:
    """Judge, and listen to the searches."""
    searched: dict[str, Found] = {}
    add = result.Diagnosis.add

    def listening(self: Any, names: Sequence[str], found: Found, asked: Case) -> Explanation | None:
        searched.update(dict.fromkeys(names, found))
        return add(self, names, found, asked)

    with mock.patch.object(result.Diagnosis, "add", listening):
        judgement = verdict.judge(question, tensors)
    return Heard(judgement, searched)


def ratio(trials: Trials, semantics: Semantics, name: str, tensor: Tensor) -> float:
    """The largest error of a tensor over its bound, under any reading."""
    if name.startswith("moving"):
        return trials.moving(semantics, name, tensor).bound_ratio
    return max(block.compare(semantics).bound_ratio for block in everywhere(trials, name, tensor))


def beyond(asked: Asked, tensors: Mapping[str, Tensor]) -> dict[str, float]:
    """Errors over the bound as requested; infinite where a tensor has another form."""
    trials, found = asked.trials(), {}
    for name, tensor in tensors.items():
        shape = asked.case.channels.shape if name in ("output", "inference") else asked.case.channels.statistic_shape
        same = tensor.shape == shape and tensor.dtype == np.dtype(asked.case.input.dtype)
        found[name] = ratio(trials, asked.case.requested, name, tensor) if same else math.inf
    return found


@dataclass(frozen=True)
class Outcome:
    """What became of one wrong miniature on one case."""

    defect: str
    case: str
    dtype: str
    seen: str
    """``no trace``, ``below`` (the bound everywhere), ``below, caught``, ``missed`` or ``caught``."""
    named: str = ""
    """Of those caught: ``first``; ``listed``, ``unlisted``, the case could tell another from it; where it cannot:
    ``alike`` (listed), ``simpler`` (fewer changes explain it), ``hidden`` (neither); ``unexplained``."""
    said: str = ""
    seconds: float = 0.0


def outcome(asked: Asked, defect: Defect, honest: Miniature) -> Outcome | None:
    """Judge one wrong miniature on one case; None if the case cannot have it."""
    miniature = defect.of(asked.case, honest)
    if miniature is None:
        return None
    truth = reading_of(miniature, asked.case)
    exact = replace(miniature, **EXACT) if truth is not None and truth.precision == "wide" else miniature
    tensors, ideal = asked.returned(miniature), asked.returned(exact)
    right = asked.returned(replace(HONEST["double, centred"], **EXACT))
    about = defect.name, asked.name, asked.case.input.dtype
    if truth is not None and truth.precision == "wide":
        same = all(np.array_equal(ideal[n], right[n], equal_nan=True) for n in ideal)
        if same:
            return Outcome(*about, "no trace")
    effect = beyond(asked, ideal)
    visible = max(effect.values()) > 1
    started = time.perf_counter()
    said = heard(asked.question, tensors)
    seconds = time.perf_counter() - started
    failed = said.judgement.verdict == "fail"
    if not visible and not failed:
        return Outcome(*about, "below", seconds=seconds)
    if not failed:
        text = ", ".join(f"{n} {r:.3g}" for n, r in effect.items())
        return Outcome(*about, "missed", said=f"in float64 {text} of the bound", seconds=seconds)
    named, text = judged_by(asked, defect, miniature, truth, said, tensors)
    return Outcome(*about, "caught" if visible else "below, caught", named, text, seconds)


ORDER = ("first", "alike", "simpler", "listed", "hidden", "unlisted", "unexplained")


def judged_by(
    asked: Asked,
    defect: Defect,
    miniature: Miniature,
    truth: Semantics | None,
    said: Heard,
    tensors: Mapping[str, Tensor],
) -> tuple[str, str]:
    """How well the causes name a defect, and what they say."""
    text = "; ".join(("or " if c.alternative else "") + f"{c.kind} {brief(c.effective)}" for c in said.judgement.causes)
    if truth is None or truth.precision != "wide":
        kinds = {c.kind for c in said.first}
        if kinds & {defect.kinds[0], *defect.also}:
            return "first", text
        return ("unexplained" if "unexplained" in kinds else "unlisted"), text
    worst = "first"
    trials = asked.trials()
    for tensor in tensors:
        if tensor not in said.found:
            continue
        named = named_for(tensor, said.found[tensor], truth, trials, asked, miniature)
        worst = max(worst, named, key=ORDER.index)
    if not said.found:
        worst = "unexplained" if any(c.kind == "unexplained" for c in said.first) else "unlisted"
    return worst, text


def named_for(tensor: str, found: Found, truth: Semantics, trials: Trials, asked: Asked, miniature: Miniature) -> str:
    if not found.explanations:
        return "unexplained"
    first = found.explanations[0]
    places = [place for place, e in enumerate(found.explanations) if agrees(e, truth, tensor, asked.case)]
    if places[:1] == [0]:
        return "first"
    # The wrong miniature with float64 inside, against the reading that was named before its own.
    ideal = asked.returned(replace(miniature, **EXACT))[tensor]
    apart = ratio(trials, first.semantics, tensor, ideal) > 1
    if places:
        return "listed" if apart else "alike"
    if apart:
        return "unlisted"
    return "simpler" if len(first.alterations) < changes(truth, asked.case, tensor) else "hidden"


def changes(truth: Semantics, asked: Case, tensor: str) -> int:
    """How many changes of what is requested a reading is, as far as a tensor can show them."""
    requested = asked.requested
    names = [*(APPLIED if not tensor.startswith("moving") else ("moving_variance", "momentum", "updates"))]
    if tensor == "output":
        names += ["batch_variance", "normalizes_by"]
    return sum(getattr(truth, n) != getattr(requested, n) for n in names) + (
        _long(truth, asked) != _long(requested, asked)
    )


def brief(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


# Causes


def causes(cases: Sequence[Asked], defects: Sequence[Defect]) -> Iterator[Outcome]:
    """Every defect on every case, on honest miniatures of all kinds in turn."""
    honest = itertools.cycle(HONEST.values())
    for asked in cases:
        for defect in defects:
            try:
                found = outcome(asked, defect, next(honest))
            except Exception as error:  # a crash is what this looks for
                said = f"{type(error).__name__}: {error}"
                found = Outcome(defect.name, asked.name, asked.case.input.dtype, "crashed", said=said)
            if found is not None:
                yield found


def causes_table(outcomes: Sequence[Outcome]) -> str:
    rows = []
    groups: dict[tuple[str, str], list[Outcome]] = defaultdict(list)
    for each in outcomes:
        kind = "normal data" if "normal" in each.case else "random" if each.case.startswith("seed") else "varied"
        groups[each.dtype, kind].append(each)
    for (dtype, kind), found in sorted(groups.items()):
        seen, named = Counter(o.seen for o in found), Counter(o.named for o in found if o.named)
        told = sum(named[n] for n in ("first", "listed", "unlisted", "unexplained"))
        rows.append(
            [
                f"{dtype}, {kind}",
                len(found),
                seen["no trace"],
                seen["below"],
                seen["missed"] + seen["crashed"],
                seen["caught"] + seen["below, caught"],
                told,
                named["first"],
                share(named["first"], told),
                named["listed"],
                named["unlisted"] + named["unexplained"],
                named["alike"],
                named["simpler"],
                named["hidden"],
            ]
        )
    header = [
        "",
        "tried",
        "no\ntrace",
        "below",
        "missed",
        "caught",
        "told\napart",
        "first",
        "%",
        "listed",
        "not\nlisted",
    ]
    header += ["alike,\nlisted", "fewer\nchanges", "hidden"]
    return table(rows, header)


def lines_of(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """One line for each that is missed, wrong, unexplained or listed but not first."""
    for each in outcomes:
        what = each.seen if each.seen in ("missed", "crashed") else each.named
        if what in ("missed", "crashed", "listed", "unlisted", "unexplained", "hidden"):
            yield f"  {what}: {each.defect} | {each.case}, {each.dtype} | {each.said}"


# Honest


def honest(cases: Iterator[Asked]) -> Iterator[tuple[str, str, Judgement]]:
    for asked in cases:
        for name, miniature in HONEST.items():
            yield asked.name, name, verdict.judge(asked.question, asked.returned(miniature))


def random_cases(
    seed: int, count: int, *, dtypes: Sequence[str] = ("float32", "float64", "float16", "bfloat16")
) -> Iterator[Asked]:
    """Random cases as `calibration` draws them, those of a dtype first come."""
    found, number = 0, 0
    while found < count:
        with tempfile.TemporaryDirectory(prefix="diagnosis-") as folder:
            loaded = calibration.draw(seed, number, Path(folder))
            number += 1
            if loaded.case.input.dtype in dtypes:
                found += 1
                yield Asked.of(loaded.id, loaded.case, folder=Path(folder))


# Epsilon


@dataclass
class Epsilons:
    """Errors of the effective epsilon."""

    asked: int = 0
    passed: int = 0
    named: int = 0
    inside: int = 0
    strong: int = 0
    strong_within: int = 0
    errors: list[float] = field(default_factory=list)
    said: list[str] = field(default_factory=list)


def effect_in_tolerances(asked: Asked, epsilon: float, output: Tensor) -> float:
    """``epsilon/(2(v + epsilon))/tau`` on the best channel: tau is the `slope_limit` of `judge.evidence`, what rounding
    and summation may do to a channel's scale."""
    trials = asked.trials()
    applied = trials.reference(replace(asked.case.requested, epsilon=epsilon)).output
    limit = readings(fitted(output, asked.question.inputs.batches[0], applied), applied).slope_limit
    with np.errstate(all="ignore"):
        return float(np.nanmax(epsilon * applied.weight_of_variance / 2 / limit, initial=0.0))


def epsilons(seed: int, count: int) -> dict[str, Epsilons]:
    """Random epsilons, on varied cases and on random ones."""
    rng = np.random.default_rng([seed, 1])
    found: dict[str, Epsilons] = defaultdict(Epsilons)
    cases = [a for a in varied("float32") if "output" in a.case.checked and a.case.steps == 1]
    honest = itertools.cycle(HONEST.values())
    drawn = random_cases(seed + 1, count // 2, dtypes=("float32",))
    for number in range(count):
        asked = next(drawn) if number % 2 else cases[int(rng.integers(len(cases)))]
        true = float(calibration.log_uniform(rng, 1e-8, 1.0))
        tensors = asked.returned(replace(next(honest), epsilon=true))
        about = ("random data" if number % 2 else "varied cases") + f", {asked.case.requested.mode}"
        record(found[about], asked, true, tensors)
    return found


def record(row: Epsilons, asked: Asked, true: float, tensors: Mapping[str, Tensor]) -> None:
    row.asked += 1
    said = verdict.judge(asked.question, tensors)
    if said.verdict == "pass":
        row.passed += 1
        return
    where = f"epsilon {true:.6g}, {asked.name}"
    cause = next((c for c in said.causes if c.kind == "epsilon"), None)
    if cause is None or cause.interval is None:
        row.said.append(f"{where}: {'; '.join(f'{c.kind} {brief(c.effective)}' for c in said.causes)}")
        return
    row.named += 1
    low, high = cause.interval
    if low <= true <= high:
        row.inside += 1
    else:
        row.said.append(f"{where}: not in {low:.9g} to {high:.9g}")
    if effect_in_tolerances(asked, true, tensors["output"]) >= 100:
        off = abs(float(cause.effective) / true - 1)
        row.strong += 1
        row.strong_within += off <= 0.01
        row.errors.append(off)
        if off > 0.01:
            row.said.append(f"{where}: {cause.effective:.6g} named, {off:.2%} off")


def epsilons_table(found: Mapping[str, Epsilons]) -> str:
    rows = [
        [
            name,
            r.asked,
            r.passed,
            r.named,
            r.inside,
            r.strong,
            r.strong_within,
            f"{max(r.errors, default=0):.2%}",
            f"{float(np.median(r.errors or [0])):.1e}",
        ]
        for name, r in sorted(found.items())
    ]
    header = [
        "",
        "asked",
        "below\nbound",
        "named",
        "inside\ninterval",
        "effect\n>= 100",
        "within\n1 %",
        "largest\nerror",
        "median",
    ]
    return table(rows, header)


# Cost

COSTLY = (
    "epsilon: PyTorch's 1e-5",
    "epsilon: a floor",
    "axis: another of the same length",
    "axis: instance",
    "axis: memory in another layout",
    "parameters: gamma ignored",
    "momentum: 0.637",
    "mode: moving statistics in training",
    "mode: batch statistics in inference",
    "precision: bfloat16",
    "output: transposed to another shape",
    "output: NaN in a channel",
    "epsilon: PyTorch's 1e-5 + moving variance: unbiased + momentum: 0.9",
    "epsilon: 0.000437 + parameters: gamma ignored",
    "epsilon: 0.000437 + axis: instance",
    "axis: instance + parameters: gamma ignored",
    "epsilon: a floor + parameters: beta ignored",
    "mode: batch statistics in inference + batch variance: unbiased",
)
LEAST = 0.04
"""Seconds that a diagnosis is measured in at least, where the reference is faster."""


def unexplainable(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """An output that no reading makes."""
    rng = np.random.default_rng(7)
    y = tensors["output"]
    return {**tensors, "output": (y * rng.uniform(0.9, 1.1, y.shape)).astype(y.dtype)}


def cost() -> str:
    rows = []
    for mode in ("training", "inference"):
        asked = Asked.of(mode, case([64, 64, 28, 28], "NCHW", 1, mode))
        made, requested = asked.question.inputs, asked.case.requested
        own = []
        for _ in range(3):
            started = time.perf_counter()
            evaluate(requested, made.batches, made.exact).output.output(made.batches[0])
            own.append(time.perf_counter() - started)
        reference = min(own)
        right = asked.returned(HONEST["double, centred"])
        tried = [(d.name, d.of(asked.case)) for d in map(DEFECTS.__getitem__, COSTLY)]
        answers = [(name, asked.returned(m)) for name, m in tried if m is not None]
        answers.append(("nothing that has a reading", unexplainable(right)))
        for name, tensors in answers:
            seconds, said = timed(asked.question, tensors)
            kinds = ", ".join(dict.fromkeys(c.kind for c in said.causes if not c.alternative))
            rows.append(
                [mode, name, f"{reference:.3f}", f"{seconds:.2f}", f"{seconds / max(reference, LEAST):.1f}", kinds]
            )
    return table(rows, ["", "defect", "reference", "diagnosis", "times", "said"])


def timed(question: Question, tensors: Mapping[str, Tensor]) -> tuple[float, Judgement]:
    """The time of the diagnosis alone, the faster of two."""
    spent: list[float] = []
    explain = verdict._explain

    def watched(*arguments: Any) -> None:
        started = time.perf_counter()
        explain(*arguments)
        spent.append(time.perf_counter() - started)

    with mock.patch.object(verdict, "_explain", watched):
        for _ in range(2):
            said = verdict.judge(question, tensors)
    return min(spent), said


# What is printed


def main() -> None:
    parser = argparse.ArgumentParser(description="What the diagnosis is worth, on miniature implementations.")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cases", type=int, default=20, help="random cases besides the varied ones")
    parser.add_argument("--honest", type=int, default=10_000, help="evaluations of right miniatures")
    parser.add_argument("--epsilons", type=int, default=2000)
    parser.add_argument("--only", metavar="TEXT", help="defects with this text in their name, and no other table")
    parser.add_argument("--case", metavar="TEXT", default="", help="varied cases with this text in their name")
    options = parser.parse_args()
    chosen = [d for d in DEFECTS.values() if not options.only or options.only in d.name]
    outcomes: list[Outcome] = []
    for dtype in DTYPES:
        cases = [a for a in varied(dtype) if options.case in a.name]
        outcomes.extend(causes(cases, chosen))
        print(f"{dtype}: {len(outcomes)} judged", file=sys.stderr, flush=True)
    for asked in random_cases(options.seed, options.cases, dtypes=DTYPES):
        outcomes.extend(causes([asked], chosen))
    print(f"Causes: {len(chosen)} defects\n{causes_table(outcomes)}\n")
    print(*lines_of(outcomes), sep="\n")
    slowest = sorted(outcomes, key=lambda o: -o.seconds)[:5]
    print("Slowest:", *(f"  {o.seconds:.2f} s  {o.defect} | {o.case}, {o.dtype}" for o in slowest), sep="\n")
    if options.only:
        return
    print(f"\nCost on (64, 64, 28, 28), in seconds\n{cost()}\n", flush=True)
    found = epsilons(options.seed, options.epsilons)
    print(f"Epsilon\n{epsilons_table(found)}\n")
    print(*(f"  {name}: {line}" for name, row in found.items() for line in row.said), sep="\n", flush=True)
    evaluated, kinds = Counter(), []
    for name, miniature, said in honest(random_cases(options.seed, -(-options.honest // len(HONEST)))):
        evaluated[miniature] += 1
        if said.verdict != "pass":
            kinds.append(f"  {name}, {miniature}: {'; '.join(c.message for c in said.causes)}")
        if (done := sum(evaluated.values())) % 800 == 0:
            print(f"{done} honest evaluations, {len(kinds)} fails", file=sys.stderr, flush=True)
    print(f"\nHonest: {sum(evaluated.values())} evaluations, {len(kinds)} fails", *kinds, sep="\n")


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        main()
