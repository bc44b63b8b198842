"""The gradients of the reference are the derivatives of its own output, and their bound is that of honest code."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import mpmath
import numpy as np
import pytest
from conftest import make_case
from hypothesis import given, settings
from hypothesis import strategies as st

from bncheck.bounds import Bounds
from bncheck.case import inputs
from bncheck.case.inputs import Inputs
from bncheck.case.model import Case
from bncheck.channels import Channels
from bncheck.documented.reading import Reading
from bncheck.gradient_bounds import GradientBounds, gradient_bounds
from bncheck.gradients import Gradients, gradients
from bncheck.judge import compare
from bncheck.judge.question import Due, Question
from bncheck.judge.references import References
from bncheck.semantics import Semantics

REPEATABLE = settings(deadline=None, max_examples=40, derandomize=True)
MODES = ("training", "inference")


def small(dtype: str = "float32", mode: str = "training", **changes: Any) -> Case:
    shape = {"shape": [3, 2, 2, 2], "layout": "NCHW", "dtype": dtype}
    return make_case(input=shape, mode=mode, check=["output", "gradients"], **changes)


def graded(case: Case, made: Inputs, semantics: Semantics) -> tuple[Gradients, GradientBounds]:
    reference = References(made, case.steps)(semantics)
    assert made.upstream is not None
    found = gradients(reference, made.batches[case.steps - 1], made.upstream)
    return found, gradient_bounds(found, reference, Bounds(reference, case.input.dtype, case.input.dtype))


def due_of(case: Case, made: Inputs, **changes: Any) -> Due:
    question = Question(case, made, Reading(axis=1, parameters_dtype=case.input.dtype), References(made, case.steps))
    return Due.of(question, replace(case.requested, **changes))


# The derivative, from nothing but the definition of the output, in 50 digits


def slopes(case: Case, made: Inputs, semantics: Semantics) -> dict[str, list[mpmath.mpf]]:
    """The derivatives of sum(upstream*output) by every x, gamma and beta, as differences."""
    shape = case.channels.shape
    places = list(itertools.product(*map(range, shape)))

    def exact(tensor: np.ndarray) -> list[mpmath.mpf]:
        return [mpmath.mpf(float(v)) for v in tensor.reshape(-1)]

    assert made.upstream is not None
    d = exact(made.upstream)
    given = {name: exact(tensor) for name, tensor in made.parameters.items()}
    along = semantics.along or semantics.kept

    def loss(x: list[mpmath.mpf], gamma: list[mpmath.mpf], beta: list[mpmath.mpf]) -> mpmath.mpf:
        total = mpmath.mpf(0)
        cells: dict[tuple[int, ...], list[int]] = {}
        for number, place in enumerate(places):
            cells.setdefault(tuple(place[a] for a in semantics.kept), []).append(number)
        for members in cells.values():
            mean = mpmath.fsum(x[i] for i in members) / len(members)
            variance = mpmath.fsum((x[i] - mean) ** 2 for i in members) / len(members)
            if semantics.batch_variance == "unbiased":
                variance *= mpmath.mpf(len(members)) / (len(members) - 1)
            for i in members:
                of = Channels(shape, along)
                c = int(np.ravel_multi_index([places[i][a] for a in along], of.statistic_shape)) if along else 0
                m, v = mean, variance
                if semantics.mode == "inference":
                    m, v = given["moving_mean"][c], given["moving_variance"][c]
                e = mpmath.mpf(semantics.epsilon)
                by = mpmath.sqrt(v) + e if semantics.placement == "outside" else mpmath.sqrt(v + e)
                total += d[i] * ((x[i] - m) / by * gamma[c] + beta[c])
        return total

    point = [exact(made.batches[0]), given["gamma"], given["beta"]]

    def slope(which: int, at: int) -> mpmath.mpf:
        step = mpmath.mpf(10) ** -25
        sides = []
        for sign in (1, -1):
            moved = [list(part) for part in point]
            moved[which][at] += sign * step
            sides.append(loss(*moved))
        return (sides[0] - sides[1]) / (2 * step)

    names = ("gradient_x", "gradient_gamma", "gradient_beta")
    return {name: [slope(which, at) for at in range(len(point[which]))] for which, name in enumerate(names)}


READINGS: dict[str, dict[str, Any]] = {
    "as requested": {},
    "an unbiased variance": {"batch_variance": "unbiased"},
    "epsilon outside the root": {"placement": "outside"},
    "statistics of each sample and channel": {"kept": (0, 1), "along": (1,)},
    "statistics of each sample": {"kept": (0,), "along": (1,)},
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("mode", "reading"), [("inference", "as requested"), *(("training", reading) for reading in READINGS)]
)
def test_gradients_are_the_derivatives_of_the_output_to_a_sixteenth_of_the_bound(
    dtype: str, mode: str, reading: str
) -> None:
    case = small(dtype, mode)
    made = inputs.make(case)
    semantics = replace(case.requested, **READINGS[reading])
    found, bound = graded(case, made, semantics)
    assert made.upstream is not None
    with mpmath.workdps(60):
        wanted = slopes(case, made, semantics)
        x, d = made.batches[0], made.upstream
        expected = compare.of_gradients(found, bound, x, d, found.along.statistic_shape, None)
        for name, values in wanted.items():
            of = expected[name]
            for index in of.channels.blocks():
                value, rest, allowed = of.at(index)
                rest = np.zeros(value.shape) if rest is None else np.broadcast_to(rest, value.shape)
                exact = np.array(values, dtype=object).reshape(of.channels.walked)[index].reshape(-1)
                for one, more, limit, right in zip(
                    value.reshape(-1), rest.reshape(-1), allowed.reshape(-1), exact, strict=True
                ):
                    off = abs(mpmath.mpf(float(one)) + mpmath.mpf(float(more)) - right)
                    assert off <= limit / 16, (name, float(off), limit)


@REPEATABLE
@given(st.integers(0, 10_000), st.floats(0.01, 100))
def test_in_training_a_gradient_neither_shifts_nor_scales_x(seed: int, offset: float) -> None:
    """The output does not change if x is shifted or, with no epsilon, scaled: nor does the loss."""
    rng = np.random.default_rng(seed)
    case = small("float64", epsilon=0.0)
    made = inputs.make(case)
    x = offset + rng.standard_normal(case.channels.shape)
    made = replace(made, batches=(x,), upstream=rng.standard_normal(x.shape))
    found, bound = graded(case, made, case.requested)
    assert made.upstream is not None
    of_x = found.of_x(x, made.upstream)
    assert np.all(np.abs(of_x.sum(axis=(0, 2, 3))) <= bound.floor * found.cells.values + 1e-12)
    assert np.allclose((of_x * x).sum(axis=(0, 2, 3)), 0, atol=1e-10 * offset + 1e-10)


def test_a_constant_from_above_has_no_gradient_in_training() -> None:
    case = small("float64")
    made = replace(inputs.make(case), upstream=np.ones(case.channels.shape))
    found, _ = graded(case, made, case.requested)
    assert made.upstream is not None
    assert np.abs(found.of_x(made.batches[0], made.upstream)).max() < 1e-12


# The bound: of honest code, and of wrong


def in_closed_form(x: np.ndarray, d: np.ndarray, p: dict[str, np.ndarray], case: Case) -> dict[str, np.ndarray]:
    """As a careful kernel has it, in the arithmetic of x."""
    mean, inverse = statistics(x, p, case)
    total, of_gamma = d.sum(axis=0), (d * ((x - mean) * inverse)).sum(axis=0)
    of_x = d * (p["gamma"] * inverse)
    if case.mode == "training":
        count = x.dtype.type(len(x))
        of_x = p["gamma"] * inverse * (d - total / count - (x - mean) * inverse * (of_gamma / count))
    return {"gradient_x": of_x, "gradient_gamma": of_gamma, "gradient_beta": total}


def as_differentiated(x: np.ndarray, d: np.ndarray, p: dict[str, np.ndarray], case: Case) -> dict[str, np.ndarray]:
    """As automatic differentiation of x*scale + (beta - mean*scale) has it, one value added after the other."""
    mean, inverse = statistics(x, p, case)
    total = np.cumsum(d, axis=0, dtype=x.dtype)[-1]
    of_scale = np.cumsum(d * x, axis=0, dtype=x.dtype)[-1] - mean * total
    of_gamma = of_scale * inverse
    of_x = d * (p["gamma"] * inverse)
    if case.mode == "training":
        count = x.dtype.type(len(x))
        of_variance = of_scale * p["gamma"] * (inverse * inverse * inverse) / -2
        of_mean = -total * (p["gamma"] * inverse) - of_variance * 2 * (x - mean).mean(axis=0)
        of_x = of_x + of_variance * 2 * (x - mean) / count + of_mean / count
    return {"gradient_x": of_x, "gradient_gamma": of_gamma, "gradient_beta": total}


def statistics(x: np.ndarray, p: dict[str, np.ndarray], case: Case) -> tuple[np.ndarray, np.ndarray]:
    mean, variance = p["moving_mean"], p["moving_variance"]
    if case.mode == "training":
        mean = np.cumsum(x, axis=0, dtype=x.dtype)[-1] / x.dtype.type(len(x))
        variance = np.square(x - mean).mean(axis=0)
    return mean, 1 / np.sqrt(variance + x.dtype.type(case.requested.epsilon))


@REPEATABLE
@given(
    st.sampled_from([in_closed_form, as_differentiated]),
    st.sampled_from(MODES),
    st.sampled_from(["float32", "float64"]),
    st.integers(2, 3000),
    st.floats(-2, 4),
    st.floats(-4, 4),
    st.integers(0, 10_000),
)
def test_honest_gradients_are_within_the_bound(
    honest: Any, mode: str, dtype: str, rows: int, offset: float, scale: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    case = make_case(
        input={"shape": [rows, 3], "layout": "NC", "dtype": dtype}, mode=mode, check=["gradients"], epsilon=1e-5
    )
    made = inputs.make(case)
    size = 10.0**scale
    x = (size * (10.0**offset + rng.standard_normal((rows, 3)))).astype(dtype)
    d = (rng.standard_normal((rows, 3)) + rng.uniform(-3, 3, 3)).astype(dtype)
    parameters = {
        **made.parameters,
        "moving_mean": x.mean(axis=0, dtype=float).astype(dtype),
        "moving_variance": np.square(size * np.array([1.0, 0.5, 2.0])).astype(dtype),
    }
    made = replace(made, batches=(x,), upstream=d, parameters=parameters)
    due = due_of(case, made)
    for name, tensor in honest(x, d, parameters, case).items():
        found = compare.compare(tensor.astype(dtype), due.tensors[name])
        assert found.within, (name, found)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_sixteen_bits_may_round_each_gradient_once(dtype: str, mode: str) -> None:
    case = make_case(input={"dtype": dtype}, mode=mode, check=["gradients"])
    made = inputs.make(case)
    due = due_of(case, made)
    for name in case.checked:
        of = due.tensors[name]
        exact = np.empty(of.channels.walked)
        for index in of.channels.blocks():
            exact[index] = of.at(index)[0]
        rounded = exact.astype(dtype)
        assert compare.compare(rounded, of).within
        spacing = np.abs(np.spacing(rounded).astype(float))
        assert not compare.compare((rounded.astype(float) + 2 * spacing).astype(dtype), of).within


def test_sums_in_16_bits_are_judged_only_where_that_is_documented() -> None:
    case = make_case(input={"dtype": "float16"}, check=["gradients"])
    made = inputs.make(case)
    wide, narrow, sums = (due_of(case, made, precision=p).gradients for p in ("wide", "narrow", "narrow sums"))
    assert wide is not None
    assert narrow is not None
    assert sums is not None
    for tensor in ("gamma", "beta", "of_product"):
        assert np.all(getattr(wide, tensor) <= getattr(narrow, tensor))
        assert np.all(getattr(narrow, tensor) <= getattr(sums, tensor))


def test_a_hopeless_sum_is_noted_as_weakly_judged() -> None:
    case = make_case(
        input={"shape": [60_000, 1], "layout": "NC", "values": {"normal": {"mean": 3e3, "std": 1.0}}},
        check=["output", "gradients"],
    )
    assert due_of(case, inputs.make(case)).weak(["gradient_x"])
    small_case = make_case(check=["gradients"])
    assert not due_of(small_case, inputs.make(small_case)).weak(["gradient_x"])


# A negative variance, which moving statistics may hold


@pytest.mark.parametrize("variance", [-0.9e-3, -0.999e-3])
def test_a_negative_variance_cancels_with_epsilon_and_widens_the_bound_by_that(variance: float) -> None:
    case = make_case(mode="inference", parameters={"moving_variance": variance}, check=["output", "gradients"])
    made = inputs.make(case)
    due = due_of(case, made)
    held = made.parameters["moving_variance"].reshape(1, 3, 1, 1)
    mean, gamma, beta = (made.parameters[n].reshape(1, 3, 1, 1) for n in ("moving_mean", "gamma", "beta"))
    assert made.upstream is not None
    scale = gamma / np.sqrt(held + np.float32(1e-3))
    output = (made.batches[0] - mean) * scale + beta
    assert compare.compare(output.astype(np.float32), due.tensors["output"]).within
    assert compare.compare((made.upstream * scale).astype(np.float32), due.tensors["gradient_x"]).within
    assert not compare.compare((1.001 * output).astype(np.float32), due.tensors["output"]).within


def test_below_minus_epsilon_nan_is_due() -> None:
    case = make_case(mode="inference", parameters={"moving_variance": [-1.0, 1.0, 1.0]})
    due = due_of(case, inputs.make(case))
    right = np.full(case.channels.shape, np.nan, np.float32)
    others = due.reference.output.output(inputs.make(case).batches[0])
    right[:, 1:] = others[:, 1:]
    assert compare.compare(right, due.tensors["output"]).within
    clamped = np.where(np.isnan(right), np.float32(0), right)
    assert not compare.compare(clamped, due.tensors["output"]).within
