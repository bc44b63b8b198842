"""What Keras documents on each backend, and TensorFlow of the variants of its runners."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import make_case

from bncheck import documented
from bncheck.documented.reading import Call, Reading, Unsupported

HALF = {"input": {"dtype": "float16"}}
DOUBLE = {"input": {"dtype": "float64"}}
INFERENCE = {"mode": "inference"}


def read(runner: str, **case: Any) -> Reading | Unsupported:
    variant = runner.partition(":")[2] or None
    return documented.of(runner).documented(Call(make_case(**case), variant=variant))


def reading(runner: str, **case: Any) -> Reading:
    found = read(runner, **case)
    assert isinstance(found, Reading)
    return found


def differs(found: Reading) -> dict[str, Any]:
    return {fact.field: fact.value for fact in found.facts}


VARIANTS = ("graph", "xla", "predict", "synchronized", "mixed-float16", "mixed-bfloat16")


def test_variants_are_told_in_words() -> None:
    assert tuple(documented.variants("keras")) == VARIANTS
    assert tuple(documented.variants("tf-fused")) == ("xla",)
    assert tuple(documented.variants("tf-layers")) == ("no-updates",)


@pytest.mark.parametrize("runner", ["keras", "keras:graph", "keras:xla", "keras-jax", "keras-torch"])
@pytest.mark.parametrize("case", [{}, HALF, {"axis": 0}, {"axis": -2}, {"momentum": "default", "epsilon": "default"}])
def test_the_layer_is_documented_alike_on_every_backend(runner: str, case: dict[str, Any]) -> None:
    assert reading(runner, **case) == reading("keras", **case)
    assert differs(reading(runner, **case)) == {}


def test_on_jax_float64_is_computed_in_float32() -> None:
    assert differs(reading("keras-jax", **DOUBLE)) == {"precision": "float32"}
    assert reading("keras-jax", **DOUBLE).parameters_dtype == "float64"


@pytest.mark.parametrize("runner", ["keras", "keras-torch"])
def test_float64_is_not_documented_to_be_less_elsewhere(runner: str) -> None:
    assert differs(reading(runner, **DOUBLE)) == {}


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_a_backend_has_a_worker_of_its_own_which_its_extra_installs(backend: str) -> None:
    module = documented.of(f"keras-{backend}")
    assert (module.FAMILY, set(module.NEEDS), module.EXTRA) == (f"keras-{backend}", {"keras", backend}, backend)


def test_predict_is_inference() -> None:
    assert read("keras:predict", mode="training") == Unsupported("predict is inference")
    assert reading("keras:predict", mode="inference") == reading("keras", mode="inference")
    assert reading("keras:predict", mode="default") == reading("keras", mode="default")


def test_for_predict_the_batch_comes_first() -> None:
    assert reading("keras", axis=0, **INFERENCE).arrangement is None
    assert reading("keras:predict", axis=0, **INFERENCE).notes == ("NCHW to CHWN",)
    refused = read("keras:predict", axis=[0], adapt=False, **INFERENCE)
    assert isinstance(refused, Unsupported)
    assert "adapt: false" in refused.reason


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_mixed_policy_keeps_its_variables_in_float32(dtype: str) -> None:
    found = reading(f"keras:mixed-{dtype}", input={"dtype": dtype})
    assert (found.parameters_dtype, found.notes) == ("float32", ("parameters in float32",))
    assert reading("keras", input={"dtype": dtype}).parameters_dtype == dtype


@pytest.mark.parametrize("dtype", ["bfloat16", "float32", "float64"])
def test_a_mixed_policy_takes_tensors_of_its_own_dtype(dtype: str) -> None:
    assert read("keras:mixed-float16", input={"dtype": dtype}) == Unsupported("the policy computes in float16")


def test_what_a_mixed_policy_does_is_noted_beside_what_is_adapted() -> None:
    found = reading("keras:mixed-float16", axis=[1, 2], **HALF)
    assert found.notes == ("NCHW to NW(CH)", "parameters in float32")


@pytest.mark.parametrize("axis", [1, 2])
def test_without_update_ops_the_moving_statistics_stay(axis: int) -> None:
    found = reading("tf-layers:no-updates", axis=axis)
    assert differs(found) == {"update": "none"}
    assert found.facts[0].source.name == "tf.compat.v1.layers.batch_normalization"


def test_update_ops_matter_in_training_alone() -> None:
    assert reading("tf-layers:no-updates", **INFERENCE) == reading("tf-layers", **INFERENCE)
    cumulative = read("tf-layers:no-updates", momentum="cumulative")
    assert isinstance(cumulative, Unsupported)


def test_the_fused_operation_keeps_the_unbiased_variance_when_it_is_compiled() -> None:
    found = reading("tf-fused:xla")
    assert differs(found) == {"moving_variance": "unbiased"}
    assert "tf2xla" in found.facts[0].source.link
