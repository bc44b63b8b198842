"""Runners in environments, and ``bncheck environments``, as a user meets them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import wheels
from conftest import Said, own

import bncheck
from bncheck.environments import builder, cache

CASE = """\
title: inference
input: {shape: [4, 3], layout: NC}
axis: 1
mode: inference
"""

Bncheck = Callable[..., Said]

SETTINGS = f"""\
[tool.bncheck.environments.here]
interpreter = {json.dumps(sys.executable)}

[tool.bncheck.environments.gone]
interpreter = "./nowhere"

[tool.bncheck.environments.never]
packages = ["nowhere==1.0"]
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with environments, a case, and an index with nothing on it."""
    (tmp_path / "pyproject.toml").write_text(SETTINGS, encoding="utf-8")
    (tmp_path / "case.yaml").write_text(CASE, encoding="utf-8")
    (tmp_path / "index").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UV_DEFAULT_INDEX", (tmp_path / "nothing").as_uri())
    monkeypatch.setenv("UV_FIND_LINKS", str(tmp_path / "index"))
    monkeypatch.setenv("UV_PYTHON_DOWNLOADS", "never")
    monkeypatch.setattr(cache, "folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(builder.pythons, "newest", lambda: iter([("3.99", Path(sys.executable))]))
    return tmp_path


def test_a_runner_runs_in_an_interpreter_that_exists_by_name_and_by_path(project: Path, bncheck: Bncheck) -> None:
    runners = ["--runner", "numpy", "--runner", "numpy@here", "--runner", f"numpy@{sys.executable}"]
    code, out, _ = bncheck("run", "case.yaml", *runners, "--report", "table", "--report", "json=r.json")
    assert code == 0
    document = json.loads(Path("r.json").read_text(encoding="utf-8"))
    assert [r["runner"] for r in document["results"]] == ["numpy", f"numpy@{sys.executable}", "numpy@here"]
    here, *there = document["implementations"]
    assert "environment" not in here
    assert all(i["version"] == i["environment"]["packages"]["numpy"] == here["version"] for i in there)
    assert "numpy@here" in out


def test_a_pattern_takes_everything_that_the_environment_can_run(project: Path, bncheck: Bncheck) -> None:
    code, _, _ = bncheck("run", "case.yaml", "--runner", "num*@here", "--report", "json=r.json")
    assert code == 0
    assert [r["runner"] for r in json.loads(Path("r.json").read_text())["results"]] == ["numpy@here"]


def test_ones_own_function_runs_there_too(project: Path, bncheck: Bncheck) -> None:
    label, _, target = own("mine", "right").partition("=")
    code, _, _ = bncheck("run", "case.yaml", "--runner", f"{label}@here={target}", "--report", "json=r.json")
    assert code == 0
    assert [r["runner"] for r in json.loads(Path("r.json").read_text())["results"]] == ["mine@here"]


@pytest.mark.parametrize(
    ("name", "said"),
    [("gone", "there is no interpreter"), ("never", "uv: No solution found"), ("nowhere==2", "uv: No solution found")],
)
def test_an_environment_that_cannot_be_had_is_exit_3_and_the_others_are_judged(
    project: Path, bncheck: Bncheck, name: str, said: str
) -> None:
    code, out, err = bncheck("run", "case.yaml", "--runner", f"*@{name}", "--runner", "numpy")
    assert code == 3
    assert f"{name} cannot be used: " in err
    assert said in " ".join(err.split())
    assert f"not run: *@{name}: " in out
    assert "1 as requested" in out


@pytest.mark.parametrize(
    ("runner", "said"),
    [
        ("numpy@heer", "there is no environment 'heer'; did you mean here?"),
        ("numyp@here", "there is no runner 'numyp'; did you mean numpy?"),
        ("numpy@--index-url=x", "'--index-url=x' is no requirement"),
        ("numpy@a; rm", "'a;' is no requirement"),
        ("nothing*@here", "no runner matches 'nothing*'"),
    ],
)
def test_a_spelling_that_means_nothing_is_exit_2_before_anything_is_built(
    project: Path, bncheck: Bncheck, runner: str, said: str
) -> None:
    code, out, err = bncheck("run", "case.yaml", "--runner", runner)
    assert (code, out) == (2, "")
    assert said in err
    assert not (project / "cache").exists()


def test_a_case_file_names_no_package_no_interpreter_and_nothing_outside_its_folder(
    project: Path, bncheck: Bncheck
) -> None:
    for line in ("environment: here", "interpreter: /bin/sh", "packages: [six]"):
        Path("case.yaml").write_text(f"{CASE}{line}\n", encoding="utf-8")
        code, _, err = bncheck("run", "case.yaml", "--runner", "numpy")
        assert code == 2
        assert "case.yaml:5:1: unknown key" in err
    Path("case.yaml").write_text(CASE.replace("layout: NC", "layout: NC, values: {file: ../x.npy}"), encoding="utf-8")
    assert bncheck("run", "case.yaml", "--runner", "numpy")[0] == 2


def test_list_shows_what_is_set_and_what_is_built(project: Path, bncheck: Bncheck) -> None:
    code, out, _ = bncheck("environments", "list")
    assert code == 0
    rows = [line.split() for line in out.splitlines()]
    assert rows[0] == ["environment", "size", "state", "of"]
    assert rows[1][:3] == ["here", "-", "Python"]
    assert rows[2][:5] == ["gone", "-", "cannot", "be", "used"]
    assert rows[3] == ["never", "-", "not", "built", "nowhere==1.0"]
    assert "\ngone: there is no interpreter" in out


def test_environments_of_one_content_are_listed_as_built_under_each_name(project: Path, bncheck: Bncheck) -> None:
    text = "".join(f'[tool.bncheck.environments.{name}]\npackages = ["framework==1.0"]\n' for name in "ab")
    (project / "pyproject.toml").write_text(text)
    wheels.wheel(project / "index", "numpy", "1.0")
    wheels.wheel(project / "index", "framework", "1.0")
    assert bncheck("environments", "build")[0] == 0
    out = bncheck("environments", "list")[1]
    assert [line.split()[0] for line in out.splitlines()[1:3]] == ["a", "b"]
    assert "not built" not in out
    assert "not set" not in out


def test_a_record_that_cannot_be_read_is_listed_and_can_be_removed(project: Path, bncheck: Bncheck) -> None:
    folder = project / "cache" / "0123456789abcdef"
    folder.mkdir(parents=True)
    (folder / cache.RECORD).write_text("[]")
    assert "unknown: its record cannot be read" in bncheck("environments", "list")[1]
    assert bncheck("environments", "remove", folder.name)[0] == 0
    assert not folder.exists()


def test_what_a_kill_left_unfinished_goes_when_one_looks(project: Path, bncheck: Bncheck) -> None:
    left = project / "cache" / "unfinished-0123456789abcdef-01234567"
    left.mkdir(parents=True)
    bncheck("environments", "list")
    assert not left.exists()


def test_what_matches_nothing_there_and_what_cannot_be_looked_for_cost_no_other_result(
    project: Path, bncheck: Bncheck, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, _ = bncheck("run", "case.yaml", "--runner", "flax*@bare", "--runner", "numpy")
    assert code == 2  # not set
    with (project / "pyproject.toml").open("a") as file:
        file.write('[tool.bncheck.environments.old]\npython = "3.8"\npackages = ["framework==1.0"]\n')
    monkeypatch.setitem(sys.modules, "findpython", None)
    builder.pythons._found.cache_clear()
    code, out, _ = bncheck("run", "case.yaml", "--runner", "numpy@old", "--runner", "numpy")
    assert code == 3
    assert "findpython, which finds interpreters, is not installed" in out
    assert "1 as requested" in out
    long = "x" * 5000
    code, out, _ = bncheck("run", "case.yaml", "--runner", f"numpy@./{long}", "--runner", "numpy")
    assert code == 3
    assert "there is no interpreter" in out


def test_escapes_in_settings_do_not_reach_the_terminal(project: Path, bncheck: Bncheck) -> None:
    (project / "pyproject.toml").write_text('[tool.bncheck]\n"\\u001b[31mX\\n" = 1\n')
    code, _, err = bncheck("run", "case.yaml")
    assert code == 2
    assert "\x1b" not in err
    assert r"unknown setting `\x1b[31mX\n`" in err


def test_build_says_what_there_is_and_fails_where_one_cannot_be_had(project: Path, bncheck: Bncheck) -> None:
    code, out, err = bncheck("environments", "build", "here")
    assert (code, out.split()) == (0, ["here", sys.executable])
    code, out, err = bncheck("environments", "build")
    assert code == 3
    assert "never cannot be used: uv: No solution found" in err
    assert out.split() == ["here", sys.executable]


def test_on_a_terminal_there_is_a_line_for_what_is_being_built(
    project: Path, bncheck: Bncheck, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheels.wheel(project / "index", "numpy", "1.0")
    wheels.wheel(project / "index", "framework", "1.0")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    code, out, err = bncheck("environments", "build", "framework==1.0", "never")
    assert code == 3
    assert out.startswith("framework==1.0  ")
    assert "framework==1.0: Using CPython" in err
    assert "built framework==1.0 on Python 3." in err
    assert "never cannot be used" in err


def test_remove_wants_to_be_told_what(project: Path, bncheck: Bncheck) -> None:
    assert "name what to remove, or give --all" in bncheck("environments", "remove")[2]
    code, _, err = bncheck("environments", "remove", "never")
    assert code == 2
    assert "never is not built" in err
    assert bncheck("environments", "remove", "--all") == (0, "", "")


def test_from_python_a_runner_runs_in_an_environment_too(project: Path) -> None:
    document = bncheck.run("case.yaml", runners="numpy@here")
    assert [(r.runner, r.verdict) for r in document.results] == [("numpy@here", "pass")]
    with pytest.raises(bncheck.BadRunner, match="there is no environment"):
        bncheck.run("case.yaml", runners="numpy@heer")
    Path("pyproject.toml").write_text("[tool.bncheck]\ntimeot = 1\n")
    with pytest.raises(bncheck.BadRunner, match=r"pyproject\.toml:2:1: unknown setting"):
        bncheck.run("case.yaml", runners="numpy@here")


def test_a_failure_there_is_reproduced_there(project: Path, bncheck: Bncheck) -> None:
    code, out, _ = bncheck("repro", "case", "numpy@here", "--cases", "case.yaml")
    assert code == 0
    assert "Batch normalization by numpy@here is as it should be." in out
