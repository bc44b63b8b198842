"""bncheck from Python, as its users call it."""

from __future__ import annotations

import doctest
import json
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from click.testing import CliRunner
from conftest import OWN, own, run

import bncheck
from bncheck import api
from bncheck.case.load import load
from bncheck.cli.main import cli

TRAINING = """\
title: one step
input: {shape: [4, 3, 5, 2], layout: NCHW}
axis: 1
mode: training
"""
INFERENCE = TRAINING.replace("training", "inference")

Write = Callable[..., Path]

own_runners = SimpleNamespace(**runpy.run_path(str(OWN)))
DTYPES = ["float16", ml_dtypes.bfloat16, "float32", "float64"]


# The package


def test_the_examples_of_the_docstrings_are_true() -> None:
    examples = doctest.testmod(api, extraglobs={"bncheck": bncheck, "np": np})
    assert examples.attempted > 0
    assert examples.failed == 0


def test_everything_public_is_listed_and_there() -> None:
    assert set(bncheck.__all__) <= set(dir(bncheck))
    assert all(getattr(bncheck, name) is getattr(api, name) for name in bncheck.__all__)
    with pytest.raises(AttributeError, match="module 'bncheck' has no attribute 'checks'"):
        bncheck.checks  # noqa: B018


def test_no_framework_is_imported() -> None:
    code = """
import sys, numpy, bncheck
x = numpy.ones((4, 3), "float32")
bncheck.diagnose(x, x, axis=1)
bncheck.run(runners="numpy", expression="epsilon-0")
assert not {"torch", "tensorflow", "keras", "tf_keras"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


# bncheck.run


def test_a_run_is_that_of_the_command_line(write_case: Write) -> None:
    file = write_case(TRAINING + "matrix: {axis: [1, -1], epsilon: [0.1, 0.001]}\n")
    runners = ["numpy", own("right"), own("epsilon-dropped")]
    ours = bncheck.run(file, runners=runners, expression="axis=1").model_dump(mode="json", by_alias=True)
    named = [argument for runner in runners for argument in ("--runner", runner)]
    said = CliRunner().invoke(cli, ["run", str(file), "-k", "axis=1", "--report", "json", *named])
    theirs = json.loads(said.stdout)
    for document in (ours, theirs):
        document.pop("started")
        for result in document["results"]:
            result.pop("seconds")
    assert ours == theirs
    assert {result["verdict"] for result in ours["results"]} == {"pass", "fail"}


def test_paths_are_one_or_several_as_text_or_as_paths(write_case: Write) -> None:
    one, other = write_case(INFERENCE, "one.yaml"), write_case(INFERENCE, "other.yaml")
    for paths, cases in ((str(one), ["one"]), (one, ["one"]), ([one, str(other)], ["one", "other"])):
        assert [c.id for c in bncheck.run(paths, runners="numpy").cases] == cases
    assert [c.id for c in bncheck.run(runners="numpy", expression="epsilon-1e-2").cases] == ["questions/epsilon-1e-2"]


def test_what_a_run_cannot_use_is_told(write_case: Write) -> None:
    bad = write_case("title: t\n", "bad.yaml")
    good = write_case(TRAINING)
    with pytest.raises(bncheck.BadCases, match=r"bad.yaml:1:1: `axis` is missing"):
        bncheck.run(bad, runners="numpy")
    with pytest.raises(bncheck.BadRunner, match="there is no runner 'nummpy'; did you mean numpy"):
        bncheck.run(good, runners="nummpy")
    with pytest.raises(ValueError, match="no case matches 'nothing'"):
        bncheck.run(good, runners="numpy", expression="nothing")
    with pytest.raises(ValueError, match="there is no device 'tpu'; there are cpu, gpu and all"):
        bncheck.run(good, runners="numpy", device="tpu")


def test_a_run_has_limits(write_case: Write) -> None:
    document = bncheck.run(write_case(TRAINING), runners=own("hangs"), timeout=0.5, max_memory=1 << 32, jobs=1)
    assert "no answer after 0.5 s" in str(document.results[0].error)


def test_a_run_is_judged_by_what_is_expected(write_case: Write, tmp_path: Path) -> None:
    file = write_case(TRAINING)
    expected = "- {case: case, runner: epsilon-dropped, cause: epsilon, error: 9, reason: it is old}"
    beside = write_case(expected, "expectations.yaml")
    known = bncheck.run(file, runners=[own("epsilon-dropped")])
    assert [r.verdict for r in known.results] == ["known"]
    assert (known.summary.known, known.stale) == (1, [])
    (stale,) = bncheck.run(file, runners=[own("epsilon-dropped", "right")]).stale
    assert "now passes" in stale.message
    elsewhere = beside.rename(tmp_path / "known.yaml")
    assert bncheck.run(file, runners=[own("epsilon-dropped")], expectations=elsewhere).summary.known == 1
    elsewhere.write_text(expected.replace("it is old", "''"))
    with pytest.raises(bncheck.BadCases, match="the entry has no reason"):
        bncheck.run(file, runners=[own("epsilon-dropped")], expectations=elsewhere)
    with pytest.raises(FileNotFoundError):
        bncheck.run(file, runners=[own("epsilon-dropped")], expectations=tmp_path / "gone.yaml")


# bncheck.check


def test_a_right_function_passes_and_its_results_are_returned(write_case: Write) -> None:
    folder = write_case(TRAINING + "matrix: {axis: [1, -1], input.dtype: [bfloat16, float32]}\n").parent
    results = bncheck.check(own_runners.right, folder)
    assert [(result.runner, result.verdict) for result in results] == [("right", "pass")] * 4
    assert [r.case for r in bncheck.check(own_runners.right, folder, expression="bfloat16 and not -1")] == [
        "case[axis=1,input.dtype=bfloat16]"
    ]


def test_without_cases_those_that_come_with_bncheck_are_taken() -> None:
    of_questions = [case for case in load([bncheck.api.corpus()]) if "questions" in case.id]
    assert len(bncheck.check(own_runners.right, expression="questions")) == len(of_questions)


def test_functions_are_judged_as_in_a_worker(write_case: Write) -> None:
    labels = [
        *("right", "epsilon_dropped", "momentum_exchanged", "wrong_axis", "wrong_shape", "wrong_dtype", "not_finite"),
        *("raises", "a_list", "objects", "a_tuple", "key_missing", "without_statistics", "with_another_default"),
        *("writes_into_its_inputs", "writes_into_its_parameters", "answers_big_endian"),
    ]
    steps = "steps: 3\ncheck: [output, moving_mean, moving_variance, inference]\n"
    write_case(TRAINING + steps + "momentum: cumulative\n", "training.yaml")
    write_case(INFERENCE.replace("inference", "default") + "epsilon: default\n", "default.yaml")
    folder = write_case(INFERENCE + "center: false\n", "inference.yaml").parent
    in_a_worker, _ = run(folder, *map(own, labels))
    for label in labels:
        try:
            here = bncheck.check(getattr(own_runners, label), folder)
        except bncheck.Discrepancy as error:
            here = error.results
        for result in here:
            there = in_a_worker[f"{result.case} {label}"]
            assert result.model_dump(exclude={"seconds"}) == there.model_dump(exclude={"seconds"})


def test_the_message_names_case_tensor_error_and_cause(write_case: Write) -> None:
    file = write_case(TRAINING + "epsilon: 0.5\n")
    with pytest.raises(AssertionError) as raised:
        bncheck.check(own_runners.epsilon_dropped, file)
    assert str(raised.value).startswith("epsilon_dropped fails 1 of 1 case\n\ncase: one step\n  epsilon: 0 used (0 to ")
    assert "\n  output           3.6e+00  2.23e+07  [2, 2, 4, 1]" in str(raised.value)
    assert max(map(len, str(raised.value).splitlines())) <= 100


def test_all_failures_are_collected_one_of_each_kind_is_told_and_the_others_counted(write_case: Write) -> None:
    def wrong(x: Any, *, axis: Any, epsilon: float, **others: Any) -> Any:
        if axis == (0,):
            raise NotImplementedError("axis 0")
        return own_runners.right(x, axis=axis, epsilon=0.0, **others)

    file = write_case(INFERENCE + "matrix: {axis: [0, 1, 2, 3], epsilon: [0.5, 0]}\n")
    with pytest.raises(bncheck.Discrepancy) as raised:
        bncheck.check(wrong, file)
    text = str(raised.value)
    assert text.startswith("wrong fails 5 of 8 cases\n\ncase[axis=0,epsilon=0.5]: one step\n  refused: The call")
    assert "\n\ncase[axis=1,epsilon=0.5]: " in text
    assert text.endswith("\n\nand 3 more: epsilon (2), refused (1)")
    assert len(raised.value.results) == 8
    assert isinstance(raised.value.__cause__, NotImplementedError)


def test_what_a_function_returns_that_is_no_result_is_told(write_case: Write) -> None:
    with pytest.raises(bncheck.Discrepancy, match="the returned dict lacks output, moving_variance"):
        bncheck.check(own_runners.key_missing, write_case(TRAINING))


def test_a_check_that_judges_nothing_does_not_pass(write_case: Write) -> None:
    file = write_case(TRAINING + "check: [moving_mean]\n")
    with pytest.raises(bncheck.Discrepancy, match="nothing that without_statistics returns was judged: it has no"):
        bncheck.check(own_runners.without_statistics, file)


def test_what_is_no_function_is_refused() -> None:
    with pytest.raises(TypeError, match=r"'kernel.py:f' cannot be called; to check a function by its file, see"):
        bncheck.check("kernel.py:f")  # type: ignore[arg-type]


def test_a_function_leaves_no_trace_in_how_numpy_treats_errors(write_case: Write) -> None:
    def careless(x: Any, **others: Any) -> Any:
        np.seterr(all="raise")
        return own_runners.right(x, **others)

    before = np.geterr()
    bncheck.check(careless, write_case(TRAINING))
    assert np.geterr() == before


# bncheck.diagnose


def layer(
    dtype: Any = "float32",
    shape: tuple[int, ...] = (4, 3, 5, 2),
    axis: int = 1,
    function: Callable[..., Any] = own_runners.right,
    x_dtype: Any = None,
    **changes: Any,
) -> dict[str, Any]:
    """What went into a layer in training and what came out of it; ``changes``: what it does otherwise than is asked."""
    random = np.random.default_rng(1)
    values = {
        "gamma": random.uniform(0.5, 2, shape[axis]),
        "beta": random.normal(size=shape[axis]),
        "moving_mean": random.normal(size=shape[axis]),
        "moving_variance": random.uniform(0.5, 2, shape[axis]),
    }
    given = {name: value.astype(dtype) for name, value in values.items()}
    x = random.normal(size=shape, scale=0.1).astype(x_dtype or dtype)
    asked = {"epsilon": 1e-3, "momentum": 0.9, "training": True}
    returned = function(x, **{**given, **asked, "axis": (axis,), **changes})
    updated = {f"updated_{name}": value for name, value in returned.items() if name != "output"}
    return {"x": x, "y": returned["output"], "axis": axis, **asked, **given, **updated}


def kinds(diagnosis: bncheck.Diagnosis) -> list[str]:
    return [cause.kind for cause in diagnosis.causes]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_right_layer_passes(dtype: Any) -> None:
    diagnosis = bncheck.diagnose(**layer(dtype))
    assert (diagnosis.verdict, diagnosis.causes) == ("pass", ())
    assert [tensor.name for tensor in diagnosis.tensors] == ["output", "moving_mean", "moving_variance"]
    assert str(diagnosis).startswith("pass\n\ntensor ")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"epsilon": 1e-5}, "epsilon: 1e-05 used ("),
        ({"momentum": 0.1}, "momentum: 0.1 used ("),
        ({"gamma": None}, "parameters: Gamma is ignored: "),
        ({"training": False}, "mode: The moving statistics normalize, as in inference; "),
    ],
)
def test_the_cause_is_named(changes: dict[str, Any], words: str) -> None:
    diagnosis = bncheck.diagnose(**layer(**changes))
    assert diagnosis.verdict == "fail"
    assert kinds(diagnosis) == [words.partition(":")[0]]
    assert str(diagnosis).startswith(f"fail\n\n{words}")


def test_the_axes_that_were_kept_are_named_by_the_layout() -> None:
    given = layer(shape=(4, 3, 5, 3), axis=3)
    diagnosis = bncheck.diagnose(**given | {"axis": 1}, layout="NCHW")
    assert kinds(diagnosis) == ["axis"]
    assert diagnosis.causes[0].message.startswith("Statistics keep W (axis 3) and average over N, C, H; requested is")
    assert "keep L (axis 0)" in str(bncheck.diagnose(**layer(shape=(3, 3, 3), axis=0) | {"axis": -2}, layout="LNC"))


@pytest.mark.parametrize("rank", range(1, 9))
def test_axes_have_letters_without_a_layout(rank: int) -> None:
    shape = tuple(range(2, rank + 2))
    for axis in range(rank):
        assert bncheck.diagnose(**layer(shape=shape, axis=axis)).verdict == "pass"
    x = np.ones(shape, np.float32)
    for axes in ([], list(range(rank))):
        assert bncheck.diagnose(x, np.zeros_like(x), axis=axes, training=True).verdict == "pass"


def test_what_is_not_given_is_neutral() -> None:
    x = np.arange(12, dtype=np.float32).reshape(4, 3)
    y = x / np.sqrt(np.float32(1.001))
    assert bncheck.diagnose(x, y, axis=-1).verdict == "pass"
    assert bncheck.diagnose(x, y * 2 + 1, axis=-1, gamma=[2, 2, 2], beta=[1, 1, 1]).verdict == "pass"
    assert bncheck.diagnose(x, y, axis=-1, gamma=[2, 2, 2]).verdict == "fail"


@pytest.mark.parametrize("shape", [(3,), (1, 3, 1, 1), (3, 1, 1)], ids=str)
def test_parameters_may_have_any_shape_that_holds_them(shape: tuple[int, ...]) -> None:
    given = layer()
    shaped = {k: v.reshape(shape) for k, v in given.items() if isinstance(v, np.ndarray) and v.size == 3}
    assert bncheck.diagnose(**given | shaped).verdict == "pass"


def test_parameters_of_several_axes_are_in_the_order_of_the_tensor() -> None:
    x = np.random.default_rng(1).normal(size=(2, 3, 4)).astype(np.float32)
    beta = np.arange(6, dtype=np.float32).reshape(2, 3)
    y = x / np.sqrt(np.float32(1.001)) + beta[:, :, None]
    for given in (beta, beta[:, :, None], beta.ravel()):
        assert bncheck.diagnose(x, y, axis=(1, 0), beta=given).verdict == "pass"
    with pytest.raises(ValueError, match=r"beta has shape \[3, 2\], but .* 6 entries; give it in shape \[2, 3\]"):
        bncheck.diagnose(x, y, axis=(1, 0), beta=beta.T)


@pytest.mark.parametrize("dtype", ["float16", ml_dtypes.bfloat16], ids=str)
def test_parameters_and_statistics_of_16_bit_tensors_may_have_32(dtype: Any) -> None:
    def mixed(x: Any, **given: Any) -> dict[str, Any]:
        returned = own_runners.right(x.astype(np.float32), **given)
        return {**returned, "output": returned["output"].astype(x.dtype)}

    given = layer("float32", function=mixed, x_dtype=dtype)
    assert kinds(bncheck.diagnose(**given)) == []
    narrow = given["updated_moving_mean"].astype(dtype)
    assert kinds(bncheck.diagnose(**given | {"updated_moving_mean": narrow})) == ["dtype"]


def test_another_dtype_or_shape_of_what_came_out_is_a_cause() -> None:
    given = layer()
    assert kinds(bncheck.diagnose(**given | {"y": given["y"].astype(np.float64)})) == ["dtype"]
    assert kinds(bncheck.diagnose(**given | {"y": given["y"][0]})) == ["shape"]
    assert kinds(bncheck.diagnose(**given | {"updated_moving_mean": np.zeros(5, np.float32)})) == ["shape"]
    transposed = np.ascontiguousarray(given["y"].transpose(0, 2, 3, 1))
    [cause] = bncheck.diagnose(**given | {"y": transposed}, layout="NCHW").causes
    assert "transposed from NCHW to NHWC" in cause.message


def test_what_is_not_finite_is_a_cause() -> None:
    given = layer()
    given["y"][0, 0, 0, 0] = np.nan
    assert kinds(bncheck.diagnose(**given)) == ["nonfinite"]


def test_arrays_may_be_views_and_are_left_alone() -> None:
    given = layer(shape=(4, 5, 2, 3), axis=3)
    given |= {name: given[name].transpose(0, 3, 1, 2) for name in ("x", "y")} | {"axis": 1}
    for name, value in given.items():
        if isinstance(value, np.ndarray):
            given[name] = value.astype(value.dtype.newbyteorder())
            given[name].flags.writeable = False
    assert bncheck.diagnose(**given).verdict == "pass"


def test_a_layer_of_pytorch_is_diagnosed_by_its_own_tensors() -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(1)
    bn = torch.nn.BatchNorm2d(3)
    x = torch.randn(4, 3, 5, 2) * 0.1
    before = bn.running_mean.clone(), bn.running_var.clone()
    given: dict[str, Any] = {"x": x, "y": bn(x), "axis": 1, "momentum": 0.9, "training": True}
    given |= {"gamma": bn.weight, "beta": bn.bias, "moving_mean": before[0], "moving_variance": before[1]}
    after = {"updated_moving_mean": bn.running_mean, "updated_moving_variance": bn.running_var}
    assert bncheck.diagnose(**given, epsilon=1e-5).verdict == "pass"
    assert kinds(bncheck.diagnose(**given, **after)) == ["moving-variance", "epsilon"]
    with pytest.raises(TypeError, match=r"pass x.float\(\).numpy\(\).astype\(ml_dtypes.bfloat16\)"):
        bncheck.diagnose(**given | {"x": x.bfloat16()})


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"x": "text"}, TypeError, "x holds str128, not numbers; give an array of float16, bfloat16, float32 or fl"),
        ({"x": [[1, 2]]}, TypeError, "x is int64; give an array of float16, bfloat16, float32 or float64"),
        ({"x": [[1, 2], [3]]}, TypeError, "x cannot be read as a NumPy array: .*inhomogeneous"),
        ({"y": [None]}, TypeError, "y holds object, not numbers"),
        ({"x": np.float32(1)}, ValueError, "x has 0 axes; give 1 to 8"),
        ({"axis": 4}, ValueError, "axis 4 is out of range for rank 4; use -4 to 3"),
        ({"axis": [1, -3]}, ValueError, r"axis -3 is named twice \(it is axis 1\); name each axis once"),
        ({"axis": 1.0}, TypeError, "cannot be interpreted as an integer"),
        ({"epsilon": -1.0}, ValueError, "epsilon is -1; give a number that is 0 or more"),
        ({"momentum": 1.5}, ValueError, "momentum is 1.5; give the weight of the old moving statistic, 0 to 1"),
        ({"layout": "NCH"}, ValueError, "layout 'NCH' names 3 axes, but shape .* has 4; give one letter for each"),
        ({"gamma": [1.0, 2.0]}, ValueError, r"gamma has shape \[2\], but .* keeps 3 entries; give it in shape \[3\]"),
    ],
)
def test_what_is_no_input_is_refused(changes: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        bncheck.diagnose(**layer() | changes)
