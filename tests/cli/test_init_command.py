"""``bncheck init`` as a newcomer meets it."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Said

from bncheck.running import runners

Bncheck = Callable[..., Said]


@pytest.fixture(autouse=True)
def empty_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The current one."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def only_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment without any framework: their distributions cannot be found."""
    version = importlib.metadata.version

    def hidden(name: str) -> str:
        if name in ("numpy", "bncheck"):
            return version(name)
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", hidden)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_init_and_run_go_well_with_the_frameworks_found(bncheck: Bncheck, tmp_path: Path) -> None:
    code, out, err = bncheck("init")
    assert (code, err) == (0, "")
    assert "wrote  cases/channels-last.yaml\n" in out
    assert "wrote  pyproject.toml\n" in out
    assert out.endswith("Next: bncheck run\n")
    code, out, err = bncheck("run")
    assert code == 0, out + err
    assert "no discrepancies" in out
    found = [runner.spelling for runner in runners.select([]) if runner.missing is None]
    assert all(f"\n{name} " in out for name in found)


def test_init_and_run_go_well_with_nothing_but_numpy(bncheck: Bncheck, only_numpy: None, tmp_path: Path) -> None:
    _, out, _ = bncheck("init")
    assert "Runners here: numpy\n" in out
    assert "Not here, so not in pyproject.toml: keras, " in out
    assert max(map(len, out.splitlines())) <= 100
    assert 'runners = ["numpy"]\n' in (tmp_path / "pyproject.toml").read_text()
    code, out, _ = bncheck("run")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()[3:4]] == ["numpy"]


def test_no_framework_is_imported(tmp_path: Path) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "bncheck", "init", str(tmp_path)]
    process = subprocess.run(command, capture_output=True, text=True, check=True)
    imported = {line.rpartition("|")[2].strip() for line in process.stderr.splitlines()}
    assert "bncheck.init" in imported
    assert not imported & {"tensorflow", "keras", "tf_keras", "torch"}


def test_a_second_time_changes_nothing(bncheck: Bncheck, tmp_path: Path) -> None:
    bncheck("init")
    before = contents(tmp_path)
    code, out, err = bncheck("init")
    assert (code, err) == (0, "")
    assert "wrote" not in out
    assert "left   cases/epsilon.yaml: it exists\n" in out
    assert "left   pyproject.toml: it has [tool.bncheck]\n" in out
    assert contents(tmp_path) == before


def test_what_exists_is_left_byte_for_byte(bncheck: Bncheck, tmp_path: Path) -> None:
    own = b"# mine\r\n[project]\r\nname = 'x'   # no end of line"
    (tmp_path / "pyproject.toml").write_bytes(own)
    (tmp_path / "cases").mkdir()
    (tmp_path / "cases" / "epsilon.yaml").write_bytes(b"mine")
    _, out, _ = bncheck("init")
    assert "left   cases/epsilon.yaml: it exists\n" in out
    assert (tmp_path / "cases" / "epsilon.yaml").read_bytes() == b"mine"
    assert (tmp_path / "pyproject.toml").read_bytes().startswith(own + b"\r\n\r\n[tool.bncheck]\r\n")


def test_settings_that_name_no_cases_are_left_and_the_next_command_does(bncheck: Bncheck, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.bncheck]\ntimeout = 60\n")
    _, out, _ = bncheck("init")
    assert out.endswith("Next: bncheck run cases\n")
    assert (tmp_path / "pyproject.toml").read_text() == "[tool.bncheck]\ntimeout = 60\n"


def test_another_folder_is_made(bncheck: Bncheck, tmp_path: Path) -> None:
    code, out, _ = bncheck("init", "a new/one")
    assert code == 0
    assert "wrote  a new/one/cases/epsilon.yaml\n" in out
    assert out.endswith("Next: cd 'a new/one' && bncheck run\n")


@pytest.mark.parametrize(
    ("obstacle", "arguments", "words"),
    [
        ("here", ["here"], "Directory 'here' is a file"),
        ("here", ["here/below"], "here/below/cases cannot be written: Not a directory"),
        ("cases", [], "cases cannot be written: File exists"),
        ("pyproject.toml/x", [], "pyproject.toml:1:1: cannot be read: Is a directory"),
    ],
)
def test_what_is_in_the_way_is_said_and_nothing_is_written(
    bncheck: Bncheck, tmp_path: Path, obstacle: str, arguments: list[str], words: str
) -> None:
    (tmp_path / obstacle).parent.mkdir(exist_ok=True)
    (tmp_path / obstacle).write_text("")
    code, out, err = bncheck("init", *arguments)
    assert (code, out, words in err) == (2, "", True)
    assert [*contents(tmp_path)] == [obstacle]


def test_a_pyproject_that_is_broken_is_refused_before_anything_is_written(bncheck: Bncheck, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[project]\nname =\n")
    assert bncheck("init") == (2, "", "pyproject.toml:2:7: is not TOML: Invalid value\n")
    assert [*contents(tmp_path)] == ["pyproject.toml"]


def test_a_folder_that_may_not_be_written_is_said(bncheck: Bncheck) -> None:
    code, out, err = bncheck("init", "/proc/nowhere")
    assert (code, out) == (2, "")
    assert "cannot be written" in err


def test_it_explains_itself(bncheck: Bncheck) -> None:
    assert "init " in bncheck("--help")[1]
    assert "What exists already is left as it is" in " ".join(bncheck("init", "--help")[1].split())
