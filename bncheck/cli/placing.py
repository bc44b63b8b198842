"""The runners that a command names, in the environments that they name, which are built while one looks on."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, NoReturn

import click
from tqdm import tqdm

from bncheck.cli.settings import wrong
from bncheck.reports.columns import wrapped

if TYPE_CHECKING:
    from bncheck.environments.builder import Ended, Event
    from bncheck.environments.wanted import Wanted
    from bncheck.running.runners import Runner


def runners_or_exit(spellings: Sequence[str], defined: Mapping[str, Wanted]) -> list[Runner]:
    """The runners of ``--runner`` options. Exits with 2 for a spelling that names none."""
    from bncheck.running.placed import placed
    from bncheck.running.runners import BadRunner

    try:
        with Building() as building:
            return placed(spellings, defined, building.on)
    except BadRunner as error:
        raise wrong("spellings", str(error)) from None


def one_runner_or_exit(spelling: str, defined: Mapping[str, Wanted]) -> Runner:
    """The runner of a command that takes one. Exits with 2 for a spelling that names none, or several."""
    runners = runners_or_exit([spelling], defined)
    if len(runners) > 1:
        raise click.UsageError(f"{spelling!r} are several runners; name one, such as {runners[0].spelling}")
    return runners[0]


class Building:
    """What is told of environments on standard error: a line for what begins and ends, and on a terminal, one for each
    that is being built, with what is said of it."""

    def __init__(self) -> None:
        self._bars: dict[str, tqdm[NoReturn]] = {}
        self._begun: dict[str, float] = {}

    def __enter__(self) -> Building:
        return self

    def on(self, event: Event) -> None:
        from bncheck.environments.builder import Begun, Line

        if isinstance(event, Begun):
            self._begun[event.name] = time.monotonic()
            _say(f"building {event.name}" + ("" if event.said.startswith(event.name) else f": {event.said}"))
            if sys.stderr.isatty():
                self._bars[event.name] = tqdm(
                    position=len(self._bars), leave=False, bar_format="{desc} {elapsed}", file=sys.stderr
                )
        elif isinstance(event, Line):
            if event.name in self._bars:
                self._bars[event.name].set_description_str(f"{event.name[:30]}: {event.text.strip()[:50]}")
        else:
            if event.name in self._bars:
                self._bars.pop(event.name).close()
            self._ended(event)

    def _ended(self, event: Ended) -> None:
        from bncheck.environments.interpreter import BadInterpreter

        if isinstance(event.outcome, BadInterpreter):
            _say(wrapped(f"{event.name} cannot be used: {event.outcome}", hanging="  "))
        elif event.name in self._begun:
            seconds = time.monotonic() - self._begun[event.name]
            _say(f"built {event.name} on Python {event.outcome.python_version} in {seconds:.1f} s")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for bar in reversed(self._bars.values()):
            bar.close()


def _say(text: str) -> None:
    tqdm.write(text, file=sys.stderr)
