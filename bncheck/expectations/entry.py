"""One entry of an expectations file: which results it is about, and what is expected of them."""

from __future__ import annotations

import datetime
import functools
import re
from typing import Annotated, Literal

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import VERSION_PATTERN, Version
from pydantic import ConfigDict, Field, field_validator
from pydantic_core import PydanticCustomError

from bncheck.case.model import Model
from bncheck.causes import CauseKind
from bncheck.document import Result
from bncheck.growth import grew
from bncheck.spelling import Spelling

Kind = Literal[CauseKind, "error"]
"""A kind of cause, or that the process crashed, hung or answered nonsense."""

WITHOUT_SIZE: frozenset[Kind] = frozenset({"refused", "shape", "error"})
"""Kinds of failure that have no tensor to measure."""

_VERSION = re.compile(VERSION_PATTERN, re.VERBOSE | re.IGNORECASE)


class Entry(Model):
    """Results are matched by ``case``, ``runner``, ``device`` and ``version``; the rest is expected of those that fail.

    ``case`` and ``runner`` are the whole id and spelling, in which * and ? stand for anything and brackets for
    themselves.
    """

    model_config = ConfigDict(title="An expected failure")

    case: Annotated[str, Field(min_length=1, description="which case fails", examples=["epsilon/small-*"])]
    runner: Annotated[str, Field(min_length=1, description="which runner fails", examples=["torch"])]
    device: Literal["cpu", "gpu"] | None = None
    version: str | None = Field(default=None, description='a range of the runner\'s versions, as ">=2.10,<2.12"')
    cause: Annotated[
        Kind | Annotated[list[Kind], Field(min_length=1)],
        Field(description="the kind of cause, or all of them in a list", examples=["epsilon"]),
    ]
    error: Annotated[float, Field(ge=0, allow_inf_nan=True)] | None = Field(
        default=None, description="the largest error that is expected of any tensor"
    )
    reason: str | None = Field(default=None, description="why this is known and left as it is")
    link: str | None = Field(default=None, description="where it is reported")
    expires: str | None = Field(default=None, description="the last day on which it holds, as 2027-06-30")

    @field_validator("version")
    @classmethod
    def _version(cls, version: str | None) -> str | None:
        try:
            SpecifierSet(version or "")
        except InvalidSpecifier:
            message = '{version} is no range of versions; write for example ">=2.10,<2.12" or "==3.15.1"'
            raise PydanticCustomError("version", message, {"version": repr(version)}) from None
        return version

    @field_validator("expires")
    @classmethod
    def _expires(cls, expires: str | None) -> str | None:
        try:
            datetime.date.fromisoformat(expires or "2000-01-01")
        except ValueError:
            raise PydanticCustomError(
                "date", "{date} is no date; write for example 2027-06-30", {"date": repr(expires)}
            ) from None
        return expires

    @property
    def kinds(self) -> frozenset[Kind]:
        return frozenset(self.cause if isinstance(self.cause, list) else [self.cause])

    def expired(self, today: datetime.date) -> bool:
        return self.expires is not None and datetime.date.fromisoformat(self.expires) < today

    def is_guest(self, runner: str) -> bool:
        """Whether a runner in an environment is only covered by what is said of the one here: its failures are expected
        too, but that it does not fail says nothing."""
        return "@" not in self.runner and Spelling.parse(runner).environment is not None

    def is_about(self, case: str, runner: str, device: str, version: str | None) -> bool:
        """Whether a result is this entry's; ``version`` as the runner tells it, "3.15.1 (TF 2.21.0)"."""
        return matches(self.case, case) and self.device in (None, device) and self.is_of(runner, version)

    def is_of(self, runner: str, version: str | None) -> bool:
        """Whether it is about a runner of that version, in whatever environment."""
        named = matches(self.runner, runner) or matches(self.runner, Spelling.parse(runner).name)
        return named and (self.version is None or self._in_range(version))

    def _in_range(self, version: str | None) -> bool:
        """A nightly build or a release candidate counts as the release that it leads to."""
        found = _VERSION.search(version or "")
        return found is not None and SpecifierSet(self.version or "").contains(Version(found[0]).base_version)

    def agrees(self, result: Result) -> bool:
        """Whether a failing result is what was expected: no other kind of cause, no larger error."""
        return self.explains(result) and not self.exceeded(result)

    def explains(self, result: Result) -> bool:
        """Whether the causes of a failure are those expected; of equal explanations, one is enough."""
        others = {c.kind for c in result.causes if c.alternative}
        return kinds_of(result) <= self.kinds or bool(others & self.kinds)

    def exceeded(self, result: Result) -> bool:
        """Whether a tensor is off by more than is expected and than rounding can add to it."""
        return self.error is not None and any(grew(tensor, self.error) for tensor in result.tensors)


@functools.cache
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(re.escape(text).replace(r"\*", ".*").replace(r"\?", "."), re.DOTALL)


def matches(pattern: str, text: str) -> bool:
    """Whether * and ? of a pattern can stand for what ``text`` has there; brackets, which ids have, are plain."""
    return _pattern(pattern).fullmatch(text) is not None


def is_pattern(text: str) -> bool:
    return "*" in text or "?" in text


def kinds_of(result: Result) -> frozenset[Kind]:
    """Why a result fails, or that it is an error."""
    if result.verdict == "error":
        return frozenset({"error"})
    return frozenset(result.kinds)


def size_of(result: Result) -> float | None:
    """The largest error of the tensors that fail (of all, if none does by its elements alone); None if none has one."""
    measured = [t for t in result.tensors if t.max_abs is not None]
    wrong = [t for t in measured if t.bound_ratio is None or not t.bound_ratio <= 1]
    sizes = [float("inf") if t.max_abs != t.max_abs else t.max_abs or 0.0 for t in wrong or measured]
    return max(sizes, default=None)
