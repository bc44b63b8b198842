"""One's own functions under a mask, in virtual batches, frozen, beside float32: what they are asked, why they fail."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bncheck
from bncheck.document import Result

Function = Callable[..., dict[str, Any]]

MASKED = """\
title: two sequences, the second padded
input: {shape: [2, 6, 3], layout: NLC}
axis: -1
mode: training
momentum: 0.75
mask: [[1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0]]
"""

VIRTUAL = """\
title: two virtual batches of three rows
input: {shape: [6, 4, 2], layout: NLC}
axis: -1
mode: training
momentum: 0.75
check: [output, moving_mean, moving_variance, inference]
virtual_batch_size: 3
"""

WIDER = """\
title: variances that 16 bits do not hold
input: {shape: [8, 3], layout: NF, dtype: float16}
axis: -1
mode: inference
epsilon: 1e-12
parameters: {dtype: float32, moving_mean: 0.0, moving_variance: [1e-10, 1.0, 3e5], gamma: [1e-5, 1.0, 1e2]}
"""


def masked(weigh: Callable[[Any], Any], *, zeros: bool = False) -> Function:
    """Batch normalization that makes something of its own of the mask."""

    def function(
        x: Any,
        *,
        axis: Any,
        epsilon: float,
        momentum: float,
        training: bool,
        gamma: Any,
        beta: Any,
        moving_mean: Any,
        moving_variance: Any,
        mask: Any,
    ) -> dict[str, Any]:
        others, where = tuple(a for a in range(x.ndim) if a not in axis), np.expand_dims(weigh(mask), axis)
        given = np.where(where, x, 0) if zeros else x
        options = {} if zeros else {"where": where}
        mean, variance = given.mean(axis=others, **options), given.var(axis=others, **options)
        y = (x - mean) / np.sqrt(variance + np.float32(epsilon)) * gamma + beta
        weight = np.float32(momentum)
        return {
            "output": y,
            "moving_mean": weight * moving_mean + (1 - weight) * mean,
            "moving_variance": weight * moving_variance + (1 - weight) * variance,
        }

    return function


def virtual(cut: Callable[[Any, int], list[Any]]) -> Function:
    """Batch normalization of the virtual batches that ``cut`` makes of the numbers of the rows."""

    def function(
        x: Any,
        *,
        axis: Any,
        epsilon: float,
        momentum: float,
        training: bool,
        gamma: Any,
        beta: Any,
        moving_mean: Any,
        moving_variance: Any,
        virtual_batch_size: int | None = None,
    ) -> dict[str, Any]:
        def normalize(part: Any, mean: Any, variance: Any) -> Any:
            return (part - mean) / np.sqrt(variance + x.dtype.type(epsilon)) * gamma + beta

        if not training:
            assert virtual_batch_size is None
            return {"output": normalize(x, moving_mean, moving_variance)}
        others = tuple(a for a in range(x.ndim) if a not in axis)
        assert virtual_batch_size is not None
        parts = cut(np.arange(len(x)), virtual_batch_size)
        means, variances = ([f(x[rows], axis=others) for rows in parts] for f in (np.mean, np.var))
        y = np.empty_like(x)
        for rows, mean, variance in zip(parts, means, variances, strict=True):
            y[rows] = normalize(x[rows], mean, variance)
        weight = x.dtype.type(momentum)
        return {
            "output": y,
            "moving_mean": weight * moving_mean + (1 - weight) * np.mean(means, axis=0),
            "moving_variance": weight * moving_variance + (1 - weight) * np.mean(variances, axis=0),
        }

    return function


def every_other(rows: Any, size: int) -> list[Any]:
    return list(rows.reshape(size, -1).T)


def unaware(x: Any, *, axis: Any, epsilon: Any, momentum: Any, training: Any, gamma: Any, beta: Any, **moving: Any):  # type: ignore[no-untyped-def]
    mean, variance = moving["moving_mean"], moving["moving_variance"]
    y = (x - mean) / np.sqrt(variance + np.float32(epsilon)) * gamma + beta
    return {"output": y.astype(x.dtype), "moving_mean": mean, "moving_variance": variance}


def failures(function: Function, write_case: Callable[..., Path], text: str) -> list[Result]:
    try:
        bncheck.check(function, write_case(text))
    except bncheck.Discrepancy as failed:
        return failed.results
    return []


def test_a_function_that_heeds_the_mask_passes(write_case: Callable[..., Path]) -> None:
    assert not failures(masked(lambda mask: mask), write_case, MASKED)


@pytest.mark.parametrize(
    ("function", "used"),
    [
        (masked(np.ones_like), "mask ignored"),
        (masked(np.logical_not), "mask inverted"),
        (masked(lambda mask: mask, zeros=True), "zeros for what is masked"),
    ],
)
def test_what_became_of_the_mask_is_named(write_case: Callable[..., Path], function: Function, used: str) -> None:
    (result,) = failures(function, write_case, MASKED)
    assert [(cause.kind, cause.effective) for cause in result.causes] == [("parameters", used)]


def test_a_function_that_cuts_the_batch_as_tensorflow_does_passes(write_case: Callable[..., Path]) -> None:
    assert not failures(virtual(every_other), write_case, VIRTUAL)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("cut", "used"),
    [
        (lambda rows, size: [rows], "virtual batches ignored"),
        (lambda rows, size: list(rows.reshape(-1, size)), "virtual batches of adjacent rows"),
    ],
)
def test_what_became_of_virtual_batches_is_named(
    write_case: Callable[..., Path], cut: Callable[[Any, int], list[Any]], used: str, dtype: str
) -> None:
    text = VIRTUAL.replace("NLC", f"NLC, dtype: {dtype}")
    (result,) = failures(virtual(cut), write_case, text)
    assert [(cause.kind, cause.effective) for cause in result.causes] == [("parameters", used)]


def test_a_wrong_epsilon_in_virtual_batches_is_named(write_case: Callable[..., Path]) -> None:
    with_parameter = virtual(every_other)

    def function(x: Any, *, epsilon: float, virtual_batch_size: int | None = None, **given: Any) -> dict[str, Any]:
        return with_parameter(x, epsilon=1e-5, virtual_batch_size=virtual_batch_size, **given)

    (result,) = failures(function, write_case, VIRTUAL)
    assert [cause.kind for cause in result.causes] == ["epsilon"]
    assert result.causes[0].effective == 1e-5


def test_what_nothing_explains_in_virtual_batches_is_named_by_its_place(write_case: Callable[..., Path]) -> None:
    with_parameter = virtual(every_other)

    def noisy(x: Any, *, virtual_batch_size: int | None = None, **given: Any) -> dict[str, Any]:
        result = with_parameter(x, virtual_batch_size=virtual_batch_size, **given)
        result["output"][2, 3, 1] += 1
        return result

    text = VIRTUAL.replace(", moving_mean, moving_variance, inference", "")
    (result,) = failures(noisy, write_case, text)
    (cause,) = result.causes
    assert cause.kind == "unexplained"
    assert cause.message.startswith("output[2, 3, 1] is ")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (VIRTUAL, "the function has no parameter virtual_batch_size"),
        (MASKED, "it takes no mask: the function has no parameter of that name"),
        ("title: t\ninput: {shape: [2, 3], layout: NF}\naxis: 1\nmode: training\ntrainable: false\n", "to freeze"),
    ],
)
def test_what_a_function_has_no_parameter_for_is_unsupported(
    write_case: Callable[..., Path], text: str, reason: str
) -> None:
    with pytest.raises(bncheck.Discrepancy, match=reason) as failed:
        bncheck.check(unaware, write_case(text))
    assert [result.verdict for result in failed.value.results] == ["unsupported"]


def test_parameters_come_in_their_own_dtype(write_case: Callable[..., Path]) -> None:
    assert not failures(unaware, write_case, WIDER)


def test_parameters_that_were_rounded_to_the_16_bits_of_x_are_named(write_case: Callable[..., Path]) -> None:
    def rounds(x: Any, **given: Any) -> dict[str, Any]:
        with np.errstate(over="ignore"):
            less = {k: v.astype(x.dtype).astype(np.float32) for k, v in given.items() if isinstance(v, np.ndarray)}
        return dict(unaware(x, **{**given, **less}))

    (result,) = failures(rounds, write_case, WIDER)
    assert [cause.kind for cause in result.causes] == ["precision"]
    assert "rounded to float16" in result.causes[0].message
