"""What `bncheck explain` writes is right: its lines are run as they stand, on the real libraries, against NumPy.

Flax and ONNX are not among the libraries that tests need; ONNX's operators are run with NumPy in ``test_explain``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from bncheck.case.model import Case
from bncheck.explain import Explanation, explain

EXAMPLES: dict[str, tuple[list[int], str, int | list[int]]] = {
    "features": ([8, 5], "NF", -1),
    "features, kept batch": ([8, 5], "NF", 0),
    "sequence": ([4, 7, 3], "NLC", -1),
    "sequence, channels first": ([4, 3, 7], "NCL", 1),
    "sequence, several": ([4, 7, 3], "NLC", [1, 2]),
    "image": ([4, 5, 6, 3], "NHWC", -1),
    "image, as a list": ([4, 5, 6, 3], "NHWC", [3]),
    "image, channels first": ([4, 3, 5, 6], "NCHW", 1),
    "image, width": ([4, 3, 5, 6], "NCHW", -1),
    "image, height": ([4, 5, 6, 3], "NHWC", 1),
    "image, batch from the end": ([4, 5, 6, 3], "NHWC", -4),
    "image, all but the batch": ([4, 5, 6, 3], "NHWC", [1, 2, 3]),
    "image, all but the channels": ([4, 5, 6, 3], "NHWC", [0, 1, 2]),
    "image, apart": ([4, 5, 6, 3], "NHWC", [1, 3]),
    "image, nothing": ([4, 5, 6, 3], "NHWC", []),
    "volume": ([2, 3, 4, 5, 3], "NDHWC", -1),
    "volume, depth": ([2, 3, 4, 5, 3], "NDHWC", 1),
    "six axes": ([2, 3, 2, 3, 2, 4], "NCTDHW", 1),
    "six axes, apart": ([2, 3, 2, 3, 2, 4], "NCTDHW", [1, 3]),
    "one axis, nothing": ([7], "N", []),
}
"""More than one value for each statistic, since PyTorch takes no less; no two numbers of one axis are alike."""

ENTIRE = {"everything": ([3, 4], "NF", [0, 1])}

SHARED = """\
import json, os, sys
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np

def data(shape):
    scale = np.prod([1 + 0.4 * i for i in np.indices(shape)], axis=0)
    return (np.random.default_rng(0).normal(size=shape) * scale + scale).astype(np.float32)

def run(lines, names, x):
    names = {**names, **sizes, "x": x}
    for line in lines[:-1]:
        exec(line, names)
    value = eval(lines[-1], names)
    return value(x) if callable(value) else value

def off(actual, expected):
    expected = np.asarray(expected)
    return float(np.max(np.abs(np.ravel(actual) - np.ravel(expected)) / (1 + np.abs(np.ravel(expected)))))

def formula(text, x, axes):
    x = np.asarray(x, np.float64)
    return eval(text, {"mean": x.mean(axis=axes), "variance": x.var(axis=axes)})

def normalized(x, axes, epsilon):
    x = np.asarray(x, np.float64)
    return (x - x.mean(axis=axes, keepdims=True)) / np.sqrt(x.var(axis=axes, keepdims=True) + epsilon)

def judge(name, y, mean, variance, x, axes):
    said = asked["said"][name]
    return {
        "shape": list(np.shape(y)),
        "off": {
            "output": off(y, normalized(x, axes, said["epsilon"])),
            "moving_mean": off(mean, formula(said["mean"], x, axes)),
            "moving_variance": off(variance, formula(said["variance"], x, axes)),
        },
    }
"""

TENSORFLOW = """\
import tensorflow as tf, keras, tf_keras
from keras import ops

def answer(asked):
    x, axes, layers = data(asked["shape"]), tuple(asked["reduced"]), []

    def training(layer_type):
        def make(**arguments):
            layers.append(layer_type(**arguments))
            return lambda x: layers[-1](x, training=True)
        return make

    found = {}
    for name, said in (("Keras 3", "Keras"), ("Keras 3", "Keras 3"), ("tf_keras", "tf_keras")):
        if said in asked["lines"]:
            module = keras if name == "Keras 3" else tf_keras
            names = {"BatchNormalization": training(module.layers.BatchNormalization), "ops": ops}
            y = run(asked["lines"][said], names, tf.constant(x))
            layer = layers[-1]
            found[said] = judge(name, y, layer.moving_mean, layer.moving_variance, x, axes)
            found[said]["parameters"] = layer.count_params()
    mean, variance = run(asked["lines"]["TensorFlow"], {"tf": tf}, tf.constant(x))
    moments = {"mean": off(mean, x.mean(axis=axes)), "variance": off(variance, x.var(axis=axes))}
    found["TensorFlow"] = {"off": moments}
    found["NumPy"] = {"off": {"mean": off(run(asked["lines"]["NumPy"], {}, x), x.mean(axis=axes))}}
    return found
"""

TORCH = """\
import torch

def answer(asked):
    x, axes, layers = data(asked["shape"]), tuple(asked["reduced"]), []

    def noted(layer_type):
        def make(count):
            layers.append(layer_type(count))
            return layers[-1]
        return make

    names = {f"BatchNorm{d}d": noted(getattr(torch.nn, f"BatchNorm{d}d")) for d in (1, 2, 3)}
    try:
        y = run(asked["lines"]["PyTorch"], names, torch.tensor(x)).detach().numpy()
    except ValueError as error:
        return {"PyTorch": {"raises": str(error)}}
    return {"PyTorch": judge("PyTorch", y, layers[-1].running_mean, layers[-1].running_var, x, axes)}
"""

LOOP = """\
answers = {}
for key, asked in json.load(sys.stdin).items():
    sizes = asked["sizes"]
    answers[key] = answer(asked)
json.dump(answers, sys.stdout)
"""


def question(found: Explanation, shape: list[int]) -> dict[str, Any]:
    assert found.step is not None
    moved = {m.name: m for m in found.step.moved}
    return {
        "shape": shape,
        "sizes": dict(zip(found.axes.letters, shape, strict=True)),
        "reduced": found.axes.reduced,
        "lines": {s.name: s.lines for s in found.spellings},
        "said": {
            d.name: {"epsilon": d.epsilon, "mean": moved[d.name].mean, "variance": moved[d.name].variance}
            for d in found.defaults
        },
    }


def explained(shape: list[int], layout: str, axis: int | list[int], unknown: set[int]) -> Explanation:
    data = {
        "title": "t",
        "input": {"shape": shape, "layout": layout},
        "axis": axis,
        "mode": "training",
        "epsilon": "default",
        "momentum": "default",
        "parameters": {"moving_mean": 0.0, "moving_variance": 1.0},
    }
    return explain(Case.model_validate(data), unknown=unknown)


@pytest.fixture(scope="module")
def answers() -> dict[str, dict[str, Any]]:
    """What the libraries, each in a process of its own, made of the lines for all examples."""
    questions = {}
    for name, (shape, layout, axis) in {**EXAMPLES, **ENTIRE}.items():
        questions[name] = question(explained(shape, layout, axis, set()), shape)
        unknown = explained(shape, layout, axis, set(range(len(shape))))
        # the formulas have n/(n-1) there
        questions[f"{name}, sizes unknown"] = {**question(unknown, shape), "said": questions[name]["said"]}
    answers: dict[str, dict[str, Any]] = {name: {} for name in questions}
    for script in (TENSORFLOW, TORCH):
        process = subprocess.run(
            [sys.executable, "-c", SHARED + script + LOOP],
            input=json.dumps(questions),
            env={**os.environ, "TF_USE_LEGACY_KERAS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert process.returncode == 0, process.stderr
        for name, found in json.loads(process.stdout).items():
            answers[name].update(found)
    return answers


@pytest.mark.parametrize("unknown", ["", ", sizes unknown"])
@pytest.mark.parametrize("name", EXAMPLES)
def test_every_line_computes_what_the_axis_means_and_moves_what_it_must(
    answers: dict[str, dict[str, Any]], name: str, unknown: str
) -> None:
    found = answers[name + unknown]
    assert {"NumPy", "TensorFlow", "PyTorch"} < set(found)
    assert "Keras" in found or {"Keras 3", "tf_keras"} <= set(found)
    for library, result in found.items():
        assert result.get("shape", EXAMPLES[name][0]) == EXAMPLES[name][0], library
        assert max(result["off"].values()) < 1e-5, (library, result["off"])


def test_where_everything_is_kept_keras_goes_on_and_pytorch_raises(answers: dict[str, dict[str, Any]]) -> None:
    found = answers["everything"]
    assert "Expected more than 1 value per channel" in found["PyTorch"]["raises"]
    assert max(found[library]["off"]["output"] for library in ("Keras 3", "tf_keras")) < 1e-5


@pytest.mark.parametrize(("name", "parameters"), [("image", 12), ("image, width", 24), ("image, nothing", 4)])
def test_keras_counts_the_parameters_that_are_said(
    answers: dict[str, dict[str, Any]], name: str, parameters: int
) -> None:
    assert answers[name]["Keras"]["parameters"] == parameters
