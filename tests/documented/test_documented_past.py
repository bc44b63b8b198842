"""What TensorFlow and Keras documented in earlier releases, how they are called there, and what is installed with
them."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import make_case

from bncheck import documented
from bncheck.documented.reading import Call, Reading, Unsupported
from bncheck.documented.ways import Way

TF1 = {"tensorflow": "1.15.5"}
KERAS_2_2 = {"tensorflow": "1.15.5", "keras": "2.2.5"}
KERAS_2_3 = {"tensorflow": "1.15.5", "keras": "2.3.1"}
IMAGES = {"input": {"shape": [4, 3, 5, 2], "layout": "NHWC"}, "axis": -1}
FEATURES = {"input": {"shape": [4, 3], "layout": "NF"}, "axis": -1}


def of(release: str, **others: str) -> dict[str, str]:
    return {"tensorflow": release, **others}


def read(runner: str, versions: dict[str, str], *, device: str = "cpu", **case: Any) -> Reading | Unsupported:
    return documented.of(runner).documented(Call(make_case(**case), versions, device, runner.partition(":")[2] or None))


def reading(runner: str, versions: dict[str, str], **case: Any) -> Reading:
    found = read(runner, versions, **case)
    assert isinstance(found, Reading)
    return found


def differs(found: Reading) -> dict[str, Any]:
    return {fact.field: fact.value for fact in found.facts}


@pytest.mark.parametrize(
    ("runner", "versions", "load", "needs"),
    [
        ("tf-keras", of("2.21.0"), "tf-keras", ("tensorflow", "tf-keras")),
        ("tf-keras", {}, "tf-keras", ("tensorflow", "tf-keras")),
        ("tf-keras", of("2.15.1"), "_tf_keras_2", ("tensorflow",)),
        ("tf-keras", of("2.0.0"), "_tf_keras_2", ("tensorflow",)),
        ("tf-keras", TF1, "_tf_keras_in_graph", ("tensorflow",)),
        ("tf-layers", of("2.16.1"), "tf-layers", ("tensorflow", "tf-keras")),
        ("tf-layers", of("2.15.1"), "_tf_layers_2", ("tensorflow",)),
        ("tf-layers:no-updates", TF1, "_tf_layers_2", ("tensorflow",)),
        ("tf-nn", of("2.0.0"), "tf-nn", ("tensorflow",)),
        ("tf-nn", TF1, "_tf_nn_in_graph", ("tensorflow",)),
        ("tf-fused", of("2.3.4"), "tf-fused", ("tensorflow",)),
        ("tf-fused", of("2.2.3"), "_tf_fused_in_graph", ("tensorflow",)),
        ("tf-fused:xla", of("2.5.0"), "tf-fused", ("tensorflow",)),
        ("keras", of("2.16.2", keras="3.0.0"), "keras", ("tensorflow", "keras")),
        ("keras:graph", of("2.16.2", keras="3.0.0"), "keras", ("tensorflow", "keras")),
        ("keras", of("2.15.1", keras="2.15.0"), "_keras_2", ("tensorflow", "keras")),
        ("keras", of("2.4.4", keras="2.4.3"), "_keras_2", ("tensorflow", "keras")),
        ("keras", of("2.4.4"), "keras", ("tensorflow", "keras")),
        ("keras", KERAS_2_2, "_keras_in_graph", ("tensorflow", "keras")),
        ("torch", {"torch": "1.13.1"}, "torch", ("torch", "numpy")),
    ],
)
def test_a_release_is_called_in_its_own_way(
    runner: str, versions: dict[str, str], load: str, needs: tuple[str, ...]
) -> None:
    assert documented.way(runner, versions) == Way(load, needs)


@pytest.mark.parametrize(
    ("runner", "versions", "reason"),
    [
        ("tf-keras", of("1.14.0"), "needs TensorFlow 1.15 or newer; TensorFlow 1.14.0"),
        ("tf-fused:xla", of("2.4.4"), "needs TensorFlow 2.5 or newer; TensorFlow 2.4.4"),
        ("keras:graph", of("2.15.1", keras="2.15.0"), "needs Keras 3; Keras 2.15.0"),
        ("keras", of("2.3.4", keras="2.3.1"), "Keras 2.3.1 needs TensorFlow 1; TensorFlow 2.3.4"),
        ("keras", of("1.15.5", keras="2.4.3"), "Keras 2.4.3 needs TensorFlow 2; TensorFlow 1.15.5"),
        ("keras-torch", {"torch": "2.1.0", "keras": "2.15.0"}, "needs Keras 3; Keras 2.15.0"),
        ("keras-jax", {"jax": "0.4.30", "keras": "2.15.0"}, "needs Keras 3; Keras 2.15.0"),
    ],
)
def test_what_cannot_be_called_says_what_it_needs(runner: str, versions: dict[str, str], reason: str) -> None:
    assert documented.way(runner, versions) == reason


@pytest.mark.parametrize(
    ("runner", "distribution", "release", "beside"),
    [
        ("tf-keras", "tensorflow-cpu", "2.17.1", ["tf-keras==2.17.*"]),
        ("tf-keras", "tensorflow", "2.16.0rc0", ["tf-keras==2.16.*"]),
        ("tf-keras", "tensorflow-cpu", "2.15.1", []),
        ("tf-keras", "tensorflow-cpu", "2.11.1", ["numpy<1.24"]),
        ("tf-keras", "tensorflow-cpu", "2.4.4", ["protobuf<3.21", "numpy<1.24"]),
        ("tf-layers", "tensorflow-cpu", "2.17.1", ["tf-keras==2.17.*"]),
        ("tf-fused:xla", "tensorflow-cpu", "2.17.1", []),
        ("keras", "tensorflow-cpu", "2.17.1", []),
        ("keras", "tensorflow-cpu", "2.15.1", ["keras==2.15.*"]),
        ("keras", "tensorflow-cpu", "2.4.4", ["keras==2.4.*", "protobuf<3.21", "numpy<1.24"]),
        ("keras", "tensorflow", "1.15.5", ["keras==2.3.*", "protobuf<3.21", "numpy<1.24"]),
        ("tf-keras", "numpy", "1.26.4", []),
        ("torch", "torch", "2.2.2", ["numpy<2", "setuptools<81"]),
        ("torch-functional", "torch", "2.3.0", []),
        ("torch", "numpy", "1.26.4", []),
    ],
)
def test_what_a_release_needs_is_installed_with_it(
    runner: str, distribution: str, release: str, beside: list[str]
) -> None:
    assert documented.companions(runner, distribution, release) == beside


@pytest.mark.parametrize("runner", ["tf-keras", "tf-layers", "tf-fused"])
@pytest.mark.parametrize(("release", "epsilon"), [("2.11.1", 1.001e-5), ("2.4.4", 1.001e-5), ("2.12.0", None)])
def test_an_epsilon_was_raised_until_2_11(runner: str, release: str, epsilon: float | None) -> None:
    assert differs(reading(runner, of(release), **IMAGES, epsilon=0.0)).get("epsilon") == epsilon


def test_keras_2_is_the_layer_of_tensorflow() -> None:
    for release in ("2.15.1", "2.6.5"):
        versions = of(release, keras="2.6.0")
        assert reading("keras", versions, **IMAGES) == reading("tf-keras", versions, **IMAGES)


def test_volumes_are_fused_from_2_6_on() -> None:
    volumes = {"input": {"shape": [4, 3, 5, 2, 2], "layout": "NCDHW"}, "axis": 1}
    assert differs(reading("tf-keras", of("2.6.0"), **volumes)) == {"moving_variance": "unbiased"}
    assert differs(reading("tf-keras", of("2.5.3"), **volumes)) == {}


def test_the_operation_takes_volumes_from_2_4_on() -> None:
    volumes = {"input": {"shape": [4, 3, 5, 2, 2], "layout": "NCDHW"}, "axis": 1}
    assert reading("tf-fused", of("2.4.4"), **volumes).arrangement is None
    arrangement = reading("tf-fused", of("2.3.4"), **volumes).arrangement
    assert arrangement is not None
    assert len(arrangement.groups) == 4


def test_float64_is_refused_where_it_was_fused() -> None:
    double = {**IMAGES, "input": {**IMAGES["input"], "dtype": "float64"}}
    refused = reading("tf-keras", of("2.2.3"), **double).refusal
    assert refused is not None
    assert refused.words == "float16, bfloat16 and float32"
    assert reading("tf-keras", of("2.3.4"), **double).refusal is None


def test_channels_that_are_not_last_are_refused_by_an_old_cpu_kernel() -> None:
    second = {"input": {"shape": [4, 3, 5, 2], "layout": "NCHW"}, "axis": 1}
    refused = reading("tf-keras", TF1, **second).refusal
    assert refused is not None
    assert refused.says == "only supports NHWC"
    assert reading("tf-keras", TF1, device="gpu", **second).refusal is None
    assert reading("tf-keras", of("2.1.4"), **second).refusal is None


def test_16_bits_were_computed_in_16_bits_until_2_2() -> None:
    half = {**FEATURES, "input": {**FEATURES["input"], "dtype": "float16"}}
    assert differs(reading("tf-keras", of("2.2.3"), **half)) == {"precision": "narrow"}
    assert differs(reading("tf-keras", of("2.3.4"), **half)) == {}


def test_a_mask_is_taken_from_2_12_on() -> None:
    masked = {"input": {"shape": [2, 3, 4], "layout": "NLC"}, "axis": -1, "mask": [1, 1, 0, 1, 0, 1]}
    assert isinstance(read("tf-keras", of("2.12.0"), **masked), Reading)
    assert read("tf-keras", of("2.11.1"), **masked) == Unsupported("it takes no mask")


@pytest.mark.parametrize("runner", ["tf-keras", "tf-nn", "tf-fused"])
def test_bfloat16_is_ml_dtypes_own_from_2_14_on(runner: str) -> None:
    brain = {**IMAGES, "input": {**IMAGES["input"], "dtype": "bfloat16"}}
    assert isinstance(read(runner, of("2.14.0"), **brain), Reading)
    assert isinstance(read(runner, of("2.13.1"), **brain), Unsupported)


def test_frozen_did_not_mean_inference_in_tensorflow_1() -> None:
    frozen = {**FEATURES, "trainable": False}
    assert differs(reading("tf-keras", TF1, **frozen)) == {"mode": "training", "update": "none"}
    assert differs(reading("tf-keras", of("2.0.0"), **frozen)) == {}
    assert differs(reading("keras", KERAS_2_2, **frozen)) == {"mode": "training", "update": "none"}


def test_the_operation_returned_the_batch_s_statistics() -> None:
    assert differs(reading("tf-fused", of("2.2.3"), **IMAGES)) == {"moving_variance": "unbiased", "momentum": 0.0}
    assert differs(reading("tf-fused", of("2.3.4"), **IMAGES)) == {"moving_variance": "unbiased"}


@pytest.mark.parametrize(
    ("versions", "case", "expected"),
    [
        (KERAS_2_2, FEATURES, {"correction": 1.001, "update": "debiased"}),
        (KERAS_2_3, FEATURES, {"correction": 1.001}),
        (KERAS_2_3, IMAGES, {"correction": 1.001, "moving_variance": "unbiased"}),
        (KERAS_2_3, {**IMAGES, "mode": "inference"}, {"moving_variance": "unbiased"}),
        (KERAS_2_3, {**FEATURES, "epsilon": 0.0}, {"correction": 1.0}),
        (
            KERAS_2_2,
            {**IMAGES, "epsilon": 0.0, "mode": "inference"},
            {"moving_variance": "unbiased", "epsilon": 1.001e-5},
        ),
        (KERAS_2_2, {**FEATURES, "epsilon": 0.0, "mode": "inference"}, {}),
        (KERAS_2_2, {**FEATURES, "epsilon": "default", "momentum": "default", "mode": "default"}, {}),
    ],
)
def test_keras_2_2_and_2_3_keep_statistics_of_their_own_kind(
    versions: dict[str, str], case: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert differs(reading("keras", versions, **case)) == expected


def test_keras_2_2_is_fused_by_device_and_axis() -> None:
    second = {"input": {"shape": [4, 3, 5, 2], "layout": "NCHW"}, "axis": 1, "mode": "inference", "epsilon": 0.0}
    assert differs(reading("keras", KERAS_2_2, **second)) == {}
    assert differs(reading("keras", KERAS_2_2, device="gpu", **second))["epsilon"] == 1.001e-5


def test_keras_2_2_has_one_dtype() -> None:
    mixed = {**FEATURES, "input": {**FEATURES["input"], "dtype": "float16"}, "parameters": {"dtype": "float32"}}
    assert read("keras", KERAS_2_2, **mixed) == Unsupported("its parameters have the layer's dtype, which is x's")
