"""The document as a page to look at: one file that needs nothing else, with the matrix of cases x implementations."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import shlex
from collections import Counter
from collections.abc import Sequence
from typing import Any, get_args

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from ruamel.yaml import YAML

from bncheck.causes import CauseKind
from bncheck.document import CaseRecord, Cause, Document, Result, Tensor
from bncheck.reports import reproduce, table

STATES = ("pass", "documented", "expected", "fail", "error", "unsupported")
"""What a cell of the matrix can be: the verdicts, of which `known` is parted by who knows of it."""

SCRIPTS = ("model", "elements", "matrix", "details", "filters", "page")
"""The page's scripts, in the order in which they need each other."""

Column = tuple[str, str]
"""A runner and its device."""


def render(document: Document) -> str:
    """The page. All that a document says goes into it as text or as JSON, so that none of it is ever markup."""
    pages = Environment(
        loader=PackageLoader("bncheck.reports", "page"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )

    def source(name: str) -> str:
        return pages.loader.get_source(pages, name)[0] if pages.loader else ""

    style, script = source("page.css"), "\n".join(source(f"{name}.js") for name in SCRIPTS)
    columns = sorted({(r.runner, r.device) for r in document.results})
    return pages.get_template("page.html").render(
        document=document,
        outcome=table.outcome(document),
        heading=table.heading(document),
        bad=table.is_bad(document),
        counts=Counter(map(_state, document.results)),
        states=STATES,
        implementations=_implementations(document, columns),
        absent=[i for i in document.implementations if not i.available and (i.runner, i.device) not in columns],
        data=Markup(_json(_data(document, columns))),
        style=Markup(style),
        script=Markup(script),
        style_hash=_hash(style),
        script_hash=_hash(script),
    )


def _hash(text: str) -> str:
    """What the page's policy names: nothing else is run or styled."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _json(data: object) -> str:
    """JSON that cannot end the element that it stands in."""
    return json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _implementations(document: Document, columns: Sequence[Column]) -> list[dict[str, Any]]:
    counts: dict[Column, Counter[str]] = {column: Counter() for column in columns}
    for result in document.results:
        counts[result.runner, result.device][_state(result)] += 1
    versions = {(i.runner, i.device): i.version for i in document.implementations}
    return [
        {"runner": column[0], "device": column[1], "version": versions.get(column), "counts": counts[column]}
        for column in columns
    ]


def _data(document: Document, columns: Sequence[Column]) -> dict[str, Any]:
    cases = {case.id: _case(case) for case in document.cases}
    for result in document.results:
        cases.setdefault(result.case, {"id": result.case})
    places = {case: place for place, case in enumerate(cases)}
    column_of = {column: place for place, column in enumerate(columns)}
    edges: dict[tuple[str, ...], int] = {}
    results = []
    for result in document.results:
        words = reproduce.command(document, result) if result.verdict != "unsupported" else None
        told = {
            "case": places[result.case],
            "column": column_of[result.runner, result.device],
            "state": _state(result),
            "did": _did(result) or None,
            "kinds": result.kinds,
            "notes": result.notes,
            "why": result.reason or result.error,
            "documented": result.documented.source if result.documented else None,
            "expectation": result.expectation.model_dump(mode="json") if result.expectation else None,
            "causes": [_cause(cause) for cause in result.causes],
            "tensors": [_tensor(tensor, edges) for tensor in result.tensors],
            "command": shlex.join(words) if words else None,
        }
        results.append(_without_absent(told))
    return {
        "states": STATES,
        "kinds": get_args(CauseKind),
        "columns": [runner if device == "cpu" else f"{runner} on {device}" for runner, device in columns],
        "cases": list(cases.values()),
        "edges": list(edges),
        "results": results,
    }


def _without_absent(said: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in said.items() if value is not None and value != [] and value != ()}


def _state(result: Result) -> str:
    if result.verdict != "known":
        return result.verdict
    return "documented" if result.expectation is None else "expected"


def _did(result: Result) -> str:
    """What an implementation did, alike for all that did the same: solved numbers are taken to two digits."""
    if result.verdict in ("unsupported", "error"):
        return result.reason or result.error or ""
    explaining = [c for c in result.causes if c.explains] or result.causes
    return "; ".join(dict.fromkeys(f"{c.kind} {_effective(c)}".rstrip() for c in explaining if c.kind in result.kinds))


def _effective(cause: Cause) -> str:
    if cause.effective is None:
        return ""
    return f"{cause.effective:.2g}" if isinstance(cause.effective, float) else str(cause.effective)


def _cause(cause: Cause) -> dict[str, Any]:
    said: dict[str, Any] = {"kind": cause.kind, "message": cause.message, "source": cause.source}
    return _without_absent({**said, "alternative": True if cause.alternative else None})


def _tensor(tensor: Tensor, edges: dict[tuple[str, ...], int]) -> dict[str, Any]:
    said = _without_absent(tensor.model_dump(mode="json"))
    if tensor.histogram is not None:
        bins = tuple(f"{edge:g}" for edge in tensor.histogram.edges)
        said["histogram"] = {"edges": edges.setdefault(bins, len(edges)), "counts": tensor.histogram.counts}
    return said


def _case(case: CaseRecord) -> dict[str, Any]:
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = None  # lists of numbers on a line
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]  # declared by its default
    yaml.width = 88
    text = io.StringIO()
    said = case.model_dump(mode="json")
    yaml.dump(said.pop("spec"), text)
    return _without_absent({**said, "yaml": text.getvalue()})
