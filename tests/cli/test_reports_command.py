"""Reports of all formats, several from one run, and of a document that is there already."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Said, own
from documents import document, result

from bncheck.cli.reports import FORMATS
from bncheck.reports import json as results

CASE = """\
# One case for each dtype.
title: a training step
input: {shape: [4, 3, 5, 2], layout: NCHW}
axis: 1
mode: training
matrix:
  input.dtype:
    - float32
    - float64
"""

BEGINS = {
    "table": "2 cases x 1 runner",
    "json": '{\n "schema": 1',
    "html": "<!doctype html>",
    "markdown": "## ",
    "junit": "<?xml",
    "github": "::error file=cases/case.yaml,line=9,title=epsilon%3A case[input.dtype=float64] on mine::",
    "sarif": '{\n "version": "2.1.0"',
    "badge": "<svg",
}


def test_every_format_comes_of_one_run_and_the_same_of_its_document_later(
    write_case: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bncheck: Callable[..., Said]
) -> None:
    write_case(CASE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_WORKSPACE", raising=False)
    options = [part for form in FORMATS for part in ("--report", f"{form}=now.{form}")]
    code, _, _ = bncheck("run", "cases", "--runner", own("mine", "epsilon_dropped"), *options)
    assert code == 1
    for form in FORMATS:
        now = Path(f"now.{form}").read_text(encoding="utf-8")
        assert now.lower().startswith(BEGINS[form].lower())
        code, later, _ = bncheck("report", "now.json", "--report", form)
        assert code == 0
        assert re.sub(r" in [0-9.]+ s", "", now, count=1 if form == "table" else 0) == later


def test_annotations_may_stand_beside_a_table(tmp_path: Path, bncheck: Callable[..., Said]) -> None:
    file = tmp_path / "results.json"
    file.write_text(results.render(document(result())))
    code, said, _ = bncheck("report", file, "--report", "table", "--report", "github")
    assert code == 0
    assert said.endswith("\nno discrepancies: 1 as requested\n" + said.splitlines()[-1] + "\n")
    assert said.splitlines()[-1].startswith("::notice title=bncheck::1 case x 1 runner on cpu")
    assert bncheck("report", file, "--report", "github", "--report", "table")[1].startswith("::notice")
    assert bncheck("report", file, "--report", "json", "--report", "github")[0] == 2


def test_a_document_of_an_older_version_is_rendered_in_every_format(
    tmp_path: Path, bncheck: Callable[..., Said]
) -> None:
    data = json.loads(results.render(document(result("fail", "epsilon"), result("known", "mode", case="b"))))
    for field in ("stale", "cut_short"):
        del data[field]
    for each in data["results"]:
        del each["expectation"]
        for cause in each["causes"]:
            del cause["source"], cause["alternative"]
    (tmp_path / "old.json").write_text(json.dumps(data))
    for form in FORMATS:
        assert bncheck("report", tmp_path / "old.json", "--report", form)[0] == 0


def test_help_says_what_each_format_is(bncheck: Callable[..., Said]) -> None:
    _, said, _ = bncheck("report", "--help")
    assert re.findall(r"^ +([a-z]+)  +\S", said.partition("Formats:")[2].partition("\n\n")[0], re.MULTILINE) == [
        *FORMATS
    ]


def test_help_and_other_formats_import_no_library_of_a_format(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text(results.render(document(result())))
    for command in (["run", "--help"], ["report", str(tmp_path / "results.json"), "--report", "markdown"]):
        process = subprocess.run(
            [sys.executable, "-X", "importtime", "-m", "bncheck", *command], capture_output=True, text=True, check=True
        )
        names = {line.rpartition("|")[2].strip().split(".")[0] for line in process.stderr.splitlines()}
        assert "bncheck" in names
        assert not names & {"junitparser", "sarif_pydantic", "jinja2"}
