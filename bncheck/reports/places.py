"""Where a case stands, as those name it who look at a repository rather than at a machine."""

from __future__ import annotations

import os
import re
from pathlib import Path

_PLACE = re.compile(r"(?P<file>.+):(?P<line>\d+):\d+", re.DOTALL)


def below_root(file: str) -> str | None:
    """A file's path below the root of the repository, which is where GitHub checked it out, or else the current folder;
    None if it is elsewhere, as the cases are that come with bncheck."""
    path = Path(os.path.abspath(file))  # noqa: PTH100  a file that is a link is named as its user sees it
    given = Path(os.environ.get("GITHUB_WORKSPACE") or ".").absolute()
    root = next((root for root in (given, given.resolve()) if path.is_relative_to(root)), None)
    return None if root is None else path.relative_to(root).as_posix()


def place(source: str) -> tuple[str, int]:
    """The file and the line of a ``file:line:column``."""
    found = _PLACE.fullmatch(source)
    return (found["file"], int(found["line"])) if found else (source, 1)
