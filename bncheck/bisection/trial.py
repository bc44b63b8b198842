"""One release tried: an environment with it, and what a runner gives there."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from pydantic import BaseModel, ConfigDict

import bncheck
from bncheck import documented
from bncheck.case import inputs
from bncheck.case.load import LoadedCase
from bncheck.document import Result
from bncheck.environments import builder
from bncheck.environments.interpreter import BadInterpreter
from bncheck.environments.uv import Unbuildable
from bncheck.environments.wanted import AT_RELEASE, Wanted
from bncheck.running.once import NotRun, once
from bncheck.running.runners import select
from bncheck.spelling import Spelling


class CannotGoOn(Exception):
    """Not the release is at fault but the network or the machine; the message says what happened."""


class Tried(BaseModel):
    """What came of one release: a ``result``, or why it was ``skipped``.

    ``python`` is the version of the interpreter; ``distributions`` what was installed there.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    release: str
    python: str
    distributions: dict[str, str] = {}
    result: Result | None = None
    skipped: str | None = None
    seconds: float

    @property
    def outcome(self) -> str:
        """What is compared: the verdict, with the kinds of its causes."""
        if self.result is None:
            return "skipped"
        kinds = self.result.kinds
        if self.result.verdict == "known" and self.result.documented is not None:
            kinds = tuple(dict.fromkeys([*kinds, *self.result.documented.differs]))
        return self.result.verdict + (f": {', '.join(sorted(kinds))}" if kinds else "")


@dataclass(frozen=True)
class Question:
    """What is asked of each release: ``case`` on the runner ``spelling``, with a release of ``package``, and what the
    requirements ``besides`` it name, installed, on the version ``python`` or on any."""

    case: LoadedCase
    spelling: Spelling
    package: str
    besides: tuple[str, ...] = ()
    python: str | None = None

    @property
    def key(self) -> str:
        """The same wherever the answers are the same."""
        made = inputs.make(self.case.case, self.case.file.parent)
        tensors = hashlib.sha256()
        for each in (made, made.related):
            for tensor in each.named.values() if each is not None else ():
                tensors.update(tensor.tobytes())
        own = self.spelling.own and Path(self.spelling.own.rpartition(":")[0]).read_bytes()
        case = [self.case.id, self.case.spec, tensors.hexdigest()]
        asked = [str(self.spelling), repr(own), self.package, sorted(self.besides), self.python]
        content = [bncheck.__version__, case, asked]
        return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:16]

    def put(self, release: Version, python: str, told: Callable[[str], None]) -> Tried:
        """Try a release on that version of Python; ``told`` is called with what is said meanwhile. Raises
        `CannotGoOn`."""
        started = time.monotonic()
        named = f"{self.package}=={release}"
        what: dict[str, Any] = {"python": python}
        try:
            packages = (named, *self.companions(release), *self.besides)
            where = builder.environment(Wanted(named, packages, python, AT_RELEASE), told)
            what = {"python": where.python_version, "distributions": dict(where.distributions)}
            (runner,) = select([str(replace(self.spelling, environment=named))], {named: where})
            result = once(self.case, runner).result
            if result.verdict == "error":
                what["skipped"] = str(result.error)
            else:
                what["result"] = result
        except (BadInterpreter, NotRun) as error:
            if isinstance(error, Unbuildable) and not error.lasting:
                raise CannotGoOn(f"{named}: {error}") from None
            what["skipped"] = str(error)
        return Tried(release=str(release), seconds=round(time.monotonic() - started, 3), **what)

    def companions(self, release: Version) -> Sequence[str]:
        """What the runner needs beside the release; what the user names himself goes before."""
        if self.spelling.own is not None:
            return []
        names = {canonicalize_name(Requirement(each).name) for each in self.besides}
        needed = documented.companions(self.spelling.name, self.package, str(release))
        return [each for each in needed if canonicalize_name(Requirement(each).name) not in names]
