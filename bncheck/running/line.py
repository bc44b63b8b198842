"""One family of runners and its worker: the tasks that it is given, one after the other.

While the worker is busy with a task, the answer to the one before is judged.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bncheck.case.load import LoadedCase
from bncheck.case.model import Case
from bncheck.case.related import second_case
from bncheck.document import Implementation, Installed, Result
from bncheck.documented.reading import Reading, Unsupported
from bncheck.judge import relations, verdict
from bncheck.judge.question import Question
from bncheck.running import answers
from bncheck.running.answers import BadAnswer
from bncheck.running.connection import Connection, WorkerDied
from bncheck.running.events import Done, Event, FoundGpu, Options
from bncheck.running.runners import Runner
from bncheck.running.store import Prepared, Store

START_SECONDS = 120.0
TRIES = 5
"""Deaths in a row after which a runner is given up."""

NO_GPU = "no GPU that it could use was found"


@dataclass(frozen=True)
class Task:
    """One case on one runner and device."""

    loaded: LoadedCase
    runner: Runner
    device: str


@dataclass(frozen=True)
class _Call:
    """A task that a worker was asked for, and the folder for what it answers."""

    task: Task
    prepared: Prepared
    reading: Reading
    second: Reading
    folder: Path
    connection: Connection


class Line:
    """One family of runners with its worker, which starts when it is needed and, if it dies, again."""

    def __init__(
        self,
        store: Store,
        folder: Path,
        tell: Callable[[Event], None],
        stop: threading.Event,
        options: Options,
    ) -> None:
        self._store, self._folder = store, folder
        self._tell, self._stop, self._options = tell, stop, options
        self._connection: Connection | None = None
        self._lock = threading.Lock()
        self._loaded: set[str] = set()
        self._announced: set[tuple[str, str]] = set()
        self._absent: set[tuple[str, str]] = set()
        self._deaths: Counter[str] = Counter()

    def close(self) -> None:
        with self._lock:
            connection, self._connection = self._connection, None
        self._loaded.clear()
        if connection is not None:
            connection.close()

    def work(self, runners: Sequence[Runner], tasks: Iterable[Task]) -> None:
        """Load all runners, and do all tasks on them."""
        try:
            for runner in runners:
                with contextlib.suppress(_Unavailable):
                    self._load(runner)
            self._all(tasks)
        finally:
            self.close()

    def one(self, task: Task) -> None:
        """Do one task, and leave the worker as it is for others."""
        asked = self._ask(task)
        answered = self._fetch(asked) if asked is not None else None
        if answered is not None:
            self._judge(*answered)

    def _all(self, tasks: Iterable[Task]) -> None:
        answered: tuple[_Call, answers.ToCall] | None = None
        for task in tasks:
            if self._stop.is_set():
                return
            asked = self._ask(task)
            if answered is not None:
                self._judge(*answered)
            answered = self._fetch(asked) if asked is not None else None
        if answered is not None:
            self._judge(*answered)

    def _load(self, runner: Runner) -> Connection:
        """A worker that has loaded ``runner``. Raises `_Unavailable`."""
        if self._deaths[runner.spelling] >= TRIES:
            raise _Unavailable(f"given up: its worker died {TRIES} times in a row")
        try:
            with self._lock:
                if self._connection is None:
                    if self._stop.is_set():
                        raise _Unavailable("the run was ended")
                    self._connection = Connection(
                        python=runner.environment.python if runner.environment else None,
                        verbose=self._options.verbose,
                        max_memory=self._options.max_memory,
                        gpu="gpu" in self._options.devices,
                        temporary=self._folder / "temporary",
                    )
                connection = self._connection
            if runner.spelling in self._loaded:
                return connection
            connection.send({"load": runner.load})
            answer = answers.to_load(connection.receive(START_SECONDS))
        except (WorkerDied, BadAnswer) as death:
            self.close()
            self._deaths[runner.spelling] += 1
            reason = f"its worker did not start: {death}"
            self._announce_failure(runner, reason)
            raise _Unavailable(reason) from None
        if isinstance(answer, answers.Failed):
            reason = f"cannot be loaded: {answer.error}"
            self._announce_failure(runner, reason)
            raise _Unavailable(reason)
        self._loaded.add(runner.spelling)
        gpu = answer.gpu
        version = answer.version if runner.own is None else runner.own
        for device in self._options.devices:
            if device == "gpu" and not gpu:
                self._absent.add((runner.spelling, device))
                self._announce(runner, device, version=version, available=False, reason=NO_GPU)
            else:
                self._announce(runner, device, version=version, available=True)
        if gpu and "gpu" in self._options.devices:
            self._tell(FoundGpu(gpu))
        return connection

    def _announce_failure(self, runner: Runner, reason: str) -> None:
        for device in self._options.devices:
            self._announce(runner, device, available=False, reason=reason)

    def _announce(self, runner: Runner, device: str, **what: Any) -> None:
        if (where := runner.environment) is not None:
            what["environment"] = Installed(
                python=where.python_version, packages=dict(sorted(where.distributions.items()))
            )
        if (runner.spelling, device) not in self._announced:
            self._announced.add((runner.spelling, device))
            self._tell(Implementation(runner=runner.spelling, device=device, **what))

    def _ask(self, task: Task) -> _Call | None:
        """Send a case to the worker; None if there is nothing to wait for, because its result is known already."""
        case, runner = task.loaded.case, task.runner
        reading = second = runner.documented(case, task.device)
        if (other := second_case(case)) is not case:
            second = runner.documented(other, task.device)
        prepared = self._store.acquire(task.loaded)
        if self._lacks(task):
            return None
        if isinstance(reading, Unsupported):
            self._report(task, verdict="unsupported", reason=reading.reason)
            return None
        if isinstance(second, Unsupported):
            self._report(task, verdict="unsupported", reason=second.reason)
            return None
        try:
            connection = self._load(runner)
        except _Unavailable as why:
            self._report(task, verdict="error", error=str(why))
            return None
        if self._lacks(task):  # which is known only now if it was not loaded before
            return None
        prepared.make()
        self._folder.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        message = call_message(runner, case, reading, prepared.described, folder, task.device)
        if prepared.related:
            again = call_message(runner, other, second, prepared.related, folder, task.device)
            message["related"] = {key: again[key] for key in ("tensors", "arrangement", "arguments")}
        connection.send(message)
        return _Call(task, prepared, reading, second, folder, connection)

    def _lacks(self, task: Task) -> bool:
        """Whether the runner has no such device; the case is then released, since there will be no result."""
        absent = (task.runner.spelling, task.device) in self._absent
        if absent:
            self._store.release(task.loaded)
        return absent

    def _fetch(self, call: _Call) -> tuple[_Call, answers.ToCall] | None:
        """The call with its answer; None if the worker died of it, which is then its result."""
        started = time.monotonic()
        try:
            said = call.connection.receive(self._options.timeout)
            answer = answers.to_call(said, related=bool(call.prepared.related))
        except (WorkerDied, BadAnswer) as death:
            self.close()
            shutil.rmtree(call.folder, ignore_errors=True)
            self._deaths[call.task.runner.spelling] += 1
            self._report(call.task, verdict="error", error=str(death), seconds=time.monotonic() - started)
            return None
        self._deaths[call.task.runner.spelling] = 0
        return call, answer

    def _judge(self, call: _Call, answer: answers.ToCall) -> None:
        self._report(call.task, **self._judged(call, answer))
        shutil.rmtree(call.folder, ignore_errors=True)

    def _judged(self, call: _Call, answer: answers.ToCall) -> dict[str, Any]:
        """What goes into the result of a call that was answered."""
        notes = list(call.reading.notes)
        if isinstance(answer, answers.Failed):
            return {"verdict": "error", "error": answer.error, "notes": notes}
        if isinstance(answer, answers.Lacking):
            return {"verdict": "unsupported", "reason": answer.unsupported}
        question = Question(
            call.task.loaded.case,
            call.prepared.inputs,
            call.reading,
            call.prepared.reference,
            documents=call.task.runner.own is None,
        )
        second = relations.second(question, call.second)
        if isinstance(answer, answers.Refused):
            return vars(relations.refused(question, second, answer.refused))
        try:
            returned = answer.opened(call.folder)
        except BadAnswer as error:
            return {"verdict": "error", "error": str(error), "notes": notes}
        if question.case.relation is None:
            judgement = verdict.judge(question, returned, answer.differing)
        else:
            judgement = relations.judge(question, second, returned)
        return {"seconds": answer.seconds, **vars(judgement)}

    def _report(self, task: Task, **what: Any) -> None:
        self._store.release(task.loaded)
        result = Result(case=task.loaded.id, runner=task.runner.spelling, device=task.device, **what)
        self._tell(Done(task.runner.family, result))


class _Unavailable(Exception):
    """A runner cannot be run; the message says why."""


def call_message(
    runner: Runner, case: Case, reading: Reading, described: Mapping[str, Any], answer: Path, device: str = "cpu"
) -> dict[str, Any]:
    """What a worker is told to make one call: tensors are ``described`` files, those it answers go below ``answer``."""
    return {
        "call": runner.load,
        "answer": str(answer),
        "tensors": dict(described),
        "arrangement": reading.arrangement.described(case) if reading.arrangement else None,
        "arguments": call_arguments(case, reading, device, runner.variant),
        "repeat": case.repeat,
    }


def call_arguments(case: Case, reading: Reading, device: str = "cpu", variant: str | None = None) -> dict[str, Any]:
    """What is asked for in one call, but for the tensors."""
    requested = case.requested

    def passed(value: Any) -> Any:
        return None if value == "default" else value

    return {
        "dtype": case.input.dtype,
        "parameters_dtype": case.parameters_dtype,
        "device": device,
        "variant": variant,
        "axis": reading.axis,
        "mode": passed(case.mode),
        "trainable": case.trainable,
        "virtual_batch_size": case.virtual_batch_size,
        "masked": case.mask is not None,
        "epsilon": passed(case.epsilon),
        "momentum": passed(case.momentum),
        "requested": {
            "epsilon": requested.epsilon,
            "momentum": requested.momentum,
            "training": requested.mode == "training",
        },
        "center": case.center,
        "scale": case.scale,
        "batches": case.batches,
        "inference": case.batches > case.steps,
        "gradients": any(name.startswith("gradient") for name in case.checked),
    }
