"""uv as a process: what it is asked, what it says, and that it ends with us."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from bncheck import processes
from bncheck.environments.interpreter import BadInterpreter, clean

MISSING = "uv, which builds environments, is not installed; pip install 'bncheck[environments]'"

LASTING = ("No solution found", "Failed to build")
"""What uv says where packages are not to be had together, or not for this Python."""

KEPT = 400
"""Characters of a long error that are told, of its beginning and of its end."""

OFFLINE = "network was disabled"
"""What uv says besides where it did not ask."""

_ENDS_WITH_US = "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 9); os.execv(sys.argv[1], sys.argv[1:])"
"""A program that becomes another, which Linux then kills when the thread that started it ends."""

_DRAWN = "\u00d7\u2570\u2500\u25b6\u251c\u2502"
"""What older releases of uv draw errors with."""


class Unbuildable(BadInterpreter):
    """An environment cannot be built; the message says why, in uv's words where they are its.

    ``lasting``: what is wanted is not to be had, as opposed to a network or a disk that fails today.
    """

    def __init__(self, message: str, *, lasting: bool = False) -> None:
        super().__init__(message)
        self.lasting = lasting


def find() -> str:
    """uv's program. Raises `Unbuildable`."""
    try:
        import uv

        return uv.find_uv_bin()
    except (ImportError, FileNotFoundError):
        raise Unbuildable(MISSING) from None


class Uv:
    """Runs uv's program ``file`` for one environment, until `stop` is called, from any thread; ``told`` is called with
    each line that it says."""

    def __init__(self, file: str, told: Callable[[str], None]) -> None:
        self._file, self._told = file, told
        self._mark = processes.new_mark()
        self._process: subprocess.Popen[bytes] | None = None
        self.stopped = False

    def run(self, *arguments: str, folder: Path) -> None:
        """One command, in ``folder``. Raises `Unbuildable` with what it said."""
        command = [self._file, *arguments]
        if sys.platform == "linux":
            command = [sys.executable, "-I", "-S", "-c", _ENDS_WITH_US, *command]
        environment = {**clean(os.environ), processes.MARK: self._mark, "NO_COLOR": "1"}
        environment.pop("VIRTUAL_ENV", None)
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env=environment,
                cwd=folder,
                start_new_session=True,  # Ctrl-C is for us
            )
        except OSError as error:
            raise Unbuildable(f"uv cannot be run: {error.strerror}") from None
        if self.stopped:
            self.stop()
        said = []
        assert self._process.stderr is not None
        with self._process.stderr as stream:
            for line in stream:
                text = processes.printable(line.decode("utf-8", "replace").rstrip())
                said.append(text)
                self._told(text)
        if code := self._process.wait():
            if self.stopped or code < 0:
                raise Unbuildable("ended" if self.stopped else f"uv was {processes.how_it_ended(code)}")
            words = _error(said)
            lasting = OFFLINE not in words and any(word in words for word in LASTING)
            raise Unbuildable(f"uv: {words}", lasting=lasting)

    def stop(self) -> None:
        """End it, if it runs, and let it run nothing more."""
        self.stopped = True
        if self._process is not None and self._process.poll() is None:
            with contextlib.suppress(OSError):
                processes.end(self._process, self._mark)


def _error(said: Sequence[str]) -> str:
    """uv's own words on what went wrong, in a line: from its error on, without the middle if that is long, as of a
    compiler's words it is."""
    first = next((n for n, line in enumerate(said) if re.match(rf"error:|\s*{_DRAWN[0]}", line)), 0)
    words = " ".join(" ".join(line.strip(f" {_DRAWN}") for line in said[first:]).split()).removeprefix("error: ")
    words = re.sub(r"(?<![.:]) (cause|hint):", r"; \1:", words)
    if len(words) > 2 * KEPT:
        words = f"{words[:KEPT]} ... {words[-KEPT:]}"
    return words or "it said nothing"
