"""Runs cases on runners: a generator of events, with no opinion about what becomes of them.

One worker process for each family of runners, or one a core where a family has much to do; at most one a core at a
time.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import queue
import shutil
import threading
from collections.abc import Generator, Sequence

from bncheck import documented
from bncheck.case.load import LoadedCase
from bncheck.document import Implementation
from bncheck.running.events import Event, Options, Planned
from bncheck.running.line import Line, Task
from bncheck.running.runners import Runner
from bncheck.running.store import Store, new_folder

MUCH = 1000
"""Calls that are worth another worker, which may take some seconds to start."""


def run(
    cases: Sequence[LoadedCase], runners: Sequence[Runner], options: Options | None = None
) -> Generator[Event, None, None]:
    """Run every case on every runner that is not missing. Closing the generator ends all workers at once."""
    options = options or Options()
    for runner in runners:
        for device in options.devices if runner.missing else ():
            yield Implementation(runner=runner.spelling, device=device, available=False, reason=runner.missing)
    present = sorted((r for r in runners if not r.missing), key=lambda r: r.family)
    families = [list(group) for _, group in itertools.groupby(present, key=lambda r: r.family)]
    for family in families:
        yield Planned(family[0].family, len(family) * len(options.devices) * len(cases))
    jobs = options.jobs or _cores()
    families = [part for family in families for part in _shared_out(family, len(family) * len(cases), jobs)]
    # What takes longest starts first: variants that have a worker of their own, then the family with most to do.
    families.sort(key=lambda family: (not documented.apart(family[0].spelling), -len(family)))
    events: queue.Queue[Event | BaseException | None] = queue.Queue()
    stop = threading.Event()
    folder = new_folder()
    store = Store(folder, len(present) * len(options.devices))
    lines = [Line(store, folder / f"answers{i}", events.put, stop, options) for i in range(len(families))]
    waiting: queue.SimpleQueue[tuple[Line, list[Runner]]] = queue.SimpleQueue()
    for each in zip(lines, families, strict=True):
        waiting.put(each)

    def work() -> None:
        """Take one line after another; what ends this thread is told: nothing left to do, or an error of ours."""
        try:
            with contextlib.suppress(queue.Empty):
                while not stop.is_set():
                    line, family = waiting.get_nowait()
                    tasks = itertools.product(cases, family, options.devices)
                    line.work(family, itertools.starmap(Task, tasks))
            events.put(None)
        except BaseException as error:
            events.put(error)

    # Daemons, because a run that is ended does not wait for a comparison to finish.
    threads = [threading.Thread(target=work, daemon=True) for _ in range(min(len(lines), jobs))]
    try:
        for thread in threads:
            thread.start()
        working = len(threads)
        while working:
            event = events.get()
            if isinstance(event, BaseException):
                raise event
            if event is None:
                working -= 1
            else:
                yield event
    finally:
        stop.set()
        for line in lines:
            line.close()
        for thread in threads:
            thread.join(timeout=0.5)
        shutil.rmtree(folder, ignore_errors=True)


def _shared_out(family: list[Runner], calls: int, jobs: int) -> list[list[Runner]]:
    """The runners of a family as so many workers take them."""
    parts = min(len(family), jobs, max(1, calls // MUCH))
    return [family[number::parts] for number in range(parts)]


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
