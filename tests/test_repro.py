"""Scripts that run without bncheck: the same tensors, the same call, the same judgement."""

from __future__ import annotations

import ast
import contextlib
import io
import math
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from conftest import OWN, make_case, own
from hypothesis import given, settings
from hypothesis import strategies as st

from bncheck.case.inputs import make
from bncheck.case.load import LoadedCase, load
from bncheck.case.model import Case, Dtype
from bncheck.case.text import Text
from bncheck.document import Implementation, Result
from bncheck.documented import built_in
from bncheck.documented.reading import Unsupported
from bncheck.repro import builtin
from bncheck.repro import tensors as repro_tensors
from bncheck.repro.call import TENSORS, filled_in
from bncheck.repro.script import script
from bncheck.repro.seen import Seen
from bncheck.running import engine
from bncheck.running.events import Done
from bncheck.running.line import call_arguments
from bncheck.running.runners import select
from bncheck.worker.call import Arranged, Call

Write = Callable[..., Path]


def loaded(case: Case, folder: Path = Path()) -> LoadedCase:
    return LoadedCase("a/case", case, {}, Text(folder / "case.yaml"))


def scripts(file: Path, *spellings: str) -> Iterator[tuple[Result, str]]:
    """What is found of every case of a file on runners, with its script."""
    cases, runners = load([file]), {runner.spelling: runner for runner in select(spellings)}
    events = list(engine.run(cases, list(runners.values())))
    versions = {e.runner: e.version for e in events if isinstance(e, Implementation)}
    by_id = {case.id: case for case in cases}
    for event in events:
        if isinstance(event, Done) and event.result.verdict != "unsupported":
            result, case = event.result, by_id[event.result.case]
            runner = runners[result.runner]
            reading = runner.documented(case.case)
            seen = Seen(case, runner, reading, result, versions[result.runner], "NumPy, Python, a platform")
            yield result, script(seen, make(case.case, case.file.parent))


def executed(text: str) -> tuple[Any, str, dict[str, Any]]:
    """How a script ends, what it prints, and its names. What it raises is an ending too."""
    names: dict[str, Any] = {"__name__": "__main__"}
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            exec(compile(text, "<script>", "exec"), names)
    except SystemExit as exit_:
        return exit_.code, printed.getvalue(), names
    except Exception as error:
        return error, printed.getvalue(), names
    raise AssertionError("a script ends with an exit code")


# The tensors.


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    """Data of a case with any recipe: batches small and large, few channels and many."""
    shape = draw(st.lists(st.integers(1, 7), min_size=1, max_size=4))
    shape[draw(st.integers(0, len(shape) - 1))] = draw(st.sampled_from([0, 1, 5, 33, 70]))
    axis = draw(st.lists(st.integers(0, len(shape) - 1), unique=True))
    channels, size = math.prod(shape[a] for a in axis), math.prod(shape)
    steps, extra = draw(st.integers(1, 3)), draw(st.booleans())
    batches = steps + extra

    def per_channel(least: float, most: float) -> st.SearchStrategy[Any]:
        numbers = st.floats(least, most)
        listed = [st.lists(numbers, min_size=channels, max_size=channels)] if channels <= 500 else []
        return st.one_of(numbers, *listed)

    normal = st.fixed_dictionaries({}, optional={"mean": per_channel(-1e4, 1e4), "std": per_channel(0, 1e3)})
    uniform = st.fixed_dictionaries({"low": per_channel(-1e4, 0), "high": per_channel(0, 1e4)})
    listed = st.sampled_from([size, batches * size]).flatmap(lambda n: _listed(n, (n // max(size, 1), *shape)))
    recipes = st.one_of(
        st.fixed_dictionaries({"normal": normal}),
        st.fixed_dictionaries({"uniform": uniform}),
        st.fixed_dictionaries({"constant": per_channel(-1e6, 1e6)}),
        *([listed] if size else []),
    )
    rate = st.floats(0, 0.99)
    last = str([length - 1 for length in shape])
    at = st.dictionaries(
        st.sampled_from([str([0] * len(shape)), last]), st.floats(allow_nan=False) | st.just(math.nan), min_size=1
    )
    nested = st.recursive(
        recipes,
        lambda inner: (
            st.fixed_dictionaries({"relu": inner})
            | st.fixed_dictionaries({"dropout": st.fixed_dictionaries({"rate": rate, "of": inner})})
            | (st.fixed_dictionaries({"replace": st.fixed_dictionaries({"of": inner, "at": at})}) if size else inner)
        ),
        max_leaves=3,
    )
    values = draw(st.none() | nested)
    parameter = per_channel(-1e4, 1e4)
    return {
        "title": "t",
        "input": {
            "shape": shape,
            "layout": "NCHW"[: len(shape)],
            "dtype": draw(st.sampled_from(get_args(Dtype))),
            "values": values,
        },
        "axis": axis,
        "mode": "training",
        "epsilon": draw(st.sampled_from([0.0, 1e-7, 1e-3])),
        "steps": steps,
        "check": ["output", *(["inference"] if extra else [])],
        "parameters": draw(st.fixed_dictionaries({}, optional={"gamma": parameter, "moving_mean": parameter})),
    }


def _listed(count: int, shape: tuple[int, ...]) -> st.SearchStrategy[Any]:
    """So many values, as an arange, a nested list or a file."""
    arange = st.tuples(st.integers(-9, 9) | st.just(0.1), st.sampled_from([1, 0.5, -2, 0.1])).map(
        lambda a: {"arange": [a[0], a[0] + count * a[1] - a[1] / 2, a[1]]}
    )
    array = st.integers(0, 99).map(lambda seed: np.random.default_rng(seed).normal(size=shape))
    file = st.sampled_from(["f4", ">f8", "i2"]).map(lambda dtype: {"file": (dtype, shape)})
    nested = array.map(lambda a: (a if len(a) > 1 else a[0]).tolist())
    return arange | nested | file


@settings(max_examples=200, deadline=None)
@given(data=cases(), drawn=st.sampled_from([7, repro_tensors.DRAWN]))
def test_a_script_makes_the_tensors_of_a_case_byte_for_byte(
    data: dict[str, Any], drawn: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("case")
    values = data["input"]["values"]
    while isinstance(values, dict) and "file" not in values:
        values = values.get("relu") or (values.get("dropout") or values.get("replace") or {}).get("of")
    if isinstance(values, dict):
        dtype, shape = values["file"]
        array = (np.random.default_rng(1).normal(size=shape) * 100).astype(dtype)
        np.save(folder / "x.npy", np.asfortranarray(array if len(array) > 1 else array[0]))
        values["file"] = "x.npy"
    case = Case.model_validate(data, context={"folder": folder})
    made = make(case, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(repro_tensors, "DRAWN", drawn)
        text = repro_tensors.tensors(loaded(case, folder), made, list(made.parameters))
    names: dict[str, Any] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # float16 overflows, as the case says
        exec("\n".join(["import numpy as np", *text.imports, *text.definitions, *text.statements]), names)
    batches = names["batches"] if case.batches > 1 else [names["x"]]
    expected = [*made.batches, *made.parameters.values()]
    for mine, theirs in zip(expected, [*batches, *(names[p] for p in made.parameters)], strict=True):
        assert (theirs.dtype, theirs.shape, theirs.tobytes()) == (mine.dtype, mine.shape, mine.tobytes())
        assert theirs.flags.c_contiguous
        assert theirs.flags.writeable


# The judgement.

TRAINING = """\
title: a training step
input: {shape: [4, 3, 5, 2], layout: NCHW}
axis: 1
mode: training
"""
STEPS = """\
title: three steps, then inference
input: {shape: [5, 3], layout: NC}
axis: -1
mode: training
momentum: 0.8
steps: 3
check: [output, moving_mean, moving_variance, inference]
"""
INFERENCE = """\
title: given statistics
input: {shape: [2, 3], layout: NC, values: [[1, 2, 3], [4, 5, 6.5]]}
axis: 1
mode: inference
"""


def ratios(printed: str) -> list[float]:
    """How many times what rounding explains each tensor is off, as a script prints it."""
    return [float(line.rpartition(", ")[2].split()[0]) for line in printed.splitlines() if " times " in line]


@pytest.mark.parametrize("text", [TRAINING, STEPS, INFERENCE], ids=["training", "steps", "inference"])
def test_a_script_of_a_right_function_ends_with_0_and_of_a_wrong_one_with_1(write_case: Write, text: str) -> None:
    seen = list(scripts(write_case(text), "numpy", own("right"), own("epsilon_dropped"), own("writes_into_its_inputs")))
    assert len(seen) == 4
    for result, made in seen:
        code, printed, _ = executed(made)
        assert code == (result.runner == "epsilon_dropped"), made
        assert ratios(printed) == pytest.approx([t.bound_ratio for t in result.tensors], rel=6e-3), printed


@pytest.mark.parametrize(
    ("runner", "says"),
    [
        ("wrong_shape", "output is float32 (3, 5, 2), expected float32 (4, 3, 5, 2)"),
        ("wrong_dtype", "output is float64 (4, 3, 5, 2), expected float32 (4, 3, 5, 2)"),
        ("not_finite", "output[0, 0, 0, 0] is nan, expected "),
        ("a_list", "output is float64 (4, 3, 5, 2), expected float32"),
    ],
)
def test_what_has_another_form_is_beyond_rounding(write_case: Write, runner: str, says: str) -> None:
    ((_, made),) = scripts(write_case(TRAINING), own(runner))
    code, printed, _ = executed(made)
    assert code == 1
    assert says in printed


@pytest.mark.parametrize("runner", ["without_statistics", "answers_big_endian"])
def test_what_is_left_out_of_judgement_is_left_out_of_the_script(write_case: Write, runner: str) -> None:
    ((result, made),) = scripts(write_case(TRAINING), own(runner))
    code, printed, _ = executed(made)
    assert (code, len(ratios(printed))) == (0, len(result.tensors))


def test_a_call_that_raises_is_in_the_script_and_raises(write_case: Write) -> None:
    ((result, made),) = scripts(write_case(TRAINING), own("raises"))
    assert result.causes[0].kind == "refused"
    assert '"""Batch normalization by raises raises.' in made
    assert "- The call raised ValueError: this shape is not for me." in made
    error, _, _ = executed(made)
    assert str(error) == "this shape is not for me"


def test_of_a_crash_there_is_a_script_that_says_so(write_case: Write) -> None:
    ((result, made),) = scripts(write_case(TRAINING), own("exits"))
    assert result.verdict == "error"
    assert '"""Batch normalization by exits gives no answer.' in made
    assert "- exited with code 7" in made
    process = subprocess.run([sys.executable, "-c", made], capture_output=True, text=True, check=False)
    assert process.returncode == 7


def test_one_of_a_function_s_own_defaults_is_used_where_the_case_leaves_it_to_it(write_case: Write) -> None:
    text = TRAINING.replace("mode: training", "mode: default\nepsilon: default\nmomentum: default")
    runners = [own("right"), own("with_defaults"), own("with_another_default")]
    codes = {result.runner: executed(made)[0] for result, made in scripts(write_case(text), *runners)}
    assert codes == {"right": False, "with_defaults": False, "with_another_default": True}


def test_a_cumulative_average_is_carried_through_the_steps(write_case: Write) -> None:
    file = write_case(STEPS.replace("0.8", "cumulative"))
    codes = {result.runner: executed(made)[0] for result, made in scripts(file, "numpy", own("right"))}
    assert codes == {"numpy": False, "right": False}


@pytest.mark.parametrize("dtype", get_args(Dtype))
def test_every_dtype_is_judged_as_a_run_judges_it(write_case: Write, dtype: str) -> None:
    text = STEPS.replace("layout: NC", f"layout: NC, dtype: {dtype}")
    for result, made in scripts(write_case(text), "numpy", own("epsilon_dropped")):
        code, printed, _ = executed(made)
        assert code == (result.verdict == "fail")
        assert ratios(printed) == pytest.approx([t.bound_ratio for t in result.tensors], rel=6e-3)


OVERFLOW = (
    INFERENCE.replace("layout: NC", "layout: NC, dtype: float16")
    + "parameters: {gamma: 5000, beta: 65000, moving_mean: 0, moving_variance: 1}"
)
EMPTY = TRAINING.replace("[4, 3, 5, 2]", "[0, 3, 5, 2]") + "check: [moving_mean]"


@pytest.mark.parametrize(("text", "value"), [(OVERFLOW, "inf"), (EMPTY, "nan")], ids=["overflow", "empty batch"])
def test_numbers_that_are_not_finite_may_be_right(write_case: Write, text: str, value: str) -> None:
    ((result, made),) = scripts(write_case(text), "numpy")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # NumPy's, of the formula
        code, printed, _ = executed(made)
    assert (code, result.verdict) == (0, "pass")
    assert f"is {value}, expected" in printed


def test_an_empty_tensor_has_nothing_to_compare(write_case: Write) -> None:
    text = INFERENCE.replace("[2, 3]", "[0, 3]").replace(", values: [[1, 2, 3], [4, 5, 6.5]]", "")
    ((_, made),) = scripts(write_case(text), "numpy")
    assert executed(made)[0] == 0


def test_a_tolerance_takes_the_place_of_the_bound(write_case: Write) -> None:
    text = INFERENCE + "parameters: {moving_variance: 1}\ntolerance: {rtol: 0.5, atol: 0.5}"
    ((result, made),) = scripts(write_case(text), own("epsilon_dropped"))
    code, printed, _ = executed(made)
    assert (code, result.verdict) == (0, "pass")
    assert "times what is tolerated" in printed
    assert "a tolerance of 0.5 + 0.5*|expected|" in " ".join(made.split())


def test_of_a_large_tensor_the_worst_elements_are_compared(write_case: Write) -> None:
    ((result, made),) = scripts(write_case(TRAINING.replace("4, 3, 5, 2", "40, 3, 50, 2")), own("epsilon_dropped"))
    (output, *_) = result.tensors
    code, printed, _ = executed(made)
    assert code == 1
    assert f"output{output.at} is " in printed
    assert ratios(printed)[0] == pytest.approx(output.bound_ratio, rel=6e-3)
    assert len(made.splitlines()) < 200


# What it says.


def test_a_script_imports_neither_bncheck_nor_anything_but_numpy(write_case: Write) -> None:
    for _, made in scripts(write_case(STEPS), "numpy", own("right")):
        nodes = list(ast.walk(ast.parse(made)))
        names = {a.name.split(".")[0] for n in nodes if isinstance(n, ast.Import) for a in n.names}
        names |= {n.module.split(".")[0] for n in nodes if isinstance(n, ast.ImportFrom)}
        assert names - sys.stdlib_module_names == {"numpy"}


def test_a_script_says_what_is_expected_what_was_seen_and_why(write_case: Write) -> None:
    text = INFERENCE.replace("axis: 1", "axis: [0, 1]") + "scale: false\nepsilon: default"
    ((result, made),) = scripts(write_case(text), own("epsilon_dropped"))
    head = " ".join(ast.get_docstring(ast.parse(made)).split())
    assert "given statistics." in head
    assert "x is float32 [2, 3], NC; one mean and one variance for each index of axes 0 (N), 1 (C)." in head
    assert "Inference: both are the moving ones, as given. y = (x - mean)/sqrt(variance + 0.001) + beta" in head
    assert "The call leaves epsilon to its defaults; expected are those of Keras." in head
    assert (
        f"Seen with epsilon_dropped {OWN}:epsilon_dropped, NumPy, Python, a platform: - {result.causes[0].message}"
        in head
    )
    assert "for its case case." in head


def test_any_words_of_a_case_and_of_a_crash_make_a_docstring(tmp_path: Path) -> None:
    title = 'a \\ and """ and \x07 and é'
    case = make_case(title=title)
    result = Result(case="a", runner="numpy", device="cpu", verdict="error", error='said "\0"')
    (runner,) = select(["numpy"])
    seen = Seen(loaded(case), runner, runner.documented(case), result, "2", "here")
    head = ast.get_docstring(ast.parse(script(seen, make(case))))
    assert 'a \\ and """ and ? and é.' in head
    assert '- said "?"' in head


def test_a_script_fits_on_a_screen_of_120_columns(write_case: Write) -> None:
    for _, made in scripts(write_case(TRAINING), "numpy", own("right")):
        assert max(len(line) for line in made.splitlines() if str(OWN) not in line) <= 120


# The call.

RUNNER = '''\
"""A runner."""

import math

from . import _shared

FACTOR = math.pi


def helper(x: float) -> float:
    return FACTOR * x


def unused():
    pass


def run(case):
    import framework as fw

    def apply(x, **options):
        if case.gamma is not None:
            x = x * case.broadcast(case.gamma)
        if case.beta is not None:
            x = x + case.beta
        return helper(x)

    if case.mode == "training":  # a comment that goes
        mode = 1
    elif case.extra is None:
        mode = 2  # a comment that stays
    else:
        mode = 3
    fw.set(axis=case.axis, dtype=case.dtype, weight=1 - case.momentum, **case.given(eps="epsilon", mode="mode"))
    options = case.given(eps="epsilon")
    values = case.given(gamma="gamma", beta="beta", moving_mean="moving_mean", moving_variance="moving_variance")
    device = fw.gpu if case.device == "gpu" else fw.cpu
    if mode == 2 and len(case.kept) == 1:
        axes = list(case.reduced)
    return {"output": [apply(x, **options) for x in case.steps]}
'''

FILLED_IN = """\
def run(case):
    def apply(x, **options):
        x = x * case.gamma.reshape([1, 3, 1, 1])
        return helper(x)

    mode = 2  # a comment that stays
    fw.set(axis=1, dtype="float32", weight=1 - 0.9, eps=0.001, mode="inference")
    options = {"eps": 0.001}
    values = {
        "gamma": case.gamma,
        "moving_mean": case.moving_mean,
        "moving_variance": case.moving_variance,
    }
    device = fw.cpu
    if mode == 2 and True:
        axes = [0, 2, 3]
    return {"output": [apply(x, **options) for x in case.steps]}"""


def call_of(case: Case) -> Call:
    """What a runner is asked for a case that it takes as it is."""
    made = make(case)
    named = {**{f"x{i}": batch for i, batch in enumerate(made.batches)}, **made.parameters}
    (numpy,) = select(["numpy"])
    return Call(call_arguments(case, numpy.documented(case)), named, Arranged(None))


def test_what_the_case_settles_is_filled_into_a_runner_s_own_text() -> None:
    filled = filled_in(RUNNER, call_of(make_case(mode="inference", center=False)))
    assert filled.imports == ["import math", "import framework as fw"]
    assert filled.tensors == ["steps", "gamma", "moving_mean", "moving_variance"]
    assert filled.parts == [
        "FACTOR = math.pi",
        "def helper(x):\n    return FACTOR * x",
        FILLED_IN,
    ]


def test_an_elif_becomes_an_if_where_what_was_before_it_is_decided() -> None:
    runner = "def run(case):\n    if case.mode is None:\n        a = 1\n    elif f():\n        a = 2\n    return a\n"
    assert filled_in(runner, call_of(make_case())).parts == ["def run(case):\n    if f():\n        a = 2\n    return a"]


def test_a_branch_that_leaves_nothing_is_a_pass() -> None:
    runner = "def run(case):\n    for x in case.steps:\n        if case.mode is None:\n            return x\n"
    expected = "def run(case):\n    for x in case.steps:\n        pass"
    assert filled_in(runner, call_of(make_case())).parts == [expected]


def test_what_comes_after_a_return_is_not_reached() -> None:
    runner = "def run(case):\n    if case.extra is None:\n        return 1\n    x = 2\n    return x\n"
    assert filled_in(runner, call_of(make_case())).parts == ["def run(case):\n    return 1"]


VARIETY: list[dict[str, Any]] = [
    {},
    {"mode": "inference", "center": False},
    {"mode": "default", "epsilon": "default", "momentum": "default", "scale": False},
    {"steps": 3, "check": ["output", "inference"], "momentum": 0.0, "input": {"dtype": "bfloat16"}},
    {"axis": [1, 2], "momentum": "cumulative"},
    {"axis": [], "center": False, "scale": False},
    {"axis": [], "center": False, "scale": False, "mode": "inference"},
    {"mode": "inference", "input": {"dtype": "bfloat16"}},
]


@pytest.mark.parametrize("name", built_in())
def test_of_a_built_in_runner_only_tensors_are_left_to_read_of_the_case(name: str) -> None:
    (runner,) = select([name])
    readings = [(case, runner.documented(case)) for case in (make_case(**changes) for changes in VARIETY)]
    supported = [(case, reading) for case, reading in readings if not isinstance(reading, Unsupported)]
    assert len(supported) >= 3
    for case, reading in supported:
        made = builtin.written(name, case, reading, make(case), call_arguments(case, reading), case.checked)
        nodes = list(ast.walk(ast.parse("\n".join(made.parts))))
        read = [n.attr for n in nodes if isinstance(n, ast.Attribute) and ast.unparse(n.value) == "case"]
        named = [n for n in nodes if isinstance(n, ast.Name) and n.id == "case" and isinstance(n.ctx, ast.Load)]
        assert set(read) == set(made.tensors) <= set(TENSORS)
        assert len(named) == len(read) + 1, "the one more is run(case)"
