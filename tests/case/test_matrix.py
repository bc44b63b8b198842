"""One file, many cases: what a matrix expands to, what its cells are called, and what it may not vary."""

from __future__ import annotations

from pathlib import Path

import pytest
from valid_case import VALID, also, instead, load_text, places, problems_of

from bncheck.case.load import LoadedCase
from bncheck.case.model import Constant


def names(cases: list[LoadedCase]) -> list[str]:
    """What follows the file's name in the ids."""
    return [c.id.removeprefix("a") for c in cases]


EXPANDED = {
    "{input.dtype: [float32, float64]}": ["[input.dtype=float32]", "[input.dtype=float64]"],
    "{input.dtype: [float16], axis: [-1]}": ["[input.dtype=float16,axis=-1]"],
    "{axis: [-1], input.dtype: [float16]}": ["[axis=-1,input.dtype=float16]"],
    "{axis: [1, [0, 2], []]}": ["[axis=1]", "[axis=[0,2]]", "[axis=[]]"],
    "{epsilon: [1e-3, 0, default]}": ["[epsilon=0.001]", "[epsilon=0]", "[epsilon=default]"],
    "{center: [true, false]}": ["[center=true]", "[center=false]"],
    "{tolerance: [null, {rtol: 0, atol: 1}]}": ["[tolerance=null]", '[tolerance={"rtol":0,"atol":1}]'],
    "{input.values: [{constant: 1}]}": ['[input.values={"constant":1}]'],
    "{parameters.gamma: [1, [1, 2, 3]]}": ["[parameters.gamma=1]", "[parameters.gamma=[1,2,3]]"],
}


@pytest.mark.parametrize(("matrix", "expected"), EXPANDED.items(), ids=EXPANDED)
def test_cells_are_named_by_the_keys_and_values_in_the_order_of_the_file(
    tmp_path: Path, matrix: str, expected: list[str]
) -> None:
    assert names(load_text(tmp_path, also(f"matrix: {matrix}"))) == sorted(expected)


def test_every_value_meets_every_other(tmp_path: Path) -> None:
    cases = load_text(tmp_path, also("matrix: {axis: [0, 1], epsilon: [0, 1, 2], steps: [1, 2]}"))
    met = {(c.case.axis, c.case.epsilon, c.case.steps) for c in cases}
    assert met == {(a, e, s) for a in (0, 1) for e in (0, 1, 2) for s in (1, 2)}
    assert len(cases) == len({c.id for c in cases}) == 12


def test_a_cell_is_the_case_with_its_values_put_in(tmp_path: Path) -> None:
    text = also("parameters: {gamma: 2, beta: 3}\nmatrix: {parameters.gamma: [5], input.values: [{constant: 1}]}")
    (cell,) = load_text(tmp_path, text)
    assert (cell.case.parameters.gamma, cell.case.parameters.beta) == (5, 3)
    assert cell.case.input.values == Constant(constant=1)
    assert cell.case.input.shape == [2, 3, 4]
    assert cell.case.matrix is None
    assert cell.spec == {
        "title": "t",
        "input": {"shape": [2, 3, 4], "layout": "NCL", "values": {"constant": 1}},
        "axis": 1,
        "mode": "training",
        "parameters": {"gamma": 5, "beta": 3},
    }


def test_a_key_that_always_varies_need_not_be_written_outside_the_matrix(tmp_path: Path) -> None:
    text = instead(
        "axis: 1\n", "", instead(", layout: NCL", "", also("matrix: {axis: [1, 2], input.layout: [NCL, NLC]}"))
    )
    cases = load_text(tmp_path, text)
    assert {(c.case.axis, c.case.input.layout) for c in cases} == {(a, x) for a in (1, 2) for x in ("NCL", "NLC")}


def test_a_whole_mapping_can_vary(tmp_path: Path) -> None:
    text = also("matrix: {input: [{shape: [2, 3], layout: NF}, {shape: [2, 3, 4, 5], layout: NCHW}]}")
    assert sorted(len(c.case.input.shape) for c in load_text(tmp_path, text)) == [2, 4]


@pytest.mark.parametrize("key", ["input.dtype: [float32, float64]", "tolerance: [null]", "adapt: [true, false]"])
def test_what_published_numbers_do_not_depend_on_may_vary_beside_them(tmp_path: Path, key: str) -> None:
    text = also(f"expected: {{moving_mean: {{'[0]': 1}}}}\nmatrix: {{{key}}}")
    assert load_text(tmp_path, text)


BESIDE_EXPECTED = instead("axis: 1\n", "axis: 1\nexpected: {moving_mean: {'[0]': 1}}\n")
"""Has five lines."""

REFUSED = {
    "empty": (also("matrix: {}"), "5:9", "write for example `matrix: {input.dtype: [float32, float64]}`"),
    "nothing at all": (also("matrix:"), "5:1", "write for example `matrix: {input.dtype: [float32, float64]}`"),
    "list": (also("matrix: []"), "5:9", "write for example `matrix:"),
    "text": (also("matrix: axis"), "5:9", "write for example `matrix:"),
    "empty list of values": (also("matrix: {axis: []}"), "5:16", "`axis` should be a list of values, and at least one"),
    "value without a list": (
        also("matrix: {axis: 1}"),
        "5:16",
        "`axis` should be a list of values, and at least one; not 1",
    ),
    "misspelt key": (also("matrix: {axes: [1, 2]}"), "5:10", "`axes` cannot vary in a matrix; did you mean `axis`?"),
    "strange key": (
        also("matrix: {colour: [1, 2]}"),
        "5:10",
        "`colour` cannot vary in a matrix; a matrix varies input, axis",
    ),
    "key that explains": (also("matrix: {title: [a, b]}"), "5:10", "`title` cannot vary in a matrix"),
    "matrix in a matrix": (also("matrix: {matrix.axis: [1]}"), "5:10", "`matrix.axis` cannot vary in a matrix"),
    "expected": (also("matrix: {expected.output: [[1]]}"), "5:10", "`expected.output` cannot vary in a matrix"),
    "misspelt inner key": (also("matrix: {input.dtyp: [float32, float64]}"), "5:10", "did you mean `dtype`?"),
    "key inside a number": (also("matrix: {axis.first: [1, 2]}"), "5:10", "`axis.first`"),
    "key that ends in a dot": (also("matrix: {axis.: [1, 2]}"), "5:10", "`axis.`"),
    "key with two dots": (also("matrix: {input..dtype: [float32]}"), "5:10", "input..dtype"),
    "key inside another": (
        also("matrix: {input: [{shape: [2, 3, 4], layout: NCL}], input.dtype: [float32]}"),
        "5:52",
        "`input.dtype` lies inside `input`, which varies too; vary one of them",
    ),
    "key given twice": (also("matrix: {axis: [1], axis: [2]}"), "5:21", "`axis` is already given on line 5"),
    "value that is refused": (
        also("matrix: {axis: [1, 2, 7]}"),
        "5:23",
        "axis 7 is out of range for rank 3; use -3 to 2",
    ),
    "inner value that is refused": (
        also("matrix: {parameters.gamma: [1, [1, true, 3]]}"),
        "5:36",
        "should be a finite number, not true",
    ),
    "value of another type": (
        also("matrix: {epsilon: [0, true]}"),
        "5:23",
        "should be a number or `default`, not true",
    ),
    "tagged value": (also("matrix: {epsilon: [0, !foo 1]}"), "5:23", "YAML tags are not allowed"),
    "unknown key in a value": (
        also("matrix: {input: [{shape: [2, 3, 4], layout: NCL, dtyp: float32}]}"),
        "5:50",
        "unknown key `dtyp`; did you mean `dtype`?",
    ),
    "missing key in a value": (also("matrix: {input: [{shape: [2, 3, 4]}]}"), "5:18", "`layout` is missing"),
    "value that does not fit the rest": (
        also("matrix: {input.layout: [NCL, NCHW]}"),
        "5:30",
        "layout 'NCHW' names 4 axes, but shape [2, 3, 4] has 3",
    ),
    "value given twice": (also("matrix: {axis: [1, 2, 1]}"), "5:23", "remove the repeated value"),
    "value given twice in other words": (also("matrix: {epsilon: [1e-3, 0.001]}"), "5:26", "remove the repeated value"),
    "too many cells": (
        also(f"matrix: {{epsilon: {list(range(101))}, momentum: {[i / 100 for i in range(100)]}}}"),
        "5:10",
        "the matrix has 10,100 cells; at most 10,000 are taken",
    ),
    "what expected depends on": (
        f"{BESIDE_EXPECTED}matrix: {{epsilon: [0, 1]}}\n",
        "6:10",
        "`expected` depends on `epsilon`, which varies here; write one case for each value",
    ),
    "the shape that expected depends on": (
        f"{BESIDE_EXPECTED}matrix: {{input.shape: [[2, 3, 4], [3, 3, 4]]}}\n",
        "6:10",
        "`expected` depends on `input.shape`",
    ),
    "the whole input beside expected": (
        f"{BESIDE_EXPECTED}matrix: {{input: [{{shape: [2, 3, 4], layout: NCL}}]}}\n",
        "6:10",
        "`expected` depends on `input`",
    ),
}


@pytest.mark.parametrize(("text", "place", "piece"), REFUSED.values(), ids=REFUSED)
def test_is_refused_at_its_place_and_nowhere_else(tmp_path: Path, text: str, place: str, piece: str) -> None:
    found = problems_of(tmp_path, text)
    assert places(found) == place, [p.message for p in found]
    assert piece in found[0].message


def test_an_error_outside_the_matrix_is_reported_once_and_not_for_each_cell(tmp_path: Path) -> None:
    text = also("steps: 0\nmatrix: {input.dtype: [float16, float32], epsilon: [0, 1, 2]}")
    assert places(problems_of(tmp_path, text)) == "5:8"


def test_errors_outside_and_inside_the_matrix_are_reported_together(tmp_path: Path) -> None:
    text = also("steps: 0\nmatrix: {axis: [7, 1, 8], epsilon: [0, -1]}")
    assert places(problems_of(tmp_path, text)) == "5:8 6:17 6:23 6:40"


@pytest.mark.parametrize("matrix", ["{axis: 1}", "{axes: [1]}", "{}"])
def test_a_bad_matrix_hides_no_error_elsewhere(tmp_path: Path, matrix: str) -> None:
    found = problems_of(tmp_path, also(f"matrix: {matrix}\nepsilon: -1"))
    assert {p.line for p in found} == {5, 6}


def test_a_file_without_a_matrix_is_one_case_without_a_cell(tmp_path: Path) -> None:
    (case,) = load_text(tmp_path, VALID)
    assert case.id == "a"
