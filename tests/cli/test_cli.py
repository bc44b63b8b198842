"""The command line as a user meets it: output, errors that say where and how to mend, exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
from conftest import OWN, own

from bncheck.case.corpus import corpus
from bncheck.case.load import case_files

Write = Callable[..., Path]

CASE = """\
title: a training step
input: {shape: [4, 3, 5, 2], layout: NCHW}
axis: 1
mode: training
"""


def bncheck(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bncheck", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **environment})


@pytest.mark.parametrize(
    ("runners", "code"),
    [
        (["numpy"], 0),
        (["numpy", own("epsilon_dropped")], 1),
        ([own("epsilon_dropped"), own("exits")], 3),
        (["numpy", own("absent")], 3),
        ([own("without_statistics")], 4),
    ],
)
def test_exit_codes(write_case: Write, runners: list[str], code: int) -> None:
    check = "check: [moving_mean]\n" if code == 4 else ""
    options = [part for runner in runners for part in ("--runner", runner)]
    result = bncheck("run", write_case(CASE + check), *options)
    assert (result.returncode, result.stderr) == (code, "")


def test_a_runner_that_was_named_and_is_not_installed_is_exit_3(write_case: Write, tmp_path: Path) -> None:
    # An environment without the framework: its distribution cannot be found.
    hide = "import importlib.metadata as m, sys; f = m.version\n"
    hide += "def version(n):\n    if n == 'torch': raise m.PackageNotFoundError(n)\n    return f(n)\n"
    hide += "m.version = version\nfrom bncheck.cli.main import main\nmain()\n"
    file = write_case(CASE)

    def run(*runners: str) -> subprocess.CompletedProcess[str]:
        options = [part for runner in runners for part in ("--runner", runner)]
        command = [sys.executable, "-c", hide, "run", str(file), *options]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    named, pattern = run("numpy", "torch"), run("numpy", "torch*")
    assert (named.returncode, pattern.returncode) == (3, 0)
    for result in (named, pattern):
        assert "torch not installed; pip install 'bncheck[torch]'" in result.stdout


def test_bad_cases_are_exit_2_with_every_problem_and_nothing_is_run(write_case: Write) -> None:
    write_case(CASE + "epsilonn: 1\naxes: 1\n", "a.yaml")
    folder = write_case(CASE.replace("axis: 1", "axis: 4"), "b.yaml").parent
    for command in (["run", folder], ["lint", folder]):
        result = bncheck(*command)
        assert (result.returncode, result.stdout) == (2, "")
        lines = result.stderr.splitlines()
        assert lines[0] == f"{folder}/a.yaml:5:1: unknown key `epsilonn`; did you mean `epsilon`?"
        assert lines[2] == f"{folder}/b.yaml:3:7: axis 4 is out of range for rank 4; use -4 to 3"
        assert "3 problems" in lines[3]


def test_lint_says_what_it_checked(write_case: Write) -> None:
    result = bncheck("lint", write_case(CASE + "matrix: {axis: [1, 2]}\n"))
    assert (result.returncode, result.stdout) == (0, "2 cases in 1 file: no problems\n")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--report", "table", "--report", "json"], "cannot both go to standard output"),
        (["--report", "json=r.json", "--report", "json=r.json"], "two reports cannot go to one file"),
        (["--report", "pdf"], "there is no format 'pdf'; there are table, json"),
        (["--report", "json="], "names no file"),
        (["--report", "json=nowhere/r.json"], "the folder of 'nowhere/r.json' does not exist"),
        (["--runner", "tourch"], "there is no runner 'tourch'; did you mean torch?"),
        (["--runner", "Tf_Keras"], "did you mean tf-keras?"),
        (["--runner", "caffe"], "there is no runner 'caffe'; there are "),
        (["--runner", "x*"], "no runner matches 'x*'"),
        (["--runner", "torch=f.py:f"], "'torch' is a built-in runner"),
        (["--runner", "-x=f.py:f"], "'-x' is no label"),
        (["--runner", "mine=f.py"], "should be LABEL=FILE.py:FUNCTION"),
        (["--runner", "mine=f.yaml:f"], "f.yaml is no Python file"),
        (["--report", "json=/"], "'/' is a folder; name a file"),
        (["--report", "json=" + "x" * 300], "cannot be written"),
        (["--runner", "mine=nowhere.py:f"], "there is no file nowhere.py"),
        (["--runner", own("a", "right"), "--runner", own("a", "raises")], "two runners are labelled 'a'"),
        (["-k", "a b"], "is not an expression"),
        (["-k", "nothing"], "no case matches 'nothing'"),
        (["--max-elements", "0"], "0 is not in the range"),
    ],
)
def test_usage_errors_are_exit_2_and_say_how_to_mend(write_case: Write, options: list[str], words: str) -> None:
    result = bncheck("run", write_case(CASE), *options)
    assert result.returncode == 2
    assert words in " ".join(result.stderr.split())
    assert "Traceback" not in result.stderr


def test_several_reports_of_one_run(write_case: Write, tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    result = bncheck("run", write_case(CASE), "--runner", "numpy", "--report", "table", "--report", f"json={file}")
    assert result.returncode == 0
    assert result.stdout.startswith("1 case x 1 runner on cpu")
    assert json.loads(file.read_text())["summary"] == {"pass": 1, "known": 0, "fail": 0, "unsupported": 0, "error": 0}
    assert not list(tmp_path.glob("*.partial"))


def test_a_report_goes_through_links_and_pipes(write_case: Write, tmp_path: Path) -> None:
    case, target, link, pipe = write_case(CASE), tmp_path / "target", tmp_path / "link", tmp_path / "pipe"
    link.symlink_to(target)
    assert bncheck("run", case, "--runner", "numpy", "--report", f"json={link}").returncode == 0
    assert link.is_symlink()
    assert json.loads(target.read_text())["summary"]["pass"] == 1
    os.mkfifo(pipe)
    reader = subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE, text=True)
    assert bncheck("run", case, "--runner", "numpy", "--report", f"json={pipe}").returncode == 0
    assert json.loads(reader.communicate(timeout=20)[0])["summary"]["pass"] == 1
    assert pipe.is_fifo()


def test_a_full_standard_output_is_an_error_not_a_traceback(write_case: Write) -> None:
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "bncheck", "run", str(write_case(CASE)), "--runner", "numpy"]
        result = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert result.returncode == 3
    assert "No space left" in result.stderr
    assert "Traceback" not in result.stderr


def test_the_document_fits_its_schema_and_repeats_itself_but_for_times(write_case: Write) -> None:
    case = write_case(CASE + "matrix: {input.dtype: [float32, float64], axis: [1, 2]}\n")
    options = ("--runner", "numpy", "--runner", own("mine", "epsilon_dropped"), "--runner", own("none", "a_list"))
    documents = [json.loads(bncheck("run", case, *options, "--report", "json").stdout) for _ in range(2)]
    schema = json.loads(bncheck("schema", "results").stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    for document in documents:
        jsonschema.validate(document, schema)
        document["started"] = None
        for result in document["results"]:
            result["seconds"] = None
    assert documents[0] == documents[1]
    ids = [(r["case"], r["runner"]) for r in documents[0]["results"]]
    assert ids == sorted(ids)
    assert ids[0] == ("case[input.dtype=float32,axis=1]", "mine")


def test_the_case_schema_takes_what_is_shipped_and_refuses_what_lint_refuses(write_case: Write) -> None:
    from ruamel.yaml import YAML

    schema = json.loads(bncheck("schema", "case").stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    shipped = list(case_files(corpus()))
    assert len(shipped) >= 20
    for file in shipped:
        jsonschema.validate(YAML(typ="safe", pure=True).load(file), schema)
    for bad in ({"axes": 1}, {"epsilon": "none"}, {"check": []}, {"tolerance": {"rtol": 1}}):
        data = {"title": "t", "input": {"shape": [2], "layout": "N"}, "axis": 0, "mode": "training", **bad}
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(data, schema)


def test_cases_are_selected_by_what_their_ids_contain(write_case: Write) -> None:
    folder = write_case(
        CASE + "matrix: {axis: [1, 2], input.dtype: [float32, float64]}\n", "axis/one.yaml"
    ).parent.parent
    write_case(CASE, "two.yaml")

    def chosen(expression: str) -> list[str]:
        result = bncheck("run", folder, "--runner", "numpy", "-k", expression, "--report", "json")
        return [c["id"] for c in json.loads(result.stdout)["cases"]]

    assert chosen("two") == ["two"]
    assert chosen("AXIS/one and float64 and not axis=2") == ["axis/one[axis=1,input.dtype=float64]"]
    assert len(chosen("two or (float32)")) == 3


def test_max_elements_raises_the_limit(write_case: Write) -> None:
    case = write_case(CASE)
    assert bncheck("lint", case, "--max-elements", 100).returncode == 2
    assert "at most 100 are taken" in bncheck("lint", case, "--max-elements", 100).stderr
    assert bncheck("lint", case, "--max-elements", 120).returncode == 0


def test_all_lists_each_result_and_talk_stays_off_standard_output(write_case: Write) -> None:
    quiet = bncheck("run", write_case(CASE), "--runner", own("talks"), "--all")
    loud = bncheck("run", write_case(CASE), "--runner", own("talks"), "--verbose")
    assert (quiet.stderr, "yyyy" in loud.stderr) == ("", True)
    assert "yyyy" not in quiet.stdout + loud.stdout
    assert "case\n  talks" in quiet.stdout


@pytest.mark.parametrize("command", ["run", "explain", "power", "lint", "schema", "report", "runners"])
def test_every_command_explains_itself(command: str) -> None:
    assert command in bncheck("--help").stdout
    help_ = bncheck(command, "--help")
    assert help_.returncode == 0
    assert len(help_.stdout.splitlines()) > 5


def test_the_module_and_the_console_script_are_one() -> None:
    script = subprocess.run(
        [Path(sys.executable).parent / "bncheck", "--version"], capture_output=True, text=True, check=True
    )
    assert script.stdout == bncheck("--version").stdout


def test_without_a_path_the_shipped_cases_are_run() -> None:
    result = bncheck("run", "--runner", "numpy", "-k", "epsilon-1e-2", "--report", "json")
    assert [c["id"] for c in json.loads(result.stdout)["cases"]] == ["questions/epsilon-1e-2"]


def test_a_file_of_ones_own_is_run_from_anywhere(write_case: Write, tmp_path: Path) -> None:
    beside = tmp_path / "kernels"
    beside.mkdir()
    (beside / "formula.py").write_text(OWN.read_text())
    (beside / "mine.py").write_text(
        "from formula import right\n\ndef bn(x, **arguments):\n    return right(x, **arguments)\n"
    )
    assert bncheck("run", write_case(CASE), "--runner", f"mine={beside}/mine.py:bn").returncode == 0


def test_a_wrong_published_number_is_told_beside_the_errors_of_other_files(write_case: Write) -> None:
    write_case(CASE.replace("training", "inference") + 'expected: {output: {"[0, 0, 0, 0]": 99}}\n', "a.yaml")
    folder = write_case(CASE + "axes: 1\n", "b.yaml").parent
    lines = bncheck("lint", folder).stderr.splitlines()
    assert [line.rpartition("/")[2].split(":")[:3] for line in lines[:2]] == [
        ["a.yaml", "5", "37"],
        ["b.yaml", "5", "1"],
    ]
    assert "by the reference, not 99" in lines[0]
