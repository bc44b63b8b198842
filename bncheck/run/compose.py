"""Puts together the results document of a run."""

from __future__ import annotations

import datetime
import platform
from collections.abc import Sequence
from pathlib import Path

from bncheck import __version__
from bncheck.document import CaseRecord, Document, Environment, Implementation, Result, summarize


def compose(
    started: float, implementations: Sequence[Implementation], cases: Sequence[CaseRecord], results: Sequence[Result]
) -> Document:
    """The document of what a run found; ``started`` in seconds since the epoch. Everything in it is sorted."""
    ordered = sorted(results, key=lambda r: (r.case, r.runner, r.device))
    return Document(
        bncheck=__version__,
        started=datetime.datetime.fromtimestamp(started, datetime.timezone.utc).isoformat(timespec="seconds"),
        environment=Environment(
            python=platform.python_version(), platform=platform.platform(), cpu=_processor(), gpu=None
        ),
        implementations=sorted(implementations, key=lambda i: (i.runner, i.device)),
        cases=sorted(cases, key=lambda c: c.id),
        results=ordered,
        summary=summarize(ordered),
    )


def _processor() -> str:
    """The processor's name, where the system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
