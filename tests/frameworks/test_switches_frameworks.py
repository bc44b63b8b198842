"""Masks, frozen layers, synchronized statistics and float32 beside 16 bits on the real frameworks."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import run

from bncheck.document import Result

FROZEN = """\
title: frozen
input: {shape: [4, 3, 5, 2], layout: NHWC}
axis: -1
mode: training
momentum: 0.5
trainable: false
"""

MASKED = """\
title: masked
input: {shape: [2, 6, 3], layout: NLC}
axis: -1
mode: training
momentum: 0.75
mask: [[1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0]]
"""

IMAGES = """\
title: masked images, channels first
input: {shape: [2, 5, 3, 4], layout: NCHW}
axis: 1
mode: training
momentum: 0.75
mask: [[[1, 1, 1, 1], [1, 1, 1, 1], [0, 0, 0, 0]], [[1, 1, 0, 0], [1, 1, 0, 0], [1, 1, 0, 0]]]
"""

MIXED = """\
title: float32 beside 16 bits
input: {shape: [4, 3, 6, 5], layout: NCHW, dtype: bfloat16}
axis: 1
mode: training
momentum: 0.9
parameters: {dtype: float32}
"""

SHARDS = """\
title: two replicas, the first with one row of five
input: {shape: [5, 2], layout: NF, values: [[9, -30], [1, 2], [2, 4], [3, 1], [2, 5]]}
axis: -1
mode: training
momentum: 0.5
"""

VIRTUAL = """\
title: two virtual batches of every other row
input: {shape: [6, 3, 2, 4], layout: NCHW}
axis: 1
mode: training
momentum: 0.75
steps: 2
check: [output, moving_mean, moving_variance, inference]
virtual_batch_size: 3
"""

CASES = {"frozen": FROZEN, "masked": MASKED, "images": IMAGES, "mixed": MIXED, "shards": SHARDS, "virtual": VIRTUAL}
RUNNERS = (
    "keras",
    "keras:synchronized",
    "tf-keras",
    "tf-layers",
    "torch",
    "torch-functional",
    "flax-linen",
    "flax-nnx",
)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Result]:
    folder = tmp_path_factory.mktemp("switches")
    for name, text in CASES.items():
        (folder / f"{name}.yaml").write_text(text)
    found, implementations = run(Path(folder), *RUNNERS)
    unavailable = {name: i.reason for name, i in implementations.items() if not i.available}
    assert not unavailable, "these tests need Keras, TensorFlow, PyTorch and JAX: pip install -e '.[all,test]'"
    return found


def said(result: Result) -> str:
    """The verdict, and what was documented otherwise."""
    return " ".join([result.verdict, *sorted({cause.kind for cause in result.causes})])


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        (
            "frozen",
            {
                "keras": "pass",
                "tf-keras": "pass",
                "tf-layers": "known mode",
                "torch": "known mode moving-variance",
                "flax-linen": "unsupported",
            },
        ),
        ("masked", {"keras": "pass", "tf-keras": "pass", "flax-linen": "pass", "flax-nnx": "pass"}),
        ("images", {"keras": "pass", "tf-keras": "known moving-variance parameters", "flax-linen": "pass"}),
        (
            "mixed",
            {
                "keras": "pass",
                "tf-keras": "known moving-variance",
                "torch": "known moving-variance",
                "torch-functional": "known moving-variance",
                "flax-linen": "pass",
                "flax-nnx": "known precision",
            },
        ),
        ("shards", {"keras": "pass", "keras:synchronized": "pass"}),
        ("virtual", {"tf-keras": "pass", "tf-layers": "pass", "keras": "unsupported", "torch": "unsupported"}),
    ],
)
def test_each_does_what_it_documents(results: dict[str, Result], case: str, expected: dict[str, str]) -> None:
    assert {runner: said(results[f"{case} {runner}"]) for runner in expected} == expected


def test_statistics_beside_16_bits_come_back_in_float32(results: dict[str, Result]) -> None:
    for runner in ("keras", "torch", "flax-linen"):
        tensors = {tensor.name: tensor.dtype for tensor in results[f"mixed {runner}"].tensors}
        assert tensors == {"output": "bfloat16", "moving_mean": "float32", "moving_variance": "float32"}
