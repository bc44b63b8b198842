"""An interpreter that is not bncheck's own, and what is installed beside it, learned without importing any of it."""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

SECONDS = 30.0
"""What an interpreter may take to say where it looks for packages."""

LEAST_PYTHON = (3, 7)
"""What a worker runs on."""

_ASK = "import sys; del sys.path[0]; import json; print(json.dumps([list(sys.version_info[:3]), sys.path]))"


class BadInterpreter(Exception):
    """No interpreter that a worker could run on; the message says why."""


@dataclass(frozen=True)
class Environment:
    """An interpreter and what is installed beside it.

    ``name``: as it is written behind a runner's ``@``. ``python``: the interpreter's path; ``python_version``: its
    version, such as 3.8.18. ``distributions``: the version of each one installed, by its canonical name.
    """

    name: str
    python: Path
    python_version: str
    distributions: Mapping[str, str]


def inspect(name: str, python: Path) -> Environment:
    """What the interpreter ``python``, or that of the virtual environment in this folder, has. Raises
    `BadInterpreter`."""
    if python.is_dir():
        folder, python = python, python / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        if not python.is_file():
            raise BadInterpreter(f"{folder} is no virtual environment: it has no {python.relative_to(folder)}")
    if not python.is_file():
        raise BadInterpreter(f"there is no interpreter {python}")
    python = Path(os.path.abspath(python))  # noqa: PTH100  # what a virtual environment links to is another one
    version, places = _told(python)
    if tuple(version) < LEAST_PYTHON:
        least = ".".join(map(str, LEAST_PYTHON))
        raise BadInterpreter(f"{python} is Python {'.'.join(map(str, version))}; a worker needs {least} or newer")
    found = {}
    for distribution in reversed(list(importlib.metadata.distributions(path=places))):  # the first on the path counts
        named = distribution.metadata["Name"]
        if isinstance(named, str):
            found[str(canonicalize_name(named))] = distribution.version
    if "numpy" not in found:
        raise BadInterpreter(f"{python} has no NumPy, which a worker needs; install numpy there")
    return Environment(name, python, ".".join(map(str, version)), found)


def clean(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables for another interpreter: without those that tell Python where to find modules, which are about
    this one's."""
    return {name: value for name, value in environment.items() if name not in ("PYTHONPATH", "PYTHONHOME")}


def _told(python: Path) -> tuple[list[int], list[str]]:
    """The version of an interpreter and where it looks for modules, as it says itself."""
    try:
        asked = subprocess.run(
            [str(python), "-c", _ASK],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=clean(os.environ),
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise BadInterpreter(f"{python} did not answer within {SECONDS:g} s") from None
    except OSError as error:
        raise BadInterpreter(f"{python} cannot be run: {error.strerror}") from None
    lines = asked.stdout.decode("utf-8", "replace").strip().splitlines()
    if asked.returncode or not lines:
        words = asked.stderr.decode("utf-8", "replace").strip().splitlines()
        said = f': "{words[-1][:200]}"' if words else ""
        raise BadInterpreter(f"{python} is no Python interpreter{said}")
    try:
        return _checked(json.loads(lines[-1]))
    except (ValueError, RecursionError):
        raise BadInterpreter(f"{python} is no Python interpreter: it answered {lines[-1][:80]!r}") from None


def _checked(answer: Any) -> tuple[list[int], list[str]]:
    """The answer, if it has the form that was asked for. Raises `ValueError`."""
    if isinstance(answer, list) and len(answer) == 2:
        version, places = answer
        if _are(version, int) and len(version) == 3 and _are(places, str):
            return version, places
    raise ValueError(answer)


def _are(values: Any, kind: type) -> bool:
    return isinstance(values, list) and all(isinstance(value, kind) for value in values)
