"""A summary in GitHub's Markdown, short enough for a job summary or a comment: failures first, details folded."""

from __future__ import annotations

import html
import re
import shlex
from collections.abc import Iterable, Sequence

from bncheck.document import Document, Result
from bncheck.reports import reproduce, table
from bncheck.reports.alike import Alike, failures
from bncheck.reports.columns import counted, shortened
from bncheck.reports.result import HEADERS, ratio, row, sentences, subject, worst

LARGEST = 50_000
"""Characters of failures, after which they are counted: GitHub takes 1 MiB of a summary, but 64 KiB of a comment."""

ROWS = 100
"""Rows of a table; more are counted."""

TOLD = 10
"""Results of one failure that are listed, and sentences; more are counted."""

LONGEST = 500
"""Characters of a sentence or of a cell."""

_SPECIAL = re.compile(r"[\\`*_\[\]<>|&~$]")
_SPECIAL_FIRST = re.compile(r"^(\d*)([-+=#.)])")


def render(document: Document) -> str:
    """The summary: what ran, what fails, what is stale; folded, what is known and expected."""
    judged = document.summary.passed or document.summary.known
    mark = (
        "\N{CROSS MARK}" if table.is_bad(document) else "\N{WHITE HEAVY CHECK MARK}" if judged else "\N{WHITE CIRCLE}"
    )
    parts = [f"## {mark} bncheck: {_text(table.outcome(document))}", _text(table.heading(document))]
    headers, rows = table.implementations(document)
    if rows:
        parts.append(_table(headers, rows, right=table.RAN_VERDICTS))
    parts += [_text(line[0].upper() + line[1:]) for line in table.not_run(document)]
    parts += [*_failures(document), *_stale(document)]
    for (head, known), names in (
        (table.known(document), table.KNOWN_HEADERS),
        (table.expected(document), table.EXPECTED_HEADERS),
    ):
        if known:
            cells = [[str(cell) for cell in cells] for cells in known]
            parts.append(_folded(_html(head), _table(names, cells, right=["cases"])))
    return "\n\n".join(parts) + "\n"


def _failures(document: Document) -> list[str]:
    alike = failures(document)
    if not alike:
        return []
    parts, size, told = [f"### Failed or in error: {sum(len(each.results) for each in alike):,}"], 0, 0
    for each in alike:
        if size > LARGEST:
            break
        parts.append(_failure(document, each))
        size += len(parts[-1])
        told += 1
    left = sum(len(each.results) for each in alike[told:])
    if left:
        parts.append(f"and {counted(left, 'more result')}, in {counted(len(alike) - told, 'other way')}")
    return parts


def _failure(document: Document, alike: Alike) -> str:
    """Failures that are alike: why, how far each is off, and how to see the worst again."""
    result = alike.worst
    tensor = worst(result)
    off = f", {ratio(tensor.bound_ratio)} x the bound" if tensor and tensor.bound_ratio is not None else ""
    more = f" and {len(alike.results) - 1:,} more" if len(alike.results) > 1 else ""
    case, runner = _html(result.case), _html(subject(result))
    summary = f"<b>{_html(alike.what)}</b>: <code>{case}</code> on <code>{runner}</code>{more}{off}"
    said = [result.error or "error"] if result.verdict == "error" else sentences(result.causes)
    parts = ["\n".join(f"- {_text(sentence)}" for sentence in said[:TOLD]) or "- no cause is told"]
    rows = [[each.case, subject(each), *cells] for each in alike.results[:TOLD] for cells in _errors(each)]
    if rows:
        parts.append(_table(("case", "runner", *HEADERS), rows, right=HEADERS[1:3]))
    if len(alike.results) > TOLD:
        parts.append(f"and {counted(len(alike.results) - TOLD, 'more result')}")
    if words := reproduce.command(document, result):
        parts.append(_code(shlex.join(words)))
    return _folded(summary, "\n\n".join(parts))


def _errors(result: Result) -> Iterable[list[str]]:
    return map(row, result.tensors) if result.tensors else [["-"] * len(HEADERS)]


def _stale(document: Document) -> list[str]:
    if not document.stale:
        return []
    rows = [[each.source, each.entry, each.message] for each in document.stale]
    return [f"### Stale expectations: {len(rows):,}", _table(("entry", "of", "what is"), rows)]


def _folded(summary: str, body: str) -> str:
    """``summary`` is HTML, and in it nothing is Markdown; ``body`` is Markdown."""
    return f"<details><summary>{summary}</summary>\n\n{body}\n\n</details>"


def _table(headers: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str] = ()) -> str:
    lines = [headers, ["--:" if header in right else "---" for header in headers]]
    lines += [[_inline(cell) for cell in cells] for cells in rows[:ROWS]]
    table_ = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    return f"{table_}\n\nand {counted(len(rows) - ROWS, 'more row')}" if len(rows) > ROWS else table_


def _one_line(text: str) -> str:
    return shortened(" ".join(text.split()), LONGEST)


def _html(text: str) -> str:
    return html.escape(_one_line(text))


def _inline(text: str) -> str:
    """A text that is shown as it is, inside a line."""
    return _SPECIAL.sub(r"\\\g<0>", _one_line(text))


def _text(text: str) -> str:
    """A text that is shown as it is, as a paragraph."""
    return _SPECIAL_FIRST.sub(r"\1\\\2", _inline(text))


def _code(text: str) -> str:
    fence = "`" * max([3, *(len(run) + 1 for run in re.findall("`+", text))])
    return f"{fence}sh\n{text}\n{fence}"
