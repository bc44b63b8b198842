"""Ending a worker with everything that it started, and seeing how much memory it takes."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
import uuid
from collections.abc import Iterable, Iterator

import psutil

MARK = "BNCHECK_WORKER"
"""The environment variable by which what a worker started is recognized, wherever in the process tree it went."""


LOOKS = 50


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
    _kill(doomed)
    # What is being started at this moment may not bear the mark yet: look until nothing is found, and once more.
    quiet = len(doomed) <= 1
    for _ in range(LOOKS):
        found = list(_marked(mark))
        _kill(found)
        if quiet and not found:
            return
        quiet = not found
        time.sleep(0.02)


def _kill(processes: Iterable[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.kill()


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
