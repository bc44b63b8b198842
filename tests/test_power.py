"""What a case could catch: what it is said to notice, the judge must fail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bncheck.case import inputs
from bncheck.case.load import LoadedCase, load
from bncheck.case.model import Case
from bncheck.documented.reading import Reading
from bncheck.judge import verdict
from bncheck.judge.question import Question
from bncheck.power import KINDS, Power, power, unseen
from bncheck.reference import evaluate
from bncheck.semantics import Semantics

TRAINING = """\
title: Discriminating data in training
input: {shape: [6, 4, 5, 3], layout: NCHW, dtype: DTYPE}
axis: 1
mode: training
momentum: 0.9
"""

GRADED = f"{TRAINING.replace('DTYPE', 'float32')}check: [output, moving_mean, moving_variance, gradients]\n"

BLIND = """\
title: Default statistics and one neutral channel, which hide nearly everything
input: {shape: [1, 3, 4, 1], layout: NHWC, values: {arange: [1, 13]}}
axis: -1
mode: inference
epsilon: 0.0
parameters: {gamma: 1.0, beta: 0.0, moving_mean: 0.0, moving_variance: 1.0}
"""

Write = Callable[..., Path]


def loaded(write_case: Write, text: str) -> LoadedCase:
    [case] = load([write_case(text)])
    return case


def judged(case: Case, wrong: Semantics) -> str:
    """The verdict on what exactly this reading gives, rounded to the case's dtype."""
    made = inputs.make(case)
    reference = evaluate(wrong, made.batches, made.exact)
    shape = case.channels.statistic_shape
    returned = {
        "output": reference.output.output(made.batches[0]).astype(case.input.dtype),
        "moving_mean": reference.moving.mean.hi.reshape(shape).astype(case.input.dtype),
        "moving_variance": reference.moving.variance.hi.reshape(shape).astype(case.input.dtype),
    }
    reading = Reading(axis=case.axis, parameters_dtype=case.input.dtype)
    question = Question(case, made, reading, lambda s: evaluate(s, made.batches, made.exact))
    return verdict.judge(question, returned).verdict


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("field", ["epsilon", "momentum"])
def test_the_smallest_difference_fails_and_a_tenth_of_it_passes(write_case: Write, field: str, dtype: str) -> None:
    found = loaded(write_case, TRAINING.replace("DTYPE", dtype))
    smallest = getattr(power(found), field)
    side = 1 if field == "epsilon" else -1  # a momentum of more than a half is made smaller
    requested = found.case.requested

    def off(difference: float) -> str:
        return judged(found.case, replace(requested, **{field: getattr(requested, field) + side * difference}))

    assert (off(1.02 * smallest), off(0.1 * smallest)) == ("fail", "pass")


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("batch-variance", {"batch_variance": "unbiased"}),
        ("moving-variance", {"moving_variance": "unbiased"}),
        ("mode", {"normalized_by": "moving"}),
        ("epsilon-placement", {"placement": "outside"}),
        ("parameters", {"scale": False}),
        ("moving-update", {"update": "none"}),
    ],
)
def test_what_is_noticed_is_failed(write_case: Write, kind: str, changes: dict[str, object]) -> None:
    found = loaded(write_case, TRAINING.replace("DTYPE", "float32"))
    seen, of = power(found).noticed[kind]
    assert seen == of > 0
    assert judged(found.case, replace(found.case.requested, **changes)) == "fail"


def test_default_data_notice_everything_but_a_variance_in_one_pass(write_case: Write) -> None:
    found = power(loaded(write_case, GRADED))
    assert {kind for kind in KINDS if not found.sees(kind)} == {"cancellation"}
    assert all(seen == of for kind, (seen, of) in found.noticed.items() if kind != "cancellation")


def test_gradients_that_are_not_checked_have_no_defects(write_case: Write) -> None:
    assert power(loaded(write_case, TRAINING.replace("DTYPE", "float32"))).noticed["gradient"] == (0, 0)


def test_a_gradient_alone_notices_what_moves_it(write_case: Write) -> None:
    found = power(loaded(write_case, TRAINING.replace("DTYPE", "float32") + "check: [gradients]\n"))
    assert all(found.sees(kind) for kind in ("epsilon", "axis", "gradient"))


def test_a_one_pass_variance_is_noticed_far_from_zero(write_case: Write) -> None:
    far = TRAINING.replace("dtype: DTYPE", "values: {normal: {mean: 300, std: 1}}")
    assert power(loaded(write_case, far)).noticed["cancellation"] == (1, 1)


def test_neutral_parameters_and_inference_hide_most(write_case: Write) -> None:
    found = power(loaded(write_case, BLIND))
    assert found.momentum is None
    assert 0 < found.noticed["parameters"][0] < found.noticed["parameters"][1]
    assert unseen([found]) == [
        "momentum",
        "axis",
        "batch-variance",
        "moving-variance",
        "epsilon-placement",
        "moving-update",
        "precision",
        "cancellation",
        "gradient",
    ]


def test_a_set_sees_what_any_of_its_cases_sees(write_case: Write) -> None:
    blind, sharp = (power(loaded(write_case, text)) for text in (BLIND, GRADED))
    assert unseen([blind, sharp]) == ["cancellation"]


def test_a_cumulative_average_has_no_momentum_to_be_wrong(write_case: Write) -> None:
    found = power(loaded(write_case, TRAINING.replace("DTYPE", "float32").replace("0.9", "cumulative")))
    assert found.momentum is None


@pytest.mark.parametrize("shape", ["[0, 4, 5, 3]", "[1, 1, 1, 1]", "[40, 50, 40, 3]"])
def test_a_case_of_any_size_has_a_power(write_case: Write, shape: str) -> None:
    text = TRAINING.replace("[6, 4, 5, 3]", shape).replace("DTYPE", "float32")
    found = power(loaded(write_case, text))
    assert isinstance(found, Power)
    assert np.all([seen <= of for seen, of in found.noticed.values()])
