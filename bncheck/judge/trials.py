"""The reference under one reading after another, on some elements of an output: what searches are made of.

A search tries hundreds of readings. So statistics are found once for every set of kept axes, per-channel numbers of
16 and 32-bit cases are plain float64, and an output is looked at in samples; what is left is confirmed on all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from bncheck.bounds import Bounds, Errors, OutputBound
from bncheck.case.inputs import Inputs
from bncheck.case.model import Case
from bncheck.channels import BLOCK, Channels
from bncheck.doubledouble import Array, DoubleDouble, Plain
from bncheck.gradient_bounds import gradient_bounds
from bncheck.gradients import gradients
from bncheck.judge import compare
from bncheck.judge.compare import Comparison, Expected
from bncheck.kept_sets import KeptSets
from bncheck.reference import (
    Normalization,
    Parameters,
    Reference,
    Statistics,
    Tensor,
    evaluate,
    normalize,
)
from bncheck.semantics import Semantics

SAMPLE = 3000
SAMPLE_EXACT = 500
"""Elements on which readings are tried; what fits them all is confirmed on every element. Of float64 tensors, whose
arithmetic is dearer, there are fewer."""

KEPT_STEPS = 4096
"""Training steps of references that are kept for other readings of the same statistics."""

_GOLDEN = 0.6180339887498949


class Trials:
    """One case, ready to be read in any way.

    ``statistics_dtype`` is that of parameters and moving statistics; ``statistics`` finds those of a batch, where they
    are not to be the right ones.
    """

    def __init__(
        self,
        case: Case,
        inputs: Inputs,
        statistics_dtype: str,
        statistics: Callable[[Tensor, Channels], Statistics] | None = None,
    ) -> None:
        self.case, self.inputs = case, inputs
        self.statistics_dtype = statistics_dtype
        self._kept_sets = {id(batch): KeptSets(batch) for batch in inputs.batches}
        self._references: dict[Semantics, Reference] = {}
        self._other_statistics = statistics
        self._last_gradients: tuple[Semantics | None, Mapping[str, Expected]] = None, {}

    @cached_property
    def _parameters(self) -> Parameters:
        exact = self.inputs.exact
        if self.case.input.dtype == "float64":
            return exact
        return Parameters(*(Plain.of(value.hi) for value in vars(exact).values()))

    def reference(self, semantics: Semantics) -> Reference:
        """The reference under a reading. What readings share that differ only in how they normalize is kept."""
        steps = replace(
            semantics,
            epsilon=0.0,
            placement="inside",
            center=True,
            scale=True,
            gamma_offset=0.0,
            exchange="none",
            taken="variance",
            batch_variance="biased",
            precision="wide",
            backward="exact",
            backward_slip="none",
        )
        if steps not in self._references:
            if len(self._references) * self.case.steps > KEPT_STEPS:
                self._references.clear()
            batches = self.inputs.batches[: self.case.steps]
            self._references[steps] = evaluate(steps, batches, self._parameters, self.statistics, self.inputs.mask)
        return replace(self._references[steps], semantics=semantics)

    def with_parameters(self, parameters: dict[str, Tensor]) -> Trials:
        """The same case with other parameters: what is known of its batches is shared."""
        other = Trials(self.case, replace(self.inputs, parameters=parameters), self.statistics_dtype)
        other._kept_sets = self._kept_sets
        return other

    def statistics(self, batch: Tensor, channels: Channels) -> Statistics:
        """The statistics of a batch for any set of kept axes."""
        if self._other_statistics is not None:
            return self._other_statistics(batch, channels)
        if id(batch) not in self._kept_sets:  # what of a batch a mask lets enter
            self._kept_sets[id(batch)] = KeptSets(batch)
        return self._kept_sets[id(batch)](channels)

    def bounds(self, reference: Reference) -> Bounds:
        """The bounds of the case under a reading."""
        return Bounds(reference, self.case.input.dtype, self.statistics_dtype)

    def x(self, name: str) -> Tensor:
        """The batch that an output, ``output`` or ``inference``, is made of."""
        return self.inputs.batches[self.case.steps - 1 if name == "output" else -1]

    def whole(self, semantics: Semantics, name: str, actual: Tensor, roundoff: float = 0.0) -> Comparison:
        """A whole tensor against a reading whose parameters lie along the axes that its statistics keep; ``roundoff``:
        of one more rounding that its results may have had."""
        if name.startswith("moving"):
            return self.moving(semantics, name, actual, roundoff)
        reference = self.reference(semantics)
        bound: OutputBound = getattr(self.bounds(reference), name)
        widened = replace(bound, result=bound.result + roundoff)
        return compare.compare(actual, compare.of_output(getattr(reference, name), self.x(name), widened, None))

    def moving(self, semantics: Semantics, name: str, actual: Tensor, roundoff: float = 0.0) -> Comparison:
        """A moving statistic against what a reading leaves of it."""
        reference = self.reference(semantics)
        field = name.removeprefix("moving_")
        value: DoubleDouble = getattr(reference.moving, field)
        error = getattr(self.bounds(reference).moving, field) + roundoff * np.abs(value.hi)
        return compare.compare(actual, compare.of_statistic(value, error, self.case.channels.statistic_shape, None))

    def gradient(self, semantics: Semantics, name: str, actual: Tensor) -> Comparison:
        """A gradient against that of a reading."""
        return compare.compare(actual, self._gradients(semantics)[name])

    def gradient_values(self, semantics: Semantics, name: str) -> tuple[Array, Array]:
        """A gradient under a reading, flat, and what each value may be off by."""
        expected = self._gradients(semantics)[name]
        values, allowed = np.empty(expected.channels.walked), np.empty(expected.channels.walked)
        for index in expected.channels.blocks():
            values[index], _, allowed[index] = expected.at(index)
        return values.reshape(-1), allowed.reshape(-1)

    def _gradients(self, semantics: Semantics) -> Mapping[str, Expected]:
        """All gradients under a reading: the last that was asked for is kept, since they are looked at one by one."""
        if self._last_gradients[0] != semantics:
            x, upstream = self.x("output"), self.inputs.upstream
            assert upstream is not None
            reference = self.reference(semantics)
            found = gradients(reference, x, upstream)
            bound = gradient_bounds(found, reference, self.bounds(reference))
            shape = self.case.channels.statistic_shape
            self._last_gradients = semantics, compare.of_gradients(found, bound, x, upstream, shape, None)
        return self._last_gradients[1]


class Elements:
    """Some elements of an output, with the values of x that they were made of.

    ``name`` is ``output`` or ``inference``; ``positions`` are flat, in C order.
    """

    def __init__(self, trials: Trials, name: str, actual: Tensor, positions: NDArray[np.intp]) -> None:
        self._trials, self.name, self._positions = trials, name, positions
        self._whole = trials.x(name)
        self.x = self._whole.reshape(-1)[positions]
        self._given, self.actual = actual, actual.reshape(-1)[positions]
        self._channels = Channels((len(positions),), (0,))
        self._places: dict[tuple[int, ...], tuple[NDArray[np.intp], ...]] = {}
        self._cells: dict[Channels, NDArray[np.intp]] = {}

    def applied(self, semantics: Semantics) -> tuple[Normalization, OutputBound]:
        """What a reading does to each of the elements, and how far rounding may take it."""
        reference = self._trials.reference(semantics)
        limits = self._trials.bounds(reference)
        used, batch, steps = reference.used
        if self.name == "inference":
            used, batch, steps = reference.moving, semantics.normalized_by == "batch", len(reference.steps)
            if batch:
                used = self._trials.statistics(self._whole, reference.channels)
        errors = limits.batch(used) if batch else limits.left(used, steps)
        lie, along = self._cell(reference.channels if batch else reference.along), self._cell(reference.along)
        applied = normalize(
            semantics,
            Statistics(used.mean[lie], used.variance[lie]),
            Parameters(*(value[along] for value in vars(reference.parameters).values())),
            self._channels,
            values=reference.values,
            batch=batch,
            steps_before=steps,
            precise=reference.precise,
        )
        return applied, limits.of(applied, Errors(errors.mean[lie], errors.variance[lie]))

    def expected(self, semantics: Semantics) -> tuple[Array, Array]:
        """What a reading makes of the elements, and what each may be off by."""
        with np.errstate(all="ignore"):
            applied, bound = self.applied(semantics)
            scaled, values, _ = applied.at(self.x, (slice(None),))
            return values, bound.slope * np.abs(scaled) + bound.floor + bound.result * np.abs(values)

    def compare(self, semantics: Semantics) -> Comparison:
        """The elements against what a reading makes of them."""
        with np.errstate(all="ignore"):
            applied, bound = self.applied(semantics)
        return compare.compare(self.actual, compare.of_output(applied, self.x, bound, None))

    def told(self, semantics: Semantics) -> float:
        """The part of the elements that a reading says something of: a number within a bound, or NaN where there is
        NaN. 0 if it says NaN where there is none."""
        with np.errstate(all="ignore"):
            applied, bound = self.applied(semantics)
            told = np.isfinite(bound.floor) & np.isfinite(applied.scale.hi)
            if told.all():
                return 1.0
            expected = np.isnan(applied.at(self.x, (slice(None),))[1])
        seen = np.isnan(np.asarray(self.actual, dtype=np.float64))
        return 0.0 if np.any(expected & ~seen) else float((told | (expected & seen)).mean())

    def position(self, found: Comparison) -> int:
        """Which element of the whole output is the worst of a comparison."""
        assert found.worst is not None
        return int(self._positions[found.worst.at[0]])

    def with_positions(self, positions: Sequence[int]) -> Elements:
        """These elements and others."""
        together = np.unique(np.concatenate([self._positions, np.array(positions, dtype=np.intp)]))
        return Elements(self._trials, self.name, self._given, together)

    def under(self, trials: Trials) -> Elements:
        """The same elements of the same case, with other statistics."""
        return Elements(trials, self.name, self._given, self._positions)

    def _cell(self, channels: Channels) -> NDArray[np.intp]:
        """For each element, the number of its channel."""
        if channels not in self._cells:
            if channels.shape not in self._places:
                self._places[channels.shape] = np.unravel_index(self._positions, channels.shape)
            place = self._places[channels.shape]
            cells = np.zeros(len(self._positions), dtype=np.intp)
            for axis in channels.kept:
                cells = cells * channels.shape[axis] + place[axis]
            self._cells[channels] = cells
        return self._cells[channels]


def sampled(trials: Trials, name: str, actual: Tensor, among: Sequence[tuple[int, ...]]) -> Elements:
    """Elements to try readings on: all of a small tensor, else well spread ones and those named ``among`` them."""
    count = SAMPLE_EXACT if trials.case.input.dtype == "float64" else SAMPLE
    if actual.size <= count:
        return Elements(trials, name, actual, np.arange(actual.size))
    spread = np.floor(np.modf((np.arange(count) + 0.5) * _GOLDEN)[0] * actual.size).astype(np.intp)
    named = [int(np.ravel_multi_index(at, actual.shape)) for at in among]
    return Elements(trials, name, actual, np.unique(np.concatenate([spread, np.array(named, dtype=np.intp)])))


def everywhere(trials: Trials, name: str, actual: Tensor) -> Iterator[Elements]:
    """All elements of an output, block by block."""
    for start in range(0, actual.size, BLOCK):
        yield Elements(trials, name, actual, np.arange(start, min(start + BLOCK, actual.size)))
