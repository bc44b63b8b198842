"""Runners with the environments that they are to run in, which are built if need be."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing

from bncheck.environments import builder
from bncheck.environments.builder import Event
from bncheck.environments.interpreter import Environment
from bncheck.environments.wanted import Wanted, named
from bncheck.running.runners import BadRunner, Runner, select
from bncheck.spelling import Spelling


def wanted(spellings: Sequence[str], defined: Mapping[str, Wanted]) -> list[Wanted]:
    """The environments that spellings name, each once. Raises `BadRunner`."""
    texts = dict.fromkeys(spelling.environment for spelling in map(Spelling.parse, spellings))
    try:
        return [named(text, defined) for text in texts if text is not None]
    except ValueError as error:
        raise BadRunner(str(error)) from None


def placed(
    spellings: Sequence[str], defined: Mapping[str, Wanted], told: Callable[[Event], None] = lambda _: None
) -> list[Runner]:
    """The runners of ``--runner`` options, as `select` finds them. An environment that cannot be had is why its runners
    are missing; ``told`` is called with what happens meanwhile. Raises `BadRunner` before anything is built."""
    all_wanted = wanted(spellings, defined)
    outcomes: dict[str, Environment | str] = {each.name: "it is not built yet" for each in all_wanted}
    select(spellings, outcomes)
    with closing(builder.build(all_wanted)) as events:
        for event in events:
            told(event)
            if isinstance(event, builder.Ended):
                outcomes[event.name] = event.outcome if isinstance(event.outcome, Environment) else str(event.outcome)
    return select(spellings, outcomes)
