"""The real frameworks, in their real processes: the documented facts hold, and nothing honest is called wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import run

from bncheck.case.load import load
from bncheck.document import Result
from bncheck.documented import by_default

SWEEP = """\
title: every dtype, kept set and mode
input: {shape: [4, 3, 6, 5], layout: NCHW}
axis: 1
mode: training
momentum: 0.9
matrix:
  input.dtype: [float16, bfloat16, float32, float64]
  axis: [1, -1, 2, 0, [1, 2], [0], []]
  mode: [training, inference]
"""

RANKS = """\
title: ranks from one to six
input: {shape: [7], layout: N}
axis: -1
mode: inference
"""

STEPS = """\
title: three steps, then inference
input: {shape: [6, 4, 3], layout: NLC}
axis: -1
mode: training
momentum: 0.8
steps: 3
check: [output, moving_mean, moving_variance, inference]
matrix: {input.dtype: [float32, bfloat16], center: [true, false], scale: [true, false]}
"""

DEFAULTS = """\
title: what an implementation does by default
input: {shape: [6, 3, 4, 5], layout: NCHW}
axis: 1
mode: default
epsilon: default
momentum: default
"""

DEFAULTS_IN_TRAINING = DEFAULTS.replace("mode: default", "mode: training")

CUMULATIVE = """\
title: the plain average of three batches
input: {shape: [2, 1], layout: NC, values: [[[0], [2]], [[4], [8]], [[10], [10]]]}
axis: 1
mode: training
momentum: cumulative
steps: 3
check: [moving_mean, moving_variance]
"""

ONE_VALUE = """\
title: a single value for each channel
input: {shape: [1, 3, 1, 1], layout: NCHW, values: [[[[5]], [[-2]], [[7]]]]}
axis: 1
mode: training
"""

EXAMPLES = {
    "sweep": SWEEP,
    "steps": STEPS,
    "defaults": DEFAULTS,
    "training": DEFAULTS_IN_TRAINING,
    "cumulative": CUMULATIVE,
    "one": ONE_VALUE,
    **{
        f"rank{len(letters)}": RANKS.replace(
            "[7], layout: N", f"{[2, 3, 2, 3, 2, 3][: len(letters)]}, layout: {letters}"
        )
        for letters in ("N", "NC", "NLC", "NHWC", "NDHWC", "NTDHWC")
    },
}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Result]:
    """All examples on all built-in runners, run once."""
    folder = tmp_path_factory.mktemp("frameworks")
    for name, text in EXAMPLES.items():
        (folder / f"{name}.yaml").write_text(text)
    found, implementations = run(folder, *by_default())
    unavailable = {name: i.reason for name, i in implementations.items() if not i.available}
    assert not unavailable, "these tests need TensorFlow and PyTorch: pip install -e '.[all,test]'"
    return found


FLOAT32_MOMENTUM = ("tf-keras", "tf-layers", "tf-nn")
"""They keep `1 - momentum` in float32, so their moving statistics of float64 tensors are wrong in the eighth digit."""


def is_known_defect(result: Result) -> bool:
    return (
        result.runner in FLOAT32_MOMENTUM
        and "float64" in result.case
        and "training" in result.case
        and {t.name for t in result.tensors if t.bound_ratio > 1} == {"moving_mean", "moving_variance"}
    )


def test_nothing_honest_is_called_wrong(results: dict[str, Result]) -> None:
    wrong = {name: r for name, r in results.items() if r.verdict in ("fail", "error") and not is_known_defect(r)}
    assert {name: [c.message for c in r.causes] or r.error for name, r in wrong.items()} == {}


def test_a_momentum_rounded_to_float32_is_found_in_float64(results: dict[str, Result]) -> None:
    found = {r.runner for r in results.values() if is_known_defect(r)}
    assert found == set(FLOAT32_MOMENTUM)


def test_every_runner_was_really_judged(results: dict[str, Result]) -> None:
    judged = Counter(r.runner for r in results.values() if r.verdict in ("pass", "known"))
    assert set(judged) == set(by_default())
    assert min(judged.values()) >= 40


@pytest.mark.parametrize(
    ("case", "runner", "verdict", "kinds"),
    [
        ("sweep[input.dtype=float32,axis=1,mode=training]", "keras", "pass", []),
        ("sweep[input.dtype=float32,axis=1,mode=training]", "torch", "known", ["moving-variance"]),
        ("sweep[input.dtype=float32,axis=1,mode=training]", "torch-functional", "known", ["moving-variance"]),
        ("sweep[input.dtype=float32,axis=1,mode=training]", "tf-keras", "known", ["moving-variance"]),
        ("sweep[input.dtype=float32,axis=1,mode=training]", "tf-layers", "known", ["moving-variance"]),
        ("sweep[input.dtype=float32,axis=1,mode=training]", "tf-fused", "known", ["moving-variance"]),
        ("sweep[input.dtype=float32,axis=2,mode=training]", "tf-keras", "pass", []),
        ("sweep[input.dtype=float32,axis=1,mode=training]", "tf-nn", "pass", []),
        ("sweep[input.dtype=float16,axis=1,mode=inference]", "tf-nn", "known", ["precision"]),
        ("sweep[input.dtype=bfloat16,axis=1,mode=inference]", "torch", "pass", []),
        ("sweep[input.dtype=float64,axis=1,mode=training]", "tf-fused", "unsupported", []),
        ("defaults", "keras", "pass", []),
        ("defaults", "tf-keras", "pass", []),
        ("defaults", "torch", "known", ["epsilon", "mode"]),
        ("defaults", "torch-functional", "known", ["epsilon"]),
        ("defaults", "tf-fused", "known", ["mode"]),
        ("defaults", "tf-nn", "unsupported", []),
        ("training", "torch", "known", ["epsilon", "momentum", "moving-variance"]),
        ("training", "tf-fused", "known", ["momentum", "moving-variance"]),
        ("cumulative", "torch", "known", ["moving-variance"]),
        ("cumulative", "numpy", "pass", []),
        ("cumulative", "keras", "unsupported", []),
        ("one", "torch", "known", ["refused"]),
        ("one", "keras", "pass", []),
        ("one", "tf-keras", "pass", []),
    ],
)
def test_documented_facts(results: dict[str, Result], case: str, runner: str, verdict: str, kinds: list[str]) -> None:
    result = results[f"{case} {runner}"]
    assert (result.verdict, sorted(c.kind for c in result.causes)) == (verdict, kinds)
    if verdict == "known":
        assert sorted(result.documented.differs) == kinds
        assert "https://" in result.documented.source


def test_a_published_number_that_is_wrong_is_told_before_anything_runs(
    write_case: Callable[..., Path],
) -> None:
    from bncheck.case.expected import broken

    file = write_case(
        ONE_VALUE + "parameters: {beta: [1.5, 2, 3]}\nexpected:\n  output:\n    - 1.5\n    - 2.1\n    - 3\n"
    )
    problems = [p for case in load([file]) for p in broken(case)]
    assert [(p.line, p.column) for p in problems] == [(9, 7)]
    assert "2 by the reference, not 2.1" in problems[0].message
