"""GitHub's workflow commands: what fails, as annotations on the lines of the cases.

GitHub shows ten errors and ten warnings of a step, so failures that are alike are one annotation.
"""

from __future__ import annotations

import shlex

from bncheck.document import Document
from bncheck.reports import reproduce, table
from bncheck.reports.alike import Alike, failures
from bncheck.reports.columns import counted, shortened
from bncheck.reports.places import below_root, place
from bncheck.reports.result import ratio, sentences, subject, worst

SHOWN = 10
"""Annotations of a kind that GitHub shows of one step."""

NAMED = 5
"""Other results of an annotation that are named; more are counted."""

LONGEST = 1000
"""Characters of one sentence."""


def render(document: Document) -> str:
    """Errors for what fails or is in error, warnings for stale expectations, and a notice of what came of it all."""
    alike, stale = failures(document), document.stale
    lines = [_failure(document, each) for each in alike[:SHOWN]]
    for each in stale[:SHOWN]:
        file, line = place(each.source)
        lines.append(_command("warning", "Stale expectation", f"{each.entry}: {each.message}", file, line))
    left = sum(len(each.results) for each in alike[SHOWN:])
    notice = [f"{table.heading(document)}; {table.outcome(document)}"]
    notice += [f"Without an annotation: {counted(left, 'more result')} that fail"] if left else []
    notice += [f"Without an annotation: {counted(len(stale) - SHOWN, 'more stale expectation')}"] * (len(stale) > SHOWN)
    return "\n".join([*lines, _command("notice", "bncheck", "\n".join(notice))]) + "\n"


def _failure(document: Document, alike: Alike) -> str:
    result, others = alike.worst, alike.results[1:]
    record = next((c for c in document.cases if c.id == result.case), None)
    said = [result.error or "error"] if result.verdict == "error" else sentences(result.causes)
    lines = [shortened(" ".join(sentence.split()), LONGEST) for sentence in said]
    tensor = worst(result)
    if tensor and tensor.max_abs is not None and tensor.bound_ratio is not None:
        lines.append(f"{tensor.name} is off by {tensor.max_abs:.1e}, {ratio(tensor.bound_ratio)} x the bound.")
    if others:
        named = ", ".join(f"{other.case} on {subject(other)}" for other in others[:NAMED])
        more = f" and {len(others) - NAMED:,} more" if len(others) > NAMED else ""
        lines.append(f"Likewise: {named}{more}.")
    if words := reproduce.command(document, result):
        lines.append(f"Reproduce: {shlex.join(words)}")
    title = f"{alike.what}: {result.case} on {subject(result)}"
    return _command("error", title, "\n".join(lines), record.file if record else None, record.line if record else 1)


def _command(command: str, title: str, message: str, file: str | None = None, line: int = 1) -> str:
    below = below_root(file) if file else None
    properties = {"file": below, "line": str(max(line, 1))} if below else {}
    written = ",".join(f"{key}={_property(value)}" for key, value in {**properties, "title": title}.items() if value)
    return f"::{command} {written}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
