"""What was tried, on disk as it comes, so that a bisection goes on where it was ended.

JSON Lines: a release a line, with the key of the question that it answers. A line that was not finished counts for
nothing, and so does what answers another question.
"""

from __future__ import annotations

import json
from pathlib import Path

from bncheck.bisection.trial import Tried

BEGINS = '{"question": "'
"""Every log begins so."""


class BadLog(Exception):
    """A file that is no log, or cannot be read or written; the message says which and why."""


class Log:
    """The log at ``path`` of one question, by its ``key``: ``tried`` are the releases in it.

    Raises `BadLog`, as `add` does.
    """

    def __init__(self, path: Path, key: str) -> None:
        self._path, self._key = path, key
        try:
            if path.exists() and not path.is_file():
                raise BadLog(f"{path} is no file; name one, which need not be there")
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a+b") as file:  # which also says early whether it can be written
                file.seek(0)
                text = file.read().decode("utf-8", "replace")
        except OSError as error:
            raise BadLog(f"{path} cannot be used: {error.strerror}") from None
        if not text.startswith(BEGINS) and not BEGINS.startswith(text):
            raise BadLog(f"{path} is no log of a bisection; name another file, which need not be there")
        self._mode = "a" if text.startswith(BEGINS) else "w"
        self._finished = text.endswith("\n") or self._mode == "w"
        self.tried = {each.release: each for line in text.split("\n") if (each := self._read(line)) is not None}

    def add(self, tried: Tried) -> None:
        line = f'{BEGINS}{self._key}", "tried": {tried.model_dump_json()}}}\n'
        try:
            with self._path.open(self._mode, encoding="utf-8") as file:
                file.write(line if self._finished else f"\n{line}")
        except OSError as error:
            raise BadLog(f"{self._path} cannot be written: {error.strerror}") from None
        self._mode, self._finished = "a", True
        self.tried[tried.release] = tried

    def _read(self, line: str) -> Tried | None:
        """What a line says, if it is about this question."""
        try:
            entry = json.loads(line)
            return Tried.model_validate(entry["tried"]) if entry["question"] == self._key else None
        except (ValueError, KeyError, TypeError, RecursionError):
            return None
