"""A case's published numbers guard the reference: where the two disagree, one of them is wrong and nothing is run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal

import numpy as np

from bncheck.case import inputs
from bncheck.case.load import LoadedCase
from bncheck.case.problem import Problem
from bncheck.case.rules import index_of
from bncheck.case.text import Path_, Written
from bncheck.doubledouble import Array
from bncheck.formats import Format
from bncheck.gradients import gradients
from bncheck.reference import evaluate


def broken(loaded: LoadedCase) -> list[Problem]:
    """The published numbers that the reference does not reproduce.

    A number may be off by half a unit of the last digit that is written, and by one spacing of the case's dtype.
    """
    case = loaded.case
    if not case.expected:
        return []
    made = inputs.make(case, loaded.file.parent)
    reference = evaluate(case.requested, made.batches[: case.steps], made.exact, mask=made.mask)
    computed: dict[str, Callable[[], Array]] = {
        "output": lambda: reference.output.output(made.batches[case.steps - 1]),
        "inference": lambda: reference.inference.output(made.batches[-1]),
        "moving_mean": lambda: reference.moving.mean.hi.reshape(case.channels.statistic_shape),
        "moving_variance": lambda: reference.moving.variance.hi.reshape(case.channels.statistic_shape),
    }
    if made.upstream is not None:
        x, upstream = made.batches[case.steps - 1], made.upstream
        found = gradients(reference, x, upstream)
        computed["gradient_x"] = lambda: found.of_x(x, upstream)
        computed["gradient_gamma"] = lambda: found.gamma.hi.reshape(case.channels.statistic_shape)
        computed["gradient_beta"] = lambda: found.beta.hi.reshape(case.channels.statistic_shape)
    spacing = Format.of(case.input.dtype)
    problems = []
    for tensor, numbers in case.expected.items():
        values = computed[tensor]()
        for path, index, number in _numbers(numbers, values.shape):
            value = float(values[index])
            if not abs(value - number) <= _half_unit(number) + float(spacing.unit(np.array([value]))[0]):
                where = f"{tensor}{list(index)}"
                message = (
                    f"{where} is {value:.10g} by the reference, not {_text(number)}; mend the number, or what it is "
                    "computed from"
                )
                problems.append(loaded.text.problem(("expected", tensor, *path), message))
    return problems


def _numbers(
    numbers: list[float] | dict[str, float], shape: tuple[int, ...]
) -> Iterator[tuple[Path_, tuple[int, ...], float]]:
    if isinstance(numbers, list):
        for position, number in enumerate(numbers):
            yield (position,), tuple(int(i) for i in np.unravel_index(position, shape)), number
    else:
        for key, number in numbers.items():
            index = index_of(key)
            assert index is not None  # the rules refuse such a key
            yield (key,), index, number


def _text(number: float) -> str:
    return number.text if isinstance(number, Written) else str(number)


def _half_unit(number: float) -> float:
    exponent = Decimal(_text(number).replace("_", "")).as_tuple().exponent
    return float(Decimal((0, (5,), int(exponent) - 1)))
