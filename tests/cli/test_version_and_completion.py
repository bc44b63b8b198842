"""``bncheck --version``, and what a shell completes."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Said

import bncheck as package
from bncheck import documented
from bncheck.cli.main import COMMANDS
from bncheck.cli.reports import FORMATS
from bncheck.cli.version import FRAMEWORKS
from bncheck.pyproject import tomllib

Bncheck = Callable[..., Said]

HEAVY = {"numpy", "pydantic", "ruamel", "jinja2", "tensorflow", "keras", "tf_keras", "torch", "jax", "onnx", "openvino"}


def test_versions_are_those_of_bncheck_of_python_and_of_every_framework(bncheck: Bncheck) -> None:
    code, out, err = bncheck("--version")
    assert (code, err) == (0, "")
    rows = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert list(rows)[:3] == ["bncheck", "Python", "numpy"]
    assert rows["bncheck"] == package.__version__
    assert rows["Python"].startswith(platform.python_version())
    assert rows["numpy"] == importlib.metadata.version("numpy")
    assert len(rows) == 3 + len(FRAMEWORKS)


def test_what_is_not_installed_is_listed_with_what_installs_it(
    bncheck: Bncheck, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = {"tensorflow-cpu": "2.20.0", "onnx": "1.2.3"}

    def version(name: str) -> str:
        if name in there:
            return there[name]
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    _, out, _ = bncheck("--version")
    assert "\ntorch        not installed; pip install 'bncheck[torch]'\n" in out
    assert "\ndm-haiku     not installed; pip install 'bncheck[jax]'\n" in out
    assert "\nonnx         1.2.3\n" in out
    assert "\ntensorflow   2.20.0\n" in out  # a build of another name


def test_every_distribution_that_a_runner_needs_is_listed_with_an_extra_that_installs_it() -> None:
    modules = [documented.of(name) for name in documented.built_in()]
    assert {need for module in modules for need in module.NEEDS} - {"numpy"} == FRAMEWORKS.keys()
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    for distribution, extra in FRAMEWORKS.items():
        assert any(r.startswith(f"{distribution}>=") for r in project["optional-dependencies"][extra]), distribution


def completed(words: str, cwd: Path, shell: str = "bash") -> list[str]:
    """What a shell is told that ``words`` can go on with; the last is the one to complete."""
    env = {
        **os.environ,
        "COMP_WORDS": words,
        "COMP_CWORD": words.split(" ")[-1] if shell == "fish" else str(words.count(" ")),
        "_BNCHECK_COMPLETE": f"{shell}_complete",
    }
    script = Path(sys.executable).parent / "bncheck"
    process = subprocess.run([script], env=env, cwd=cwd, capture_output=True, text=True, check=True)
    assert process.stderr == ""
    return process.stdout.splitlines()


def test_commands_are_completed(tmp_path: Path) -> None:
    assert completed("bncheck ", tmp_path) == [f"plain,{name}" for name in COMMANDS]
    assert completed("bncheck re", tmp_path) == ["plain,report", "plain,repro"]
    assert completed("bncheck --v", tmp_path) == ["plain,--version"]


def test_shells_that_show_it_are_told_what_a_command_does(tmp_path: Path) -> None:
    assert completed("bncheck lin", tmp_path, "zsh") == ["plain", "lint", COMMANDS["lint"]]
    assert completed("bncheck lin", tmp_path, "fish")[0].startswith("plain")


def test_runners_formats_and_choices_are_completed(tmp_path: Path) -> None:
    assert completed("bncheck run --runner tf-", tmp_path) == [
        f"plain,{name}" for name in documented.spellings() if name.startswith("tf-")
    ]
    assert completed("bncheck repro questions/epsilon-0 num", tmp_path) == ["plain,numpy"]
    assert completed("bncheck report x.json --report ", tmp_path) == [f"plain,{form}" for form in FORMATS]
    assert completed("bncheck run --report json=ou", tmp_path) == ["file,json=ou"]
    assert completed("bncheck run --device ", tmp_path) == ["plain,cpu", "plain,gpu", "plain,all"]
    assert completed("bncheck run ca", tmp_path) == ["file,ca"]


def test_a_pyproject_that_is_broken_does_not_talk_into_a_completion(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.bncheck]\nwhat = 1\n")
    assert completed("bncheck run --dev", tmp_path) == ["plain,--device"]


def test_completing_a_command_imports_nothing_heavy(tmp_path: Path) -> None:
    env = {**os.environ, "COMP_WORDS": "bncheck r", "COMP_CWORD": "1", "_BNCHECK_COMPLETE": "bash_complete"}
    script = str(Path(sys.executable).parent / "bncheck")
    process = subprocess.run(
        [sys.executable, "-X", "importtime", script], env=env, capture_output=True, text=True, check=True
    )
    imported = {line.rpartition("|")[2].strip().split(".")[0] for line in process.stderr.splitlines()}
    assert "bncheck" in imported
    assert not imported & HEAVY
    assert "plain,run\n" in process.stdout


def test_bash_itself_completes(tmp_path: Path) -> None:
    script = (
        'eval "$(_BNCHECK_COMPLETE=bash_source bncheck)"\n'
        "COMP_WORDS=(bncheck exp) COMP_CWORD=1\n"
        "_bncheck_completion bncheck\n"
        'echo "${COMPREPLY[@]}"\n'
    )
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    bash = shutil.which("bash") or "bash"
    process = subprocess.run(
        [bash, "-c", script], env={**os.environ, "PATH": path}, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert process.stdout == "explain\n"
