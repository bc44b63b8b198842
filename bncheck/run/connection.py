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

_WORKER = Path(__file__).parent.parent / "worker" / "__main__.py"
_KEPT = 4096
_LONGEST_ANSWER = 1 << 20


class WorkerDied(Exception):
    """The worker ended, hung or talked nonsense; the message says how, with its last words."""


class Connection:
    """A worker of one family, started at once; ``verbose`` passes on what it prints to standard error."""

    def __init__(self, *, verbose: bool) -> None:
        environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "PYTHONIOENCODING": "utf-8"}
        self._process = subprocess.Popen(
            [sys.executable, str(_WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            start_new_session=True,  # Ctrl-C is for us; we end it, with all that it started
        )
        self._started = time.monotonic()
        self._talk: collections.deque[bytes] = collections.deque(maxlen=16)
        self._answers: queue.Queue[bytes | None] = queue.Queue()
        self._verbose = verbose
        self._listeners = [
            threading.Thread(target=self._listen, daemon=True),
            threading.Thread(target=self._overhear, daemon=True),
        ]
        for listener in self._listeners:
            listener.start()

    def send(self, message: dict[str, Any]) -> None:
        """Ask; the answer is fetched with `receive`."""
        self._started = time.monotonic()
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # it is gone: `receive` will say so
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()

    def receive(self, timeout: float) -> dict[str, Any]:
        """The answer to the last question, at most ``timeout`` seconds after it was asked. Raises `WorkerDied`."""
        try:
            line = self._answers.get(timeout=max(0.0, self._started + timeout - time.monotonic()))
        except queue.Empty:
            self.close()
            raise WorkerDied(f"no answer after {timeout:g} s{self._last_words()}") from None
        if line is not None:
            with contextlib.suppress(ValueError):
                answer = json.loads(line)
                if isinstance(answer, dict):
                    return answer
            self.close()
            raise WorkerDied(f"answered with something that is not an answer: {line[:80]!r}")
        seconds = time.monotonic() - self._started
        try:
            code = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.close()
            raise WorkerDied(f"closed its output after {seconds:.1f} s{self._last_words()}") from None
        self.close()
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exited with code {code}"
        raise WorkerDied(f"{how} after {seconds:.1f} s{self._last_words()}")

    def close(self) -> None:
        """End the worker and everything that it started."""
        with contextlib.suppress(OSError):
            os.killpg(self._process.pid, signal.SIGKILL)
        with contextlib.suppress(OSError):
            self._process.kill()
        self._process.wait()
        for listener in self._listeners:
            listener.join(timeout=1)
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            with contextlib.suppress(OSError):
                if stream:
                    stream.close()

    def _last_words(self) -> str:
        self._listeners[1].join(timeout=1)
        lines = [line.strip() for line in b"".join(self._talk).decode("utf-8", "replace").splitlines()]
        words = next((line for line in reversed(lines) if line), "")
        return f'; last words: "{words[:200]}"' if words else ""

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
