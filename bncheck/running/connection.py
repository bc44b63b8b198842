"""One worker process, and what is said to it. Whatever it does, a request ends: an answer, or `WorkerDied`."""

from __future__ import annotations

import collections
import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from bncheck.environments.interpreter import clean
from bncheck import processes

_WORKER = Path(__file__).parent.parent / "worker" / "__main__.py"
_KEPT = 4096
_LONGEST_ANSWER = 1 << 20
_GLANCE = 0.2
"""Seconds between looks at a worker that has not answered: whether it lives, and how much memory it takes."""


class WorkerDied(Exception):
    """The worker ended, hung, took too much memory or talked nonsense; the message says how, with its last words."""


class Connection:
    """A worker, started at once; ``verbose`` passes on what it prints to standard error.

    ``python``: an interpreter that is not our own, for it to run on. ``max_memory`` in bytes: a worker that holds more
    is ended. ``gpu``: it may see one. ``temporary``: a folder for what it leaves behind, since it is ended rather than
    let go.
    """

    def __init__(
        self,
        *,
        python: Path | None = None,
        verbose: bool = False,
        max_memory: int | None = None,
        gpu: bool = False,
        temporary: Path | None = None,
    ) -> None:
        self._mark = processes.new_mark()
        environment = {**(clean(os.environ) if python else os.environ), processes.MARK: self._mark}
        if temporary is not None:
            temporary.mkdir(parents=True, exist_ok=True)
            environment["TMPDIR"] = str(temporary)
        if not gpu:
            environment["CUDA_VISIBLE_DEVICES"] = "-1"
        self._process = subprocess.Popen(
            [str(python or sys.executable), str(_WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            start_new_session=True,  # Ctrl-C is for us; we end it, with all that it started
        )
        self._started = time.monotonic()
        self._asked = 0
        self._max_memory = max_memory
        self._talk: collections.deque[bytes] = collections.deque(maxlen=16)
        self._answers: queue.Queue[bytes | None] = queue.Queue(maxsize=16)
        self._verbose = verbose
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._eavesdropper = threading.Thread(target=self._overhear, daemon=True)
        self._listener.start()
        self._eavesdropper.start()

    def send(self, message: dict[str, Any]) -> None:
        """Ask; the answer is fetched with `receive`."""
        self._started = time.monotonic()
        self._asked += 1
        assert self._process.stdin is not None
        with contextlib.suppress(OSError, ValueError):  # it is gone: `receive` will say so
            self._process.stdin.write(json.dumps({**message, "number": self._asked}).encode() + b"\n")
            self._process.stdin.flush()

    def receive(self, timeout: float) -> dict[str, Any]:
        """The answer to the last question, at most ``timeout`` seconds after it was asked. Raises `WorkerDied`."""
        line = self._next_line(timeout)
        if line is not None:
            with contextlib.suppress(ValueError):
                answer = json.loads(line)
                if isinstance(answer, dict) and answer.get("number") == self._asked:
                    return answer
            self._die(f"answered with something that is not an answer: {line[:80]!r}")
        try:
            code = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._die("closed its output")
        self._die(f"killed by {signal.Signals(-code).name}" if code < 0 else f"exited with code {code}")
        raise AssertionError  # it never comes to this

    def close(self) -> None:
        """End the worker and everything that it started."""
        processes.end(self._process, self._mark)
        for thread in (self._listener, self._eavesdropper):
            thread.join(timeout=1)
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            with contextlib.suppress(OSError):
                if stream:
                    stream.close()

    def _next_line(self, timeout: float) -> bytes | None:
        """What the worker says next; None at its end. Raises `WorkerDied` on what it may not do meanwhile."""
        while True:
            left = self._started + timeout - time.monotonic()
            ended = self._process.poll() is not None  # its own children may still hold the pipe open
            with contextlib.suppress(queue.Empty):
                return self._answers.get(timeout=max(0.0, min(left, _GLANCE)))
            if ended:
                return None
            if left <= 0:
                self._die(f"no answer after {timeout:g} s")
            if self._max_memory is not None and processes.memory(self._process.pid) > self._max_memory:
                self._die(f"held more memory than --max-memory allows ({self._max_memory / 2**20:,.0f} MiB)")

    def _die(self, how: str) -> None:
        """End the worker, and say how and with what last words."""
        self.close()
        lines = [line.strip() for line in b"".join(self._talk).decode("utf-8", "replace").splitlines()]
        words = next((line for line in reversed(lines) if line), "")
        raise WorkerDied(how + (f'; last words: "{words[:200]}"' if words else ""))

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with contextlib.suppress(OSError, ValueError):
            while line := self._process.stdout.readline(_LONGEST_ANSWER):
                self._answers.put(line)
        self._answers.put(None)

    def _overhear(self) -> None:
        assert self._process.stderr is not None
        with contextlib.suppress(OSError, ValueError):
            while heard := os.read(self._process.stderr.fileno(), _KEPT):
                self._talk.append(heard)
                if self._verbose:
                    sys.stderr.buffer.write(heard)
                    sys.stderr.buffer.flush()
