"""Environments at hand: those that exist as they are, the others from the cache or built with uv, side by side."""

from __future__ import annotations

import contextlib
import os
import queue
import shutil
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from bncheck.distributions import OTHER_BUILDS
from bncheck.environments import cache, dates, pythons, uv
from bncheck.environments.interpreter import BadInterpreter, Environment, asked, inspect
from bncheck.environments.uv import Unbuildable, Uv
from bncheck.environments.wanted import AT_RELEASE, Wanted, is_version


@dataclass(frozen=True)
class Begun:
    """An environment is being built, of what is ``said``."""

    name: str
    said: str


@dataclass(frozen=True)
class Line:
    """What is said while an environment is built."""

    name: str
    text: str


@dataclass(frozen=True)
class Ended:
    """What has come of an environment."""

    name: str
    outcome: Environment | BadInterpreter


Event = Begun | Line | Ended


def environment(wanted: Wanted, told: Callable[[str], None] = lambda _: None) -> Environment:
    """The environment that is wanted, built if need be; ``told`` is called with what is said meanwhile. Raises
    `BadInterpreter`."""
    with contextlib.closing(build([wanted])) as events:
        for event in events:
            if isinstance(event, Line):
                told(event.text)
            elif isinstance(event, Ended):
                if isinstance(event.outcome, BadInterpreter):
                    raise event.outcome
                return event.outcome
    raise AssertionError  # it never comes to this


def build(all_wanted: Iterable[Wanted]) -> Generator[Event, None, None]:
    """Environments of different names, built side by side as far as they are not there. Closing the generator ends what
    is going on, and removes what was begun."""
    events: queue.SimpleQueue[Event | BaseException] = queue.SimpleQueue()
    running: list[_Building] = []
    try:
        for wanted in all_wanted:
            if (there := _there(wanted)) is not None:
                yield Ended(wanted.name, there)
                continue
            yield Begun(wanted.name, wanted.said)
            try:
                running.append(_Building(wanted, events, uv.find()))
                running[-1].start()
            except Unbuildable as error:
                yield Ended(wanted.name, error)
        waiting = len(running)
        while waiting:
            event = events.get()
            if isinstance(event, BaseException):
                raise event
            waiting -= isinstance(event, Ended)
            yield event
    finally:
        for each in running:
            each.stop()


def _there(wanted: Wanted) -> Environment | BadInterpreter | None:
    """An environment that need not be built, or what is wrong with it; None if it is to be built."""
    try:
        if wanted.interpreter is not None:
            return inspect(wanted.name, wanted.interpreter)
        return inspect(wanted.name, cache.place(wanted))
    except BadInterpreter as error:
        return error if wanted.interpreter is not None else None


class _Building(threading.Thread):
    """One environment, as it is built."""

    def __init__(self, wanted: Wanted, events: queue.SimpleQueue[Event | BaseException], uv: str) -> None:
        super().__init__(daemon=True)
        self._wanted, self._events = wanted, events
        self._uv = Uv(uv, self._tell)

    def run(self) -> None:
        outcome: Environment | BadInterpreter
        try:
            outcome = self._built()
        except BadInterpreter as error:
            outcome = error
        except OSError as error:
            outcome = Unbuildable(f"{error.filename or cache.folder()}: {error.strerror or error}")
        except BaseException as error:
            self._events.put(error)
            return
        self._events.put(Ended(self._wanted.name, outcome))

    def stop(self) -> None:
        """End it, and wait until what was begun is removed."""
        self._uv.stop()
        if self.is_alive():
            self.join(timeout=10)

    def _tell(self, text: str) -> None:
        self._events.put(Line(self._wanted.name, text))

    def _built(self) -> Environment:
        with cache.building(self._wanted, self._tell, lambda: self._uv.stopped) as folder:
            if (there := _there(self._wanted)) is None:  # else another run has built it while this one waited
                self._install(folder)
        return there if isinstance(there, Environment) else inspect(self._wanted.name, cache.place(self._wanted))

    def _install(self, folder: Path) -> None:
        """Make a virtual environment in ``folder`` with the packages. Raises `BadInterpreter`."""
        first: Unbuildable | None = None
        tried = []
        for version, python in self._pythons():
            try:
                self._uv.run("venv", "--no-project", "--python", python, "--", str(folder), folder=folder.parent)
                self._fill(folder)
            except Unbuildable as error:
                shutil.rmtree(folder, ignore_errors=True)
                if not error.lasting:
                    raise
                first = first or error
                tried.append(version)
            else:
                inspect(self._wanted.name, folder)
                return
        others = f" (nor on Python {', '.join(tried[1:])})" if tried[1:] else ""
        raise Unbuildable(f"{first}{others}", lasting=True)

    def _fill(self, folder: Path) -> None:
        """Install the packages and NumPy, as of the day that is wanted; and of a package in another build, not the
        usual one too, which others may depend on. What was not to be had on the day of a release, as it is today.
        Raises `Unbuildable`."""
        names = {canonicalize_name(Requirement(package).name) for package in self._wanted.packages}
        usual = [name for name, others in OTHER_BUILDS.items() if names.intersection(others) and name not in names]
        always = ["--only-binary", "numpy"]  # to compile an old one takes minutes, and seldom goes well
        if usual:
            overrides = folder / "overrides.txt"
            overrides.write_text("".join(f'{name}; sys_platform == "none"\n' for name in usual), encoding="utf-8")
            always += ["--overrides", str(overrides)]
        python = str(folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
        days = [self._wanted.until]
        if self._wanted.until == AT_RELEASE:
            days = [dates.of_release(self._wanted.packages, python, self._uv), None]
        for day in days:
            asked = [*always, *(["--exclude-newer", day] if day else []), "--", *self._wanted.packages, "numpy"]
            try:
                self._uv.run("pip", "install", "--python", python, *asked, folder=folder.parent)
            except Unbuildable as error:
                if day == days[-1] or not error.lasting:
                    raise
            else:
                return

    def _pythons(self) -> Iterator[tuple[str, str]]:
        """Versions and interpreters to try, best first: only the one that is wanted, where one is."""
        wanted = self._wanted.python
        if wanted is None:
            yield from ((version, str(python)) for version, python in pythons.newest())
        elif is_version(wanted):
            yield wanted, str(pythons.find(wanted) or wanted)  # uv may know where to get one
        else:
            yield asked(Path(wanted))[0], wanted
