"""How a runner is written: ``NAME[:VARIANT][@ENVIRONMENT]`` or ``LABEL[@ENVIRONMENT]=FILE.py:FUNCTION``."""

from __future__ import annotations

import re
from dataclasses import dataclass

_IN_ENVIRONMENT = re.compile(r"(?P<name>[^@=]+)@(?P<environment>.+?)((?<![=<>!~])=(?P<own>[^=]+\.py:\w+))?")


@dataclass(frozen=True)
class Spelling:
    """A runner as it is written. ``name``: that of a built-in one with its variant, a pattern of such, or a label.
    ``environment``: what stands behind ``@``, and ``own``: FILE.py:FUNCTION, or None."""

    name: str
    environment: str | None = None
    own: str | None = None

    @classmethod
    def parse(cls, text: str) -> Spelling:
        if found := _IN_ENVIRONMENT.fullmatch(text):
            return cls(found["name"], found["environment"], found["own"])
        name, equals, own = text.partition("=")
        return cls(name, None, own if equals else None)

    @property
    def whole(self) -> str:
        """What it is called in results: all but FILE.py:FUNCTION."""
        return self.name + (f"@{self.environment}" if self.environment else "")

    def __str__(self) -> str:
        return self.whole + (f"={self.own}" if self.own is not None else "")
