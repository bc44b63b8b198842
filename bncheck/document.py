"""The results document: everything that a run found, and the only thing that reports are rendered from."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    SerializerFunctionWrapHandler,
    ValidationError,
    WithJsonSchema,
    model_serializer,
)

from bncheck.causes import CauseKind

SCHEMA = 1

Verdict = Literal["pass", "known", "fail", "unsupported", "error"]
VERDICTS: tuple[Verdict, ...] = ("pass", "known", "fail", "unsupported", "error")


def _real(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"


def _number(value: Any) -> Any:
    return float(value) if value in ("nan", "inf", "-inf") else value


Real = Annotated[
    float,
    BeforeValidator(_number),
    PlainSerializer(_real, return_type=Any),
    WithJsonSchema({"anyOf": [{"type": "number"}, {"enum": ["nan", "inf", "-inf"]}]}),
]
"""A number; JSON has no other way to write those that are not finite than as the strings nan, inf, -inf."""


def _spelled(data: Any) -> Any:
    """Nested data with every number that is not finite as the string that stands for it."""
    if isinstance(data, dict):
        return {key: _spelled(value) for key, value in data.items()}
    if isinstance(data, list):
        return [_spelled(value) for value in data]
    return _real(data) if isinstance(data, float) else data


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Element(Part):
    at: list[int]
    actual: Real
    expected: Real
    bound_ratio: Real


class Channel(Part):
    channel: list[int]
    max_abs: Real
    bound_ratio: Real


class Histogram(Part):
    """How many elements' errors over the bound lie from one edge to the next."""

    edges: list[Real]
    counts: list[int]


class Tensor(Part):
    """One tensor's largest errors; the numbers are null where it has another shape. Where it is judged by what is
    documented (verdict ``known``), ``expected`` and the errors are those of that reading."""

    name: str
    dtype: str
    shape: list[int]
    max_abs: Real | None = None
    max_ulp: Real | None = None
    bound_ratio: Real | None = Field(default=None, description="the largest error over its bound; at most 1 if honest")
    at: list[int] | None = None
    actual: Real | None = None
    expected: Real | None = None
    worst: list[Element] | None = Field(default=None, description="the worst elements; not for a pass")
    channels: list[Channel] | None = Field(default=None, description="the worst channels; not for a pass")
    histogram: Histogram | None = Field(default=None, description="not for a pass")

    @model_serializer(mode="wrap")
    def _without_absent_details(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        details = ("worst", "channels", "histogram")
        return {key: value for key, value in handler(self).items() if value is not None or key not in details}


class Cause(Part):
    kind: CauseKind
    requested: Any = None
    effective: Any = None
    interval: list[Real] | None = None
    message: str
    source: str | None = Field(default=None, description="where it is documented")
    alternative: bool = Field(default=False, description="another explanation, which fits as well as the first")

    @property
    def explains(self) -> bool:
        """Whether it is why a result differs: neither another explanation that fits as well, nor what only informs."""
        return not self.alternative and self.kind != "accumulation"


class Documented(Part):
    source: str
    differs: list[CauseKind]


class Expectation(Part):
    """The entry of an expectations file by which a failure is known."""

    source: str = Field(description="file:line:column")
    reason: str
    link: str | None = None


class Result(Part):
    """One case on one runner."""

    case: str
    runner: str
    device: str
    verdict: Verdict
    reason: str | None = Field(default=None, description="why it is unsupported")
    notes: list[str] = []
    tensors: list[Tensor] = []
    documented: Documented | None = None
    expectation: Expectation | None = None
    causes: list[Cause] = []
    error: str | None = None
    seconds: float = 0.0

    @property
    def kinds(self) -> tuple[CauseKind, ...]:
        """The kinds of cause that explain it: of a failure that nothing else explains, `accumulation` too."""
        found = [c.kind for c in self.causes if c.explains]
        if not found and self.verdict == "fail":
            found = [c.kind for c in self.causes if not c.alternative]
        return tuple(dict.fromkeys(found))


class Installed(Part):
    """What an environment that is not bncheck's own has: the version of its Python, and of each package."""

    python: str
    packages: dict[str, str]


class Implementation(Part):
    runner: str
    device: str
    version: str | None = None
    available: bool
    reason: str | None = None
    environment: Installed | None = Field(default=None, description="where it ran, if not in bncheck's own")

    @model_serializer(mode="wrap")
    def _without_no_environment(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in handler(self).items() if value is not None or key != "environment"}


Found = Implementation | Result | dict[str, Any]
"""What a run finds one by one: an implementation, a result, facts of a GPU."""


class Environment(Part):
    python: str
    platform: str
    cpu: str
    gpu: dict[str, Any] | None = Field(default=None, description="its name, and what changes its arithmetic")


class CaseRecord(Part):
    id: str
    file: str
    line: int
    title: str
    why: str | None
    links: list[str]
    spec: Annotated[dict[str, Any], AfterValidator(_spelled)]


class Summary(Part):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    passed: int = Field(alias="pass")
    known: int
    fail: int
    unsupported: int
    error: int


class Stale(Part):
    """An entry of an expectations file that no longer holds, which fails the run."""

    source: str = Field(description="file:line:column")
    entry: str = Field(description="its runner and its case")
    message: str = Field(description="what was expected and what is, and what to do about it")


class Document(Part):
    """Two runs of the same differ only in ``seconds`` and ``started``."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    version: int = Field(default=SCHEMA, alias="schema")
    bncheck: str
    started: str
    environment: Environment
    implementations: list[Implementation]
    cases: list[CaseRecord]
    results: list[Result]
    stale: list[Stale] = Field(default=[], description="expectations that no longer hold")
    summary: Summary
    cut_short: bool = Field(default=False, description="the run was ended before all results had come")


class BadDocument(Exception):
    """A text that is not a results document that this version can read; the message goes on from the file's name."""


def parse(text: str) -> Document:
    """The document that a text holds. Raises `BadDocument`."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadDocument(f"is not a whole JSON document ({error}); run bncheck again") from None
    version = data.get("schema") if isinstance(data, dict) else None
    if not isinstance(version, int):
        raise BadDocument("is not a results document of bncheck; name one that `--report json=PATH` wrote")
    if version > SCHEMA:
        raise BadDocument(f"has schema {version}, newer than {SCHEMA}, which this bncheck reads; upgrade bncheck")
    try:
        return Document.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadDocument(f"is not a results document of bncheck: {where}: {first['msg']}") from None


class Findings:
    """What a run has found so far: it becomes the document of a beginning, sorted by case, then runner."""

    def __init__(self) -> None:
        self.implementations: list[Implementation] = []
        self.results: list[Result] = []
        self.gpu: dict[str, Any] | None = None
        self.failures = 0
        """Results that are a fail or an error."""

    def add(self, found: Found) -> None:
        if isinstance(found, Implementation):
            self.implementations.append(found)
        elif isinstance(found, Result):
            self.results.append(found)
            self.failures += found.verdict in ("fail", "error")
        else:
            self.gpu = {**(self.gpu or {}), **found}

    def document(self, beginning: Document, *, stale: Sequence[Stale] = (), cut_short: bool = False) -> Document:
        ordered = sorted(self.results, key=lambda r: (r.case, r.runner, r.device))
        counts = dict.fromkeys(VERDICTS, 0)
        for result in ordered:
            counts[result.verdict] += 1
        return beginning.model_copy(
            update={
                "implementations": sorted(self.implementations, key=lambda i: (i.runner, i.device)),
                "results": ordered,
                "stale": list(stale),
                "summary": Summary.model_validate(counts),
                "environment": beginning.environment.model_copy(update={"gpu": self.gpu}),
                "cut_short": cut_short,
            }
        )
