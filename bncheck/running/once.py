"""One case on one runner, for commands that tell of nothing else."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

from bncheck.case.load import LoadedCase
from bncheck.document import Findings, Result
from bncheck.running import engine
from bncheck.running.events import Options, found
from bncheck.running.runners import Runner


class NotRun(Exception):
    """The runner cannot run; the message says why."""


@dataclass(frozen=True)
class Once:
    """What was found, with which ``version``; ``gpu``: facts of the one that it ran on, if on one."""

    result: Result
    version: str
    gpu: dict[str, Any] | None


def once(loaded: LoadedCase, runner: Runner, device: str = "cpu") -> Once:
    """Run a case. Raises `NotRun`."""
    findings = Findings()
    with contextlib.closing(engine.run([loaded], [runner], Options(devices=(device,)))) as events:
        for event in events:
            if (news := found(event)) is not None:
                findings.add(news)
    (implementation,) = findings.implementations
    if not implementation.available:
        raise NotRun(implementation.reason)
    (result,) = findings.results
    return Once(result, implementation.version or "", findings.gpu)
