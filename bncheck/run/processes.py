"""Ending a worker with everything that it started, and seeing how much memory it takes."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import uuid
from collections.abc import Iterator

import psutil

MARK = "BNCHECK_WORKER"
"""The environment variable by which what a worker started is recognized, wherever in the process tree it went."""


def new_mark() -> str:
    return uuid.uuid4().hex


def end(process: subprocess.Popen[bytes], mark: str) -> None:
    """Kill a worker, its process group, its descendants, and whatever else bears its mark."""
    doomed = list(_family(process.pid))
    with contextlib.suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(OSError):
        process.kill()
    process.wait()
    for other in (*doomed, *_marked(mark)):
        with contextlib.suppress(psutil.Error):
            other.kill()


def is_running(pid: int) -> bool:
    return psutil.pid_exists(pid)


def memory(pid: int) -> int:
    """Bytes that a process and its descendants hold in memory, but for what they share with others."""
    total = 0
    for process in _family(pid):
        with contextlib.suppress(psutil.Error):
            taken = process.memory_info()
            total += taken.rss - getattr(taken, "shared", 0)
    return total


def _family(pid: int) -> Iterator[psutil.Process]:
    with contextlib.suppress(psutil.Error):
        parent = psutil.Process(pid)
        yield parent
        yield from parent.children(recursive=True)


def _marked(mark: str) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(MARK) == mark:
                yield process
