"""The tensors that a case makes: from the case alone, equal on every call and machine, and what its recipes say."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from valid_case import also, load_text

from bncheck.case.inputs import Inputs, make
from bncheck.case.model import Case, Dtype
from bncheck.case.random_words import Stream

SHAPE = (2, 3, 4)
X = np.arange(24.0).reshape(SHAPE)


def case(values: Any = None, **changes: Any) -> Case:
    """A case of shape (2, 3, 4) that keeps axis 1, in float64, in which nothing is rounded."""
    given = {"shape": [2, 3, 4], "layout": "NCL", "dtype": "float64", "values": values, **changes.pop("input", {})}
    return Case.model_validate({"title": "t", "input": given, "axis": 1, "mode": "training", **changes})


def first(values: Any, **changes: Any) -> np.ndarray:
    """The first batch."""
    return make(case(values, **changes)).batches[0]


def everything(inputs: Inputs) -> list[np.ndarray]:
    return [*inputs.batches, *(inputs.parameters[name] for name in sorted(inputs.parameters))]


RANDOM = {
    "absent": None,
    "normal": {"normal": {"mean": [0, 1, 2], "std": 3}},
    "uniform": {"uniform": {"low": -1, "high": 2}},
    "relu": {"relu": {"normal": {}}},
    "dropout": {"dropout": {"rate": 0.5, "of": {"constant": 1}}},
    "dropout of normal": {"dropout": {"rate": 0.5, "of": {"normal": {}}}},
}


def test_the_default_data_are_these() -> None:
    made = make(case())
    assert made.batches[0].ravel()[:6].tolist() == [
        -0.017345072479110962,
        -0.005944107209506916,
        0.1583476841386073,
        0.08038705556937203,
        -4.342397477254665,
        -3.9697640554028775,
    ]
    assert {name: values.tolist() for name, values in made.parameters.items()} == {
        "gamma": [0.95, -1.8770509831248425, 1.3041019662496849],
        "beta": [-1.49, 0.4941630560342617, -1.198326112068523],
        "moving_mean": [0.1265625, -2.3398884038765893, 0.006321545033682734],
        "moving_variance": [0.0018896484375, 1.6634441853748632, 4.451325877188593e-06],
    }


@pytest.mark.parametrize("values", RANDOM.values(), ids=RANDOM)
def test_making_twice_gives_the_same(values: Any) -> None:
    one, other = (everything(make(case(values, steps=2))) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


HALF_A_SPACING = {
    "float16": (2.0**-11, 2.0**-25),
    "bfloat16": (2.0**-8, 0),
    "float32": (2.0**-24, 0),
    "float64": (0, 0),
}
"""Relative, and for numbers that are smaller than the smallest normal one."""


@pytest.mark.parametrize("dtype", get_args(Dtype))
@pytest.mark.parametrize("values", [*RANDOM.values(), {"arange": [0, 2.4, 0.1]}], ids=[*RANDOM, "arange"])
def test_other_dtypes_hold_the_same_numbers_rounded(values: Any, dtype: str) -> None:
    relative, absolute = HALF_A_SPACING[dtype]
    wide, narrow = make(case(values)), make(case(values, input={"dtype": dtype}))
    for exact, rounded in zip(everything(wide), everything(narrow), strict=True):
        assert rounded.dtype == np.dtype(dtype)
        error = np.abs(rounded.astype(np.float64) - exact)
        assert (error <= np.maximum(relative * np.abs(exact), absolute)).all()


OTHER_KEYS = {
    "title": {"title": "another"},
    "mode": {"mode": "inference"},
    "momentum": {"momentum": 0.5},
    "center and scale": {"center": False, "scale": False},
    "steps": {"steps": 3},
    "check": {"check": ["inference"]},
    "tolerance": {"tolerance": {"rtol": 0, "atol": 1}},
    "parameters": {"parameters": {"gamma": 1}},
    "layout": {"input": {"layout": "TCN"}},
    "sign of axis": {"axis": -2},
    "axis in a list": {"axis": [1]},
}


@pytest.mark.parametrize("changes", OTHER_KEYS.values(), ids=OTHER_KEYS)
@pytest.mark.parametrize("values", RANDOM.values(), ids=RANDOM)
def test_the_first_batch_depends_on_nothing_else(values: Any, changes: dict[str, Any]) -> None:
    assert np.array_equal(first(values, **changes), first(values))


@pytest.mark.parametrize("name", ["gamma", "beta", "moving_mean", "moving_variance"])
def test_a_given_parameter_leaves_the_others_alone(name: str) -> None:
    usual, made = make(case()).parameters, make(case(parameters={name: 7})).parameters
    assert made[name].tolist() == [7, 7, 7]
    assert all(np.array_equal(made[other], usual[other]) for other in usual if other != name)


@pytest.mark.parametrize("axis", [0, 1, 2, [], [0, 2], [0, 1, 2]])
@pytest.mark.parametrize("values", [{"normal": {}}, {"uniform": {"low": 0, "high": 1}}], ids=["normal", "uniform"])
def test_draws_come_in_c_order_whatever_axis_is_kept(values: Any, axis: Any) -> None:
    """Large enough to be walked in several blocks."""
    shape = [3, 50, 1000]
    draw = Stream("x/0").normal if "normal" in values else Stream("x/0").uniform
    made = first(values, axis=axis, input={"shape": shape})
    assert np.array_equal(made, draw(150_000).reshape(shape))


def test_arange_counts_in_c_order() -> None:
    assert np.array_equal(first({"arange": [0, 24]}), X)
    assert np.array_equal(first({"arange": [24, 0, -1]}), 24 - X)
    assert np.array_equal(first({"arange": [1, 13, 0.5]}), 1 + X / 2)
    assert np.array_equal(first({"arange": [0, 2.4, 0.1]}), X * 0.1)


PER_KEPT_INDEX = {
    "one axis": (1, [10, 20, 30], lambda n, c, t: 10 * (c + 1)),
    "the last axis": (-1, [10, 20, 30, 40], lambda n, c, t: 10 * (t + 1)),
    "two axes": ([0, 2], list(range(8)), lambda n, c, t: 4 * n + t),
    "two axes in another order": ([2, 0], list(range(8)), lambda n, c, t: 4 * n + t),
    "neighbouring axes": ([1, 2], list(range(12)), lambda n, c, t: 4 * c + t),
    "all axes": ([0, 1, 2], list(range(24)), lambda n, c, t: 12 * n + 4 * c + t),
    "no axis": ([], [7], lambda n, c, t: 7 + 0 * n),
}


@pytest.mark.parametrize(("axis", "listed", "at"), PER_KEPT_INDEX.values(), ids=PER_KEPT_INDEX)
def test_a_list_has_one_entry_for_each_kept_index_in_the_order_of_the_tensor(axis: Any, listed: Any, at: Any) -> None:
    wanted = np.broadcast_to(np.fromfunction(at, SHAPE), SHAPE)
    assert np.array_equal(first({"constant": listed}, axis=axis), wanted)
    z, u = Stream("x/0").normal(24).reshape(SHAPE), Stream("x/0").uniform(24).reshape(SHAPE)
    assert np.array_equal(first({"normal": {"mean": listed, "std": 2}}, axis=axis), wanted + 2 * z)
    assert np.array_equal(first({"normal": {"mean": 1, "std": listed}}, axis=axis), 1 + wanted * z)
    assert np.array_equal(first({"uniform": {"low": 1, "high": listed}}, axis=axis), 1 + (wanted - 1) * u)
    assert np.array_equal(first({"uniform": {"low": listed, "high": 9}}, axis=axis), wanted + (9 - wanted) * u)


def test_a_constant_is_everywhere() -> None:
    assert np.array_equal(first({"constant": 2.5}), np.full(SHAPE, 2.5))


def test_normal_without_arguments_has_mean_0_and_deviation_1() -> None:
    assert np.array_equal(first({"normal": {}}), first({"normal": {"mean": 0, "std": 1}}))


def test_uniform_numbers_lie_between_low_and_high() -> None:
    x = first({"uniform": {"low": -3, "high": 5}}, input={"shape": [50, 10, 20]})
    assert -3 <= x.min() < -2.9
    assert 4.9 < x.max() < 5


def test_a_nested_list_is_the_tensor() -> None:
    assert np.array_equal(first((X * 2).tolist()), X * 2)


def test_relu_replaces_what_is_negative_by_zero() -> None:
    assert np.array_equal(first({"relu": {"arange": [-12, 12]}}), np.maximum(X - 12, 0))
    x = first({"relu": {"normal": {"mean": 1, "std": 2}}}, input={"shape": [50, 10, 20]})
    assert (x >= 0).all()
    assert 0.25 < (x == 0).mean() < 0.36, "a normal number is below -1/2 in 31 % of all cases"


@pytest.mark.parametrize("rate", [0, 0.25, 0.5, 0.9])
def test_dropout_keeps_its_share_and_the_mean(rate: float) -> None:
    x = first({"dropout": {"rate": rate, "of": {"constant": [1, 2, 3]}}}, input={"shape": [100, 3, 100]})
    wanted = np.broadcast_to(np.array([1.0, 2.0, 3.0]).reshape(1, 3, 1) / (1 - rate), x.shape)
    assert np.array_equal(x, np.where(x == 0, 0, wanted))
    assert (x == 0).mean() == pytest.approx(rate, abs=0.02)


def test_dropout_is_not_tied_to_the_values_it_drops() -> None:
    """If both came of the same random words, dropout would remove the smallest values."""
    shape = {"shape": [100, 3, 100]}
    x = first({"dropout": {"rate": 0.5, "of": {"uniform": {"low": 1, "high": 2}}}}, input=shape)
    assert x[x != 0].mean() == pytest.approx(3.0, abs=0.02)


def test_single_values_are_replaced_in_every_batch() -> None:
    at = {"[0, 0, 0]": -1.5, "[1, 2, 3]": float("nan"), "[0,1,2]": float("-inf")}
    wanted = X.copy()
    wanted[0, 0, 0], wanted[1, 2, 3], wanted[0, 1, 2] = -1.5, np.nan, -np.inf
    for batch in make(case({"replace": {"of": {"arange": [0, 24]}, "at": at}}, steps=2)).batches:
        assert np.array_equal(batch, wanted, equal_nan=True)


def test_values_are_replaced_in_whatever_block_they_lie() -> None:
    shape, place = {"shape": [300, 3, 400]}, (299, 1, 399)
    replaced = first({"replace": {"of": {"constant": [1, 2, 3]}, "at": {str(list(place)): 9}}}, input=shape)
    assert replaced[place] == 9
    assert np.count_nonzero(replaced == 9) == 1


def test_a_value_that_is_not_finite_is_one_in_every_dtype() -> None:
    for dtype in get_args(Dtype):
        values = {"replace": {"of": {"constant": 1}, "at": {"[0, 1, 0]": float("inf"), "[0, 1, 1]": float("nan")}}}
        x = first(values, input={"dtype": dtype}).astype(np.float64)
        assert x[0, 1, 0] == np.inf
        assert np.isnan(x[0, 1, 1])
        assert np.isfinite(x).sum() == x.size - 2


def test_a_variance_may_be_negative() -> None:
    """As a converter leaves one that subtracts epsilon from it, because the other side adds it again."""
    given = {"moving_variance": [-9.99e-6, 0.0, 1.0]}
    assert make(case(parameters=given)).parameters["moving_variance"].tolist() == given["moving_variance"]


def test_recipes_nest() -> None:
    inner = {"relu": {"arange": [-12, 12]}}
    x = first({"dropout": {"rate": 0.5, "of": inner}})
    assert set((x / (2 * np.maximum(X - 12, 1))).ravel()) == {0, 1}


@pytest.mark.parametrize("values", RANDOM.values(), ids=RANDOM)
def test_every_step_has_a_fresh_batch(values: Any) -> None:
    batches = make(case(values, steps=4, check=["inference"])).batches
    assert len(batches) == 5
    assert len({b.tobytes() for b in batches}) == 5


@pytest.mark.parametrize(
    "values", [{"arange": [0, 24]}, {"constant": [1, 2, 3]}, X.tolist()], ids=["arange", "constant", "list"]
)
def test_values_for_one_batch_serve_every_step(values: Any) -> None:
    one, two, three = make(case(values, steps=3)).batches
    assert np.array_equal(one, two)
    assert np.array_equal(two, three)


ALL_BATCHES = np.arange(72.0).reshape(3, *SHAPE)


@pytest.mark.parametrize(
    "values",
    [{"arange": [0, 72]}, ALL_BATCHES.tolist(), {"relu": {"arange": [0, 72]}}],
    ids=["arange", "list", "list within"],
)
@pytest.mark.parametrize(("steps", "check"), [(3, ["output"]), (2, ["inference"])], ids=["steps", "and inference"])
def test_values_for_all_batches_are_dealt_out_in_order(values: Any, steps: int, check: list[str]) -> None:
    assert np.array_equal(np.stack(make(case(values, steps=steps, check=check)).batches), ALL_BATCHES)


@pytest.mark.parametrize(
    "array",
    [X, X.astype(">f4"), X.astype("i8"), np.asfortranarray(X), ALL_BATCHES, np.asfortranarray(ALL_BATCHES)],
    ids=["float64", "big-endian", "int64", "Fortran order", "all batches", "all batches in Fortran order"],
)
def test_a_file_is_the_tensor_or_all_of_them(tmp_path: Path, array: np.ndarray) -> None:
    np.save(tmp_path / "x.npy", array)
    (loaded,) = load_text(tmp_path, also("steps: 3").replace("NCL", "NCL, values: {file: x.npy}"))
    wanted = array if array.ndim == 4 else np.stack([array] * 3)
    assert np.array_equal(np.stack(make(loaded.case, tmp_path).batches), wanted)


@pytest.mark.parametrize(("dtype", "digits"), [("float16", 10), ("bfloat16", 7), ("float32", 23)])
def test_values_are_rounded_to_nearest_with_ties_to_even(dtype: str, digits: int) -> None:
    """Rounded once: just above a tie goes up, even where float32 on the way would make it a tie."""
    unit = 2.0**-digits
    rounded = {
        1 + unit / 2: 1,
        1 + 3 * unit / 2: 1 + 2 * unit,
        1 + 3 * unit / 4: 1 + unit,
        -1 - unit / 4: -1,
        1 + unit / 2 + 2.0**-50: 1 + unit,
    }
    x = first(list(rounded), axis=[], input={"shape": [len(rounded)], "layout": "C", "dtype": dtype})
    assert x.astype(float).tolist() == list(rounded.values())


def test_what_a_dtype_cannot_hold_becomes_infinite_or_zero() -> None:
    x = first([[[1e5, -1e5, 1e-9, 65504]]], input={"shape": [1, 1, 4], "dtype": "float16"})
    assert x.tolist() == [[[np.inf, -np.inf, 0, 65504]]]


@pytest.mark.parametrize("dtype", get_args(Dtype))
def test_parameters_have_the_dtype_and_the_shape_of_the_statistics(dtype: str) -> None:
    for axis, shape in {1: (3,), -1: (4,)}.items():
        for values in make(case(axis=axis, input={"dtype": dtype})).parameters.values():
            assert (values.shape, values.dtype) == (shape, np.dtype(dtype))
    for axes, shape in {(2, 0): (2, 4), (): (), (0, 1, 2): SHAPE}.items():
        for values in make(case(axis=list(axes), input={"dtype": dtype})).parameters.values():
            assert values.shape == shape


def test_parameters_may_be_a_number_a_flat_list_or_nested_as_the_statistics() -> None:
    flat = list(range(12))
    nested = np.arange(12).reshape(3, 4).tolist()
    made = make(
        case(axis=[2, 1], parameters={"gamma": 2, "beta": flat, "moving_mean": nested, "moving_variance": [3] * 12})
    )
    assert made.parameters["gamma"].tolist() == np.full((3, 4), 2.0).tolist()
    assert made.parameters["beta"].tolist() == made.parameters["moving_mean"].tolist() == nested
    assert made.parameters["moving_variance"].tolist() == np.full((3, 4), 3.0).tolist()


def test_a_parameter_of_no_axis_may_be_a_list_of_one() -> None:
    made = make(case(axis=[], parameters={"gamma": 2, "beta": [3]}))
    assert (made.parameters["gamma"].tolist(), made.parameters["beta"].tolist()) == (2, 3)


def test_the_reference_reads_the_parameters_as_the_dtype_holds_them() -> None:
    made = make(case(axis=[1, 2], input={"dtype": "bfloat16"}, parameters={"beta": 0.1}))
    for name, values in made.parameters.items():
        exact = getattr(made.exact, name)
        assert exact.hi.tolist() == values.astype(float).ravel().tolist()
        assert not exact.lo.any()
    assert made.exact.beta.hi[0] == float(ml_dtypes.bfloat16(0.1)) != 0.1


def test_arrays_are_made_where_the_caller_wants_them() -> None:
    places: dict[str, np.ndarray] = {}

    def allocate(name: str, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        places[name] = np.zeros(shape, dtype)
        return places[name]

    made = make(case(steps=2), allocate=allocate)
    assert list(places) == ["x0", "x1", "gamma", "beta", "moving_mean", "moving_variance"]
    assert made.batches[1] is places["x1"]
    assert made.parameters["beta"] is places["beta"]
    assert np.array_equal(places["x1"], make(case(steps=2)).batches[1])


@pytest.mark.parametrize("shape", [[0, 3, 4], [2, 0, 4], [2, 3, 0]])
@pytest.mark.parametrize("values", [*RANDOM.values(), {"arange": [0, 0]}], ids=[*RANDOM, "arange"])
def test_empty_tensors_can_be_made(shape: list[int], values: Any) -> None:
    if values == RANDOM["normal"]:
        values = {"normal": {"mean": 1}}
    assert first(values, input={"shape": shape}).shape == tuple(shape)


shapes = st.lists(st.integers(1, 4), min_size=1, max_size=5)


@settings(max_examples=100, deadline=None)
@given(st.data(), shapes, st.sampled_from(get_args(Dtype)), st.sampled_from(sorted(RANDOM)), st.integers(1, 3))
def test_tensors_have_the_shape_and_dtype_of_the_case(
    data: st.DataObject, shape: list[int], dtype: str, recipe: str, steps: int
) -> None:
    axes = data.draw(st.lists(st.integers(0, len(shape) - 1), unique=True))
    values = {"normal": {"mean": 1}} if recipe == "normal" else RANDOM[recipe]
    layout = "NCDHWLTF"[: len(shape)]
    made = make(case(values, axis=axes, steps=steps, input={"shape": shape, "layout": layout, "dtype": dtype}))
    assert len(made.batches) == steps
    for batch in made.batches:
        assert (batch.shape, batch.dtype) == (tuple(shape), np.dtype(dtype))
        assert np.isfinite(batch.astype(float)).all()
