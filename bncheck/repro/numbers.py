"""What should come out of a call, as numbers with a bound on each: all of a small tensor, the telling ones of a large
one."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bncheck.document import Result
from bncheck.doubledouble import Array
from bncheck.formats import Format
from bncheck.judge.compare import WORST, Expected
from bncheck.judge.question import Question, expected
from bncheck.repro.numerals import SMALL
from bncheck.worker.call import TENSORS


@dataclass(frozen=True, eq=False)
class Numbers:
    """What a tensor should be: its dtype and shape, and ``expected`` values with their ``bound`` at the indices ``at``
    (None: everywhere, in C order). ``rest``: what float64 leaves over of the values, where that is not negligible."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    at: list[tuple[int, ...]] | None
    expected: Array
    bound: Array
    rest: Array | None

    @property
    def overflows(self) -> bool:
        """Whether an infinity may stand for a number that the dtype cannot hold."""
        return bool((np.abs(self.expected) + self.bound >= Format.of(self.dtype).largest).any())


def numbers(question: Question, result: Result) -> list[Numbers]:
    """The numbers that are requested for each tensor that ``result`` judges, or if it judges none, that is checked.

    Where a bound is infinite nothing can be said, and the element is left out.
    """
    case, reading = question.case, question.reading
    names = [tensor.name for tensor in result.tensors] or list(case.checked)
    requested = expected(question, case.requested)
    documented = expected(question, reading.semantics(case.requested)) if reading.facts else requested
    found = []
    for name in names:
        output = name in TENSORS
        shape = case.channels.shape if output else case.channels.statistic_shape
        size = math.prod(shape)
        flat = np.arange(size, dtype=np.int64)
        if size > SMALL:
            flat = np.array(sorted(_telling(name, shape, requested[name], documented[name], result)), dtype=np.int64)
        values, bound, rest = _picked(requested[name], flat)
        judged = bound != np.inf
        complete = len(flat) == size and bool(judged.all())
        at = [tuple(int(i) for i in np.unravel_index(f, shape)) for f in flat[judged]]
        dtype = case.input.dtype if output else reading.parameters_dtype
        left = rest[judged] if dtype == "float64" else None
        found.append(Numbers(name, dtype, shape, None if complete else at, values[judged], bound[judged], left))
    return found


def _telling(name: str, shape: tuple[int, ...], requested: Expected, documented: Expected, result: Result) -> list[int]:
    """The elements of a large tensor that differ most, from what came out and in what is documented; or any."""
    size = math.prod(shape)
    seen: list[int] = []
    for tensor in result.tensors:
        if tensor.name == name:
            worst = [element.at for element in tensor.worst or []] or ([tensor.at] if tensor.at is not None else [])
            seen = [int(np.ravel_multi_index(at, shape)) for at in worst]
    said = _apart(requested, documented) if documented is not requested else []
    some = range(0, size, math.ceil(size / WORST))
    half = WORST // 2
    return list(dict.fromkeys([*said[:half], *seen[:half], *said, *seen, *some]))[:WORST]


def _apart(requested: Expected, documented: Expected) -> list[int]:
    """The elements in which two readings are farthest apart, in bounds."""
    first, most = 0, []
    for index in requested.channels.blocks():
        (value, _, bound), (other, _, _) = requested.at(index), documented.at(index)
        with np.errstate(all="ignore"):
            ratio = np.nan_to_num(np.abs(value - other) / bound).reshape(-1)
        top = np.argsort(-ratio, kind="stable")[:WORST]
        most += [(-ratio[i], first + int(i)) for i in top]
        first += value.size
    return [flat for ratio, flat in sorted(most)[:WORST] if ratio]


def _picked(wanted: Expected, flat: NDArray[np.int64]) -> tuple[Array, Array, Array]:
    """The values, the bounds and what is left over of the values, of elements by their sorted numbers in C order."""
    values, bounds, rests = np.empty(len(flat)), np.empty(len(flat)), np.zeros(len(flat))
    first = 0
    with np.errstate(all="ignore"):
        for index in wanted.channels.blocks():
            value, rest, bound = wanted.at(index)
            inside = (flat >= first) & (flat < first + value.size)
            places = np.unravel_index(flat[inside] - first, value.shape)
            values[inside], bounds[inside] = value[places], np.broadcast_to(bound, value.shape)[places]
            if rest is not None:
                rests[inside] = np.broadcast_to(rest, value.shape)[places]
            first += value.size
    return values, bounds, rests
