"""One's own function in this very process, as a worker would call it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from bncheck.case import inputs
from bncheck.case.load import LoadedCase
from bncheck.case.related import second_case
from bncheck.document import Result
from bncheck.judge import relations, verdict
from bncheck.judge.question import Question
from bncheck.judge.references import References
from bncheck.judge.verdict import Unlike
from bncheck.reference import Tensor
from bncheck.running.line import call_arguments
from bncheck.running.runners import as_requested
from bncheck.worker import wire
from bncheck.worker.call import Arranged, Call, Lacking, Nonsense
from bncheck.worker.own import applied
from bncheck.worker.repeat import differences
from bncheck.worker.serve import said


def result(function: Callable[..., Any], label: str, loaded: LoadedCase) -> tuple[Result, Exception | None]:
    """What comes of one case, and the exception if the function raised one. ``label`` is the runner's name."""
    case = loaded.case
    made = inputs.make(case, loaded.file.parent)
    reading = as_requested(case)
    question = Question(case, made, reading, References(made, case.steps))
    other = relations.second(question, as_requested(second_case(case)))
    call = _call(question)
    raised = None
    started = time.perf_counter()
    unlike: list[Unlike] = []
    try:
        returned = _called(function, call)
        if case.repeat > 1 or other is not question:
            returned = {name: tensor.copy() for name, tensor in returned.items()}  # it may be the function's own
        if other is not question:
            returned |= {f"{relations.PREFIX}{n}": tensor for n, tensor in _called(function, _call(other)).items()}
        for _ in range(case.repeat - 1):
            unlike += [Unlike(**each) for each in differences(returned, _called(function, call))]
    except Lacking as lacking:
        return Result(case=loaded.id, runner=label, device="cpu", verdict="unsupported", reason=str(lacking)), None
    except Nonsense as error:
        return Result(case=loaded.id, runner=label, device="cpu", verdict="error", error=str(error)), None
    except Exception as error:
        returned, raised = {}, error
    seconds = time.perf_counter() - started
    if raised is not None:
        judgement = relations.refused(question, other, said(raised))
    elif case.relation is not None:
        judgement = relations.judge(question, other, returned)
    else:
        judgement = verdict.judge(question, returned, unlike)
    return Result(case=loaded.id, runner=label, device="cpu", seconds=seconds, **vars(judgement)), raised


def _call(question: Question) -> Call:
    tensors = {name: tensor.copy() for name, tensor in question.inputs.named.items()}  # for the function to write into
    return Call(call_arguments(question.case, question.reading), tensors, Arranged(None))


def _called(function: Callable[..., Any], call: Call) -> dict[str, Tensor]:
    """The tensors that it returns. Raises `Nonsense` for what is none."""
    tensors = {}
    with np.errstate():  # a function that changes it changes it for itself
        returned = applied(function, call)
    for name, value in returned.items():
        if value is not None:
            try:
                tensors[name] = wire.numbers(value)
            except (TypeError, ValueError) as error:
                raise Nonsense(f"{name} is not an array of numbers: {error}") from None
    return tensors
