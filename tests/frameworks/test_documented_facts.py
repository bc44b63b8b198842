"""What is documented of the frameworks, looked up in those that are installed: in their signatures, in their own words
and by trying, so that a release that changes a default or a path is noticed."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from conftest import built_in, make_case, run

from bncheck.document import Result
from bncheck.documented.reading import Reading
from bncheck.documented.tf_keras import is_fused

TENSORFLOW = """
import inspect, json, os, warnings
os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", TF_USE_LEGACY_KERAS="1", KERAS_BACKEND="tensorflow")
warnings.simplefilter("ignore")
import keras, tensorflow as tf, tf_keras

def defaults(function):
    found = inspect.signature(function).parameters.values()
    return {p.name: p.default for p in found if p.default is not p.empty}

def mode(layer):
    layer(tf.fill((2, 3), 5.0))
    return "inference" if layer.moving_mean.numpy().tolist() == [0, 0, 0] else "training"

def of_layer(layer):
    return {"epsilon": layer.get_config()["epsilon"], "momentum": layer.get_config()["momentum"], "mode": mode(layer)}

def fused(layer, shape):
    try:
        layer.build(shape)
    except ValueError as error:
        return str(error)
    return bool(layer.fused)

def paths(layer_class):
    return [
        [rank, axis, dtype, fused(layer_class(axis=axis, dtype=dtype), [2, 3, 4, 5, 6][:rank])]
        for rank in range(3, 6)
        for axis in [*range(-rank, rank), [1], [0, 1]]
        for dtype in ("float16", "bfloat16", "float32", "float64")
    ]

function, shell = defaults(tf.compat.v1.nn.fused_batch_norm), defaults(tf.compat.v1.layers.batch_normalization)
with tf.Graph().as_default():
    of_shell = paths(tf.compat.v1.layers.BatchNormalization)
moments = {d: [t.dtype.name for t in tf.nn.moments(tf.ones((2, 3), d), [0])] for d in ("float16", "bfloat16")}
print(json.dumps({
    "defaults": {
        "keras": of_layer(keras.layers.BatchNormalization()),
        "tf-keras": of_layer(tf_keras.layers.BatchNormalization()),
        "tf-layers": {
            "epsilon": shell["epsilon"],
            "momentum": shell["momentum"],
            "mode": "training" if shell["training"] else "inference",
        },
        "tf-fused": {
            "epsilon": function["epsilon"],
            "momentum": 1 - function["exponential_avg_factor"],
            "mode": "training" if function["is_training"] else "inference",
        },
        "tf-nn": {k: v for k, v in defaults(tf.nn.batch_normalization).items() if k != "name"},
    },
    "fused": {"tf-keras": paths(tf_keras.layers.BatchNormalization), "tf-layers": of_shell},
    "moments": moments,
    "variables": {
        "keras float16": keras.layers.BatchNormalization(dtype="float16").variable_dtype,
        "keras mixed_float16": keras.layers.BatchNormalization(dtype="mixed_float16").variable_dtype,
    },
}))
"""

TORCH = """
import inspect, json, torch
function = {p.name: p.default for p in inspect.signature(torch.nn.functional.batch_norm).parameters.values()}
modules = [m(3) for m in (torch.nn.BatchNorm1d, torch.nn.BatchNorm2d, torch.nn.BatchNorm3d)]

def saved(x, parameters):
    ones = torch.ones(3, dtype=parameters)
    return str(torch.native_batch_norm(torch.randn(8, 3).to(x), ones, ones, ones, ones, True, 0.1, 1e-5)[1].dtype)

def after(x):
    layer = torch.nn.BatchNorm1d(3)
    layer(x)
    return [layer.running_mean.tolist(), layer.running_var.tolist()]

print(json.dumps({
    "defaults": {
        "torch": [[m.eps, 1 - m.momentum, "training" if m.training else "inference"] for m in modules],
        "torch-functional": [
            [function["eps"], 1 - function["momentum"], "training" if function["training"] else "inference"]
        ],
    },
    "words": [type(m).__doc__ for m in modules],
    "saved": {
        f"{x} {p}": saved(getattr(torch, x), getattr(torch, p))
        for x in ("float16", "bfloat16") for p in (x, "float32")
    },
    "after an empty batch": after(torch.ones(0, 3)),
}))
"""


@pytest.fixture(scope="module")
def found() -> dict[str, dict[str, Any]]:
    """What both frameworks say of themselves, each in a process of its own."""
    started = {
        name: subprocess.Popen(
            [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for name, script in (("tensorflow", TENSORFLOW), ("torch", TORCH))
    }
    answers = {}
    for name, process in started.items():
        output, talk = process.communicate(timeout=120)
        assert process.returncode == 0, talk
        answers[name] = json.loads(output.splitlines()[-1])
    return answers


def reading(runner: str, **case: Any) -> Reading:
    read = built_in(runner).documented(make_case(**case))
    assert isinstance(read, Reading)
    return read


def documented_defaults(runner: str) -> dict[str, Any]:
    left = make_case(epsilon="default", momentum="default", mode="default")
    read = built_in(runner).documented(left)
    assert isinstance(read, Reading)
    semantics = read.semantics(left.requested)
    return {"epsilon": semantics.epsilon, "momentum": semantics.momentum, "mode": semantics.mode}


@pytest.mark.parametrize("runner", ["keras", "tf-keras", "tf-layers", "tf-fused"])
def test_defaults_of_tensorflow_are_as_documented(found: dict[str, Any], runner: str) -> None:
    assert documented_defaults(runner) == found["tensorflow"]["defaults"][runner]


@pytest.mark.parametrize("runner", ["torch", "torch-functional"])
def test_defaults_of_pytorch_are_as_documented(found: dict[str, Any], runner: str) -> None:
    for each in found["torch"]["defaults"][runner]:
        assert list(documented_defaults(runner).values()) == each


def test_tf_nn_has_no_default_epsilon(found: dict[str, Any]) -> None:
    assert found["tensorflow"]["defaults"]["tf-nn"] == {}


@pytest.mark.parametrize("runner", ["tf-keras", "tf-layers"])
def test_the_legacy_layer_is_fused_where_documented(found: dict[str, Any], runner: str) -> None:
    paths = found["tensorflow"]["fused"][runner]
    refused = [[rank, axis, dtype] for rank, axis, dtype, fused in paths if isinstance(fused, str)]
    defect = [[4, -4, dtype] for dtype in ("float16", "bfloat16", "float32")]  # axis 0 raises if it is written as -4
    assert refused == (defect if runner == "tf-keras" else [])
    for rank, axis, dtype, fused in paths:
        kept = tuple(a % rank for a in ([axis] if isinstance(axis, int) else axis))
        if [rank, axis, dtype] not in refused:
            assert fused == is_fused(rank, kept, dtype), (rank, axis, dtype)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_what_16_bit_tensors_leave_in_16_bits(found: dict[str, Any], dtype: str) -> None:
    tensorflow, torch = found["tensorflow"], found["torch"]
    assert tensorflow["moments"][dtype] == [dtype, dtype]
    assert torch["saved"] == {
        **torch["saved"],
        f"{dtype} {dtype}": f"torch.{dtype}",
        f"{dtype} float32": "torch.float32",
    }


def test_keras_holds_its_variables_in_the_dtype_of_the_layer(found: dict[str, Any]) -> None:
    assert found["tensorflow"]["variables"] == {"keras float16": "float16", "keras mixed_float16": "float32"}
    assert reading("keras", input={"dtype": "float16"}).parameters_dtype == "float16"


def test_pytorch_says_which_variance_it_keeps_and_what_momentum_none_is(found: dict[str, Any]) -> None:
    for words in found["torch"]["words"]:
        plain = " ".join(words.split())
        assert "stored in the moving average" in plain
        assert "is calculated via the unbiased estimator" in plain
        assert "``None`` for cumulative moving average (i.e. simple average)" in plain


def test_pytorch_leaves_its_statistics_alone_at_an_empty_batch(found: dict[str, Any]) -> None:
    assert found["torch"]["after an empty batch"] == [[0, 0, 0], [1, 1, 1]]
    assert ("update", "none") in [(f.field, f.value) for f in reading("torch", input={"shape": [0, 3, 4, 4]}).facts]


SMALL_EPSILON = """\
title: an epsilon far below the least that cuDNN once asked for
input: {shape: [4, 3, 2, 5], layout: NCHW, values: {normal: {mean: 0, std: 0.001}}}
axis: 1
mode: training
epsilon: 1.0e-8
momentum: 0.5
parameters: {moving_variance: 1.0e-6, moving_mean: 0.0}
matrix: {epsilon: [0.0, 1.0e-8, 1.0e-6], mode: [training, inference]}
"""

FUSED = """\
title: the fused path in every dtype, rank and place of the channel
input: {shape: [4, 3, 2, 5], layout: NCHW}
axis: 1
mode: training
momentum: 0.5
check: [output, moving_mean, moving_variance, inference]
matrix: {input.dtype: [float16, bfloat16, float32], axis: [1, -1]}
"""

EMPTY = """\
title: an empty batch
input: {shape: [0, 3, 2, 5], layout: NCHW}
axis: 1
mode: training
"""

OF_TENSORFLOW = {
    "small": SMALL_EPSILON,
    "fused4": FUSED,
    "fused5": FUSED.replace("[4, 3, 2, 5], layout: NCHW", "[4, 3, 2, 2, 5], layout: NCDHW"),
    "empty": EMPTY,
}
OF_PYTORCH = {"small": SMALL_EPSILON}

RUNNERS = ("keras", "tf-keras", "tf-layers", "tf-fused", "tf-nn", "torch", "torch-functional")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Result]:
    found = {}
    for cases, runners in ((OF_TENSORFLOW, RUNNERS[:5]), (OF_PYTORCH, RUNNERS[5:])):
        folder = tmp_path_factory.mktemp("facts")
        for name, text in cases.items():
            (folder / f"{name}.yaml").write_text(text)
        found.update(run(folder, *runners)[0])
    return found


def kinds(result: Result) -> tuple[str, list[str]]:
    return result.verdict, sorted(result.documented.differs) if result.documented else []


@pytest.mark.parametrize("epsilon", ["0.0", "1e-08", "1e-06"])
@pytest.mark.parametrize("runner", RUNNERS)
def test_a_small_epsilon_is_honoured_or_refused(results: dict[str, Result], runner: str, epsilon: str) -> None:
    training = results[f"small[epsilon={epsilon},mode=training] {runner}"]
    inference = results[f"small[epsilon={epsilon},mode=inference] {runner}"]
    assert kinds(inference) == ("pass", [])
    if runner.startswith("torch") and epsilon == "0.0":
        assert kinds(training) == ("known", ["refused"])
    elif runner in ("keras", "tf-nn"):
        assert kinds(training) == ("pass", [])
    else:
        assert kinds(training) == ("known", ["moving-variance"])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
@pytest.mark.parametrize("case", ["fused4", "fused5"])
@pytest.mark.parametrize("runner", ["tf-keras", "tf-layers", "tf-fused"])
def test_the_fused_path_keeps_the_unbiased_variance(
    results: dict[str, Result], runner: str, case: str, dtype: str
) -> None:
    for axis in (1, -1):
        result = results[f"{case}[input.dtype={dtype},axis={axis}] {runner}"]
        assert kinds(result) == ("known", ["moving-variance"])


@pytest.mark.parametrize("runner", ["keras", "tf-keras", "tf-layers", "tf-fused", "tf-nn"])
def test_an_empty_batch_leaves_tensorflow_without_statistics(results: dict[str, Result], runner: str) -> None:
    """Its kernel: "If input is empty, return NaN mean/variance"; and so does a mean of no values."""
    assert results[f"empty {runner}"].verdict == "pass"
