"""The Python interpreters of this machine, wherever a version manager keeps them."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from bncheck.environments.interpreter import BadInterpreter
from bncheck.environments.wanted import LEAST_PYTHON

_LOCK = threading.Lock()


def find(version: str) -> Path | None:
    """An interpreter of that version, such as 3.8 or 3.8.18; None if none is found here. Raises `BadInterpreter` where
    none can be looked for."""
    wanted = tuple(map(int, version.split(".")))
    return next((python for found, python in _all() if found[: len(wanted)] == wanted), None)


def newest() -> Iterator[tuple[str, Path]]:
    """Versions, such as 3.8, that a worker runs on, each with the newest interpreter of it: our own first, then the
    newest first."""
    seen = set()
    for version, python in _all():
        if version[:2] not in seen:
            seen.add(version[:2])
            yield f"{version[0]}.{version[1]}", python


def _all() -> Iterator[tuple[tuple[int, ...], Path]]:
    """Versions and interpreters, ours first, then the newest first."""
    ours = Path(getattr(sys, "_base_executable", sys.executable)).resolve()  # under its virtual environment
    yield sys.version_info[:3], ours
    with _LOCK:  # a search takes seconds, and is made once
        found = _found()
    yield from found


@cache
def _found() -> list[tuple[tuple[int, ...], Path]]:
    try:
        from findpython import Finder
    except ImportError:
        message = "findpython, which finds interpreters, is not installed; pip install 'bncheck[environments]'"
        raise BadInterpreter(message) from None

    found = Finder(resolve_symlinks=True).find_all(implementation="cpython", pre=False, dev=False, freethreaded=False)
    versions = [(tuple(python.version.release), python.executable) for python in found]
    return [(version, python) for version, python in versions if version >= LEAST_PYTHON]
