"""Masks, frozen layers and parameters of a dtype of their own, as a case file says them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import make_case
from valid_case import also, instead, load_text, places, problems_of

from bncheck.case import inputs

HALF = instead("NCL", "NCL, dtype: float16")


def test_parameters_of_a_16_bit_x_may_be_float32(tmp_path: Path) -> None:
    (loaded,) = load_text(tmp_path, f"{HALF}parameters: {{dtype: float32, gamma: 0.1}}\n")
    made = inputs.make(loaded.case)
    assert loaded.case.parameters_dtype == "float32"
    assert made.batches[0].dtype == np.float16
    assert {p.dtype for p in made.parameters.values()} == {np.dtype(np.float32)}
    assert made.parameters["gamma"][0] == np.float32(0.1)  # and not what float16 has of it


def test_parameters_have_the_dtype_of_x_where_nothing_is_said() -> None:
    case = make_case(input={"dtype": "bfloat16"})
    assert case.parameters_dtype == "bfloat16"
    assert inputs.make(case).parameters["beta"].dtype.name == "bfloat16"


@pytest.mark.parametrize(
    ("x", "held", "cure"),
    [
        ("float32", "float64", "leave it out"),
        ("float64", "float32", "leave it out"),
        ("float16", "bfloat16", "take float16 or float32"),
        ("float16", "float64", "take float16 or float32"),
    ],
)
def test_other_mixtures_are_refused_with_a_cure(tmp_path: Path, x: str, held: str, cure: str) -> None:
    text = instead("NCL", f"NCL, dtype: {x}")
    (problem,) = problems_of(tmp_path, f"{text}parameters: {{dtype: {held}}}\n")
    assert places([problem]) == "5:21"
    assert problem.message.endswith(cure)


def test_a_frozen_layer_infers_whatever_the_mode_and_its_statistics_are_checked() -> None:
    case = make_case(trainable=False)
    assert (case.requested.mode, case.requested.updates) == ("inference", "none")
    assert case.checked == ("output", "moving_mean", "moving_variance")


@pytest.mark.parametrize("mask", ["[[1, 0, 1, 1], [1, 1, 0, 0]]", "[true, false, true, true, true, true, false, 0]"])
def test_a_mask_has_the_shape_of_x_without_the_kept_axes_or_is_flat(tmp_path: Path, mask: str) -> None:
    (loaded,) = load_text(tmp_path, also(f"mask: {mask}"))
    made = inputs.make(loaded.case)
    assert made.mask is not None
    assert made.mask.positions.dtype == bool
    assert made.mask.positions.astype(int).tolist() == [[1, 0, 1, 1], [1, 1, 0, 0]]
    assert loaded.case.requested.mask == "left out"


@pytest.mark.parametrize(
    ("line", "place", "said"),
    [
        ("mask: [[1, 0], [1, 1]]", "5:7", "it should be [2, 4], x's shape without the axes that are kept, or 8"),
        ("mask: [[1, 0, 1, 2], [1, 1, 1, 1]]", "5:18", "true or false, 1 or 0, not 2"),
        ("mask: [[1, 0, 0.5, 1], [1, 1, 1, 1]]", "5:15", "true or false, 1 or 0, not 0.5"),
        ("mask: [[1, 0], [1]]", "5:7", "make it rectangular"),
        ("{check: [gradients], mask: [1, 1, 1, 1, 1, 1, 1, 0]}", None, "leave one of them out"),
        ("{trainable: false, mask: [1, 1, 1, 1, 1, 1, 1, 0]}", None, "only training takes statistics of a batch"),
    ],
)
def test_a_mask_that_cannot_be_meant_is_refused(tmp_path: Path, line: str, place: str | None, said: str) -> None:
    text = also(line) if place else also(line.strip("{}").replace(", mask", "\nmask"))
    (problem,) = problems_of(tmp_path, text)
    assert place is None or places([problem]) == place
    assert said in problem.message


def test_a_mask_is_for_training(tmp_path: Path) -> None:
    text = instead("mode: training", "mode: inference", also("mask: [1, 1, 1, 1, 1, 1, 1, 0]"))
    (problem,) = problems_of(tmp_path, text)
    assert "leave the mask out, or set `mode: training`" in problem.message


def test_gradients_of_a_frozen_layer_are_refused(tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, also("trainable: false\ncheck: [output, gradients]"))
    assert (places([problem]), problem.message.partition(";")[0]) == (
        "6:17",
        "a frozen layer has no gradients of gamma and beta",
    )


ROWS = instead("[2, 3, 4]", "[6, 3, 4]")


def test_virtual_batches_are_read_in_training_and_have_no_part_in_inference() -> None:
    case = make_case(virtual_batch_size=2)
    assert (case.requested.virtual, case.requested.adjacent) == (2, False)
    assert make_case(virtual_batch_size=2, mode="inference").requested == make_case(mode="inference").requested
    assert make_case().requested.virtual is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"{ROWS}virtual_batch_size: 4\n", "6 rows, which are no whole number of virtual batches of 4; take 3"),
        (f"{ROWS}virtual_batch_size: 12\n", "virtual batches of 12; take 6"),
        (instead("[6", "[0", f"{ROWS}virtual_batch_size: 4\n"), "the batch has 0 rows"),
        (instead("NCL", "CNL", f"{ROWS}virtual_batch_size: 3\n"), "the first axis, which is C; put N first"),
        (instead("axis: 1", "axis: 0", f"{ROWS}virtual_batch_size: 3\n"), "which keeps its statistics"),
        (f"{ROWS}virtual_batch_size: 0\n", "should be at least 1, not 0"),
        (f"{ROWS}check: [gradients]\nvirtual_batch_size: 3\n", "not judged together with gradients; leave one"),
        (f"{ROWS}trainable: false\nvirtual_batch_size: 3\n", "not judged together with `trainable: false`"),
        (f"{ROWS}mask: [{', '.join('1' * 24)}]\nvirtual_batch_size: 3\n", "not judged together with a mask"),
        (f"{ROWS}relation: absorbed-bias\nvirtual_batch_size: 3\n", "a relation is of the whole batch"),
    ],
)
def test_virtual_batches_that_cannot_be_meant_are_refused(tmp_path: Path, text: str, said: str) -> None:
    (problem,) = problems_of(tmp_path, text)
    assert said in problem.message
    assert text.splitlines()[(problem.line or 1) - 1].startswith(("virtual_batch_size", "relation"))
