"""Lint and types, as CI judges them, and what the README promises of commands."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).parent.parent


@pytest.mark.parametrize("command", ["ruff check", "ruff format --check", "mypy"])
def test_nothing_is_left_to_mend(command: str) -> None:
    process = subprocess.run(
        [sys.executable, "-m", *command.split()], cwd=TOP, capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stdout + process.stderr


def test_ci_runs_the_readmes_test_command() -> None:
    command = (TOP / ".ci" / "run").read_text().splitlines()[-1]
    assert command.endswith("pytest")
    assert f"\n{command}\n" in (TOP / "README.md").read_text()
