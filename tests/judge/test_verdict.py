"""The verdict policy, on tensors made by hand: R judges where documentation agrees, D where it differs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from conftest import make_case

from bncheck.case import inputs
from bncheck.case.model import Case
from bncheck.document import Tensor
from bncheck.documented.reading import Fact, Reading, Refusal, Source
from bncheck.judge import verdict
from bncheck.judge.question import Question
from bncheck.judge.verdict import Judgement
from bncheck.reference import evaluate
from bncheck.semantics import Semantics

SOURCE = Source("somewhere", "https://example.org")
UNBIASED = Fact("moving_variance", "unbiased", "it is kept unbiased", SOURCE)
LARGE_EPSILON = Fact("epsilon", 0.5, "the default epsilon is 0.5", SOURCE)
NARROW = Fact("precision", "narrow", "scale and shift are rounded", SOURCE)


def question(case: Case, *facts: Fact, refusal: Refusal | None = None) -> Question:
    made = inputs.make(case)
    reading = Reading(axis=case.axis, parameters_dtype=case.input.dtype, facts=facts, refusal=refusal)
    return Question(case, made, reading, lambda s: evaluate(s, made.batches[: case.steps], made.exact))


def answer(asked: Question, semantics: Semantics) -> dict[str, np.ndarray]:
    """What an implementation that reads the case so, exactly, would return."""
    reference = asked.reference(semantics)
    dtype, shape = asked.case.input.dtype, asked.case.channels.statistic_shape
    with np.errstate(over="ignore"):
        return {
            "output": reference.output.output(asked.inputs.batches[-1]).astype(dtype),
            "moving_mean": reference.moving.mean.hi.reshape(shape).astype(dtype),
            "moving_variance": reference.moving.variance.hi.reshape(shape).astype(dtype),
        }


def judged(asked: Question, semantics: Semantics) -> Judgement:
    return verdict.judge(asked, answer(asked, semantics))


def by_name(judgement: Judgement) -> Mapping[str, Tensor]:
    return {t.name: t for t in judgement.tensors}


def test_what_was_requested_passes_if_nothing_else_is_documented() -> None:
    asked = question(make_case())
    result = judged(asked, asked.case.requested)
    assert (result.verdict, result.causes, result.documented) == ("pass", [], None)
    assert all(t.bound_ratio <= 1 and t.worst is None for t in result.tensors)


def test_what_is_documented_is_known_with_its_source() -> None:
    asked = question(make_case(), UNBIASED)
    result = judged(asked, replace(asked.case.requested, moving_variance="unbiased"))
    assert result.verdict == "known"
    assert [(c.kind, c.requested, c.effective) for c in result.causes] == [("moving-variance", "biased", "unbiased")]
    assert result.documented.source == "somewhere <https://example.org>"
    assert by_name(result)["moving_variance"].bound_ratio <= 1  # measured against what is documented


def test_what_contradicts_the_documentation_fails_even_if_it_is_as_requested() -> None:
    asked = question(make_case(), UNBIASED)
    result = judged(asked, asked.case.requested)
    assert result.verdict == "fail"
    assert [c.kind for c in result.causes] == ["documentation"]
    assert "moving_variance is as requested, but documented is moving-variance unbiased" in result.causes[0].message


def test_what_is_neither_requested_nor_documented_fails() -> None:
    asked = question(make_case(), UNBIASED)
    result = judged(asked, replace(asked.case.requested, epsilon=0.1))
    assert result.verdict == "fail"
    assert by_name(result)["output"].bound_ratio > 100


def test_a_documented_difference_below_the_bound_is_a_pass() -> None:
    asked = question(make_case(momentum=1.0), UNBIASED)  # the batch's variance does not enter
    assert judged(asked, asked.case.requested).verdict == "pass"


def test_a_documented_difference_in_a_tensor_that_is_not_checked_does_not_matter() -> None:
    asked = question(make_case(check=["output"]), UNBIASED)
    result = judged(asked, asked.case.requested)
    assert (result.verdict, result.documented) == ("pass", None)


def test_only_the_facts_that_touch_a_tensor_are_its_causes() -> None:
    asked = question(make_case(check=["output"]), UNBIASED, LARGE_EPSILON)
    result = judged(asked, replace(asked.case.requested, epsilon=0.5))
    assert (result.verdict, [c.kind for c in result.causes]) == ("known", ["epsilon"])


RAISED = Fact("epsilon", 1.001e-5, "it is raised", SOURCE)


def test_a_documented_epsilon_is_told_with_what_the_output_shows() -> None:
    variance = {"gamma": 1.0, "beta": 0.0, "moving_mean": 0.0}
    asked = question(make_case(mode="inference", epsilon=0.0, parameters={**variance, "moving_variance": 1.0}), RAISED)
    (cause,) = judged(asked, replace(asked.case.requested, epsilon=1.001e-5)).causes
    low, high = cause.interval
    assert low < 1e-5 < 1.001e-5 < high  # at a variance of 1 it may be either
    assert cause.message.startswith(f"1.001e-05 used ({np.floor(low * 1e7) / 1e7:.2g} to ")
    assert cause.message.endswith("fit), 0 requested: it is raised.")

    asked = question(make_case(mode="inference", epsilon=0.0, parameters={**variance, "moving_variance": 1e-8}), RAISED)
    low, high = judged(asked, replace(asked.case.requested, epsilon=1.001e-5)).causes[0].interval
    assert 1.0005e-5 < low < 1.001e-5 < high < 1.0015e-5  # a small one pins it


def test_documented_low_precision_widens_only_its_own_bound() -> None:
    case = make_case(input={"dtype": "bfloat16"}, mode="inference")
    asked, plain = question(case, NARROW), question(case)
    tensors = answer(asked, case.requested)
    off = tensors["output"].astype(np.float64) * (1 + 2.0**-7)  # two roundings where one is allowed
    tensors["output"] = off.astype(tensors["output"].dtype)
    assert verdict.judge(plain, tensors).verdict == "fail"
    known = verdict.judge(asked, tensors)
    assert (known.verdict, [c.kind for c in known.causes]) == ("known", ["precision"])
    assert verdict.judge(asked, answer(asked, case.requested)).verdict == "pass"


@pytest.mark.parametrize(("factor", "expected"), [(1.0005, "pass"), (1.005, "fail")])
def test_a_tolerance_replaces_the_bound(factor: float, expected: str) -> None:
    case = make_case(tolerance={"rtol": 1e-3, "atol": 0.0}, mode="inference")
    asked = question(case)
    tensors = {name: (t * factor).astype(t.dtype) for name, t in answer(asked, case.requested).items()}
    assert verdict.judge(asked, tensors).verdict == expected


REFUSAL = Refusal("positive numbers", "must be positive", SOURCE)


@pytest.mark.parametrize(
    ("refusal", "said", "expected"),
    [
        (None, "ValueError: eps must be positive", "fail"),
        (REFUSAL, "ValueError: eps must be positive", "known"),
        (REFUSAL, "ImportError: no module", "fail"),
    ],
)
def test_a_refusal_is_known_only_if_it_is_the_documented_one(refusal: Refusal | None, said: str, expected: str) -> None:
    result = verdict.refused(question(make_case(), refusal=refusal), said)
    assert (result.verdict, [c.kind for c in result.causes]) == (expected, ["refused"])


def test_a_documented_refusal_that_does_not_come_is_noted() -> None:
    asked = question(make_case(), refusal=REFUSAL)
    result = judged(asked, asked.case.requested)
    assert result.verdict == "pass"
    assert "documented to take only positive numbers" in result.notes[0]


def test_a_fact_that_explains_nothing_is_no_cause() -> None:
    case = make_case(input={"dtype": "bfloat16"}, check=["moving_variance"])
    asked = question(case, UNBIASED, NARROW)
    result = judged(asked, replace(case.requested, moving_variance="unbiased"))
    assert [c.kind for c in result.causes] == ["moving-variance"]


@pytest.mark.parametrize("values", [{"constant": 0.1}, {"normal": {"std": 1e-30}}, {"normal": {"std": 1e30}}])
def test_nothing_is_judged_where_no_bound_is(values: dict[str, Any]) -> None:
    """A scale of infinity, a variance below or beyond float32: whatever comes is honest, and noted as weakly judged."""
    case = make_case(input={"values": values}, epsilon=0.0, check=["output", "moving_variance"])
    asked = question(case)
    x = asked.inputs.batches[0]
    with np.errstate(all="ignore"):
        variance = x.var(axis=(0, 2, 3), keepdims=True)
        y = (x - x.mean(axis=(0, 2, 3), keepdims=True)) / np.sqrt(variance)
    found = {"output": y, "moving_variance": answer(asked, case.requested)["moving_variance"]}
    result = verdict.judge(asked, found)
    assert result.verdict == "pass"
    assert "weakly judged" in result.notes[0]


def test_a_large_offset_is_noted_as_weakly_judged() -> None:
    shape = {"shape": [4096, 1, 16], "layout": "NCL", "values": {"normal": {"mean": 1000, "std": 0.1}}}
    asked = question(make_case(input=shape))
    assert "weakly judged" in judged(asked, asked.case.requested).notes[0]


@pytest.mark.parametrize(("bad", "ratio"), [(np.nan, np.inf), (np.inf, np.inf), (-np.inf, np.inf)])
def test_what_is_not_finite_agrees_with_no_number(bad: float, ratio: float) -> None:
    asked = question(make_case(check=["output"]))
    tensors = answer(asked, asked.case.requested)
    tensors["output"][1, 2, 3, 1] = bad
    result = verdict.judge(asked, tensors)
    assert [c.kind for c in result.causes] == ["nonfinite"]
    assert (by_name(result)["output"].bound_ratio, by_name(result)["output"].at) == (ratio, [1, 2, 3, 1])


def test_nan_where_nan_is_due_agrees_and_spares_other_channels() -> None:
    values = np.ones((2, 2, 3))
    values[:, 1] = np.arange(6).reshape(2, 3)
    case = make_case(input={"shape": [2, 2, 3], "layout": "NCL", "values": values.tolist()}, mode="inference")
    asked = question(case)
    asked.inputs.batches[0][0, 0, 0] = np.nan
    result = verdict.judge(asked, answer(asked, case.requested))
    assert result.verdict == "pass"


def training_output(asked: Question, variance_of: Any, epsilon: float = 1e-3) -> dict[str, np.ndarray]:
    """A float32 output that is right but for its variance and epsilon."""
    x = asked.inputs.batches[0]
    gamma, beta = (asked.inputs.parameters[name].reshape(1, -1, 1) for name in ("gamma", "beta"))
    mean = x.astype(np.float64).mean(axis=(0, 2), keepdims=True).astype(np.float32)
    y = (x - mean) * (gamma / np.sqrt(variance_of(x) + np.float32(epsilon))) + beta
    return {"output": y.astype(np.float32)}


def exact_variance(x: np.ndarray) -> np.ndarray:
    return x.astype(np.float64).var(axis=(0, 2), keepdims=True).astype(np.float32)


def one_pass_variance(x: np.ndarray) -> np.ndarray:
    """E[x^2] - E[x]^2, of sums without error."""
    mean = x.astype(np.float64).mean(axis=(0, 2), keepdims=True).astype(np.float32)
    return np.square(x.astype(np.float64)).mean(axis=(0, 2), keepdims=True).astype(np.float32) - mean * mean


def with_offset(offset: float, count: int, **case: Any) -> Question:
    shape = {
        "shape": [count, 3, 8],
        "layout": "NCL",
        "values": {"normal": {"mean": [offset, -offset, 1.5 * offset], "std": 1}},
    }
    return question(make_case(input=shape, check=["output"], **case))


@pytest.mark.parametrize(
    ("variance", "epsilon", "verdict_", "kinds"),
    [
        (exact_variance, 1e-3, "pass", []),
        (one_pass_variance, 1e-3, "fail", ["cancellation"]),
        (exact_variance, 3e-3, "fail", ["epsilon"]),
    ],
)
def test_what_hides_below_the_bound_is_found_by_its_slope(
    variance: Any, epsilon: float, verdict_: str, kinds: list[str]
) -> None:
    asked = with_offset(300.0, 100)
    result = verdict.judge(asked, training_output(asked, variance, epsilon))
    assert by_name(result)["output"].bound_ratio <= 1
    assert (result.verdict, sorted(c.kind for c in result.causes)) == (verdict_, kinds)


SQUARES = Fact("batch_formula", "squares", "the variance is E[x^2] - E[x]^2", SOURCE)


@pytest.mark.parametrize("offset", [300.0, 3000.0])
def test_a_variance_that_is_documented_to_cancel_is_known(offset: float) -> None:
    asked = with_offset(offset, 100)
    asked = question(asked.case, SQUARES)
    result = verdict.judge(asked, training_output(asked, one_pass_variance))
    assert (result.verdict, [c.kind for c in result.causes]) == ("known", ["cancellation"])
    assert "E[x^2] - E[x]^2 used, E[(x - E[x])^2] requested" in result.causes[0].message


def test_what_is_documented_to_cancel_may_not_be_wrong_otherwise() -> None:
    asked = question(make_case(check=["output"]), SQUARES)
    wrong = replace(asked.case.requested, epsilon=1e-5)
    assert judged(asked, wrong).verdict == "fail"
    assert judged(asked, asked.case.requested).verdict == "pass"


def test_a_drift_of_the_mean_informs_and_does_not_fail() -> None:
    asked = with_offset(30.0, 5000)
    x = asked.inputs.batches[0]
    rows = x.transpose(0, 2, 1).reshape(-1, 3)
    drifted = np.cumsum(rows, axis=0, dtype=np.float32)[-1] / np.float32(len(rows))
    gamma, beta = (asked.inputs.parameters[name].reshape(1, -1, 1) for name in ("gamma", "beta"))
    centred = x - drifted.reshape(1, -1, 1)
    variance = np.square(centred.astype(np.float64)).mean(axis=(0, 2), keepdims=True).astype(np.float32)
    found = {"output": centred * (gamma / np.sqrt(variance + np.float32(1e-3))) + beta}
    result = verdict.judge(asked, found)
    assert (result.verdict, [c.kind for c in result.causes]) == ("pass", ["accumulation"])


@pytest.mark.parametrize(
    ("documents", "facts", "says"),
    [
        (False, (), "PyTorch's default."),
        (True, (), "PyTorch's default. Not documented for this version."),
        (
            True,
            (Fact("epsilon", 1e-4, "the default epsilon is 0.0001", Source("the layer", "https://example.org")),),
            "PyTorch's default. Documented: the default epsilon is 0.0001 (the layer).",
        ),
    ],
)
def test_a_cause_says_whether_it_is_documented(documents: bool, facts: tuple[Fact, ...], says: str) -> None:
    case = make_case(check=["output"])
    asked = replace(question(case, *facts), documents=documents)
    wrong = evaluate(replace(case.requested, epsilon=1e-5), asked.inputs.batches, asked.inputs.exact)
    result = verdict.judge(asked, {"output": wrong.output.output(asked.inputs.batches[0]).astype(np.float32)})
    assert [c.kind for c in result.causes] == ["epsilon"]
    assert result.causes[0].message.endswith(says)


def test_a_weight_that_went_through_float32_is_named() -> None:
    asked = question(make_case(input={"dtype": "float64"}, check=["moving_mean"]))
    through = replace(asked.case.requested, momentum=1 - float(np.float32(0.1)))
    wrong = evaluate(through, asked.inputs.batches, asked.inputs.exact)
    result = verdict.judge(asked, {"moving_mean": wrong.moving.mean.hi})
    assert [c.kind for c in result.causes] == ["momentum"]
    assert result.causes[0].message.endswith("0.9 requested: it went through float32.")
