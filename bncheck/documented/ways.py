"""How a runner is called with what is installed, where that was not always as it is today."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Way:
    """``load``: the module of `bncheck.worker.runners` that makes the call. ``needs``: the distributions that it
    needs."""

    load: str
    needs: tuple[str, ...]
