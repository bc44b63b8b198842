"""Relations: right implementations hold them whatever epsilon, momentum and estimator they use; wrong ones do not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from conftest import make_case
from hypothesis import given, settings
from hypothesis import strategies as st

from bncheck.case import inputs, related
from bncheck.case.model import Case
from bncheck.document import Result
from bncheck.running.inprocess import result

Array = np.ndarray[Any, Any]

IN_TRAINING = ("absorbed-bias", "permuted-batch", "scaled-input", "relu-scale", "never-applied")
IN_INFERENCE = ("identity-start", "permuted-batch", "scaled-input", "relu-scale", "folded")
EVERYWHERE = [*((name, "training") for name in IN_TRAINING), *((name, "inference") for name in IN_INFERENCE)]
DTYPES = ("float16", "bfloat16", "float32", "float64")


def judged(function: Callable[..., Any], case: Case) -> Result:
    return result(function, "mine", SimpleNamespace(id="a case", case=case, file=Path("case.yaml")))[0]


def relation(name: str, mode: str = "training", **changes: Any) -> Case:
    return make_case(relation=name, mode=mode, **changes)


def function(
    *,
    epsilon: Callable[[float], float] = lambda epsilon: epsilon,
    weight: Callable[[float], float] = lambda momentum: momentum,
    unbiased: bool = False,
    kept: tuple[int, ...] | None = None,
    used: Callable[[Array], Array] = lambda x: x,
    divisor: Callable[[Array, Any], Array] = lambda variance, epsilon: np.sqrt(variance + epsilon),
    centred: bool = True,
    updates: str = "both",
    finish: Callable[[Array], Array] = lambda y: y,
    affine: Callable[[Array, Array, Array], Array] = lambda y, gamma, beta: y * gamma + beta,
) -> Callable[..., Any]:
    """An implementation in float32 (or float64), right but for what it is told."""

    def normalize(
        x: Array,
        *,
        axis: tuple[int, ...],
        momentum: float,
        training: bool,
        gamma: Array | None,
        beta: Array | None,
        moving_mean: Array,
        moving_variance: Array,
        **given: float,
    ) -> dict[str, Array]:
        inside = np.result_type(np.float32, x.dtype)
        along = [d if a in axis else 1 for a, d in enumerate(x.shape)]
        wide, batch = x.astype(inside), used(x.astype(inside))
        over = tuple(a for a in range(x.ndim) if a not in (axis if kept is None else kept))
        mean, variance = batch.mean(over, keepdims=True), batch.var(over, keepdims=True)
        count = np.prod([batch.shape[a] for a in over])
        entering = variance * inside.type(count / (count - 1)) if unbiased else variance
        old = inside.type(weight(momentum))
        moving = [s.reshape(along).astype(inside) for s in (moving_mean, moving_variance)]
        after = [old * m + (1 - old) * b for m, b in zip(moving, (mean, entering), strict=True)]
        if updates == "none" or (not training and updates != "always"):
            after = moving
        elif updates == "mean":
            after = [after[0], moving[1]]
        m, v = (mean, variance) if training else moving
        y = (wide - m if centred else wide) / divisor(v, inside.type(epsilon(given["epsilon"])))
        ones = np.ones(along, inside)
        g, b = (o if p is None else p.reshape(along).astype(inside) for p, o in ((gamma, ones), (beta, 0 * ones)))
        stored = [np.resize(s, moving_mean.shape).astype(moving_mean.dtype) for s in after]
        with np.errstate(over="ignore"):
            output = finish(affine(y, g, b)).astype(x.dtype)
        return {
            "output": output,
            "moving_mean": stored[0],
            "moving_variance": stored[1],
        }

    return normalize


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("name", "mode"), EVERYWHERE)
def test_a_right_implementation_holds_every_relation(name: str, mode: str, dtype: str) -> None:
    found = judged(function(), relation(name, mode, input={"dtype": dtype}))
    assert (found.verdict, found.causes) == ("pass", [])
    assert found.tensors
    assert all(tensor.bound_ratio <= 1 for tensor in found.tensors)


OTHERS = {
    "another epsilon": function(epsilon=lambda epsilon: epsilon / 100),
    "all three": function(epsilon=lambda e: e * 30, weight=lambda momentum: 0.3, unbiased=True),
}


@pytest.mark.parametrize(("name", "mode"), [pair for pair in EVERYWHERE if pair[0] != "identity-start"])
@pytest.mark.parametrize("other", ["another epsilon", "all three"])
def test_another_epsilon_momentum_or_estimator_holds_them_too(other: str, name: str, mode: str) -> None:
    found = judged(OTHERS[other], relation(name, mode))
    assert (found.verdict, found.causes) == ("pass", [])


def test_a_pass_says_that_the_calls_are_not_as_requested() -> None:
    found = judged(OTHERS["another epsilon"], relation("permuted-batch"))
    assert found.notes == ["not as requested, which this relation leaves open"]


def test_the_identity_start_needs_the_very_epsilon() -> None:
    found = judged(OTHERS["another epsilon"], relation("identity-start", "inference"))
    assert (found.verdict, found.kinds) == ("fail", ("epsilon",))
    assert "gamma and beta made of the moving statistics and epsilon do not give back x" in found.causes[0].message
    assert "1e-05 used" in found.causes[0].message


def _halves(x: Array) -> Array:
    return x[: len(x) // 2]


WRONG = {
    "mean not subtracted": ("absorbed-bias", "training", function(centred=False)),
    "moving mean not moved by the bias": ("absorbed-bias", "training", function(updates="none")),
    "statistics of the first half": ("permuted-batch", "training", function(used=_halves)),
    "the first sample left out": ("permuted-batch", "training", function(used=lambda x: x[1:])),
    "position added": (
        "permuted-batch",
        "inference",
        function(finish=lambda y: y + np.arange(len(y)).reshape(-1, 1, 1, 1) * y.dtype.type(1e-3)),
    ),
    "epsilon raised to a minimum": ("scaled-input", "training", function(epsilon=lambda e: max(e, 2e-3))),
    "epsilon outside the root": ("scaled-input", "inference", function(divisor=lambda v, e: np.sqrt(v) + e)),
    "one more than gamma": ("relu-scale", "training", function(affine=lambda y, g, b: y * (1 + g) + b)),
    "beta left as it is": ("relu-scale", "inference", function(affine=lambda y, g, b: y * g + np.sign(b))),
    "epsilon outside, from the start": ("identity-start", "inference", function(divisor=lambda v, e: np.sqrt(v) + e)),
    "clipped": ("folded", "inference", function(finish=lambda y: np.minimum(y, 6))),
    "the batch's statistics": (
        "folded",
        "inference",
        lambda x, **given: function()(x, **{**given, "training": True}),
    ),
    "statistics stay": ("never-applied", "training", function(updates="none")),
    "the variance stays": ("never-applied", "training", function(updates="mean")),
    "moved without training": ("never-applied", "training", function(updates="always")),
}


@pytest.mark.parametrize("defect", WRONG)
def test_a_defect_breaks_the_relation_that_is_about_it(defect: str) -> None:
    name, mode, wrong = WRONG[defect]
    found = judged(wrong, relation(name, mode))
    assert found.verdict == "fail"
    assert found.causes
    assert any(tensor.bound_ratio > 1 for tensor in found.tensors)


def test_a_broken_relation_is_told_in_words() -> None:
    found = judged(function(centred=False), relation("absorbed-bias"))
    message = found.causes[0].message
    assert message.startswith("output[")
    assert "and that of x without the bias is" in message
    assert "times what rounding explains: the bias is not absorbed." in message


def test_a_step_that_does_not_move_a_statistic_is_told_with_its_cause() -> None:
    found = judged(function(updates="mean"), relation("never-applied"))
    assert [tensor.name for tensor in found.tensors if tensor.bound_ratio > 1] == ["moving_variance"]
    assert "as it was given: one training step does not move it." in found.causes[0].message


def test_statistics_that_move_without_training_are_told() -> None:
    found = judged(function(updates="always"), relation("never-applied"))
    assert "without training, but was given as" in found.causes[0].message


def test_what_shows_in_one_call_is_named_as_the_cause() -> None:
    found = judged(function(used=_halves), relation("permuted-batch"))
    assert "the order of the samples counts" in found.causes[0].message
    by_axis = judged(function(kept=(2,)), relation("absorbed-bias", input={"shape": [4, 3, 3, 2]}))
    assert by_axis.kinds[0] == "axis"
    assert "the bias is not absorbed. Statistics keep" in by_axis.causes[0].message


def test_a_refusal_fails() -> None:
    def refuses(x: Array, **given: Any) -> dict[str, Array]:
        raise ValueError("not for me")

    assert judged(refuses, relation("absorbed-bias")).kinds == ("refused",)


def test_another_dtype_fails_by_that() -> None:
    found = judged(lambda x, **given: function()(x.astype(np.float64), **given), relation("relu-scale"))
    assert "dtype" in found.kinds


def test_statistics_that_an_implementation_has_not_are_noted() -> None:
    def stateless(x: Array, **given: Any) -> dict[str, Array | None]:
        return {**function()(x, **given), "moving_mean": None, "moving_variance": None}

    found = judged(stateless, relation("absorbed-bias"))
    assert (found.verdict, found.notes) == ("pass", ["has no moving_mean, moving_variance"])
    assert judged(stateless, relation("never-applied")).verdict == "unsupported"


def test_nan_agrees_with_nan() -> None:
    values = {"replace": {"of": {"arange": [0, 120]}, "at": {"[0, 1, 0, 0]": float("nan")}}}
    case = relation("scaled-input", input={"values": values})
    assert judged(function(), case).verdict == "pass"


@pytest.mark.parametrize("dtype", DTYPES)
def test_x_plus_the_bias_is_exact(dtype: str) -> None:
    made = inputs.make(relation("absorbed-bias", input={"dtype": dtype}))
    assert made.related is not None
    x, biased = (np.asarray(i.batches[0], dtype=np.float64) for i in (made, made.related))
    assert np.all(np.ptp(biased - x, axis=(0, 2, 3)) == 0)
    assert np.all((biased - x)[0, :, 0, 0] != 0)


@pytest.mark.parametrize(("shape", "layout"), [([6, 3], "NF"), ([3, 4, 2], "NCL"), ([2, 2, 3, 2, 4], "NDHWC")])
def test_a_layer_of_small_integers_is_what_a_plain_loop_makes(shape: list[int], layout: str) -> None:
    axis = next(i for i, letter in enumerate(layout) if letter in "CF")
    layer = related.Layer.of(relation("folded", "inference", axis=axis, input={"shape": shape, "layout": layout}))
    made = np.moveaxis(layer.output(), axis, -1)
    for at in np.ndindex(*made.shape):
        batch, *place, channel = at
        window = layer.given[(batch, *(slice(p, p + 2) for p in place))]
        assert made[at] == np.sum(window * layer.weights[..., channel]) + layer.bias[channel]
    assert np.array_equal(layer.output(), layer.output().astype(ml_dtypes.bfloat16))


@settings(max_examples=100, deadline=None)
@given(
    where=st.sampled_from(EVERYWHERE),
    shape=st.tuples(st.integers(2, 9), st.integers(1, 5), st.integers(1, 6), st.integers(1, 4)),
    mean=st.floats(-3e3, 3e3, width=32),
    exponent=st.integers(-6, 2),
    epsilon=st.sampled_from([1e-8, 1e-5, 1e-3, 1e-1]),
    dtype=st.sampled_from(DTYPES),
)
def test_a_right_implementation_never_fails(
    where: tuple[str, str], shape: tuple[int, ...], mean: float, exponent: int, epsilon: float, dtype: str
) -> None:
    name, mode = where
    values = None if name == "folded" else {"normal": {"mean": mean, "std": 10.0**exponent}}
    case = relation(name, mode, input={"shape": list(shape), "values": values, "dtype": dtype}, epsilon=epsilon)
    assert judged(function(), case).causes == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"relation": "absorbed-bias", "mode": "inference"}, "is about training, but the mode is inference; set"),
        ({"relation": "folded"}, "is about inference, but the mode is training; set `mode: inference`"),
        ({"relation": "permuted-batch", "mode": "default"}, "set `mode: training` or `mode: inference`"),
        ({"relation": "absorbed-bias", "check": ["output", "inference"]}, "says nothing of inference; check of output"),
        ({"relation": "scaled-input", "epsilon": "default"}, "a default cannot be scaled; give `epsilon` a number"),
        ({"relation": "scaled-input", "tolerance": {"rtol": 0.1, "atol": 0.1}}, "remove `tolerance`"),
        ({"relation": "scaled-input", "expected": {"output": {"[0, 0, 0, 0]": 1.0}}}, "remove `expected`"),
        ({"relation": "scaled-input", "repeat": 2}, "remove `repeat`"),
        ({"relation": "relu-scale", "check": ["gradients"]}, "says nothing of gradients"),
        ({"relation": "relu-scale", "scale": False}, "needs a gamma; set `scale: true`"),
        ({"relation": "never-applied", "momentum": 1.0}, "give a momentum below 1"),
        ({"relation": "never-applied", "steps": 2}, "set `steps: 1`"),
        ({"relation": "permuted-batch", "axis": 0}, "along N, but the case keeps it"),
        ({"relation": "permuted-batch", "input": {"shape": [1, 3, 5, 2]}}, "give N a length of 2 or more"),
        ({"relation": "folded", "mode": "inference", "axis": [1, 2]}, "one axis that is kept"),
        ({"relation": "folded", "mode": "inference", "input": {"values": {"constant": 1}}}, "remove `input.values`"),
        (
            {"relation": "identity-start", "mode": "inference", "parameters": {"gamma": 1.0}},
            "makes gamma and beta itself; remove `parameters.gamma`",
        ),
    ],
    ids=str,
)
def test_what_a_relation_cannot_be_asked_with_is_refused_with_a_cure(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match="relation") as refused:
        make_case(**changes)
    assert words in str(refused.value)
