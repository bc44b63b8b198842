"""One worker process, and what is said to it. Whatever it does, a request ends: an answer, or `WorkerDied`."""

from __future__ import annotations

import collections
import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO, Any, NoReturn

from bncheck import processes
from bncheck.environments.interpreter import clean

_WORKER = Path(__file__).parent.parent / "worker" / "__main__.py"
_KEPT = 4096
_LONGEST_ANSWER = 1 << 20
_MOST_ANSWERS = 16
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
        command = [str(python or sys.executable), str(_WORKER)]
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment,
                start_new_session=True,  # Ctrl-C is for us; we end it, with all that it started
            )
        except OSError as error:
            raise WorkerDied(f"{command[0]} cannot be run: {error.strerror}") from None
        self._started = time.monotonic()
        self._asked = 0
        self._max_memory = max_memory
        self._talk: collections.deque[bytes] = collections.deque(maxlen=16)
        self._questions: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._verbose = verbose
        self._threads = [
            threading.Thread(target=task, args=(stream,), daemon=True)
            for stream, task in (
                (self._process.stdin, self._speak),
                (self._process.stdout, self._listen),
                (self._process.stderr, self._overhear),
            )
        ]
        for thread in self._threads:
            thread.start()

    def send(self, message: dict[str, Any]) -> None:
        """Ask; the answer is fetched with `receive`."""
        self._started = time.monotonic()
        self._asked += 1
        self._questions.put(json.dumps({**message, "number": self._asked}).encode() + b"\n")

    def receive(self, timeout: float) -> dict[str, Any]:
        """The answer to the last question, at most ``timeout`` seconds after it was asked. Raises `WorkerDied`."""
        line = self._next_line(timeout)
        if line is None:
            self._die(self._ended())
        try:
            answer = json.loads(line)
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict) or "number" not in answer:
            self._die(f"answered with something that is not an answer: {line[:80]!r}")
        if answer.pop("number") != self._asked:
            self._die("answered another question than it was asked")
        return answer

    def close(self) -> None:
        """End the worker and everything that it started."""
        processes.end(self._process, self._mark)
        self._questions.put(None)
        threads, self._threads = self._threads, []
        for thread in threads:
            thread.join(timeout=1)  # what escaped us may hold a pipe open, and is not waited for

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

    def _ended(self) -> str:
        try:
            code = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return "closed its output"
        return processes.how_it_ended(code)

    def _die(self, how: str) -> NoReturn:
        """End the worker, and say how and with what last words."""
        self.close()
        words = processes.last_words(b"".join(self._talk))
        raise WorkerDied(how + (f'; last words: "{words}"' if words else ""))

    def _speak(self, stream: IO[bytes]) -> None:
        with contextlib.suppress(OSError), stream:  # it is gone: `receive` will say so
            while question := self._questions.get():
                stream.write(question)
                stream.flush()

    def _listen(self, stream: IO[bytes]) -> None:
        """Put each line among the answers; one who says much unasked is heard no longer."""
        with contextlib.suppress(OSError), stream:
            while self._answers.qsize() < _MOST_ANSWERS and (line := stream.readline(_LONGEST_ANSWER)):
                self._answers.put(line)
        self._answers.put(None)

    def _overhear(self, stream: IO[bytes]) -> None:
        with contextlib.suppress(OSError), stream:
            while heard := os.read(stream.fileno(), _KEPT):
                self._talk.append(heard)
                if self._verbose:
                    sys.stderr.buffer.write(heard)
                    sys.stderr.buffer.flush()
