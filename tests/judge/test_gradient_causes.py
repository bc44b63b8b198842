"""What is wrong with a backward pass alone is named; what follows from a wrong output is not told twice."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from conftest import make_case

from bncheck.case import inputs
from bncheck.documented.reading import Fact, Reading, Source
from bncheck.gradients import gradients
from bncheck.judge import verdict
from bncheck.judge.question import Question
from bncheck.judge.references import References
from bncheck.judge.verdict import Judgement

CHECKED = ["output", "gradients"]
SOURCE = Source("somewhere", "https://example.org")


def judged(
    mode: str, forward: dict[str, Any], backward: dict[str, Any], *facts: Fact, without: tuple[str, ...] = ()
) -> Judgement:
    """The verdict on what an implementation returns that reads output and gradients in these ways."""
    case = make_case(mode=mode, check=CHECKED)
    made = inputs.make(case)
    references = References(made, 1)
    x, d = made.batches[0], made.upstream
    assert d is not None
    output = references(replace(case.requested, **forward)).output.output(x)
    found = gradients(references(replace(case.requested, **backward)), x, d)
    returned = {
        "output": output,
        "gradient_x": found.of_x(x, d),
        "gradient_gamma": found.gamma.hi,
        "gradient_beta": found.beta.hi,
    }
    question = Question(case, made, Reading(axis=1, parameters_dtype="float32", facts=facts), references)
    return verdict.judge(
        question, {name: tensor.astype(np.float32) for name, tensor in returned.items() if name not in without}
    )


BACKWARD = {
    "statistics are constants": ("training", {"backward": "constants"}, "gradient_x is what inference gives: the stat"),
    "the mean is a constant": ("training", {"backward": "constant mean"}, "treats the mean as a constant"),
    "the variance is a constant": ("training", {"backward": "constant variance"}, "treats the variance as a constant"),
    "moving statistics": ("training", {"normalized_by": "moving"}, "those of the moving statistics"),
    "training's formula": ("inference", {"backward": "statistics"}, "gradient_x is by training's formula"),
    "batch statistics": ("inference", {"normalized_by": "batch"}, "those of the batch's own statistics"),
    "no gamma": ("training", {"backward_slip": "gamma"}, "gradient_x lacks the factor gamma"),
    "no 1/deviation": ("inference", {"backward_slip": "deviation"}, "lacks the factor 1/sqrt(variance + epsilon)"),
    "no 1/N": ("training", {"backward_slip": "count"}, "lacks a division by N"),
    "no 1/deviation in gamma's": ("training", {"backward_slip": "deviation in gamma"}, "gradient_gamma lacks the fac"),
    "no mean in gamma's": ("inference", {"backward_slip": "mean in gamma"}, "made of x, not of x - mean"),
    "averages": ("training", {"backward_slip": "averaged"}, "averages over the batch; they should be sums"),
    "exchanged": ("training", {"backward_slip": "exchanged"}, "returned for each other"),
}


@pytest.mark.parametrize("defect", BACKWARD)
def test_a_defect_of_the_backward_pass_is_named(defect: str) -> None:
    mode, change, says = BACKWARD[defect]
    judgement = judged(mode, {}, change)
    assert judgement.verdict == "fail"
    first = judgement.causes[0]
    assert (first.kind, first.alternative) == ("gradient", False)
    assert says in first.message


@pytest.mark.parametrize("mode", ["training", "inference"])
def test_right_gradients_pass(mode: str) -> None:
    judgement = judged(mode, {}, {})
    assert (judgement.verdict, judgement.causes) == ("pass", [])
    assert [t.name for t in judgement.tensors] == ["output", "gradient_x", "gradient_gamma", "gradient_beta"]


def test_an_epsilon_of_the_backward_pass_alone_is_solved_and_said_to_be_that() -> None:
    cause = judged("training", {}, {"epsilon": 1e-5}).causes[0]
    assert (cause.kind, cause.effective) == ("epsilon", 1e-5)
    assert cause.message.startswith("In the backward pass alone, 1e-05 used")


@pytest.mark.parametrize("reading", [{"epsilon": 1e-5}, {"placement": "outside"}, {"scale": False}])
def test_gradients_that_follow_from_a_wrong_output_are_not_told_again(reading: dict[str, Any]) -> None:
    judgement = judged("training", reading, reading)
    assert judgement.verdict == "fail"
    told = [c for c in judgement.causes if not c.alternative]
    assert len(told) == 1
    assert "backward" not in told[0].message


def test_a_wrong_output_and_a_wrong_backward_pass_are_both_told() -> None:
    kinds = [c.kind for c in judged("training", {"epsilon": 1e-5}, {"epsilon": 1e-5, "backward": "constants"}).causes]
    assert kinds == ["epsilon", "gradient"]


def test_two_defects_of_the_backward_pass_are_both_told() -> None:
    causes = judged("training", {}, {"backward": "constants", "backward_slip": "averaged"}).causes
    assert {c.effective for c in causes if not c.alternative} == {"statistics constant", "averaged"}


def test_gradients_that_an_implementation_has_not_are_noted() -> None:
    judgement = judged("training", {}, {}, without=("gradient_gamma", "gradient_beta"))
    assert judgement.verdict == "pass"
    assert "has no gradient_gamma, gradient_beta" in judgement.notes


def test_a_documented_backward_pass_is_known_and_required() -> None:
    fact = Fact("backward", "constants", "its statistics are constants", SOURCE)
    known = judged("training", {}, {"backward": "constants"}, fact)
    assert (known.verdict, [c.kind for c in known.causes]) == ("known", ["gradient"])
    broken = judged("training", {}, {}, fact)
    assert (broken.verdict, broken.causes[0].kind) == ("fail", "documentation")


def test_what_no_reading_explains_says_where_it_is() -> None:
    case = make_case(check=["gradients"])
    made = inputs.make(case)
    references = References(made, 1)
    assert made.upstream is not None
    found = gradients(references(case.requested), made.batches[0], made.upstream)
    wrong = found.of_x(made.batches[0], made.upstream).astype(np.float32)
    wrong[1, 2, 3, 1] *= 1.5
    question = Question(case, made, Reading(axis=1, parameters_dtype="float32"), references)
    judgement = verdict.judge(question, {"gradient_x": wrong})
    assert [c.kind for c in judgement.causes] == ["unexplained"]
    assert judgement.causes[0].message.startswith("gradient_x[1, 2, 3, 1] is ")
