"""ONNX's reference evaluator, ONNX Runtime and OpenVINO in their real processes: what is documented holds, nothing
honest is called wrong, and the defects of their current releases are found."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import onnx
import onnx.reference
import pytest
from conftest import run

from bncheck import documented
from bncheck.document import Result
from bncheck.documented.onnx import EPSILON, MOMENTUM

SPELLINGS = [s for s in documented.spellings() if s.startswith(("onnx", "openvino"))]

CASES = {
    "sweep": """\
title: every dtype, kept set and mode
input: {shape: [4, 3, 5, 2], layout: NCHW}
axis: 1
mode: training
matrix: {input.dtype: [float16, bfloat16, float32, float64], axis: [1, [0, 3]], mode: [training, inference]}
""",
    "ranks": """\
title: two, three and five axes
input: {shape: [6, 3], layout: NC}
axis: 1
mode: training
steps: 2
check: [output, moving_mean, moving_variance, inference]
momentum: 0.75
epsilon: 1.0e-8
""",
    "three": """\
title: three axes, neither gamma nor beta
input: {shape: [2, 3, 4], layout: NCL}
axis: 1
mode: training
momentum: 0.0
center: false
scale: false
""",
    "six": """\
title: six axes
input: {shape: [2, 3, 2, 2, 2, 2], layout: NCDHWL}
axis: 1
mode: training
momentum: 1.0
""",
    "defaults": """\
title: what is left to the implementation
input: {shape: [4, 3, 5], layout: NCL}
axis: 1
mode: default
epsilon: default
momentum: default
matrix: {mode: [default, training], input.dtype: [float32, float64]}
""",
    "edges": """\
title: an empty batch, and epsilon 0
input: {shape: [0, 3, 4], layout: NCL}
axis: 1
mode: inference
epsilon: 0.0
""",
    "one-axis": """\
title: one axis, one statistic
input: {shape: [6], layout: N}
axis: []
mode: training
matrix: {mode: [training, inference]}
""",
    "shared": """\
title: parameters at what they are before training
input: {shape: [4, 3, 5], layout: NCL}
axis: 1
mode: training
momentum: 0.5
parameters: {gamma: 1.0, beta: 0.0, moving_mean: 0.0, moving_variance: 1.0}
repeat: 2
matrix: {input.dtype: [float16, float32]}
""",
    "long": """\
title: as many values as float16 and bfloat16 cannot sum
input: {shape: [8, 3, 9, 10], layout: NCHW, values: {uniform: {low: 0, high: 100}}}
axis: 1
mode: training
matrix: {input.dtype: [float16, bfloat16]}
""",
    "momentum": """\
title: a momentum whose difference from 1 is no float32
input: {shape: [4, 3, 5], layout: NCL, dtype: float64}
axis: 1
mode: training
momentum: 0.22191365
""",
    "huge-epsilon": """\
title: an epsilon that float16 does not hold
input: {shape: [4, 3, 5], layout: NCL, dtype: float16}
axis: 1
mode: inference
epsilon: 100000.0
""",
    "cut": """\
title: one channel, whose shift bfloat16 must round
input: {shape: [2, 1], layout: NC, dtype: bfloat16, values: [[0.0], [1.0]]}
axis: 1
mode: inference
center: true
scale: false
parameters: {beta: 0.265625, moving_mean: -4.4345856e-5, moving_variance: 1.0186341e-9}
""",
}

FINDINGS = {
    "sweep": {"onnx:mixed", "openvino:f32"},
    "one-axis": {"onnx", "onnx:opset-14", "openvino-onnx"},
    "shared": {"onnxruntime", "onnxruntime:opset-9", "onnxruntime:opset-14", "onnxruntime:output-only", "onnx:mixed"},
    "long": {"onnx", "onnx:opset-14", "onnx:mixed"},
    "momentum": {"onnx", "onnx:opset-14"},
    "huge-epsilon": {"openvino", "openvino:f32", "openvino-onnx", "onnxruntime:folded"},
    "cut": {"openvino:f32"},
}
"""By file of cases the runners whose current release is wrong there, besides two that are wrong nearly everywhere."""

EVERYWHERE = {"onnx:opset-9", "openvino-onnx:mixed"}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Result]:
    folder = tmp_path_factory.mktemp("onnx")
    for name, text in CASES.items():
        (folder / f"{name}.yaml").write_text(text)
    found, implementations = run(folder, *SPELLINGS)
    assert {s: i.reason for s, i in implementations.items() if not i.available} == {}
    return found


def test_whatever_is_not_found_wrong_is_as_requested_or_as_documented(results: dict[str, Result]) -> None:
    wrong: dict[str, set[str]] = defaultdict(set)
    for result in results.values():
        if result.verdict in ("fail", "error") and result.runner not in EVERYWHERE:
            wrong[result.case.partition("[")[0]].add(result.runner)
    assert wrong == FINDINGS


@pytest.mark.parametrize("spelling", sorted(set(SPELLINGS) - EVERYWHERE))
def test_every_runner_was_really_judged(results: dict[str, Result], spelling: str) -> None:
    verdicts = Counter(r.verdict for r in results.values() if r.runner == spelling)
    assert verdicts["pass"] + verdicts["known"] >= 4


def message(results: dict[str, Result], key: str) -> str:
    assert results[key].verdict == "fail"
    return " ".join(cause.message for cause in results[key].causes)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_onnx_runtime_writes_statistics_that_nobody_reads_over_equal_parameters(
    results: dict[str, Result], dtype: str
) -> None:
    """onnxruntime#29790: equal initialisers become one, and the kernel writes it before it has read it."""
    alone = results[f"shared[input.dtype={dtype}] onnxruntime:output-only"]
    assert "unexplained" in alone.kinds
    assert results[f"shared[input.dtype={dtype}] onnxruntime:unoptimized"].verdict == "pass"
    assert results[f"shared[input.dtype={dtype}] onnxruntime:inputs"].verdict == "pass"


def test_and_writes_them_again_in_each_call(results: dict[str, Result]) -> None:
    assert "nondeterministic" in results["shared[input.dtype=float32] onnxruntime:output-only"].kinds


def test_the_reference_evaluator_of_opset_9_normalizes_by_updated_statistics_and_cannot_train(
    results: dict[str, Result],
) -> None:
    inference = results["sweep[input.dtype=float32,axis=1,mode=inference] onnx:opset-9"]
    assert inference.kinds == ("mode",)
    training = results["sweep[input.dtype=float32,axis=1,mode=training] onnx:opset-9"]
    assert training.kinds == ("refused",)


def test_the_reference_evaluator_sums_in_16_bits(results: dict[str, Result]) -> None:
    assert "nonfinite" in results["long[input.dtype=float16] onnx"].kinds
    assert results["long[input.dtype=bfloat16] onnx"].kinds == ("accumulation",)
    assert results["long[input.dtype=float16] onnxruntime"].verdict == "pass"


def test_the_reference_evaluator_returns_statistics_in_the_dtype_of_x(results: dict[str, Result]) -> None:
    said = message(results, "sweep[input.dtype=bfloat16,axis=1,mode=training] onnx:mixed")
    assert "moving_mean is bfloat16; it should be float32" in said


def test_the_reference_evaluator_subtracts_momentum_from_1_in_float32(results: dict[str, Result]) -> None:
    tensors = {t.name: t.bound_ratio for t in results["momentum onnx"].tensors}
    assert tensors["output"] is not None
    assert tensors["output"] <= 1
    assert results["momentum onnxruntime"].verdict == "known"


def test_the_reference_evaluator_cannot_train_on_one_axis(results: dict[str, Result]) -> None:
    assert "IndexError" in message(results, "one-axis[mode=training] onnx")
    assert results["one-axis[mode=inference] onnx"].verdict == "pass"


def test_openvino_folds_16_bit_parameters_in_16_bits_whatever_the_hint(results: dict[str, Result]) -> None:
    for dtype in ("float16", "bfloat16"):
        assert results[f"sweep[input.dtype={dtype},axis=1,mode=inference] openvino:f32"].kinds == ("precision",)


@pytest.mark.parametrize("mode", ["training", "inference"])
def test_openvino_refuses_onnx_models_in_mixed_precision_and_on_one_axis(results: dict[str, Result], mode: str) -> None:
    mixed = results[f"sweep[input.dtype=float16,axis=1,mode={mode}] openvino-onnx:mixed"]
    assert mixed.kinds == results[f"one-axis[mode={mode}] openvino-onnx"].kinds == ("refused",)


def test_what_onnx_documents_is_what_its_schema_says() -> None:
    for opset in (9, 14, 15):
        schema = onnx.defs.get_schema("BatchNormalization", opset, "")
        for name, number in (("epsilon", EPSILON), ("momentum", MOMENTUM)):
            attribute = schema.attributes[name]
            assert attribute.type == onnx.defs.OpSchema.AttrType.FLOAT
            assert attribute.default_value.f == np.float32(number)
        takes = {c.type_param_str: c.allowed_type_strs for c in schema.type_constraints}["T"]
        assert ("tensor(bfloat16)" in takes) == (opset >= 14)
    words = " ".join(onnx.defs.get_schema("BatchNormalization", 15, "").doc.split())
    assert "`ReduceVar` refers to the population variance" in words
    assert "ReduceMean and ReduceVar uses float to avoid overflow for float16 inputs" in words
    assert "empty set of values yields undefined" in onnx.defs.get_schema("ReduceMean", 18, "").doc
    evaluator = " ".join(str(onnx.reference.ReferenceEvaluator.__doc__).split())
    assert "the official spec overrides this implementation" in evaluator
