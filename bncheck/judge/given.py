"""Tensors that somebody already has, as a question to judge: what went into a layer, and how it is to be read."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping, Sequence
from typing import Any, get_args

import ml_dtypes  # noqa: F401  (registers bfloat16 with NumPy)
import numpy as np

from bncheck.case.errors import validate
from bncheck.case.inputs import Inputs
from bncheck.case.model import Case, Dtype
from bncheck.case.rules import PARAMETERS
from bncheck.channels import Channels
from bncheck.documented.reading import Reading
from bncheck.judge.question import Question
from bncheck.judge.references import References
from bncheck.reference import Tensor

DTYPES: tuple[str, ...] = get_args(Dtype)
NEUTRAL = {"gamma": 1.0, "beta": 0.0, "moving_mean": 0.0, "moving_variance": 1.0}
"""What a parameter is where none is given."""

_SPATIAL = ("", "L", "HW", "DHW", "TDHW", "LTDHW", "LTFDHW")
"""Letters for the axes beside the batch and the channel, by their number."""


def array(name: str, value: Any) -> Tensor:
    """The numbers that ``value`` holds, in this machine's order of bytes. Raises `TypeError`."""
    try:
        found = np.asarray(value.detach() if hasattr(value, "detach") else value)  # a torch.Tensor, from its graph
    except (TypeError, ValueError, RuntimeError) as error:
        cure = str(error)
        if str(getattr(value, "dtype", "")) == "torch.bfloat16":
            cure = f"torch.bfloat16 has none; pass {name}.float().numpy().astype(ml_dtypes.bfloat16)"
        raise TypeError(f"{name} cannot be read as a NumPy array: {cure}") from error
    if found.dtype.kind not in "biuf" and found.dtype.name not in DTYPES:
        raise TypeError(f"{name} holds {found.dtype.name}, not numbers; give an array of {_or(DTYPES)}")
    return found.astype(found.dtype.newbyteorder("="), copy=False)


def call(
    x: Tensor,
    *,
    axis: int | Sequence[int],
    epsilon: float,
    momentum: float,
    training: bool,
    layout: str | None,
    parameters: Mapping[str, Tensor],
    returned: Mapping[str, Tensor],
) -> tuple[Question, dict[str, Tensor]]:
    """What is to be judged of one call on ``x``, and what it ``returned``, with statistics in the shape that is due.

    ``parameters``: those of gamma, beta, moving_mean and moving_variance that it was given. Raises `TypeError` or
    `ValueError`.
    """
    if x.dtype.name not in DTYPES:
        raise TypeError(f"x is {x.dtype.name}; give an array of {_or(DTYPES)}")
    if x.ndim not in range(1, len(_SPATIAL) + 2):
        raise ValueError(f"x has {x.ndim} axes; give 1 to {len(_SPATIAL) + 1}")
    if not 0 <= epsilon < math.inf:
        raise ValueError(f"epsilon is {epsilon:g}; give a number that is 0 or more")
    if not 0 <= momentum <= 1:
        raise ValueError(f"momentum is {momentum:g}; give the weight of the old moving statistic, 0 to 1")
    axes = [operator.index(a) for a in axis] if isinstance(axis, Sequence) else operator.index(axis)
    statistics = {name: tensor for name, tensor in returned.items() if name != "output"}
    held = _held(x, list((parameters or statistics).values()))
    data = {
        "title": "given tensors",
        "input": {"shape": list(x.shape), "layout": layout or _layout(x.ndim, axes), "dtype": x.dtype.name},
        "axis": axes,
        "mode": "training" if training else "inference",
        "epsilon": float(epsilon),
        "momentum": float(momentum),
        "center": "beta" in parameters,
        "scale": "gamma" in parameters,
        "parameters": {"dtype": held},
        "check": list(returned),
    }
    case, errors = validate(Case, data, {"max_elements": x.size})
    if case is None:
        raise ValueError("; ".join(error.message for error in errors))
    inputs = Inputs((np.ascontiguousarray(x),), _parameters(parameters, case.channels, held))
    due = {name: tensor if name == "output" else _laid(tensor, case.channels) for name, tensor in returned.items()}
    return Question(case, inputs, Reading(axis=case.axis, parameters_dtype=held), References(inputs, case.steps)), due


def _parameters(given: Mapping[str, Tensor], channels: Channels, dtype: str) -> dict[str, Tensor]:
    """All parameters of a case, neutral where none is given."""
    shape = channels.statistic_shape
    parameters = {}
    for name in PARAMETERS:
        value = _laid(given.get(name, np.full(shape, NEUTRAL[name])), channels)
        if value.shape != shape:
            raise ValueError(
                f"{name} has shape {list(value.shape)}, but the axis keeps {channels.count} entries; give it in shape "
                f"{list(shape)}, or mend the axis"
            )
        with np.errstate(all="ignore"):
            parameters[name] = value.astype(dtype)
    return parameters


def _laid(value: Tensor, channels: Channels) -> Tensor:
    """One number a channel, flat or with axes of length 1, in the shape of a statistic; anything else as it is."""
    shape = channels.statistic_shape
    fits = value.shape == (channels.count,) or _longer(value.shape) == _longer(shape)
    return value.reshape(shape) if fits else value


def _longer(shape: Sequence[int]) -> list[int]:
    return [length for length in shape if length != 1]


def _held(x: Tensor, beside: Sequence[Tensor]) -> str:
    """The dtype of parameters and statistics: x's, or float32 where a 16-bit x comes with such."""
    wider = x.dtype.itemsize == 2 and any(tensor.dtype == np.float32 for tensor in beside)
    return "float32" if wider else x.dtype.name


def _layout(rank: int, axis: int | Sequence[int]) -> str:
    """Letters to speak of the axes by, where none are given: the last that is kept is C, the first other one N."""
    kept = [a % rank for a in ([axis] if isinstance(axis, int) else axis)] or [rank - 1]
    others = list("N" + _SPATIAL[rank - 2]) if rank > 1 else []
    others.insert(max(kept), "C")
    return "".join(others)


def _or(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"
