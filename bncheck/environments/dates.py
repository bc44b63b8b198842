"""Since when releases are there, so that what else is installed can be of the same time: later releases of what old
ones need often break them."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from bncheck.environments.uv import Uv

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MEANWHILE = timedelta(days=30)
"""How long after a release what belongs to it may have come out."""


def of_release(requirements: Sequence[str], python: str, uv: Uv) -> str | None:
    """Some time after the first day on which all of these requirements could be met, for the interpreter ``python``;
    None where the index knows no dates.

    Raises `Unbuildable` where they cannot be met at all.
    """
    with tempfile.TemporaryDirectory(prefix="bncheck-") as name:
        folder = Path(name)
        (folder / "wanted.txt").write_text("\n".join(requirements), encoding="utf-8")
        asked = ["--no-deps", "--resolution", "lowest", "--format", "pylock.toml", "--output-file", "pylock.toml"]
        uv.run("pip", "compile", "--quiet", *asked, "--python", python, "wanted.txt", folder=folder)
        lock = tomllib.loads((folder / "pylock.toml").read_text(encoding="utf-8"))
    days = [_uploaded(package) for package in lock.get("packages", [])]
    known = [day for day in days if day is not None]
    return str(max(known) + MEANWHILE) if known and len(known) == len(days) else None


def _uploaded(package: dict[str, Any]) -> date | None:
    """The day on which the first file of a release was uploaded."""
    files = [package.get("sdist", {}), *package.get("wheels", [])]
    times = [file["upload-time"] for file in files if isinstance(file.get("upload-time"), datetime)]
    return min(times).date() if times else None
