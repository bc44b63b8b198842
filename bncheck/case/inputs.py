"""The tensors of a case: made once, by the parent, from the case alone, and shared with every runner."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ml_dtypes  # noqa: F401  (registers bfloat16 with NumPy)
import numpy as np

from bncheck.case import discriminating, related
from bncheck.case.model import Arange, Case, Constant, Dropout, File, Normal, Relu, Replace, Uniform
from bncheck.case.random_words import Stream
from bncheck.case.rules import PARAMETERS, index_of
from bncheck.channels import Channels, Index
from bncheck.doubledouble import Array, DoubleDouble
from bncheck.masks import Mask
from bncheck.reference import Parameters, Tensor

Allocate = Callable[[str, tuple[int, ...], np.dtype[Any]], Tensor]
"""Gives an array to fill: its name, shape and dtype go in."""

_Block = Callable[[int, Index, tuple[int, ...]], Array]
"""The values of one block: the number of its first value in C order, where it lies, its shape. Called in C order."""


@dataclass(frozen=True, eq=False)
class Inputs:
    """``batches`` have x's shape and dtype, and so has ``upstream``, where gradients are checked; ``parameters`` have
    the statistic's shape and the parameters' dtype; ``mask`` is that of all batches. ``related``: what the second call
    of a relation is given."""

    batches: tuple[Tensor, ...]
    parameters: dict[str, Tensor]
    upstream: Tensor | None = None
    mask: Mask | None = None
    related: Inputs | None = None

    @property
    def named(self) -> dict[str, Tensor]:
        """All tensors, by the names that workers know them by."""
        batches = {f"x{i}": batch for i, batch in enumerate(self.batches)}
        upstream = {} if self.upstream is None else {"upstream": self.upstream}
        mask = {} if self.mask is None else {"mask": self.mask.positions}
        return {**batches, **self.parameters, **upstream, **mask}

    @property
    def exact(self) -> Parameters:
        """The parameters as the reference takes them."""
        return Parameters(**{k: DoubleDouble.of(v.astype(np.float64).ravel()) for k, v in self.parameters.items()})


def _in_memory(_: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Tensor:
    return np.empty(shape, dtype)


def make(case: Case, folder: Path | None = None, allocate: Allocate = _in_memory) -> Inputs:
    """All batches and parameters of ``case``, rounded to its dtype; ``folder`` is where its .npy files lie."""
    dtype = np.dtype(case.input.dtype)
    batches = []
    with np.errstate(all="ignore"):
        for number in range(case.batches):
            batch = allocate(f"x{number}", case.channels.shape, dtype)
            _fill(batch, _source(case.input.values, case, number, folder, "x"), case.channels)
            batches.append(batch)
        parameters = {}
        for name, values in _parameters(case).items():
            held = np.dtype(case.parameters_dtype)
            parameters[name] = allocate(name, case.channels.statistic_shape, held)
            parameters[name][...] = _rounded(values, held).reshape(case.channels.statistic_shape)
        upstream = None
        if case.gradients:
            upstream = allocate("upstream", case.channels.shape, dtype)
            source = _source(case.upstream, case, 0, folder, "upstream") if case.upstream else _default_upstream(case)
            _fill(upstream, source, case.channels)
    mask = None
    if case.mask is not None:
        mask = Mask(np.array(case.mask, dtype=bool).reshape(case.channels.reduced_shape))
    second = None
    if case.relation is not None and (tensors := related.second(case, batches, parameters)) is not None:
        second = Inputs(tuple(tensors[0]), tensors[1])
    return Inputs(tuple(batches), parameters, upstream, mask, second)


def _fill(tensor: Tensor, source: _Block, channels: Channels) -> None:
    view = channels.view(tensor)
    first = 0
    for index in channels.blocks():
        block = view[index]
        view[index] = _rounded(source(first, index, block.shape), tensor.dtype)
        first += block.size


def _rounded(values: Array, dtype: np.dtype[Any]) -> Array:
    """Values that ``dtype`` holds, as near as can be: ml_dtypes would round to bfloat16 twice, by way of float32."""
    return nearest_bfloat16(values) if dtype.name == "bfloat16" else values


def nearest_bfloat16(values: Array) -> Array:
    """Rounded once, to the eight digits that a bfloat16 has."""
    mantissa, exponent = np.frexp(values)
    rounded: Array = np.ldexp(np.rint(mantissa * 256) / 256, exponent)
    return rounded


def _parameters(case: Case) -> dict[str, Array]:
    count = case.channels.count
    values = discriminating.parameters(count, case.requested.epsilon)
    for name in PARAMETERS:
        given = getattr(case.parameters, name)
        if given is not None:
            values[name] = np.broadcast_to(np.asarray(given, dtype=np.float64).ravel(), (count,))
    return values


def _source(recipe: Any, case: Case, batch: int, folder: Path | None, name: str) -> _Block:
    channels = case.channels

    def spread(argument: float | list[float], index: Index) -> Array:
        flat = np.broadcast_to(np.asarray(argument, dtype=np.float64), (channels.count,))
        return channels.spread(flat)[channels.of(index)]

    if recipe is None:
        stream, epsilon = Stream(f"{name}/{batch}"), case.requested.epsilon
        scales, offsets = (f(channels.count, epsilon) for f in (discriminating.scales, discriminating.offsets))

        def discriminate(first: int, index: Index, shape: tuple[int, ...]) -> Array:
            deviations = discriminating.deviations(stream.normal(int(np.prod(shape))), first, channels)
            return channels.spread(offsets)[channels.of(index)] + channels.spread(scales)[
                channels.of(index)
            ] * deviations.reshape(shape)

        return discriminate
    if isinstance(recipe, Normal | Uniform):
        stream = Stream(f"{name}/{batch}")
        if isinstance(recipe, Normal):
            normal = recipe.normal
            return lambda _, index, shape: (
                spread(normal.mean, index)
                + spread(normal.std, index) * stream.normal(int(np.prod(shape))).reshape(shape)
            )
        uniform = recipe.uniform
        return lambda _, index, shape: (
            spread(uniform.low, index)
            + (spread(uniform.high, index) - spread(uniform.low, index))
            * stream.uniform(int(np.prod(shape))).reshape(shape)
        )
    if isinstance(recipe, Constant):
        return lambda _, index, shape: np.broadcast_to(spread(recipe.constant, index), shape)
    if isinstance(recipe, Relu):
        inner = _source(recipe.relu, case, batch, folder, f"{name}/relu")
        return lambda first, index, shape: np.maximum(inner(first, index, shape), 0.0)
    if isinstance(recipe, Dropout):
        rate, stream = recipe.dropout.rate, Stream(f"{name}/{batch}/dropped")
        inner = _source(recipe.dropout.of, case, batch, folder, f"{name}/dropout")
        return lambda first, index, shape: np.where(
            stream.uniform(int(np.prod(shape))).reshape(shape) < rate, 0.0, inner(first, index, shape) / (1 - rate)
        )
    if isinstance(recipe, Replace):
        inner = _source(recipe.replace.of, case, batch, folder, f"{name}/replace")
        at = recipe.replace.at.items()
        flat_places = {int(np.ravel_multi_index(index_of(key) or (), channels.shape)): value for key, value in at}

        def replaced(first: int, index: Index, shape: tuple[int, ...]) -> Array:
            values = np.array(inner(first, index, shape), dtype=np.float64).reshape(-1)
            for place, value in flat_places.items():
                if first <= place < first + values.size:
                    values[place - first] = value
            return values.reshape(shape)

        return replaced
    flat = _listed(recipe, folder)
    start = batch * int(np.prod(channels.shape)) if flat.size > np.prod(channels.shape) else 0
    return lambda first, _, shape: flat[start + first : start + first + int(np.prod(shape))].reshape(shape)


def _default_upstream(case: Case) -> _Block:
    """Normal numbers and a part of the last step's normalized x: of its default values, else of the trend alone."""
    channels, last = case.channels, case.steps - 1
    own = Stream("upstream/0")
    of_x = Stream(f"x/{last}") if case.input.values is None else None
    offsets = discriminating.upstream_offsets(channels.count)

    def source(first: int, index: Index, shape: tuple[int, ...]) -> Array:
        size = int(np.prod(shape))
        deviations = discriminating.deviations(of_x.normal(size) if of_x else np.zeros(size), first, channels)
        values = discriminating.upstream(own.normal(size), deviations).reshape(shape)
        values += channels.spread(offsets)[channels.of(index)]
        return values

    return source


def _listed(recipe: Any, folder: Path | None) -> Tensor:
    """The values that stand in the case or beside it, flat: one batch, or all of them one after the other."""
    if isinstance(recipe, Arange):
        start, stop, step = (*recipe.arange, 1.0)[:3]
        return start + step * np.arange(np.ceil((stop - start) / step), dtype=np.float64)
    if isinstance(recipe, File):
        assert folder is not None  # the rules refuse such a case
        array: Tensor = np.lib.format.open_memmap(folder / recipe.file, mode="r")
        return array.reshape(-1)
    return np.asarray(recipe, dtype=np.float64).reshape(-1)
