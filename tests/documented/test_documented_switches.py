"""What implementations document about masks, frozen layers, synchronized statistics and float32 beside 16 bits."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import make_case

from bncheck import documented
from bncheck.documented.reading import Call, Reading, Unsupported

FROZEN = {"trainable": False}
MIXED = {"input": {"dtype": "float16"}, "parameters": {"dtype": "float32"}}
LAST = {"input": {"shape": [4, 5, 3], "layout": "NLC"}, "axis": -1}
SEQUENCES = {**LAST, "mask": [1] * 12 + [0] * 8}
IMAGES = {"mask": [1] * 20 + [0] * 20}


def read(runner: str, **case: Any) -> Reading | Unsupported:
    return documented.of(runner).documented(Call(make_case(**case), variant=runner.partition(":")[2] or None))


def reading(runner: str, **case: Any) -> Reading:
    found = read(runner, **case)
    assert isinstance(found, Reading)
    return found


def differs(found: Reading) -> dict[str, Any]:
    return {fact.field: fact.value for fact in found.facts}


@pytest.mark.parametrize("runner", ["keras", "keras-jax", "keras-torch", "tf-keras"])
def test_frozen_keras_layers_infer(runner: str) -> None:
    assert differs(reading(runner, **FROZEN, **LAST)) == {}


def test_requires_grad_does_not_freeze_what_pytorch_takes_of_the_batch() -> None:
    found = reading("torch", **FROZEN)
    assert differs(found) == {"mode": "training", "moving_variance": "unbiased"}
    assert "evaluation-mode" in next(f.source.link for f in found.facts if f.field == "mode")
    assert "mode" not in differs(reading("torch", **FROZEN, mode="inference"))


def test_a_tf_1_layer_that_is_not_trainable_trains_and_has_no_updates() -> None:
    assert differs(reading("tf-layers", **FROZEN)) == {"mode": "training", "update": "none"}
    assert differs(reading("tf-layers", **FROZEN, mode="inference")) == {"moving_variance": "unbiased"}


OTHERS = ["flax-linen", "flax-nnx", "haiku", "onnx", "onnxruntime", "tf-nn", "tf-fused", "torch-functional", "numpy"]


@pytest.mark.parametrize("runner", OTHERS)
def test_others_have_no_switch_that_freezes_them(runner: str) -> None:
    assert read(runner, **FROZEN) == Unsupported("it has no switch that freezes it")


@pytest.mark.parametrize("runner", ["keras", "keras-jax", "keras-torch", "flax-linen", "flax-nnx", "numpy"])
def test_who_takes_a_mask_heeds_it(runner: str) -> None:
    assert "mask" not in differs(reading(runner, **SEQUENCES))


@pytest.mark.parametrize("runner", ["torch", "torch-functional", "haiku", "onnx", "tf-nn", "tf-fused", "tf-layers"])
def test_others_take_no_mask(runner: str) -> None:
    assert read(runner, **SEQUENCES) == Unsupported("it takes no mask")


@pytest.mark.parametrize("runner", ["keras", "tf-keras"])
def test_a_mask_of_keras_lacks_the_last_axis_so_the_channels_go_there(runner: str) -> None:
    assert reading(runner, **IMAGES).notes == ("NCHW to NHWC",)
    assert read(runner, **IMAGES, adapt=False) == Unsupported(
        "it would need adapting (NCHW to NHWC), and the case says `adapt: false`"
    )


def test_the_fused_path_of_tf_keras_ignores_a_mask_and_the_other_does_not() -> None:
    assert differs(reading("tf-keras", **IMAGES)) == {"mask": "ignored", "moving_variance": "unbiased"}
    assert differs(reading("tf-keras", **SEQUENCES)) == {}


VIRTUAL = {"virtual_batch_size": 2}


@pytest.mark.parametrize("runner", ["tf-keras", "tf-layers", "tf-layers:no-updates"])
def test_the_layers_of_tensorflow_1_have_virtual_batches_and_are_not_fused_then(runner: str) -> None:
    assert "moving_variance" in differs(reading(runner.partition(":")[0]))  # fused
    assert differs(reading(runner, **VIRTUAL)) == ({"update": "none"} if ":" in runner else {})


@pytest.mark.parametrize("runner", ["keras", "keras:synchronized", "torch", *OTHERS])
def test_others_have_no_virtual_batches(runner: str) -> None:
    assert read(runner, **VIRTUAL) == Unsupported("it has no virtual batches")


WIDE = ["keras", "keras-jax", "tf-keras", "tf-layers", "tf-fused", "torch", "torch-functional", "onnx", "onnxruntime"]


@pytest.mark.parametrize(
    "runner", [*WIDE, "openvino-onnx", "flax-linen", "numpy", "keras:mixed-float16", "torch:mixed"]
)
def test_parameters_are_held_in_float32_beside_16_bits(runner: str) -> None:
    found = reading(runner, **MIXED)
    assert found.parameters_dtype == "float32"
    assert "parameters in float32" not in found.notes  # as the case has them
    if runner != "openvino-onnx":
        assert "precision" not in differs(found)


def test_nnx_promotes_scale_and_bias_to_the_16_bits_of_x() -> None:
    assert differs(reading("flax-nnx", **MIXED))["precision"] == "narrow"


@pytest.mark.parametrize(
    ("runner", "case", "reason"),
    [
        ("haiku", {}, "scale, offset and averages are created in x's dtype"),
        ("onnx:opset-9", {}, "scale and B have the type of X; a type of their own came with opset 15"),
        ("onnxruntime:opset-14", {}, "scale and B have the type of X; a type of their own came with opset 15"),
        ("tf-nn", {}, "tf.nn.moments answers in x's dtype; there are no float32 statistics of a 16-bit batch"),
        ("openvino", {"mode": "inference"}, "x and all parameters have one element type"),
    ],
)
def test_who_cannot_hold_float32_beside_16_bits_says_so(runner: str, case: dict[str, Any], reason: str) -> None:
    found = read(runner, **MIXED, **case)
    assert isinstance(found, Unsupported)
    assert found.reason.startswith(reason)


def test_the_synchronized_layer_has_a_worker_of_its_own_and_documents_its_formula() -> None:
    assert documented.apart("keras:synchronized")
    assert differs(reading("keras:synchronized")) == {"batch_formula": "squares"}
    assert reading("keras:synchronized", axis=0).notes == ("NCHW to CHWN",)  # the batch is split along the first axis
    assert read("keras:synchronized", mode="inference") == Unsupported("in inference nothing is synchronized")
