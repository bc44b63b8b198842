"""Environments that were built, in the user's cache: each in a folder that is named after what it is of.

A folder appears there only when it is complete, by a rename; what is being built is in another, under a lock that the
system takes back when its holder ends.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import platformdirs
from filelock import BaseFileLock, FileLock, Timeout

from bncheck import processes
from bncheck.environments.wanted import Wanted

RECORD = "bncheck.json"
_UNFINISHED = "unfinished-"


@dataclass(frozen=True)
class Built:
    """An environment in the cache: its ``key``, its folder, and what it is of."""

    key: str
    folder: Path
    said: str

    @property
    def size(self) -> int:
        """Bytes that it takes on disk."""
        total = 0
        for folder, _, files in os.walk(self.folder):
            for file in files:
                with contextlib.suppress(OSError):  # another run removes it
                    total += os.lstat(os.path.join(folder, file)).st_size  # noqa: PTH118
        return total


def folder() -> Path:
    return Path(platformdirs.user_cache_dir("bncheck", appauthor=False)) / "environments"


def key(wanted: Wanted) -> str:
    """The same for all environments of the same content, whatever they are called."""
    content = json.dumps([wanted.python, sorted(wanted.packages), wanted.until])
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def place(wanted: Wanted) -> Path:
    return folder() / key(wanted)


def built() -> list[Built]:
    """All that is built, in order of what it is of. What a run left unfinished that was killed is removed."""
    _clear()
    found = []
    for record in folder().glob(f"*/{RECORD}"):
        said = "unknown: its record cannot be read"
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            said = processes.printable(str(json.loads(record.read_text(encoding="utf-8"))["of"]))
        found.append(Built(record.parent.name, record.parent, said))
    return sorted(found, key=lambda each: (each.said, each.key))


def remove(each: Built) -> None:
    """Remove what is built, unless it is being built anew this moment. Raises `OSError`."""
    with _lock(each.key):
        _discard(each.folder)


@contextlib.contextmanager
def building(wanted: Wanted, told: Callable[[str], None], ended: Callable[[], bool]) -> Iterator[Path]:
    """The name of a folder to build in, which takes its place in the cache if all goes well and is removed if not.

    Where another run builds the same it is waited for, unless this one has ``ended``; ``told`` is called to say so.
    Raises `OSError`, among them `TimeoutError`.
    """
    folder().mkdir(parents=True, exist_ok=True)
    _clear()
    its_key = key(wanted)
    lock = _lock(its_key)
    while not lock.is_locked:
        try:
            lock.acquire(timeout=1)
        except Timeout:
            told("waiting for another run, which builds it")
            if ended():
                raise
    unfinished = folder() / f"{_UNFINISHED}{its_key}-{uuid.uuid4().hex[:8]}"
    try:
        yield unfinished
        if unfinished.exists():
            (unfinished / RECORD).write_text(json.dumps({"of": wanted.said}), encoding="utf-8")
            shutil.rmtree(place(wanted), ignore_errors=True)
            unfinished.rename(place(wanted))
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
        lock.release()


def _clear() -> None:
    """Remove what a run left unfinished that was killed."""
    for unfinished in folder().glob(f"{_UNFINISHED}*"):
        its_key = unfinished.name.removeprefix(_UNFINISHED).partition("-")[0]
        with contextlib.suppress(OSError), _lock(its_key).acquire(timeout=0):
            shutil.rmtree(unfinished, ignore_errors=True)


def _discard(built: Path) -> None:
    """Remove a folder that others may look at: first it is gone by its name, then in fact."""
    unfinished = folder() / f"{_UNFINISHED}{built.name}-{uuid.uuid4().hex[:8]}"
    built.rename(unfinished)
    shutil.rmtree(unfinished, ignore_errors=True)


def _lock(its_key: str) -> BaseFileLock:
    return FileLock(folder() / f"{its_key}.lock")
