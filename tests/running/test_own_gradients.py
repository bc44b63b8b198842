"""Gradients of one's own function: it is asked for them by a keyword, and judged like a runner's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import own_runners
import pytest
from conftest import own, run

import bncheck

TRAINING = """\
title: gradients of a training step
input: {shape: [4, 3, 5, 2], layout: NCHW}
axis: 1
mode: training
momentum: 0.9
check: [output, moving_mean, moving_variance, gradients]
"""
INFERENCE = TRAINING.replace("training", "inference", 2).replace("moving_mean, moving_variance, ", "")

Write = Callable[..., Path]


def test_a_right_function_passes_in_every_dtype_mode_and_axis(write_case: Write) -> None:
    matrix = """\
matrix:
  input.dtype: [float16, bfloat16, float32, float64]
  axis: [1, -1, [0, 2], []]
"""
    write_case(TRAINING + "steps: 2\n" + matrix, "training.yaml")
    folder = write_case(INFERENCE + matrix, "inference.yaml").parent
    results, _ = run(folder, own("with_gradients"))
    assert len(results) == 32
    assert {r.verdict for r in results.values()} == {"pass"}
    judged = {t.name for r in results.values() for t in r.tensors}
    assert judged >= {"gradient_x", "gradient_gamma", "gradient_beta"}


@pytest.mark.parametrize(
    ("function", "text", "wrong"),
    [
        ("gradients_of_constants", TRAINING, ["gradient_x"]),
        ("gradients_of_statistics", INFERENCE, ["gradient_x"]),
        ("gradient_of_gamma_averaged", TRAINING, ["gradient_gamma"]),
    ],
)
def test_a_wrong_gradient_fails_and_nothing_else_does(
    write_case: Write, function: str, text: str, wrong: list[str]
) -> None:
    results, _ = run(write_case(text), own(function))
    result = results[f"case {function}"]
    assert result.verdict == "fail"
    assert [t.name for t in result.tensors if t.bound_ratio is None or t.bound_ratio > 1] == wrong
    assert {c.kind for c in result.causes} == {"gradient"}


def test_it_is_asked_in_the_last_step_only(write_case: Write) -> None:
    results, _ = run(write_case(TRAINING + "steps: 3\n"), own("needs_upstream_once"))
    assert results["case needs_upstream_once"].verdict == "pass"


def test_it_is_not_asked_where_no_gradients_are_checked(write_case: Write) -> None:
    results, _ = run(write_case(TRAINING.replace(", gradients", "")), own("needs_upstream_once"))
    assert results["case needs_upstream_once"].verdict == "pass"


def test_a_function_without_the_keyword_has_none_which_is_noted(write_case: Write) -> None:
    results, _ = run(write_case(TRAINING), own("right"))
    result = results["case right"]
    assert (result.verdict, [t.name for t in result.tensors]) == ("pass", ["output", "moving_mean", "moving_variance"])
    assert "has no gradient_x, gradient_gamma, gradient_beta" in result.notes


def test_where_there_is_no_gamma_its_gradient_is_not_looked_at(write_case: Write) -> None:
    results, _ = run(write_case(TRAINING + "scale: false\n"), own("gradient_of_gamma_averaged"))
    result = results["case gradient_of_gamma_averaged"]
    assert result.verdict == "pass"
    assert "gradient_gamma" not in [t.name for t in result.tensors]


def test_a_check_in_this_process_judges_gradients_too(write_case: Write) -> None:
    file = write_case(TRAINING)
    (result,) = bncheck.check(own_runners.with_gradients, file)
    assert "gradient_x" in [t.name for t in result.tensors]

    def constant(x: Any, **arguments: Any) -> Any:
        return own_runners.gradients_of_constants(x, **arguments)

    def writes(x: Any, *, upstream: Any = None, **arguments: Any) -> Any:
        returned = own_runners.with_gradients(x, upstream=upstream, **arguments)
        if upstream is not None:
            upstream[...] = 0
        return returned

    bncheck.check(writes, file)
    with pytest.raises(bncheck.Discrepancy, match="gradient_x"):
        bncheck.check(own_runners.gradients_of_constants, file)
    assert bncheck.check(constant, file)[0].notes, "without a parameter of that name it is not asked"
