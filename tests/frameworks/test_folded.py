"""Batch norm folded into the layer before it, by those who do it: it is gone, and what is left gives the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from conftest import run

from bncheck.document import Result
from bncheck.worker.runners._onnx import model
from bncheck.worker.runners.openvino import compiled

FOLDED = ("onnxruntime:folded", "openvino:folded", "torch:folded")

SHAPES = {
    "rows": "[6, 3], layout: NC",
    "images": "[4, 3, 5, 2], layout: NCHW",
    "volumes": "[2, 3, 2, 3, 2], layout: NCDHW",
}

CASE = """\
title: a small case, with and without gamma and beta
input: {{shape: {}}}
axis: 1
mode: inference
matrix: {{input.dtype: [float16, float32, float64], scale: [true, false], center: [true, false]}}
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Result]:
    folder = tmp_path_factory.mktemp("folded")
    for name, shape in SHAPES.items():
        (folder / f"{name}.yaml").write_text(CASE.format(shape))
    found, implementations = run(folder, *FOLDED)
    assert {s: i.reason for s, i in implementations.items() if not i.available} == {}
    return found


def refused(result: Result) -> bool:
    """What PyTorch does not fold: pytorch#122183."""
    return (result.runner, result.case.partition("[")[0]) == ("torch:folded", "rows") and result.kinds == ("refused",)


def test_pytorch_folds_no_features_without_gamma_and_beta(results: dict[str, Result]) -> None:
    assert {r.case.partition(",")[2] for r in results.values() if refused(r)} == {"scale=false,center=false]"}


@pytest.mark.parametrize("runner", FOLDED)
@pytest.mark.parametrize("case", SHAPES)
def test_what_is_folded_normalizes_as_before(results: dict[str, Result], case: str, runner: str) -> None:
    of_both = [r for r in results.values() if r.runner == runner and r.case.startswith(case) and not refused(r)]
    assert of_both
    assert {r.verdict for r in of_both if "float32" in r.case} == {"pass"}
    assert {r.verdict for r in of_both} <= {"pass", "known", "unsupported"}


def test_onnx_runtime_leaves_no_node_of_it(tmp_path: Path) -> None:
    x, parameters = np.ones((2, 3, 4), np.float32), ["scale", "B", "input_mean", "input_var"]
    given = {name: np.array([1.0, 2.0, 3.0], np.float32) for name in parameters}
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    proto = model(15, x, given, False, {}, convolution=True)
    assert [node.op_type for node in proto.graph.node] == ["Conv", "BatchNormalization"]
    onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    left = {node.op_type for node in onnx.load(options.optimized_model_filepath).graph.node}
    assert "Conv" in left
    assert "BatchNormalization" not in left


def test_openvino_leaves_a_convolution_alone() -> None:
    values = (1.0, 2.0, 3.0)
    ready = compiled((2, 3, 4), "f32", 1e-3, "folded", values, values, values, values)
    kinds = {node.get_rt_info()["layerType"].astype(str) for node in ready.get_runtime_model().get_ordered_ops()}
    assert "Convolution" in kinds
    assert kinds <= {"Input", "Output", "Const", "Reorder", "Reshape", "Convolution"}
