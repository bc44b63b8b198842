"""Miniature implementations, right and wrong in every known way: what the diagnosis is tested against.

Plain NumPy, written from the definition of batch normalization and from what is known of its wrong implementations;
nothing here uses the mathematics of bncheck. A `Miniature` is a set of switches and makes functions as users write
their own; a `Defect` sets some of the switches, and says which causes are right.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import ml_dtypes
import numpy as np

from bncheck.case.inputs import Inputs
from bncheck.case.model import Case
from bncheck.causes import CauseKind

Array = np.ndarray[Any, Any]
Implementation = Callable[..., dict[str, Array]]
Sums = Literal["double", "pairwise", "sequential", "welford"]
Form = Literal["centred", "affine"]

LANE = 500
"""Values that one running mean takes in, before it is merged with that of other lanes (as kernels do)."""


@dataclass(frozen=True)
class Miniature:
    """One implementation: a right one, unless a switch says otherwise.

    ``sums``, ``form``: how statistics are summed; ``(x - mean)*scale + beta`` or ``x*scale + shift``.
    ``arithmetic``: the format in which everything but sums is computed, where that is not float32 (float64 of
    float64 tensors). ``summed``: that of the sums. ``one_pass``: E[x^2] - E[x]^2.
    ``epsilon``, ``momentum``, ``kept``: used whatever is requested. ``parameters_along``: the axes that parameters and
    moving statistics are laid along, where those are not the requested ones. ``order``: the axes as which the memory is
    read. ``finish``: what is done to the output at last.
    """

    sums: Sums = "double"
    form: Form = "centred"
    arithmetic: str | None = None
    summed: str | None = None
    one_pass: bool = False
    epsilon: float | None = None
    placement: Literal["inside", "outside", "floor"] = "inside"
    kept: tuple[int, ...] | None = None
    parameters_along: tuple[int, ...] | None = None
    order: tuple[int, ...] | None = None
    batch_unbiased: bool = False
    moving_unbiased: bool = False
    momentum: float | Literal["cumulative"] | None = None
    normalized_by: Literal["batch", "moving", "updated"] | None = None
    update: Literal["once", "none", "twice", "crossed", "exchanged"] | None = None
    gamma: Literal["given", "ignored", "one more"] = "given"
    beta: Literal["given", "ignored"] = "given"
    exchanged: Literal["gamma and beta", "mean and variance"] | None = None
    variance_is: Literal["variance", "deviation", "square"] = "variance"
    finish: Literal["transposed", "flat", "float64", "nan"] | None = None

    def new(self) -> Implementation:
        """A function with the signature of one's own implementation, which has seen no step."""
        number = itertools.count(1)

        def normalize(x: Array, *, training: bool, **given: Any) -> dict[str, Array]:
            with np.errstate(all="ignore"):
                return self._normalize(x, training=training, step=next(number) if training else 1, **given)

        return normalize

    def _normalize(
        self,
        x: Array,
        *,
        step: int,
        axis: tuple[int, ...],
        epsilon: float,
        momentum: float,
        training: bool,
        gamma: Array | None,
        beta: Array | None,
        moving_mean: Array,
        moving_variance: Array,
    ) -> dict[str, Array]:
        number = np.dtype(self.arithmetic or np.result_type(x.dtype, np.float32)).type
        shape = x.shape
        if self.order is not None:
            x = x.reshape([shape[a] for a in self.order])
            axis = tuple(self.order.index(a) for a in axis)
        kept = axis if self.kept is None else self.kept
        along = axis if self.parameters_along is None else self.parameters_along
        thin = [x.shape[a] if a in along else 1 for a in range(x.ndim)]
        mean, variance = moving_mean.reshape(thin).astype(number), moving_variance.reshape(thin).astype(number)
        used = self.normalized_by or ("batch" if training else "moving")
        update = self.update or ("once" if training else "none")

        batch_mean, biased, count = self._statistics(x, kept, number)
        unbiased = biased * number(count) / number(max(count - 1, 1))
        after = self._updated(
            (mean, variance), (batch_mean, unbiased if self.moving_unbiased else biased), along, momentum, update, step
        )
        if used == "batch":
            mean, variance = batch_mean, unbiased if self.batch_unbiased else biased
        elif used == "updated":
            mean, variance = after

        weight = np.ones(thin, number) if gamma is None else gamma.reshape(thin).astype(number)
        offset = np.zeros(thin, number) if beta is None else beta.reshape(thin).astype(number)
        if self.exchanged == "gamma and beta":
            weight, offset = offset, weight
        if self.exchanged == "mean and variance":
            mean, variance = variance, mean
        if self.gamma == "ignored":
            weight = np.ones(thin, number)
        elif self.gamma == "one more":
            weight = weight + number(1)
        if self.beta == "ignored":
            offset = np.zeros(thin, number)
        scale = weight / self._divisor(variance, number(epsilon if self.epsilon is None else self.epsilon))
        wide = x.astype(number)
        y = (wide - mean) * scale + offset if self.form == "centred" else wide * scale + (offset - mean * scale)
        stored = [a.reshape(moving_mean.shape).astype(moving_mean.dtype) for a in after]
        return {
            "output": self._finished(y.astype(x.dtype).reshape(shape), along),
            "moving_mean": stored[0],
            "moving_variance": stored[1],
        }

    def _statistics(self, x: Array, kept: tuple[int, ...], number: Any) -> tuple[Array, Array, int]:
        """Mean and biased variance, with the axes averaged over as axes of length 1; how many values each averages."""
        lengths = [x.shape[a] if a in kept else 1 for a in range(x.ndim)]
        rows = np.moveaxis(x, kept, range(len(kept))).reshape(int(np.prod(lengths)), -1)
        own = self.summed or (np.float64 if self.sums == "double" else np.result_type(x.dtype, np.float32))
        rows, count = np.ascontiguousarray(rows.astype(own)), rows.shape[1]
        if self.sums == "welford" and not self.one_pass and not self.summed:
            mean, variance = _welford(rows)
        else:
            total = _sequential if self.sums == "sequential" or self.summed else _by_numpy
            n = rows.dtype.type(count)
            mean = total(rows) / n
            if self.one_pass:
                variance = np.maximum(total(rows * rows) / n - mean * mean, rows.dtype.type(0))
            else:
                away = rows - mean[:, None]
                variance = total(away * away) / n
        return mean.astype(number).reshape(lengths), variance.astype(number).reshape(lengths), count

    def _updated(
        self,
        before: tuple[Array, Array],
        entering: tuple[Array, Array],
        along: tuple[int, ...],
        momentum: float,
        update: str,
        step: int,
    ) -> tuple[Array, Array]:
        if update == "none":
            return before
        momentum = momentum if self.momentum is None else self.momentum
        keep = 1 - 1 / step if momentum == "cumulative" else momentum
        number = before[0].dtype.type
        entered = [_laid(statistic, before[0].shape, along) for statistic in entering]
        if update == "crossed":
            entered.reverse()
        after = before
        for _ in range(2 if update == "twice" else 1):
            after = tuple(number(keep) * old + number(1 - keep) * new for old, new in zip(after, entered, strict=True))
        return (after[1], after[0]) if update == "exchanged" else after

    def _divisor(self, variance: Array, epsilon: Any) -> Array:
        if self.variance_is == "deviation":
            variance = np.sqrt(variance)
        elif self.variance_is == "square":
            variance = variance * variance
        if self.placement == "outside":
            return np.sqrt(variance) + epsilon
        return np.sqrt(np.maximum(variance, epsilon) if self.placement == "floor" else variance + epsilon)

    def _finished(self, y: Array, along: tuple[int, ...]) -> Array:
        if self.finish == "transposed":
            return np.ascontiguousarray(np.swapaxes(y, 0, -1))
        if self.finish == "flat":
            return y.reshape(-1)
        if self.finish == "float64":
            return y.astype(np.float64 if y.dtype != np.float64 else np.float32)
        if self.finish == "nan":
            y[tuple(0 if a in along else slice(None) for a in range(y.ndim))] = np.nan
        return y


def _by_numpy(rows: Array) -> Array:
    """Pairwise, where rows are contiguous."""
    return rows.sum(axis=1, dtype=rows.dtype)


def _sequential(rows: Array) -> Array:
    """One after the other, each sum rounded."""
    if rows.dtype.kind == "f":
        return np.add.accumulate(rows, axis=1, dtype=rows.dtype)[:, -1]
    total = np.zeros(len(rows), rows.dtype)  # ml_dtypes has no accumulate that rounds each step
    for column in rows.T:
        total = total + column
    return total


def _welford(rows: Array) -> tuple[Array, Array]:
    """Running means and squares, in lanes that are merged at last."""
    count, number = rows.shape[1], rows.dtype.type
    lanes = -(-count // LANE)
    sizes = np.array([len(range(lane, count, lanes)) for lane in range(lanes)])
    mean, squares = np.zeros((len(rows), lanes), number), np.zeros((len(rows), lanes), number)
    for step in range(int(sizes.max())):
        values = rows[:, step * lanes : (step + 1) * lanes]
        width = values.shape[1]
        away = values - mean[:, :width]
        mean[:, :width] += away / number(step + 1)
        squares[:, :width] += away * (values - mean[:, :width])
    total, all_squares, seen = mean[:, 0], squares[:, 0], int(sizes[0])
    for lane in range(1, lanes):
        size = int(sizes[lane])
        apart = mean[:, lane] - total
        total = total + apart * number(size / (seen + size))
        all_squares = all_squares + squares[:, lane] + apart * apart * number(seen * size / (seen + size))
        seen += size
    return total, all_squares / number(count)


def _laid(statistic: Array, shape: Sequence[int], along: tuple[int, ...]) -> Array:
    """A statistic as the moving ones have it: averaged over axes that are too many, repeated on those missing."""
    extra = tuple(a for a in range(statistic.ndim) if a not in along and statistic.shape[a] > 1)
    if extra:
        statistic = statistic.mean(axis=extra, keepdims=True, dtype=np.float64).astype(statistic.dtype)
    return np.broadcast_to(statistic, shape)


def returned(miniature: Miniature, case: Case, inputs: Inputs) -> dict[str, Array]:
    """What a miniature returns for a case, which is put to it as to one's own implementation: once a step."""
    apply = miniature.new()
    requested, parameters = case.requested, inputs.parameters
    moving = {name: parameters[name] for name in ("moving_mean", "moving_variance")}
    result: dict[str, Array] = {}

    def call(x: Array, momentum: float, training: bool) -> dict[str, Array]:
        return apply(
            x.copy(),
            axis=case.channels.kept,
            epsilon=requested.epsilon,
            momentum=momentum,
            training=training,
            gamma=parameters["gamma"] if case.scale else None,
            beta=parameters["beta"] if case.center else None,
            **moving,
        )

    training = requested.mode == "training"
    for number, x in enumerate(inputs.batches[: case.steps], start=1):
        momentum = 1 - 1 / number if requested.momentum == "cumulative" else requested.momentum
        result = call(x, momentum, training)
        moving = {name: result[name] for name in moving}
    if "inference" in case.checked:
        result["inference"] = call(inputs.batches[-1], 0.5, False)["output"]
    return result


HONEST: dict[str, Miniature] = {
    f"{sums}, {form}": Miniature(sums=sums, form=form)
    for sums in ("double", "pairwise", "sequential", "welford")
    for form in ("centred", "affine")
}
"""Right ones: all that may differ between implementations without any being wrong."""

EXACT: Mapping[str, Any] = {"sums": "double", "form": "centred", "arithmetic": "float64"}
"""Switches that leave of an implementation only what is wrong by intent."""


# Defects

Change = Callable[[Case], "dict[str, Any] | None"]
"""The switches that a defect sets for a case; None where the case cannot have it."""


@dataclass(frozen=True)
class Defect:
    """One known way to be wrong, or several at once.

    ``kinds``: the causes that are right, for each part of it; ``also``: others that are right of a defect that has no
    reading, since it shows differently on different data.
    """

    name: str
    kinds: tuple[CauseKind, ...]
    change: Change
    also: tuple[CauseKind, ...] = ()

    def of(self, case: Case, honest: Miniature = HONEST["pairwise, centred"]) -> Miniature | None:
        """The miniature that has it."""
        changes = self.change(case)
        return None if changes is None else replace(honest, **changes)


def _always(**changes: Any) -> Change:
    return lambda _: changes


def _trained(**changes: Any) -> Change:
    """Of training alone."""
    return lambda case: changes if case.requested.mode == "training" else None


def _inference(**changes: Any) -> Change:
    return lambda case: changes if case.requested.mode == "inference" else None


def _epsilon(used: Callable[[float], float]) -> Change:
    def change(case: Case) -> dict[str, Any] | None:
        requested = case.requested.epsilon
        return None if (value := used(requested)) == requested else {"epsilon": value}

    return change


def _momentum(used: Callable[[float], float]) -> Change:
    def change(case: Case) -> dict[str, Any] | None:
        requested = case.requested.momentum
        if case.requested.mode == "inference" or requested == "cumulative":
            return None
        return None if (value := used(requested)) == requested else {"momentum": value}

    return change


def _kept(choose: Callable[[tuple[int, ...], int], tuple[int, ...]]) -> Change:
    """Other axes are kept; parameters lie where they should."""

    def change(case: Case) -> dict[str, Any] | None:
        own, rank = case.channels.kept, len(case.input.shape)
        kept = choose(own, rank)
        if case.requested.mode == "inference" or any(a >= rank for a in kept) or set(kept) == set(own):
            return None
        return {"kept": kept}

    return change


def _other_axis(case: Case) -> dict[str, Any] | None:
    """Another axis of the same length is kept, and parameters lie along it."""
    shape, own = case.input.shape, case.channels.kept
    for axis in reversed(range(len(shape))):
        if len(own) == 1 and axis not in own and shape[axis] == shape[own[0]] > 1:
            return {"kept": (axis,), "parameters_along": (axis,)}
    return None


def _other_layout(case: Case) -> dict[str, Any] | None:
    """The memory is taken to be channels last, or, if it is, channels first."""
    own, rank = case.channels.kept, len(case.input.shape)
    if len(own) != 1 or rank < 3:
        return None
    others = [a for a in range(rank) if a != own[0]]
    return {"order": (*others, own[0]) if own[0] != rank - 1 else (others[0], own[0], *others[1:])}


def _with_parameters(**changes: Any) -> Change:
    """Of cases that have gamma and beta."""
    return lambda case: changes if case.center and case.scale else None


def _square(case: Case) -> bool:
    return case.input.shape[0] == case.input.shape[-1]


def _low(dtype: str) -> Change:
    return lambda case: {"arithmetic": dtype} if np.dtype(case.input.dtype).itemsize > 2 else None


def _sixteen(**changes: Any) -> Change:
    return lambda case: changes if np.dtype(case.input.dtype).itemsize == 2 else None


SINGLE: dict[str, Defect] = {
    d.name: d
    for d in (
        Defect("epsilon: PyTorch's 1e-5", ("epsilon",), _epsilon(lambda _: 1e-5)),
        Defect("epsilon: Keras's 1e-3", ("epsilon",), _epsilon(lambda _: 1e-3)),
        Defect("epsilon: raised to 1.001e-5", ("epsilon",), _epsilon(lambda e: max(e, 1.001e-5))),
        Defect("epsilon: dropped", ("epsilon",), _epsilon(lambda _: 0.0)),
        Defect("epsilon: doubled", ("epsilon",), _epsilon(lambda e: 2 * e)),
        Defect("epsilon: squared", ("epsilon",), _epsilon(lambda e: e * e)),
        Defect("epsilon: rounded to bfloat16", ("epsilon",), _epsilon(lambda e: float(ml_dtypes.bfloat16(e)))),
        Defect("epsilon: rounded to float16", ("epsilon",), _epsilon(lambda e: float(np.float16(e)))),
        Defect("epsilon: 0.000437", ("epsilon",), _epsilon(lambda _: 4.37e-4)),
        Defect("epsilon: outside the root", ("epsilon-placement",), _always(placement="outside")),
        Defect("epsilon: a floor", ("epsilon-placement",), _always(placement="floor")),
        Defect("axis: each sample alone", ("axis",), _kept(lambda own, rank: (0,))),
        Defect("axis: instance", ("axis",), _kept(lambda own, rank: tuple(sorted({0, *own})))),
        Defect("axis: one statistic for all", ("axis",), _kept(lambda own, rank: ())),
        Defect(
            "axis: reduced for kept", ("axis",), _kept(lambda own, rank: tuple(a for a in range(rank) if a not in own))
        ),
        Defect("axis: averaged over the batch alone", ("axis",), _kept(lambda own, rank: tuple(range(1, rank)))),
        Defect("axis: the last", ("axis",), _kept(lambda own, rank: (rank - 1,))),
        Defect("axis: the second", ("axis",), _kept(lambda own, rank: (1,))),
        Defect("axis: another of the same length", ("axis",), _other_axis),
        Defect("axis: memory in another layout", ("axis",), _other_layout),
        Defect("batch variance: unbiased", ("batch-variance",), _trained(batch_unbiased=True)),
        Defect("moving variance: unbiased", ("moving-variance",), _trained(moving_unbiased=True)),
        Defect("momentum: complemented", ("momentum",), _momentum(lambda k: 1 - k)),
        Defect("momentum: 0.9", ("momentum",), _momentum(lambda _: 0.9)),
        Defect("momentum: 0.99", ("momentum",), _momentum(lambda _: 0.99)),
        Defect("momentum: 0.637", ("momentum",), _momentum(lambda _: 0.637)),
        Defect("momentum: 0", ("momentum",), _momentum(lambda _: 0.0)),
        Defect("momentum: cumulative", ("momentum",), _trained(momentum="cumulative")),
        Defect("update: none", ("moving-update",), _trained(update="none")),
        Defect("update: in inference", ("moving-update",), _inference(update="once")),
        Defect("update: twice", ("moving-update",), _trained(update="twice")),
        Defect("update: crossed", ("moving-update",), _trained(update="crossed")),
        Defect("update: exchanged", ("moving-update",), _trained(update="exchanged")),
        Defect("mode: moving statistics in training", ("mode",), _trained(normalized_by="moving")),
        Defect("mode: statistics updated before use", ("mode",), _trained(normalized_by="updated")),
        Defect("mode: batch statistics in inference", ("mode",), _inference(normalized_by="batch")),
        Defect("parameters: gamma ignored", ("parameters",), _with_parameters(gamma="ignored")),
        Defect("parameters: beta ignored", ("parameters",), _with_parameters(beta="ignored")),
        Defect("parameters: 1 + gamma", ("parameters",), _with_parameters(gamma="one more")),
        Defect("parameters: gamma, beta exchanged", ("parameters",), _with_parameters(exchanged="gamma and beta")),
        Defect("parameters: mean, variance exchanged", ("parameters",), _always(exchanged="mean and variance")),
        Defect("parameters: deviation for variance", ("parameters",), _always(variance_is="deviation")),
        Defect("parameters: variance squared", ("parameters",), _always(variance_is="square")),
        Defect("precision: float16", ("precision",), _low("float16")),
        Defect("precision: bfloat16", ("precision",), _low("bfloat16")),
        Defect("precision: narrow", ("precision",), _sixteen(arithmetic="float16")),
        Defect("sums: in float16", ("accumulation",), _sixteen(summed="float16"), ("precision", "nonfinite")),
        Defect("sums: in one pass", ("cancellation",), _trained(one_pass=True), ("precision",)),
        Defect("output: transposed", ("axis",), lambda case: {"finish": "transposed"} if _square(case) else None),
        Defect(
            "output: transposed to another shape",
            ("shape",),
            lambda c: None if _square(c) else {"finish": "transposed"},
        ),
        Defect("output: flat", ("shape",), lambda c: {"finish": "flat"} if len(c.input.shape) > 1 else None),
        Defect("output: another dtype", ("dtype",), _always(finish="float64")),
        Defect("output: NaN in a channel", ("nonfinite",), _always(finish="nan")),
    )
}
"""Single defects by name."""

_PAIRS = (
    ("epsilon: PyTorch's 1e-5", "moving variance: unbiased"),
    ("epsilon: PyTorch's 1e-5", "moving variance: unbiased", "momentum: 0.9"),
    ("epsilon: PyTorch's 1e-5", "moving variance: unbiased", "momentum: complemented"),
    ("moving variance: unbiased", "momentum: complemented"),
    ("moving variance: unbiased", "momentum: 0.99"),
    ("moving variance: unbiased", "momentum: cumulative"),
    ("moving variance: unbiased", "update: twice"),
    ("momentum: 0.637", "update: crossed"),
    ("momentum: complemented", "update: exchanged"),
    ("batch variance: unbiased", "moving variance: unbiased"),
    ("batch variance: unbiased", "epsilon: PyTorch's 1e-5"),
    ("batch variance: unbiased", "epsilon: outside the root"),
    ("epsilon: PyTorch's 1e-5", "epsilon: outside the root"),
    ("epsilon: 0.000437", "parameters: gamma ignored"),
    ("epsilon: 0.000437", "parameters: beta ignored"),
    ("epsilon: dropped", "batch variance: unbiased"),
    ("epsilon: 0.000437", "axis: instance"),
    ("epsilon: 0.000437", "axis: one statistic for all"),
    ("epsilon: PyTorch's 1e-5", "axis: another of the same length"),
    ("epsilon: 0.000437", "mode: moving statistics in training"),
    ("epsilon: 0.000437", "mode: batch statistics in inference"),
    ("epsilon: 0.000437", "parameters: deviation for variance"),
    ("epsilon: a floor", "parameters: beta ignored"),
    ("epsilon: outside the root", "parameters: 1 + gamma"),
    ("axis: each sample alone", "momentum: complemented"),
    ("axis: instance", "moving variance: unbiased"),
    ("axis: memory in another layout", "momentum: 0.9"),
    ("axis: instance", "parameters: gamma ignored"),
    ("axis: instance", "batch variance: unbiased"),
    ("parameters: gamma ignored", "parameters: beta ignored"),
    ("parameters: gamma, beta exchanged", "epsilon: dropped"),
    ("parameters: gamma ignored", "update: none"),
    ("mode: moving statistics in training", "update: none"),
    ("mode: statistics updated before use", "momentum: complemented"),
    ("mode: batch statistics in inference", "update: in inference"),
    ("mode: batch statistics in inference", "batch variance: unbiased"),
)


def _joined(names: Sequence[str]) -> Defect:
    parts = [SINGLE[name] for name in names]

    def change(case: Case) -> dict[str, Any] | None:
        together: dict[str, Any] = {}
        for part in parts:
            # `batch variance: unbiased` is of training alone, unless what normalizes is made the batch's
            changes = part.change(case)
            if part.name == "batch variance: unbiased":
                changes = {"batch_unbiased": True} if used_by_batch(case) else None
            if changes is None:
                return None
            together |= changes
        return together

    def used_by_batch(case: Case) -> bool:
        return case.requested.mode == "training" or any(p.name == "mode: batch statistics in inference" for p in parts)

    return Defect(" + ".join(names), tuple(kind for part in parts for kind in part.kinds), change)


PAIRED: dict[str, Defect] = {defect.name: defect for defect in map(_joined, _PAIRS)}
"""Defects that come together."""

DEFECTS: dict[str, Defect] = SINGLE | PAIRED

SWITCHES = tuple(field.name for field in fields(Miniature))
