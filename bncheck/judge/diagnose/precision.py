"""Values that were rounded to fewer bits than are due: x, the parameters or the results, each in a known format.

Rounding is a function, so this is no matter of sizes: the reference of the rounded values either reproduces every
tensor within the bound or it does not, and results that were rounded are numbers of that format, all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import ml_dtypes
import numpy as np

from bncheck.document import Cause
from bncheck.doubledouble import Array
from bncheck.formats import Format, significant
from bncheck.judge.trials import Trials, sampled
from bncheck.reference import Tensor
from bncheck.semantics import Semantics

Rounding = Callable[[Array], Array]


def _cast(dtype: object) -> Rounding:
    return lambda values: values.astype(dtype).astype(np.float64)  # type: ignore[call-overload]


NEARER = 0.1
"""Of the errors without it: what rounding that is named may leave of them."""

TF32 = "TF32 (11 significant bits)"
"""A format of operands alone: results are not stored in it."""

FIRST = 1000
"""Values that are looked at before all the others."""

_FORMATS: dict[str, tuple[float, Rounding]] = {
    "float32": (2.0**-24, _cast(np.float32)),
    "float16": (2.0**-11, _cast(np.float16)),
    TF32: (2.0**-11, lambda values: significant(values, 11)),
    "bfloat16": (2.0**-8, _cast(ml_dtypes.bfloat16)),
}
"""The unit roundoff of each format, and how values are rounded to it."""


def formats(dtype: str) -> dict[str, tuple[float, Rounding]]:
    """The formats that are narrower than a dtype, widest first."""
    names = {"float64": list(_FORMATS), "float32": list(_FORMATS)[1:]}.get(dtype, [])
    return {name: _FORMATS[name] for name in names}


def rounded(trials: Trials, failed: Mapping[str, Tensor], bases: Sequence[Semantics]) -> Cause | None:
    """The rounding that reproduces all tensors that failed, by name, under a reading; None if there is none."""
    dtype = trials.case.input.dtype
    if not all(
        np.isfinite(np.asarray(tensor.reshape(-1)[:FIRST], dtype=np.float64)).all() for tensor in failed.values()
    ):
        return None
    with np.errstate(all="ignore"):
        for name, (roundoff, rounding) in formats(dtype).items():
            if name != TF32 and _results(trials, failed, bases, roundoff, rounding):
                return _cause("the results are", name, dtype)
            for what, others in _less(trials, failed, bases[0], rounding):
                for base in bases:
                    if all(_reproduced(trials, others, base, n, t) for n, t in failed.items()):
                        return _cause(what, name, dtype)
        if (held := trials.case.parameters_dtype) != dtype:
            what, others = next(_less(trials, failed, bases[0], _FORMATS[dtype][1]))
            for base in bases:
                if all(_reproduced(trials, others, base, n, t) for n, t in failed.items()):
                    return _cause(what, dtype, held)
    return None


def overflowed(trials: Trials, name: str, tensor: Tensor) -> Cause | None:
    """That an output is beta alone wherever variance and epsilon exceed float16, which makes an infinite divisor."""
    case = trials.case
    if case.input.dtype != "float16":
        return None
    applied, largest = getattr(trials.reference(case.requested), name), Format.of("float16").largest
    over = applied.variance.hi + applied.epsilon > largest
    spread, view = case.channels.spread, case.channels.view(tensor)
    if not over.any() or not np.all((view == spread(applied.beta.hi)) | ~spread(over)):
        return None
    count = f"{over.sum():,} of {over.size:,} channels" if over.size > 1 else "its channel"
    message = (
        f"{name} is beta alone in {count}, where the variance plus epsilon exceeds float16's largest number, "
        f"{largest:,.0f}: it was rounded to infinity."
    )
    return Cause(kind="precision", requested="float32 inside", effective="float16", message=message)


def is_of(tensor: Tensor, name: str) -> bool:
    """Whether all values are numbers of a format."""
    with np.errstate(all="ignore"):
        return _is_of(tensor, _FORMATS[name][1])


def _is_of(tensor: Tensor, rounding: Rounding) -> bool:
    values = np.asarray(tensor.reshape(-1)[:FIRST], dtype=np.float64)
    if not np.all((rounding(values) == values) | np.isnan(values)):
        return False
    values = np.asarray(tensor, dtype=np.float64)
    return bool(np.all((rounding(values) == values) | np.isnan(values)))


def _less(
    trials: Trials, failed: Mapping[str, Tensor], requested: Semantics, rounding: Rounding
) -> Iterator[tuple[str, Trials]]:
    """The case with rounded values: of x only where an output gets nearer if the x that it is made of is rounded."""

    def less(tensor: Tensor) -> Tensor:
        return rounding(tensor.astype(np.float64)).astype(tensor.dtype)

    parameters = {name: less(value) for name, value in trials.inputs.parameters.items()}
    yield "gamma, beta and the statistics are", trials.with_parameters(parameters)
    outputs = {name: tensor for name, tensor in failed.items() if not name.startswith("moving")}
    if all(_nearer(trials, requested, name, tensor, rounding) for name, tensor in outputs.items()):
        inputs = replace(trials.inputs, batches=tuple(map(less, trials.inputs.batches)))
        others = Trials(trials.case, inputs, trials.statistics_dtype)
        yield "x is", others
        yield "x and the parameters are", others.with_parameters(parameters)


def _nearer(trials: Trials, semantics: Semantics, name: str, tensor: Tensor, rounding: Rounding) -> bool:
    elements = sampled(trials, name, tensor, [])
    applied, _ = elements.applied(semantics)
    seen, x = (np.asarray(values, dtype=np.float64) for values in (elements.actual, elements.x))
    off, left = (np.abs(seen - applied.at(v, (slice(None),))[1]).sum() for v in (x, rounding(x)))
    return bool(left < 0.9 * off)


def _reproduced(trials: Trials, others: Trials, semantics: Semantics, name: str, tensor: Tensor) -> bool:
    """Whether rounded values make a tensor, and are needed for it: within a bound that says
    something, and much nearer than without."""
    output = not name.startswith("moving")
    if output and getattr(others.bounds(others.reference(semantics)), name).weak:
        return False
    within = others.whole(semantics, name, tensor).within
    return within and _off(others, semantics, name, tensor) <= NEARER * _off(trials, semantics, name, tensor)


def _off(trials: Trials, semantics: Semantics, name: str, tensor: Tensor) -> float:
    """The sum of the errors that a reading leaves."""
    if name.startswith("moving"):
        value = getattr(trials.reference(semantics).moving, name.removeprefix("moving_")).hi
        return float(np.abs(np.asarray(tensor, dtype=np.float64).reshape(-1) - value).sum())
    elements = sampled(trials, name, tensor, [])
    values, _ = elements.expected(semantics)
    return float(np.abs(np.asarray(elements.actual, dtype=np.float64) - values).sum())


def _results(
    trials: Trials, failed: Mapping[str, Tensor], bases: Sequence[Semantics], roundoff: float, rounding: Rounding
) -> bool:
    """Whether all tensors are numbers of the format, and no further from a reading than one rounding to it."""
    if not all(_is_of(tensor, rounding) for tensor in failed.values()):
        return False
    return any(all(trials.whole(base, n, t, roundoff).within for n, t in failed.items()) for base in bases)


def _cause(what: str, name: str, dtype: str) -> Cause:
    message = f"{what[:1].upper()}{what[1:]} rounded to {name}, and nothing else is wrong; {dtype} is due."
    return Cause(kind="precision", requested=dtype, effective=f"{what} {name}", message=message)
