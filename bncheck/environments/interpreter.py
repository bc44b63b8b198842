"""An interpreter that is not bncheck's own, and what is installed beside it, learned without importing any of it."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from packaging.utils import canonicalize_name
from pydantic import Field, TypeAdapter, ValidationError

from bncheck import processes
from bncheck.environments.wanted import LEAST_PYTHON

SECONDS = 30.0
"""What an interpreter may take to say where it looks for packages."""

_ASK = "import sys; del sys.path[0]; import json; print(json.dumps([list(sys.version_info[:3]), sys.path]))"

_Number = Annotated[int, Field(strict=True, ge=0, lt=1000)]
_ANSWER = TypeAdapter(tuple[tuple[_Number, _Number, _Number], list[str]])


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
    if os.path.isdir(python):  # noqa: PTH112  # which raises nothing, whatever the path is
        folder, python = python, python / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        if not os.path.isfile(python):  # noqa: PTH113
            raise BadInterpreter(f"{folder} is no virtual environment: it has no {python.relative_to(folder)}")
    python = Path(os.path.abspath(python))  # noqa: PTH100  # what a virtual environment links to is another one
    version, places = asked(python)
    found = _installed(places)
    if "numpy" not in found:
        raise BadInterpreter(f"{python} has no NumPy, which a worker needs; install numpy there")
    return Environment(name, python, version, found)


def clean(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables for another interpreter: without those that tell Python where to find modules, which are about
    this one's."""
    return {name: value for name, value in environment.items() if name not in ("PYTHONPATH", "PYTHONHOME")}


def asked(python: Path) -> tuple[str, list[str]]:
    """The version of an interpreter and the folders where it looks for modules, as it says itself. Raises
    `BadInterpreter`, also for one that no worker runs on."""
    if not os.path.isfile(python):  # noqa: PTH113
        raise BadInterpreter(f"there is no interpreter {processes.printable(str(python)[:200])}")
    try:
        said = processes.hear([str(python), "-c", _ASK], clean(os.environ), SECONDS)
    except processes.Unruly as how:
        raise BadInterpreter(f"{python} {how}, asked for its version; name a Python interpreter") from None
    except OSError as error:
        raise BadInterpreter(f"{python} cannot be run: {error.strerror}") from None
    answer = processes.last_words(said.out, most=len(said.out))
    if said.code or not answer:
        words = processes.last_words(said.err)
        raise BadInterpreter(f"{python} is no Python interpreter" + (f': "{words}"' if words else ""))
    try:
        version, places = _ANSWER.validate_json(answer)
    except ValidationError:
        raise BadInterpreter(f'{python} is no Python interpreter: it answered "{answer[:80]}"') from None
    said_version = ".".join(map(str, version))
    if version < LEAST_PYTHON:
        least = ".".join(map(str, LEAST_PYTHON))
        raise BadInterpreter(f"{python} is Python {said_version}; a worker needs {least} or newer")
    # These tests raise nothing, whatever the text is.
    return said_version, [place for place in places if os.path.isabs(place) and os.path.isdir(place)]  # noqa: PTH112, PTH117


def _installed(places: Sequence[str]) -> dict[str, str]:
    """The version of each distribution in these folders, by its canonical name; what has no sound one is left out."""
    found = {}
    for distribution in reversed(list(importlib.metadata.distributions(path=list(places)))):  # the first counts
        with contextlib.suppress(ValueError, OSError):
            name, version = distribution.metadata["Name"], distribution.version
            if isinstance(name, str) and isinstance(version, str) and (name + version).isprintable():
                found[str(canonicalize_name(name))] = version
    return found
