"""What there is to say about an axis: what it keeps, whether it looks like a mistake, how others write the same."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bncheck.case.load import load
from bncheck.case.model import Case
from bncheck.explain import Explanation, explain
from bncheck.explain.axes import Product

CORPUS = Path(__file__).parent.parent / "cases"

LEFT = {"epsilon": "default", "momentum": "default", "mode": "default"}


def explained(
    shape: list[int], layout: str, axis: int | list[int], *, unknown: Any = (), has_layout: bool = True, **changes: Any
) -> Explanation:
    data = {"title": "t", "input": {"shape": shape, "layout": layout}, "axis": axis, **LEFT, **changes}
    return explain(Case.model_validate(data), unknown=unknown, has_layout=has_layout)


def kinds(found: Explanation) -> list[str]:
    return [remark.kind for remark in found.remarks]


def lines(found: Explanation, name: str) -> tuple[str, ...]:
    return next(s.lines for s in found.spellings if s.name == name)


# What is kept


@pytest.mark.parametrize(
    ("shape", "layout", "axis", "keeps", "over", "statistic", "values"),
    [
        ([4, 30, 64, 64], "NCHW", -1, "W", "N, C, H", (64,), "4*30*64 = 7,680"),
        ([4, 30, 64, 64], "NCHW", 1, "C", "N, H, W", (30,), "4*64*64 = 16,384"),
        ([32, 10], "NF", 1, "F", "N", (10,), "32"),
        ([3, 2, 4, 5], "NHWC", [3, 1], "H, C", "N, W", (2, 5), "3*4 = 12"),
        ([3, 2], "NF", [], "nothing", "N, F", (), "3*2 = 6"),
        ([3, 2], "NF", [0, 1], "N, F", "nothing", (3, 2), "1"),
    ],
)
def test_axis_names_what_is_kept_and_the_rest_is_averaged_over(
    shape: list[int], layout: str, axis: Any, keeps: str, over: str, statistic: tuple[int, ...], values: str
) -> None:
    axes = explained(shape, layout, axis).axes
    assert (axes.named(axes.kept), axes.named(axes.reduced)) == (keeps, over)
    assert (axes.statistic, str(axes.values)) == (statistic, values)


def test_without_a_layout_axes_are_numbers_and_nothing_is_said_of_what_they_are() -> None:
    found = explained([4, 30, 64, 64], "NCDH", -1, has_layout=False)
    assert (found.axes.named(found.axes.kept), found.axes.named(found.axes.reduced)) == ("axis 3", "axes 0, 1, 2")
    assert (kinds(found), found.remarks[0].is_warning) == (["no layout"], False)
    assert "--layout" in found.remarks[0].text


def test_a_size_that_is_not_known_is_a_letter_in_every_count() -> None:
    found = explained([2, 2, 28, 3], "NHWC", -1, unknown={0, 1}, mode="training")
    assert (str(found.axes.values), kinds(found)) == ("N*H*28 = 28*N*H", [])
    assert found.step is not None
    assert found.step.moved[1].variance == "0.99*old + 0.01*variance*n/(n-1)"
    nameless = explained([2, 28, 3], "NCD", -1, unknown={0}, has_layout=False)
    assert str(nameless.axes.values) == "d0*28 = 28*d0"


@pytest.mark.parametrize(
    ("factors", "words"),
    [((), "1"), ((5,), "5"), (("N",), "N"), ((1, "N"), "1*N = N"), (("N", "H"), "N*H"), ((1000, 2), "1000*2 = 2,000")],
)
def test_a_product_is_shown_with_its_factors(factors: tuple[int | str, ...], words: str) -> None:
    assert str(Product(factors)) == words


def test_the_parameters_are_those_that_the_case_has() -> None:
    assert explained([4, 3], "NF", 1).parameters == ("gamma", "beta")
    assert explained([4, 3], "NF", 1, scale=False).parameters == ("beta",)
    assert explained([4, 3], "NF", 1, scale=False, center=False).parameters == ()


# Whether it looks like a mistake


@pytest.mark.parametrize(
    ("shape", "layout", "axis"),
    [
        ([4, 30, 64, 64], "NCHW", 1),
        ([4, 64, 64, 3], "NHWC", -1),
        ([4, 64, 64, 1], "NHWC", 3),
        ([4, 2, 8, 8, 3], "NDHWC", [4]),
        ([4, 3, 100], "NCL", -2),
        ([4, 100, 16], "NTF", -1),
        ([4, 2, 100, 40], "NCTF", 1),
        ([32, 10], "NF", -1),
        ([32, 10], "NC", 1),
        ([32, 10], "NT", -1),
        ([2, 28, 28, 3], "NHWC", -1),
    ],
)
def test_a_correct_axis_gives_no_warning(shape: list[int], layout: str, axis: int) -> None:
    assert explained(shape, layout, axis).remarks == ()


@pytest.mark.parametrize(
    ("shape", "layout", "axis", "kind", "words"),
    [
        (
            *([4, 30, 64, 64], "NCHW", -1, "not the channels"),
            "On NCHW this normalizes over width: one mean for each index of W, all 30 channels averaged together. "
            "Channels are axis 1: 30 statistics, each over 4*64*64 = 16,384 values. Nothing raises: the layer builds "
            "64 of everything and trains; it breaks when the width changes or the model is ported.",
        ),
        ([4, 64, 32, 3], "NHWC", 1, "not the channels", "normalizes over height"),
        ([4, 64, 32, 3], "NHWC", 1, "not the channels", "Channels are axis -1: 3 statistics"),
        ([4, 100, 16], "NTF", 1, "not the channels", "breaks when the number of time steps changes"),
        ([4, 64, 32, 1], "NHWC", 1, "not the channels", "each index of H. Channels are axis -1: 1 statistic,"),
        (
            *([32, 10], "NF", 0, "batch kept"),
            "Keras's axis names what is kept, NumPy's what is averaged over: this is x.mean(axis=1), over features "
            "alone. If x.mean(axis=0) is meant, write axis=-1: 10 statistics, each over 32 values. Nothing raises "
            "while every batch has 32 samples",
        ),
        ([4, 64, 64, 3], "NHWC", [0, 1, 2], "batch kept", "If x.mean(axis=(0, 1, 2)) is meant, write axis=-1: 3 stat"),
        ([4, 3, 64, 64], "NCHW", [0, 2, 3], "batch kept", "If x.mean(axis=(0, 2, 3)) is meant, write axis=1: 3 stat"),
        ([4, 64, 64, 3], "NHWC", 0, "batch kept", "no batch normalization, which keeps channels: axis=-1, 3 stat"),
        ([4, 64, 64, 3], "NHWC", [0, 3], "batch kept", "layer or instance normalization"),
        ([1, 64, 64, 3], "NHWC", 0, "batch kept", "while every batch has 1 sample;"),
        (
            *([4, 32, 64, 3], "NHWC", [1, 2, 3], "several kept"),
            "This keeps 6,144 statistics, one for each combination of H, W, C, each over 4 values. Batch normalization "
            "usually keeps channels alone: axis=-1, with 3 statistics, each over 4*32*64 = 8,192 values.",
        ),
        ([4, 32, 64, 3], "NHWC", [1, 3], "several kept", "it breaks when the height changes"),
        ([4, 32, 64, 3], "NHWC", [1, 2], "several kept", "it breaks when the height or the width changes"),
        ([4, 32, 64, 3], "NHWC", [], "nothing kept", "what differs between channels stays in the output"),
        ([4, 28, 28], "NHW", -1, "no channels", "x[..., None] with axis=-1, one mean over 4*28*28 = 3,136 values"),
        ([1, 10], "NF", -1, "one value", "in training the output is beta"),
        ([4, 10], "NF", [0, 1], "one value", "PyTorch does"),
        ([1, 1, 1, 3], "NHWC", -1, "one value", "Take a larger batch"),
        ([4, 0, 8, 3], "NHWC", -1, "empty", "nothing is there to average"),
    ],
)  # fmt: skip
def test_a_doubtful_axis_is_warned_of_with_what_to_write_instead(
    shape: list[int], layout: str, axis: Any, kind: str, words: str
) -> None:
    (remark,) = explained(shape, layout, axis).remarks
    assert (remark.kind, remark.is_warning) == (kind, True)
    assert words in remark.text


def test_where_a_layer_cannot_even_be_built_it_is_not_said_that_nothing_raises() -> None:
    for axis, unknown, kind in ((1, {1}, "not the channels"), (0, {0}, "batch kept"), ([1, 2], {2}, "several kept")):
        found = explained([4, 30, 64, 64], "NHWC", axis, unknown=unknown)
        assert kinds(found) == [kind, "unknown size"]
        assert not any("Nothing raises" in remark.text for remark in found.remarks)


def test_a_layout_without_a_batch_is_noted_since_layers_count_it() -> None:
    found = explained([28, 28, 3], "HWC", 2)
    assert (kinds(found), found.remarks[0].is_warning) == (["no batch"], False)
    assert "axis 2 is axis 3 then" in found.remarks[0].text


def test_without_a_layout_a_kept_axis_of_length_1_is_warned_of() -> None:
    assert kinds(explained([4, 8, 8, 1], "NCDH", -1, has_layout=False)) == ["length 1", "no layout"]


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("channels-first-left-at-default-axis", ["not the channels"]),
        ("features-axis-0", ["batch kept"]),
        ("one-mean-for-each-image", ["batch kept"]),
        ("one-statistic-for-everything", ["nothing kept"]),
        ("keep-all-but-the-batch", ["several kept"]),
        ("channels-first-axis-1", []),
        ("features-axis-1-is-numpy-axis-0", []),
        ("video", []),
        ("video-flattened", []),
    ],
)
def test_of_the_shipped_cases_those_are_warned_of_that_show_a_mistake(name: str, kinds: list[str]) -> None:
    for loaded in load([CORPUS / "questions" / f"{name}.yaml"]):
        assert [remark.kind for remark in explain(loaded.case).remarks] == kinds


# How others write the same


def test_the_same_is_written_for_each_library() -> None:
    found = explained([4, 30, 64, 64], "NCHW", -1)
    assert {s.name: s.lines for s in found.spellings} == {
        "NumPy": ("x.mean(axis=(0, 1, 2))",),
        "TensorFlow": ("tf.nn.moments(x, axes=[0, 1, 2])",),
        "Keras": ("BatchNormalization(axis=-1)",),
        "tf_keras": ("BatchNormalization(axis=[3])",),
        "PyTorch": ("BatchNorm2d(64)(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)",),
        "Flax": ("BatchNorm(axis=-1)",),
        "Flax nnx": ("nnx.BatchNorm(64, axis=-1, rngs=nnx.Rngs(0))",),
        "ONNX": ("Transpose [0,3,1,2], BatchNormalization, Transpose [0,2,3,1]",),
    }


@pytest.mark.parametrize(
    ("shape", "layout", "axis", "name", "written"),
    [
        ([4, 30, 64, 64], "NCHW", 1, "PyTorch", ["BatchNorm2d(30)"]),
        ([4, 30, 64, 64], "NCHW", 1, "ONNX", ["BatchNormalization"]),
        ([32, 10], "NF", -1, "PyTorch", ["BatchNorm1d(10)"]),
        ([4, 3, 2, 8, 8], "NCDHW", 1, "PyTorch", ["BatchNorm3d(3)"]),
        (
            *([2, 3, 2, 2, 2, 4], "NCTDHW", 1, "PyTorch"),
            ["BatchNorm1d(3)(x.reshape(-1, 3, 32)).reshape(-1, 3, 2, 2, 2, 4)"],
        ),
        ([2, 3, 2, 2, 2, 2], "NCTDHW", 1, "ONNX", ["BatchNormalization"]),
        ([4, 8, 8, 3], "NHWC", 3, "Keras", ["BatchNormalization(axis=3)"]),
        ([4, 8, 8, 3], "NHWC", -4, "Keras", ["BatchNormalization(axis=0)"]),  # -4 is not taken everywhere
        ([4, 8, 8, 3], "NHWC", [3], "Keras", ["BatchNormalization(axis=-1)"]),
        ([4, 8, 8, 3], "NHWC", [1, 2, 3], "tf_keras", ["BatchNormalization(axis=[1, 2, 3])"]),
        (
            *([4, 8, 8, 3], "NHWC", [1, 2, 3], "Keras 3"),
            ["y = BatchNormalization(axis=-1)(ops.reshape(x, (-1, 192)))", "ops.reshape(y, (-1, 8, 8, 3))"],
        ),
        ([4, 8, 8, 3], "NHWC", [1, 2, 3], "Flax", ["BatchNorm(axis=(1, 2, 3))"]),
        ([4, 8, 8, 3], "NHWC", [], "Flax", ["BatchNorm(axis=())"]),
    ],
)  # fmt: skip
def test_what_a_library_does_not_take_as_it_is_is_moved_and_merged(
    shape: list[int], layout: str, axis: Any, name: str, written: list[str]
) -> None:
    assert list(lines(explained(shape, layout, axis), name)) == written


def test_only_flax_linen_takes_several_axes() -> None:
    assert "Flax nnx" not in {s.name for s in explained([4, 8, 8, 3], "NHWC", [1, 3]).spellings}


EXAMPLES = [
    *(((2, 3, 4, 5), "NCHW", axis) for axis in (0, 1, 2, -1, [0, 1], [1, 2, 3], [0, 2, 3], [1, 3], [], [0, 1, 2, 3])),
    *(((2, 3, 4, 3, 2, 2), "NCTDHW", axis) for axis in (1, -1, [1, 4], [])),
    *(((6, 3), "NF", axis) for axis in (0, -1, [], [0, 1])),
    *(((6,), "N", axis) for axis in (0, [])),
]


def normalized(x: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    return (x - x.mean(axis=axes, keepdims=True)) / np.sqrt(x.var(axis=axes, keepdims=True) + 1e-5)


@pytest.mark.parametrize(("shape", "layout", "axis"), EXAMPLES, ids=str)
def test_onnx_operators_and_numpy_compute_what_the_axis_means(shape: tuple[int, ...], layout: str, axis: Any) -> None:
    found = explained(list(shape), layout, axis)
    x = np.random.default_rng(0).normal(size=shape) * np.arange(1, shape[-1] + 1)
    mean = eval(lines(found, "NumPy")[0], {"x": x})
    assert np.array_equal(mean, x.mean(axis=found.axes.reduced))
    y = x
    for operator, attribute in re.findall(r"(\w+)(?: \[([-0-9,]+)\])?,?", " ".join(lines(found, "ONNX"))):
        numbers = ast.literal_eval(f"[{attribute}]")
        if operator == "BatchNormalization":
            y = normalized(y, tuple(a for a in range(y.ndim) if a != 1))
        else:
            y = y.transpose(numbers) if operator == "Transpose" else y.reshape(numbers)
    assert np.allclose(y, normalized(x, found.axes.reduced), atol=1e-12)


# What implementations do by default


def test_documented_defaults_stand_side_by_side_each_with_its_source() -> None:
    found = explained([4, 30, 64, 64], "NCHW", 1).defaults
    assert {d.name: (d.epsilon, d.momentum, d.moving_variance, d.path, d.mode) for d in found} == {
        "Keras 3": (1e-3, 0.99, "biased", "", "inference"),
        "tf_keras": (1e-3, 0.99, "unbiased", "fused", "inference"),
        "PyTorch": (1e-5, 0.9, "unbiased", "", "training"),
        "Flax": (1e-5, 0.99, "biased", "", "none (nnx: training)"),
        "ONNX": (1e-5, 0.9, "biased", "", "inference"),
    }
    assert all(d.source.link.startswith("https://") for d in found)


@pytest.mark.parametrize(
    ("shape", "layout", "axis", "dtype", "path"),
    [
        ([4, 8, 8, 3], "NHWC", -1, "float32", "fused"),
        ([4, 8, 8, 3], "NHWC", 1, "bfloat16", "fused"),
        ([4, 8, 8, 3], "NHWC", [3], "float32", "fused"),
        ([4, 2, 8, 8, 3], "NDHWC", -1, "float32", "fused"),
        ([4, 8, 8, 3], "NHWC", 2, "float32", "not fused"),
        ([4, 8, 8, 3], "NHWC", [1, 3], "float32", "not fused"),
        ([4, 8, 8, 3], "NHWC", -1, "float64", "not fused"),
        ([4, 8, 3], "NLC", -1, "float32", "not fused"),
        ([4, 3], "NF", -1, "float32", "not fused"),
    ],
)
def test_the_path_of_tf_keras_depends_on_rank_axis_and_dtype(
    shape: list[int], layout: str, axis: Any, dtype: str, path: str
) -> None:
    data = {"shape": shape, "layout": layout, "dtype": dtype}
    found = next(d for d in explained(shape, layout, axis, input=data).defaults if d.name == "tf_keras")
    assert (found.path, found.moving_variance == "unbiased") == (path, path == "fused")


@pytest.mark.parametrize(
    ("changes", "kinds", "given"),
    [
        ({}, ["epsilon", "weight of old", "moving variance", "mode"], {}),
        ({"mode": "inference"}, ["epsilon", "weight of old", "moving variance"], {}),
        ({"epsilon": 0.0}, ["weight of old", "moving variance", "mode"], {"epsilon": 0.0}),
        ({"momentum": "cumulative"}, ["epsilon", "moving variance", "mode"], {"momentum": "cumulative"}),
    ],
)
def test_only_what_is_left_to_implementations_can_differ(
    changes: dict[str, Any], kinds: list[str], given: dict[str, Any]
) -> None:
    found = explained([4, 8, 8, 3], "NHWC", -1, **changes)
    assert ([d.kind for d in found.differences], found.given) == (kinds, given)


def test_a_difference_says_how_much() -> None:
    texts = {d.kind: d.text for d in explained([4, 30, 64, 64], "NCHW", -1).differences}
    # sqrt(1.001/1.00001) = 1.0005, sqrt(0.002/0.00101) = 1.407
    assert texts["epsilon"] == "1e-3 or 1e-5: outputs differ by 0.05 % at a variance of 1, by 41 % at one of 1e-3"
    assert texts["weight of old"] == "0.99 or 0.9: after 10 steps 90 % or 35 % of what was there is left"
    assert texts["moving variance"].startswith("unbiased is larger by 0.013 %")


def test_one_value_has_no_larger_unbiased_variance() -> None:
    assert "moving variance" not in {d.kind for d in explained([1, 3], "NF", 1).differences}


# What a step of training moves


def test_inference_moves_nothing() -> None:
    assert explained([4, 3], "NF", 1, mode="inference").step is None
    assert explained([4, 3], "NF", 1).step is None  # the default is Keras's


FRESH = {"mode": "training", "parameters": {"moving_mean": 0.0, "moving_variance": 1.0}}


@pytest.mark.parametrize(
    ("changes", "keras", "torch"),
    [
        ({}, ("0.01*mean", "0.99 + 0.01*variance"), ("0.1*mean", "0.9 + 0.1*variance*16/15")),
        ({"momentum": 0.75}, ("0.25*mean", "0.75 + 0.25*variance"), ("0.25*mean", "0.75 + 0.25*variance*16/15")),
        ({"momentum": 0.0}, ("mean", "variance"), ("mean", "variance*16/15")),
        ({"momentum": 1.0}, ("0", "1"), ("0", "1")),
        ({"parameters": {}}, ("0.99*old + 0.01*mean", "0.99*old + 0.01*variance"), None),
        ({"parameters": {}, "momentum": 1.0}, ("old", "old"), ("old", "old")),
        (
            {"parameters": {"moving_mean": 100.0, "moving_variance": [1.0, 2.0]}},
            *(("99 + 0.01*mean", "0.99*old + 0.01*variance"), None),
        ),
    ],
)  # fmt: skip
def test_after_one_step_the_moving_statistics_must_be(
    changes: dict[str, Any], keras: tuple[str, str], torch: tuple[str, str] | None
) -> None:
    step = explained([16, 2], "NF", 1, **{**FRESH, **changes}).step
    assert step is not None
    moved = {m.name: (m.mean, m.variance) for m in step.moved}
    assert moved["Keras 3"] == keras
    assert torch is None or moved["PyTorch"] == torch
    assert step.moves == (changes.get("momentum") != 1.0)


def test_only_pytorch_has_a_cumulative_average_and_its_first_batch_replaces_the_start() -> None:
    step = explained([16, 2], "NF", 1, **FRESH, momentum="cumulative").step
    assert step is not None
    assert [(m.name, m.mean, m.variance) for m in step.moved] == [("PyTorch", "mean", "variance*16/15")]


@pytest.mark.parametrize(
    ("shape", "changes", "words"),
    [
        ([1, 3], {}, "more than one value per channel in training"),
        ([8, 3], {"epsilon": 0.0}, "eps above 0 in training"),
        ([8, 3], {}, ""),
    ],
)
def test_a_step_that_is_refused_is_said_to_be(shape: list[int], changes: dict[str, Any], words: str) -> None:
    step = explained(shape, "NF", 1, **FRESH, **changes).step
    assert step is not None
    assert {m.name: m.refusal for m in step.moved if m.refusal} == ({"PyTorch": words} if words else {})


def test_an_empty_batch_has_no_step() -> None:
    assert explained([0, 3], "NF", 1, **FRESH).step is None


@pytest.mark.parametrize(
    ("switch", "path"),
    [({"mask": [1] * 59 + [0]}, "fused"), ({"trainable": False}, "fused"), ({"virtual_batch_size": 2}, "not fused")],
)
def test_a_switch_that_a_library_lacks_leaves_its_defaults(switch: dict[str, Any], path: str) -> None:
    found = {d.name: d for d in explained([4, 3, 5, 3], "NCHW", 1, mode="training", **switch).defaults}
    assert [*found] == ["Keras 3", "tf_keras", "PyTorch", "Flax", "ONNX"]
    assert found["tf_keras"].path == path
