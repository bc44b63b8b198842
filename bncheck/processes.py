"""Processes that may be any executable: hearing them out, ending them with all they started, seeing their memory."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import psutil

MARK = "BNCHECK_WORKER"
"""The environment variable by which what a worker started is recognized, wherever in the process tree it went."""

LOOKS = 50
MOST = 1 << 20
"""Bytes that a process may say before it is ended."""

GLANCE = 0.2
"""Seconds between looks at whether a process lives."""


class Unruly(Exception):
    """A process hung, or said too much; the message says which."""


@dataclass(frozen=True)
class Said:
    """How a process ended, and what it said on standard output and standard error."""

    code: int
    out: bytes
    err: bytes


def hear(command: Sequence[str], environment: Mapping[str, str], seconds: float) -> Said:
    """Run a command to its end, with nothing on standard input, and leave nothing running of what it started.

    Raises `Unruly`, and OSError if it cannot be started.
    """
    mark = new_mark()
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**environment, MARK: mark},
        start_new_session=True,
    )
    deadline = time.monotonic() + seconds
    try:
        with process:
            try:
                out, err = _heard(process, deadline)
                return Said(process.wait(max(0.0, deadline - time.monotonic())), out, err)
            finally:
                end(process, mark)
    except subprocess.TimeoutExpired:
        raise Unruly(f"did not end within {seconds:g} s") from None


def _heard(process: subprocess.Popen[bytes], deadline: float) -> tuple[bytes, bytes]:
    """What a process says until it ends, even if its own children hold its pipes open; it may still be running."""
    assert process.stdout is not None
    assert process.stderr is not None
    out, err = process.stdout.fileno(), process.stderr.fileno()
    heard = {out: b"", err: b""}
    with selectors.DefaultSelector() as open_pipes:
        for pipe in heard:
            open_pipes.register(pipe, selectors.EVENT_READ)
        while open_pipes.get_map():
            ended = process.poll() is not None
            ready = open_pipes.select(min(GLANCE, deadline - time.monotonic()))
            for key, _ in ready:
                words = os.read(key.fd, 1 << 16)
                heard[key.fd] += words
                if not words:
                    open_pipes.unregister(key.fd)
            if sum(map(len, heard.values())) > MOST:
                raise Unruly(f"said more than {MOST:,} bytes")
            if (ended and not ready) or time.monotonic() > deadline:
                break
    return heard[out], heard[err]


def printable(text: str) -> str:
    """A text of someone else's as it may be shown on a terminal: what would move it or colour it is spelled out."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def last_words(said: bytes, most: int = 200) -> str:
    """The last line that says something, at most so much of it, as it may be shown; empty if there is none."""
    lines = said.decode("utf-8", "replace").splitlines()
    return printable(next((line.strip() for line in reversed(lines) if line.strip()), "")[:most])


def how_it_ended(code: int) -> str:
    """What the code says that a process ended with."""
    if code >= 0:
        return f"exited with code {code}"
    named = {number.value: number.name for number in signal.Signals}
    return f"killed by {named.get(-code, f'signal {-code}')}"


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
