"""The two calls of a relation as a script: what the second should give is made there of what the first gave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from bncheck.case import related
from bncheck.case.inputs import Inputs
from bncheck.case.model import Case
from bncheck.doubledouble import Array
from bncheck.judge import relations
from bncheck.judge.question import Question
from bncheck.repro import builtin, own
from bncheck.repro.call import Written
from bncheck.repro.comparison import COMPARE
from bncheck.repro.numerals import above, array, listed, literal, plain
from bncheck.repro.seen import Seen
from bncheck.running.line import call_arguments

MOST = 4096
"""Values of a batch up to which both calls' tensors are written out."""

NOT_MOVED = '''\
def stays(name):
    """Print where training leaves a statistic as it was, and return whether it does so anywhere."""
    left = np.argwhere(np.asarray(first[name]) == given[name])
    print(f"{name} is as it was given at {left.tolist()}" if left.size else f"{name} has moved everywhere")
    return bool(left.size)'''


def is_written_out(inputs: Inputs) -> bool:
    """Whether a script has room for the tensors."""
    return inputs.batches[0].size * len(inputs.batches) <= MOST


def calls(seen: Seen, question: Question, other: Question) -> tuple[Written, list[list[str]]]:
    """The first call as it is written, and blocks of text, each with its title first: what goes in, calls, results."""
    names = [tensor.name for tensor in seen.result.tensors] or list(question.case.checked)
    one, made = _written(seen, question, names), _tensors(question.inputs, {})
    blocks = [
        ["What goes in", "\n".join(_of(made, _written(seen, question, names)))],
        ["The call", *one.parts],
    ]
    if other is not question:
        # A call may write into what it is given, so that the second gets a copy of what went into the first.
        blocks[0].append("given = dict(moving_mean=moving_mean.copy(), moving_variance=moving_variance.copy())")
        again = _tensors(other.inputs, made)
        two = _written(seen, other, names)
        kept = [
            part
            for i, part in enumerate(two.parts)
            if part not in one.parts or (i in (0, len(two.parts) - 1) and not part.startswith(("def ", "class ")))
        ]
        before = ["first = {name: np.array(value) for name, value in result.items() if value is not None}"]
        before += ["moving_mean, moving_variance = (value.copy() for value in given.values())"]
        before += [f"x_before = {'batches[-1]' if question.case.batches > 1 else 'x'}"]
        blocks.append(["What goes in a second time", "\n".join([*before, *_of(again, two)])])
        blocks.append(["The second call", *kept])
    blocks.append(["What should come out", *_results(seen, question, other, names)])
    return one, blocks


def _written(seen: Seen, question: Question, names: Sequence[str]) -> Written:
    runner, case = seen.runner, question.case
    arguments = call_arguments(case, question.reading, seen.result.device, runner.variant)
    if runner.own is not None:
        return own.written(runner.own, case, arguments)
    return builtin.written(runner.load, case, question.reading, question.inputs, arguments, names)


def _tensors(inputs: Inputs, before: Mapping[str, str]) -> dict[str, str]:
    """The expression of each tensor that is not as it was ``before``."""
    several = len(inputs.batches) > 1
    batches = f"list({array(np.stack(inputs.batches))})" if several else array(inputs.batches[0])
    made = {"batches" if several else "x": batches}
    made |= {name: array(values) for name, values in inputs.parameters.items()}
    return {name: text for name, text in made.items() if before.get(name) != text}


def _of(made: Mapping[str, str], written: Written) -> list[str]:
    needed = {"x", "batches", "moving_mean", "moving_variance", *written.tensors}
    return [f"{name} = {text}" for name, text in made.items() if name in needed]


def _results(seen: Seen, question: Question, other: Question, names: Sequence[str]) -> list[str]:
    case = question.case
    if case.relation == "never-applied":
        comparisons = [] if seen.runner.own is not None else [_stays_as_given(case, other, name) for name in names]
        text = [COMPARE, "\n".join(["wrong = [", *comparisons, "]"]), NOT_MOVED]
        return [*text, "\n".join(["result = first", *(f'wrong.append(stays("{name}"))' for name in names)])]
    due = relations.due_by_documents(question, other)
    lines = _prepared(question, other, due)
    return [COMPARE, "\n".join([*lines, "wrong = [", *(_comparison(question, n, due[n]) for n in names), "]"])]


def _stays_as_given(case: Case, other: Question, name: str) -> str:
    values = other.inputs.parameters[name].astype(np.float64)
    smallest = np.full(values.size, np.finfo(float).smallest_subnormal)
    form = f"{other.reading.parameters_dtype} {case.channels.statistic_shape}"
    return _compared(name, form, f'np.float64(given["{name}"]).ravel()', smallest)


def _comparison(question: Question, name: str, held: relations.Held) -> str:
    case, output = question.case, name in ("output", "inference")
    shape = case.channels.shape if output else case.channels.statistic_shape
    form = f"{case.input.dtype if output else question.reading.parameters_dtype} {shape}"
    return _compared(name, form, f"np.ravel({_expected(case, name)})", held.bound.reshape(-1))


def _compared(name: str, form: str, expected: str, bound: Array) -> str:
    lines = (f'"{name}"', f'"{form}"', f"expected={expected}", f"rounding={listed(above(bound), 12)}")
    return "    compare(\n" + "".join(f"        {line},\n" for line in lines) + "    ),"


def _expected(case: Case, name: str) -> str:
    first = f'np.float64(first["{name}"])'
    if case.relation == "identity-start":
        return "np.float64(x)"
    if case.relation == "folded":
        return "at_low + scale * (np.float64(x_before) - low)"
    if case.relation == "permuted-batch" and name in ("output", "inference"):
        axis = case.input.layout.index("N")
        return f"{first}.take({related.order(case.input.shape[axis]).tolist()}, axis={axis})"
    if case.relation == "scaled-input" and name.startswith("moving"):
        return f"{first} * {related.FACTOR if name == 'moving_mean' else related.FACTOR**2}"
    if case.relation == "relu-scale" and name in ("output", "inference"):
        return f"factor * np.maximum({first}, 0)"
    if case.relation == "absorbed-bias" and name == "moving_mean":
        return f"{first} + moved"
    return first


def _prepared(question: Question, other: Question, due: Mapping[str, relations.Held]) -> list[str]:
    """What stands before the comparisons: what they are made of."""
    case = question.case
    along = tuple(d if a in case.channels.kept else 1 for a, d in enumerate(case.input.shape))
    if case.relation == "relu-scale":
        relu = [n for n in due if n in ("output", "inference")]
        factors = listed(map(literal, related.factors(case.channels.count)))
        return [
            f"factor = np.array({factors}).reshape({along})",
            *(f'result["{n}"] = np.maximum(result["{n}"], np.zeros_like(result["{n}"]))' for n in relu),
        ]
    if case.relation == "absorbed-bias" and "moving_mean" in due:
        bias = relations.bias_of(question, other)
        momentum = case.requested.momentum
        part = 1.0 if isinstance(momentum, str) else 1 - momentum**case.steps
        values = listed(map(literal, bias.reshape(-1)))
        shape = case.channels.statistic_shape
        return [
            f"bias = np.array({values}).reshape({shape})",
            'moved = np.float64(result["moving_mean"]) - first["moving_mean"]',
            f"moved = bias * np.clip(np.median(moved / bias), 0, 1) if moved.any() else {plain(part)} * bias",
        ]
    if case.relation == "folded":
        axis = case.channels.kept[0]
        return [
            f"low, high = (np.float64(part).reshape{along} for part in np.moveaxis(x, {axis}, -1).reshape(-1, "
            f"{along[axis]})[:2])",
            f'at_low, at_high = (np.float64(part).reshape{along} for part in np.moveaxis(result["output"], {axis}, '
            f"-1).reshape(-1, {along[axis]})[:2])",
            "scale = (at_high - at_low) / (high - low)  # what is folded in: weights * scale, and a shift",
            "result = first",
        ]
    return []
