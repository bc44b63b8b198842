"""Relations: what the results of two calls have to do with each other, whatever epsilon, momentum or estimator is used.

Here is what each relation is about, and what its two calls are given: tensors that make the relation exact, so that
nothing is left to judge but the rounding of the calls themselves. What follows for the results is in
``judge/relations.py``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from bncheck.case.random_words import Stream
from bncheck.case.rules import Broken
from bncheck.doubledouble import Array
from bncheck.formats import Format
from bncheck.reference import Tensor

if TYPE_CHECKING:
    from bncheck.case.model import Case

RelationName = Literal[
    "absorbed-bias", "identity-start", "permuted-batch", "scaled-input", "relu-scale", "folded", "never-applied"
]

FACTOR = 4.0
"""What x is multiplied by in ``scaled-input``: a power of two, so that nothing is rounded."""

_MOVING = ("moving_mean", "moving_variance")


@dataclass(frozen=True)
class Relation:
    """In which ``modes`` a relation holds, the ``tensors`` that it says something of, and what is ``said`` of it."""

    modes: tuple[str, ...]
    tensors: tuple[str, ...]
    said: str


RELATIONS: Mapping[str, Relation] = {
    "absorbed-bias": Relation(
        ("training",), ("output", *_MOVING), "a bias that is added to x moves the moving mean and nothing else"
    ),
    "identity-start": Relation(
        ("inference",), ("output",), "gamma = sqrt(moving variance + epsilon) and beta = moving mean give back x"
    ),
    "permuted-batch": Relation(
        ("training", "inference"),
        ("output", *_MOVING, "inference"),
        "the samples in another order give the same, in that order",
    ),
    "scaled-input": Relation(
        ("training", "inference"),
        ("output", *_MOVING, "inference"),
        "x times s, with statistics and epsilon scaled alike, gives the same output",
    ),
    "relu-scale": Relation(
        ("training", "inference"),
        ("output", *_MOVING, "inference"),
        "gamma and beta times s before relu is s times what relu gives without",
    ),
    "folded": Relation(
        ("inference",), ("output",), "one scale and one shift for each channel, folded into the layer before it, do it"
    ),
    "never-applied": Relation(
        ("training",), _MOVING, "what was never trained leaves its statistics, and one training step moves them all"
    ),
}


def default_check(relation: str, names: Sequence[Any]) -> tuple[Any, ...]:
    """Those of the tensors ``names`` that a relation says something of."""
    return tuple(name for name in names if name in RELATIONS[relation].tensors)


def broken(name: str, given: Mapping[str, Any]) -> list[Broken]:
    """What the other keys of a case have that its relation cannot be asked with; ``given`` are those that are valid."""
    relation, found = RELATIONS[name], []
    mode = given.get("mode", relation.modes[0])
    if mode not in relation.modes:
        modes = " or ".join(f"`mode: {m}`" for m in relation.modes)
        found.append(f"`{name}` is about {' and '.join(relation.modes)}, but the mode is {mode}; set {modes}")
    if strange := [n for n in given.get("check") or () if n not in relation.tensors]:
        found.append(
            f"`{name}` says nothing of {', '.join(strange)}; check of {', '.join(relation.tensors)}, or remove `check`"
        )
    for key, absent, why in (
        ("expected", {}, "a relation is judged without numbers"),
        ("tolerance", None, "a relation is judged by the rounding of its calls"),
        ("repeat", 1, "a relation makes its own two calls"),
        ("mask", None, "a relation takes every value"),
        ("trainable", True, "a relation is of a layer that is not frozen"),
        ("virtual_batch_size", None, "a relation is of the whole batch"),
    ):
        if given.get(key, absent) != absent:
            found.append(f"{why}; remove `{key}`, or the relation")
    if name == "scaled-input" and given.get("epsilon") == "default":
        found.append("`scaled-input` scales epsilon, and a default cannot be scaled; give `epsilon` a number")
    if name == "identity-start" and given.get("epsilon") == "default":
        found.append("`identity-start` makes gamma of epsilon, and a default is not known; give `epsilon` a number")
    found += _of_parameters(name, given)
    if "input" in given and "axis" in given:
        found += _of_axes(name, given)
    if name == "never-applied" and given.get("steps", 1) != 1:
        found.append("`never-applied` is about one training step; set `steps: 1`")
    if name in ("never-applied", "absorbed-bias") and given.get("momentum") == 1:
        found.append("with a momentum of 1 nothing moves, trained or not; give a momentum below 1")
    return [Broken(message) for message in found]


def _of_parameters(name: str, given: Mapping[str, Any]) -> list[str]:
    found = []
    needs = {"identity-start": ("center", "scale"), "relu-scale": ("scale",)}.get(name, ())
    found += [f"`{name}` needs a {_NAMES[key]}; set `{key}: true`" for key in needs if given.get(key) is False]
    if name == "identity-start":
        set_ = [p for p in ("gamma", "beta") if getattr(given.get("parameters"), p, None) is not None]
        found += [f"`identity-start` makes gamma and beta itself; remove `parameters.{p}`" for p in set_]
    return found


_NAMES = {"center": "beta", "scale": "gamma"}


def _of_axes(name: str, given: Mapping[str, Any]) -> list[str]:
    source, axis = given["input"], given["axis"]
    rank = len(source.shape)
    kept = sorted(a % rank for a in ([axis] if isinstance(axis, int) else axis))
    found = []
    if 0 in source.shape:
        found.append("a relation of no values says nothing; give each axis a length of 1 or more")
    if name in ("permuted-batch", "folded"):
        batch = source.layout.find("N")
        if batch < 0 or batch in kept:
            why = "has no N" if batch < 0 else "keeps it"
            found.append(f"`{name}` is about samples, along N, but the case {why}; average over an axis N")
        elif name == "permuted-batch" and source.shape[batch] < 2:
            found.append("`permuted-batch` needs samples to exchange; give N a length of 2 or more")
    if name == "folded":
        if not 2 <= rank <= 5 or len(kept) != 1:
            found.append("`folded` is about a dense layer or a convolution: rank 2 to 5, and one axis that is kept")
        elif np.prod([d for a, d in enumerate(source.shape) if a not in kept]) < 2:
            found.append("`folded` measures a scale and a shift; give each channel 2 values or more")
        if source.values is not None:
            found.append("`folded` makes x by a layer; remove `input.values`")
    return found


def second_case(case: Case) -> Case:
    """The case of the second call: what is asked for otherwise, but for tensors."""
    if case.relation == "scaled-input":
        assert not isinstance(case.epsilon, str)  # the rules refuse such a case
        return case.model_copy(update={"epsilon": case.epsilon * FACTOR**2})
    if case.relation == "never-applied":
        return case.model_copy(update={"mode": "inference", "check": list(case.checked)})
    return case


Tensors = tuple[list[Tensor], dict[str, Tensor]]
"""Batches, and parameters by name."""


def second(case: Case, batches: Sequence[Tensor], parameters: Mapping[str, Tensor]) -> Tensors | None:
    """What the second call is given; None if there is one call only.

    The tensors of the first call are changed in place, where the relation would not be exact otherwise.
    """
    together = [*batches], dict(parameters)
    if case.relation == "absorbed-bias":
        bias = _on_grid(case, batches)
        return [batch + bias for batch in batches], together[1]
    if case.relation == "permuted-batch":
        axis = case.input.layout.index("N")
        return [np.ascontiguousarray(np.take(b, order(b.shape[axis]), axis)) for b in batches], together[1]
    if case.relation == "scaled-input":
        scaled = {"moving_mean": FACTOR, "moving_variance": FACTOR**2}
        return (
            [_times(batch, FACTOR) for batch in batches],
            {name: _times(values, scaled.get(name, 1.0)) for name, values in parameters.items()},
        )
    if case.relation == "relu-scale":
        by = factors(case.channels.count).reshape(case.channels.statistic_shape)
        return together[0], {n: _times(v, by) if n in ("gamma", "beta") else v for n, v in parameters.items()}
    if case.relation == "folded":
        made = Layer.of(case).output()
        for batch in batches:
            batch[...] = made
        return [_probe(case, batch) for batch in batches], together[1]
    if case.relation == "identity-start":
        gamma, beta = parameters["gamma"], parameters["beta"]
        gamma[...] = np.sqrt(parameters["moving_variance"].astype(np.float64) + case.requested.epsilon)
        beta[...] = parameters["moving_mean"]
        return None
    return together


def _times(tensor: Tensor, by: Any) -> Tensor:
    with np.errstate(over="ignore"):
        product: Tensor = (tensor.astype(np.float64) * by).astype(tensor.dtype)
    return product


def order(samples: int) -> Tensor:
    """Samples in another order: the odd ones, then the even ones. Neither neighbours nor every other one stay together,
    and the first is another."""
    return np.concatenate([np.arange(1, samples, 2), np.arange(0, samples, 2)])


def factors(count: int) -> Array:
    """A positive number for each channel: powers of two, so that nothing is rounded."""
    return np.array([2.0, 8.0, 4.0])[np.arange(count) % 3]


def _on_grid(case: Case, batches: Sequence[Tensor]) -> Tensor:
    """A bias for each channel, about as large as its values; these are rounded to a grid on which x + bias is exact.

    It goes towards zero, so that a variance as E[x^2] - E[x]^2 is no worse with it.
    """
    channels, limits = case.channels, Format.of(case.input.dtype)
    views = [channels.view(batch) for batch in batches]
    wide = np.stack([view.astype(np.float64) for view in views])
    wide[~np.isfinite(wide)] = 0
    averaged = (0, *(axis + 1 for axis in channels.reduced))
    power = np.ldexp(1.0, np.frexp(np.abs(wide).max(axis=averaged))[1]).reshape(-1)
    part = np.where(np.arange(channels.count) % 2 == 0, 0.5, 0.25)
    bias = channels.spread(-np.copysign(power, wide.sum(axis=averaged).reshape(-1)) * part)
    spacing = channels.spread(np.maximum(2 * power * limits.roundoff, limits.subnormal))
    for view in views:
        view[...] = np.rint(view.astype(np.float64) / spacing) * spacing
    whole: Tensor = np.broadcast_to(bias, channels.walked).reshape(channels.shape).astype(case.input.dtype)
    return whole


def _probe(case: Case, x: Tensor) -> Tensor:
    """Two values in turn for each channel, just beyond all that it has in ``x``."""
    kept = case.channels.kept
    reduced = tuple(a for a in range(x.ndim) if a not in kept)
    low, high = (f(x.astype(np.float64), axis=reduced, keepdims=True) for f in (np.min, np.max))
    probe: Tensor = np.where(_turn(case), high + 1, low - 1).astype(x.dtype)
    return probe


def _turn(case: Case) -> Tensor:
    """Which of the two values of a probe stands where: False for the lower one."""
    sizes = [1 if a in case.channels.kept else d for a, d in enumerate(case.channels.shape)]
    return (np.arange(np.prod(sizes)).reshape(sizes) % 2).astype(bool)


def probed(case: Case, tensor: Tensor) -> tuple[Array, Array]:
    """The first values of each channel at the lower and at the upper value of a probe, with axes of length 1."""
    axis = case.channels.kept[0]
    first = np.moveaxis(tensor, axis, -1).reshape(-1, tensor.shape[axis])[:2].astype(np.float64)
    shape = [d if a == axis else 1 for a, d in enumerate(tensor.shape)]
    return first[0].reshape(shape), first[1].reshape(shape)


@dataclass(frozen=True, eq=False)
class Layer:
    """A dense layer (rank 2) or a convolution with kernels of 2 along each axis of space, and what it is applied to.

    ``given`` has shape (N, space + 1, inputs), ``weights`` (2 for each axis of space, inputs, channels), ``bias``
    (channels): small integers, so that every sum is exact in every dtype. ``places`` are the case's axes in that order.
    """

    given: Array
    weights: Array
    bias: Array
    places: tuple[int, ...]

    @classmethod
    def of(cls, case: Case) -> Layer:
        shape, channel, batch = case.input.shape, case.channels.kept[0], case.input.layout.index("N")
        space = [a for a in range(len(shape)) if a not in (channel, batch)]
        inputs = 2 if space else 4

        def integers(name: str, sizes: Sequence[int], most: int) -> Array:
            values = Stream(f"folded/{name}").uniform(int(np.prod(sizes)))
            return (np.floor(values * (2 * most + 1)) - most).reshape(sizes)

        return cls(
            integers("given", [shape[batch], *(shape[a] + 1 for a in space), inputs], 2),
            integers("weights", [*(2 for _ in space), inputs, shape[channel]], 2),
            integers("bias", [shape[channel]], 4),
            (batch, *space, channel),
        )

    def output(self) -> Array:
        """What it makes of ``given``, in the case's axes."""
        return self._applied(self.given, self.weights, self.bias)

    def folded(self, scale: Array, shift: Array) -> Array:
        """The same with batch norm folded in: weights times the scale of their channel, the bias scaled and shifted."""
        return self._applied(self.given, self.weights * scale, self.bias * scale + shift)

    def sizes(self, scale: Array) -> Array:
        """The sums of the sizes of all that `folded` adds up, but for the shift."""
        return self._applied(np.abs(self.given), np.abs(self.weights * scale), np.abs(self.bias * scale))

    def _applied(self, given: Array, weights: Array, bias: Array) -> Array:
        space = tuple(range(1, given.ndim - 1))
        windows = sliding_window_view(given, [2] * len(space), axis=space) if space else given
        # Behind the axes of the output come the inputs, then the axes of the kernel.
        kernel = np.moveaxis(weights, -2, 0)
        summed = np.tensordot(windows, kernel, axes=len(space) + 1) + bias
        return np.ascontiguousarray(np.moveaxis(summed, range(summed.ndim), self.places))
