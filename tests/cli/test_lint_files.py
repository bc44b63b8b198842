"""``bncheck lint`` given single files, as pre-commit gives them, expectations among them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Said
from ruamel.yaml import YAML

Bncheck = Callable[..., Said]

CASE = """\
title: a case
input: {shape: [4, 3, 5, 2], layout: NCHW}
axis: 1
mode: inference
"""
ENTRY = "- {case: a, runner: torch, cause: epsilon, error: .inf, reason: cuDNN raises it}\n"


@pytest.fixture(autouse=True)
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with two cases and what is expected of them."""
    monkeypatch.chdir(tmp_path)
    for name, text in {"a.yaml": CASE, "sub/b.yaml": CASE, "expectations.yaml": ENTRY}.items():
        file = tmp_path / "cases" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return tmp_path


def hook() -> Any:
    (found,) = YAML(typ="safe").load(Path(__file__).parents[2] / ".pre-commit-hooks.yaml")
    return found


def test_a_file_of_expectations_is_judged_as_one_with_the_cases_of_its_folder(bncheck: Bncheck) -> None:
    expected = (0, "2 cases in 2 files, 1 expectation: no problems\n", "")
    assert bncheck("lint", "cases/expectations.yaml") == expected
    assert bncheck("lint", "cases/a.yaml", "cases/expectations.yaml") == expected


def test_what_is_wrong_with_it_has_its_place(bncheck: Bncheck, repository: Path) -> None:
    (repository / "cases" / "expectations.yaml").write_text(ENTRY.replace("runner", "runer"))
    code, out, err = bncheck("lint", "cases/expectations.yaml")
    assert (code, out) == (2, "")
    assert "cases/expectations.yaml:1:13: unknown key `runer`; did you mean `runner`?\n" in err


def test_a_bad_case_beside_it_is_told_too(bncheck: Bncheck, repository: Path) -> None:
    (repository / "cases" / "sub" / "b.yaml").write_text(CASE + "epsilon: -1\n")
    code, _, err = bncheck("lint", "cases/expectations.yaml")
    assert code == 2
    assert err.startswith("cases/sub/b.yaml:5:10: ")


def test_a_file_of_expectations_that_no_run_reads_is_a_problem(bncheck: Bncheck, repository: Path) -> None:
    (repository / "cases" / "sub" / "expectations.yaml").write_text(ENTRY)
    code, out, err = bncheck("lint", "cases/sub/expectations.yaml")
    assert (code, out) == (2, "")
    assert "cases/sub/expectations.yaml:1:1: no run reads this file" in err
    assert "stands in cases/expectations.yaml; move the entries there" in err


def test_a_file_that_the_settings_name_stands_for_the_cases_that_they_name(bncheck: Bncheck, repository: Path) -> None:
    (repository / "cases" / "expectations.yaml").rename(repository / "known.yaml")
    (repository / "pyproject.toml").write_text('[tool.bncheck]\npaths = ["cases"]\nexpectations = "known.yaml"\n')
    expected = (0, "2 cases in 2 files, 1 expectation: no problems\n", "")
    assert bncheck("lint", "known.yaml") == bncheck("lint", "known.yaml", "cases/a.yaml") == expected
    (repository / "cases" / "expectations.yaml").write_text(ENTRY)
    code, _, err = bncheck("lint", "cases/expectations.yaml")
    assert code == 2
    assert "cases/expectations.yaml:1:1: no run reads this file: what is expected stands in known.yaml" in err


def test_the_hook_takes_the_files_that_are_cases_and_expectations() -> None:
    files = re.compile(hook()["files"])
    taken = ["cases/a.yaml", "cases/sub/b.yml", "ml/cases/a.yaml", "cases/expectations.yaml", "cases/a[b].yaml"]
    left = ["cases/_draft.yaml", "cases/.x.yaml", "cases/_old/a.yaml", "cases/a.json", "showcases/a.yaml", "a.yaml"]
    assert [name for name in taken + left if files.search(name)] == taken


def test_the_hook_lints_the_files_that_it_is_given(bncheck: Bncheck, repository: Path) -> None:
    program, *arguments = shlex.split(hook()["entry"])
    assert program == "bncheck"
    assert hook()["language"] == "python"
    files = ["cases/a.yaml", "cases/expectations.yaml", "cases/sub/b.yaml"]
    assert bncheck(*arguments, *files)[0] == 0
    (repository / "cases" / "a.yaml").write_text(CASE.replace("axis", "axes"))
    code, _, err = bncheck(*arguments, *files)
    assert code == 2
    assert "cases/a.yaml:3:1: unknown key `axes`; did you mean `axis`?\n" in err
