"""Which files are cases, what they are called, and what their keys mean."""

from __future__ import annotations

from pathlib import Path

import pytest
from valid_case import VALID, also, instead, load_text

from bncheck.case.load import load
from bncheck.case.model import (
    Arange,
    Constant,
    Dropout,
    DropoutArguments,
    Input,
    Normal,
    NormalArguments,
    Parameters,
    Relu,
    Tolerance,
    Uniform,
    UniformArguments,
)
from bncheck.case.problem import BadCases
from bncheck.semantics import Semantics


def write(folder: Path, *names: str, text: str = VALID) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def ids(*paths: Path) -> list[str]:
    return [case.id for case in load(paths)]


def messages(*paths: Path) -> list[str]:
    with pytest.raises(BadCases) as refused:
        load(paths)
    assert str(refused.value).splitlines() == [str(p) for p in refused.value.problems]
    return [str(p) for p in refused.value.problems]


EVERY_KEY = """\
# Every key of the format, each with a value of its own.
title: An epsilon of zero is honoured, not raised to a minimum
why: Older cuDNN asked for at least 1e-5.
links: [tensorflow/tensorflow#37768, "https://example.org/#1"]
input:
  shape: [1, 3, 4, 1]
  layout: NHWC
  dtype: float64
  values: {arange: [1, 13]}
axis: -1
mode: training
epsilon: 0.0
momentum: 0.9
center: false
scale: true
parameters: {gamma: 1.0, beta: [0.5], moving_mean: -1, moving_variance: [2]}
steps: 1
check: [output, moving_mean, moving_variance, inference]
expected: {output: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], moving_mean: {"[0]": 1.250}}
tolerance: {rtol: 1.0e-5, atol: 1.0e-6}
adapt: false
matrix: {input.dtype: [float16, bfloat16]}
"""


def test_every_key_means_what_it_says(tmp_path: Path) -> None:
    first, second = load_text(tmp_path, EVERY_KEY)
    assert [first.id, second.id] == ["a[input.dtype=bfloat16]", "a[input.dtype=float16]"]
    case = second.case
    assert case.title == "An epsilon of zero is honoured, not raised to a minimum"
    assert case.why == "Older cuDNN asked for at least 1e-5."
    assert case.links == ["tensorflow/tensorflow#37768", "https://example.org/#1"]
    assert case.input == Input(shape=[1, 3, 4, 1], layout="NHWC", dtype="float16", values=Arange(arange=[1, 13]))
    assert (case.axis, case.mode, case.epsilon, case.momentum) == (-1, "training", 0.0, 0.9)
    assert (case.center, case.scale, case.steps, case.adapt) == (False, True, 1, False)
    assert case.parameters == Parameters(gamma=1.0, beta=[0.5], moving_mean=-1, moving_variance=[2])
    assert case.checked == ("output", "moving_mean", "moving_variance", "inference")
    assert case.expected == {"output": list(range(1, 13)), "moving_mean": {"[0]": 1.25}}
    assert case.tolerance == Tolerance(rtol=1e-5, atol=1e-6)
    assert case.requested == Semantics(kept=(3,), mode="training", epsilon=0.0, momentum=0.9, center=False, scale=True)


def test_what_is_absent_has_its_documented_value(tmp_path: Path) -> None:
    (loaded,) = load_text(tmp_path, VALID)
    case = loaded.case
    assert (case.input.dtype, case.input.values, case.parameters) == ("float32", None, Parameters())
    assert (case.epsilon, case.momentum, case.center, case.scale) == (1e-3, 0.99, True, True)
    assert (case.steps, case.batches, case.adapt, case.tolerance, case.expected) == (1, 1, True, None, {})
    assert (case.why, case.links) == (None, [])
    assert case.requested == Semantics(kept=(1,), mode="training", epsilon=1e-3, momentum=0.99)


@pytest.mark.parametrize(
    ("mode", "checked"),
    [
        ("training", ("output", "moving_mean", "moving_variance")),
        ("inference", ("output",)),
        ("default", ("output",)),
    ],
)
def test_without_check_the_output_is_judged_and_in_training_the_moving_statistics(
    tmp_path: Path, mode: str, checked: tuple[str, ...]
) -> None:
    (loaded,) = load_text(tmp_path, instead("training", mode))
    assert loaded.case.checked == checked


def test_default_is_requested_as_keras_has_it(tmp_path: Path) -> None:
    text = instead("training", "default", also("epsilon: default\nmomentum: default"))
    (loaded,) = load_text(tmp_path, text)
    assert (loaded.case.epsilon, loaded.case.momentum, loaded.case.mode) == ("default", "default", "default")
    assert loaded.case.requested == Semantics(kept=(1,), mode="inference", epsilon=1e-3, momentum=0.99)


def test_cumulative_is_requested_as_such(tmp_path: Path) -> None:
    (loaded,) = load_text(tmp_path, also("momentum: cumulative"))
    assert loaded.case.requested.momentum == "cumulative"


@pytest.mark.parametrize(
    ("axis", "kept"),
    [
        ("1", (1,)),
        ("-1", (2,)),
        ("-3", (0,)),
        ("[]", ()),
        ("[2, 0]", (0, 2)),
        ("[-1, -3]", (0, 2)),
        ("[0, 1, 2]", (0, 1, 2)),
    ],
)
def test_axis_names_what_is_kept_in_the_order_of_the_tensor(tmp_path: Path, axis: str, kept: tuple[int, ...]) -> None:
    (loaded,) = load_text(tmp_path, instead("axis: 1", f"axis: {axis}"))
    assert loaded.case.requested.kept == kept
    assert loaded.case.channels.statistic_shape == tuple([2, 3, 4][a] for a in kept)


@pytest.mark.parametrize(
    ("steps", "check", "batches"),
    [(1, "[output]", 1), (3, "[output]", 3), (3, "[inference]", 4), (1, "[inference]", 2)],
)
def test_a_batch_for_each_step_and_one_more_for_inference(tmp_path: Path, steps: int, check: str, batches: int) -> None:
    (loaded,) = load_text(tmp_path, also(f"steps: {steps}\ncheck: {check}"))
    assert loaded.case.batches == batches


VALUES = {
    "{constant: 1}": Constant(constant=1),
    "{normal: {mean: 0, std: 1}}": Normal(normal=NormalArguments(mean=0, std=1)),
    "{normal: {}}": Normal(normal=NormalArguments(mean=0.0, std=1.0)),
    "{uniform: {low: -1, high: [1, 2, 3]}}": Uniform(uniform=UniformArguments(low=-1, high=[1, 2, 3])),
    "[[[1, 2, 3, 4]], [[5, 6, 7, 8]]]": [[[1, 2, 3, 4]], [[5, 6, 7, 8]]],
    "{relu: {constant: [1, 2, 3]}}": Relu(relu=Constant(constant=[1, 2, 3])),
    "{dropout: {rate: 0.5, of: {constant: 1}}}": Dropout(dropout=DropoutArguments(rate=0.5, of=Constant(constant=1))),
}


@pytest.mark.parametrize(("written", "meant"), VALUES.items(), ids=VALUES)
def test_values_are_read_as_their_recipe(tmp_path: Path, written: str, meant: object) -> None:
    text = instead("NCL", f"NCL, values: {written}")
    if written.startswith("["):
        text = instead("[2, 3, 4]", "[2, 1, 4]", text)
    assert load_text(tmp_path, text)[0].case.input.values == meant


NUMBERS = {
    "1e-3": 1e-3,
    "1E-3": 1e-3,
    "1.0e-3": 1e-3,
    "1e3": 1e3,
    ".5": 0.5,
    "+1": 1.0,
    "0": 0.0,
    "1.001e-05": 1.001e-5,
    "5e-324": 5e-324,
}


@pytest.mark.parametrize(("written", "number"), NUMBERS.items(), ids=NUMBERS)
def test_a_number_may_be_written_as_yaml_1_2_allows(tmp_path: Path, written: str, number: float) -> None:
    assert load_text(tmp_path, also(f"epsilon: {written}"))[0].case.epsilon == number


def test_a_number_remembers_its_digits(tmp_path: Path) -> None:
    """1.250 promises three decimals, and the guard of the reference holds it to them."""
    (loaded,) = load_text(tmp_path, also("expected: {moving_mean: [1.250, 1e-3, 2]}"))
    numbers = loaded.case.expected["moving_mean"]
    assert [str(getattr(n, "text", n)) for n in numbers] == ["1.250", "1e-3", "2"]


@pytest.mark.parametrize(
    "words", ["2001-99-99", "2020-02-30", "12:30:00", "0x_", "._", "-_", "=", "yes", "1.2.3", "é 漢字 😀", "a #b"]
)
def test_what_is_no_number_in_yaml_1_2_is_text(tmp_path: Path, words: str) -> None:
    assert load_text(tmp_path, instead("title: t", f"title: {words}"))[0].case.title == words.split(" #")[0]


@pytest.mark.parametrize(
    "text",
    [
        instead("\n", "\r\n"),
        "\ufeff" + VALID,
        f"---\n{VALID}...\n",
        f"%YAML 1.2\n---\n{VALID}",
        f"# a remark\n{VALID}",
        '{"title": "t", "input": {"shape": [2, 3, 4], "layout": "NCL"}, "axis": 1, "mode": "training"}',
    ],
    ids=["CRLF", "byte order mark", "document marks", "directive", "comment", "JSON"],
)
def test_other_ways_to_write_the_same_case(tmp_path: Path, text: str) -> None:
    assert load_text(tmp_path, text)[0].case == load_text(tmp_path, VALID)[0].case


def test_aliases_stand_for_what_they_name(tmp_path: Path) -> None:
    text = also("parameters: {gamma: &g [1, 2, 3], beta: *g}\nlinks: [&g a, *g]")
    (loaded,) = load_text(tmp_path, text)
    assert loaded.case.parameters.beta == [1, 2, 3]
    assert loaded.case.links == ["a", "a"]


def test_an_id_is_the_path_below_the_argument(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", "epsilon/clamp.yaml", "epsilon/deep/er.yml")
    assert ids(tmp_path) == ["a", "epsilon/clamp", "epsilon/deep/er"]
    assert ids(tmp_path / "epsilon") == ["clamp", "deep/er"]


def test_an_id_is_the_path_below_the_nearest_folder_named_cases(tmp_path: Path) -> None:
    write(tmp_path, "cases/epsilon/clamp.yaml", "cases/old/cases/axis/cube.yaml")
    assert ids(tmp_path) == ["axis/cube", "epsilon/clamp"]
    assert ids(tmp_path / "cases" / "epsilon") == ["epsilon/clamp"]
    assert ids(tmp_path / "cases" / "epsilon" / "clamp.yaml") == ["epsilon/clamp"]


def test_a_single_file_is_named_below_its_own_folder(tmp_path: Path) -> None:
    write(tmp_path, "epsilon/clamp.yaml", "v1.2.yaml")
    assert ids(tmp_path / "epsilon" / "clamp.yaml") == ["clamp"]
    assert ids(tmp_path / "v1.2.yaml") == ["v1.2"]


def test_a_relative_argument_gives_the_same_ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "cases/epsilon/clamp.yaml", "b/c.yaml")
    monkeypatch.chdir(tmp_path / "cases" / "epsilon")
    assert ids(Path("clamp.yaml")) == ids(Path()) == ["epsilon/clamp"]
    assert ids(Path("../../b")) == ids(Path("../../cases/../b/c.yaml")) == ["c"]


def test_the_cell_follows_in_brackets(tmp_path: Path) -> None:
    write(tmp_path, "cases/epsilon/clamp.yaml", text=also("matrix: {input.dtype: [float16], axis: [-1]}"))
    assert ids(tmp_path) == ["epsilon/clamp[input.dtype=float16,axis=-1]"]


def test_cases_come_sorted_by_id_whatever_the_order_of_arguments(tmp_path: Path) -> None:
    write(tmp_path, "cases/b/z.yaml", "cases/c/a.yaml", "cases/a.yaml")
    root = tmp_path / "cases"
    assert ids(root / "c", root / "a.yaml", root / "b") == ids(root) == ["a", "b/z", "c/a"]


@pytest.mark.parametrize(
    "name",
    [
        "expectations.yaml",
        "deep/expectations.yaml",
        "_draft.yaml",
        ".hidden.yaml",
        "_drafts/a.yaml",
        ".git/a.yaml",
        "a.json",
        "a.yaml.bak",
        "README.md",
        "x.npy",
        "yaml",
    ],
)
def test_is_not_a_case(tmp_path: Path, name: str) -> None:
    write(tmp_path, "real.yaml")
    write(tmp_path, name, text="neither a case nor YAML: [")
    assert ids(tmp_path) == ["real"]


def test_a_folder_that_is_named_is_read_whatever_its_name(tmp_path: Path) -> None:
    write(tmp_path, "_drafts/a.yaml")
    assert ids(tmp_path / "_drafts") == ["a"]


def test_a_file_named_twice_is_one_case(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml")
    (tmp_path / "link.yaml").symlink_to("a.yaml")
    twice = [tmp_path / "a.yaml", tmp_path / "a.yaml", tmp_path / "." / "a.yaml", tmp_path, tmp_path / "link.yaml"]
    assert ids(*twice) == ["a"]


def test_no_paths_are_no_cases() -> None:
    assert load([]) == []


def test_a_case_knows_its_file(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml")
    (loaded,) = load([tmp_path])
    assert (loaded.file, loaded.line) == (tmp_path / "a.yaml", 1)
    assert loaded.spec["input"] == {"shape": [2, 3, 4], "layout": "NCL"}


def test_a_case_stands_on_the_line_of_its_title(tmp_path: Path) -> None:
    (loaded,) = load_text(tmp_path, f"# What it pins.\n\n{VALID}")
    assert loaded.line == 3


def test_a_cell_stands_on_the_line_of_what_the_last_key_of_the_matrix_is_for_it(tmp_path: Path) -> None:
    text = also("matrix:\n  axis: [0, 1]\n  input.dtype:\n    - float32\n    - float64")
    assert {case.id: case.line for case in load_text(tmp_path, text)} == {
        "a[axis=0,input.dtype=float32]": 8,
        "a[axis=0,input.dtype=float64]": 9,
        "a[axis=1,input.dtype=float32]": 8,
        "a[axis=1,input.dtype=float64]": 9,
    }


def test_a_path_that_does_not_exist_is_a_problem(tmp_path: Path) -> None:
    path = tmp_path / "nowhere"
    assert messages(path) == [f"{path}:1:1: does not exist; name a case file or a folder of them"]


def test_a_folder_without_cases_is_a_problem(tmp_path: Path) -> None:
    write(tmp_path, "expectations.yaml", "_draft.yaml")
    assert messages(tmp_path) == [f"{tmp_path}:1:1: holds no case; a case is a .yaml or .yml file"]


def test_a_link_to_nowhere_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").symlink_to("nowhere.yaml")
    (message,) = messages(tmp_path)
    assert message.startswith(f"{tmp_path / 'a.yaml'}:1:1: cannot be read: ")


@pytest.mark.parametrize(
    ("files", "arguments"),
    [
        (["one/a.yaml", "two/a.yaml"], ["one", "two"]),
        (["one/a.yaml", "two/a.yaml"], ["one/a.yaml", "two"]),
        (["a.yaml", "a.yml"], ["."]),
        (["one/cases/a.yaml", "two/cases/a.yaml"], ["."]),
    ],
    ids=["two folders", "a file and a folder", "two suffixes", "two folders named cases"],
)
def test_two_files_with_one_id_are_refused(tmp_path: Path, files: list[str], arguments: list[str]) -> None:
    write(tmp_path, *files)
    (message,) = messages(*(tmp_path / a for a in arguments))
    first, second = (tmp_path / f for f in files)
    assert message == f"{second}:1:1: two cases have the id `a`, the other in {first}; rename one of the files"


def test_all_errors_of_all_files_are_reported_at_once_and_sorted(tmp_path: Path) -> None:
    write(tmp_path, "good.yaml")
    write(tmp_path, "c.yaml", text="title: a: b")
    write(tmp_path, "b/bad.yaml", text=also("steps: 0\nepsilon: -1"))
    write(tmp_path, "a.yaml", text=also("axis: 2\nepsilom: 1\nmode: training"))
    arguments = [tmp_path / "nowhere", tmp_path / "c.yaml", tmp_path]
    where = [m.removeprefix(f"{tmp_path}/").split(": ")[0] for m in messages(*arguments)]
    assert where == [
        "a.yaml:5:1",
        "a.yaml:6:1",
        "a.yaml:7:1",
        "b/bad.yaml:5:8",
        "b/bad.yaml:6:10",
        "c.yaml:1:9",
        "nowhere:1:1",
    ]
    assert sorted(messages(*reversed(arguments))) == sorted(messages(*arguments))


def test_lines_are_sorted_as_numbers(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", text=also("\n" * 4 + "steps: 0\nepsilon: -1"))
    assert [m.split(":")[1] for m in messages(tmp_path)] == ["9", "10"]


def test_one_bad_file_among_good_ones_stops_all(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", "b.yaml")
    write(tmp_path, "c.yaml", text="")
    assert len(messages(tmp_path)) == 1
