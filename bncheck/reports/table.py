"""What the terminal says: who was run, what differs as documented, what failed and why, in at most 100 columns."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from bncheck.document import Cause, Document, Result
from bncheck.reports import reproduce
from bncheck.reports.columns import WIDTH, columns, counted, shortened, shortened_name, wrapped
from bncheck.reports.result import ratio, sentences, worst

CASE_WIDTH = 36
RUNNER_WIDTH = 20
TOLD = 3
"""Results with the same error of the same runner that are listed; more are counted."""

_EXTRA = re.compile(r"not installed; pip install 'bncheck\[(.*)\]'")

Style = Callable[[str, str], str]
"""A text in a colour."""


def _coloured(text: str, colour: str) -> str:
    return click.style(text, fg=colour)


def _plain(text: str, colour: str) -> str:  # noqa: ARG001
    return text


def render(document: Document, *, seconds: float | None = None, every: bool = False, colour: bool = False) -> str:
    """The report. ``seconds``: how long the run took; ``every``: list every result, not only what is not a pass."""
    style: Style = _coloured if colour else _plain
    parts = [heading(document, seconds), _implementations(document)]
    if every:
        parts.append(_every(document, style))
    parts += [_known(document, every), _expected(document)]
    parts += [_failed(document, style), _stale(document, style), _closing(document, style)]
    return "\n\n".join(part for part in parts if part) + "\n"


def heading(document: Document, seconds: float | None = None) -> str:
    """How much ran, and in what time."""
    ran = {r.runner for r in document.results}
    devices = " and ".join(sorted({r.device for r in document.results})) or "cpu"
    took = f" in {seconds:.1f} s" if seconds is not None else ""
    cases, results = counted(len(document.cases), "case"), counted(len(document.results), "result")
    return f"{cases} x {counted(len(ran), 'runner')} on {devices}: {results}{took}"


RAN_VERDICTS = ("pass", "known", "fail", "error", "unsupported")


def implementations(document: Document) -> tuple[list[str], list[list[str]]]:
    """Headers and rows: what ran, in which version, and its verdicts counted; the device where there are several."""
    counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for result in document.results:
        counts[result.runner, result.device][result.verdict] += 1
    several = len({i.device for i in document.implementations}) > 1
    rows = [
        [
            shortened_name(i.runner, RUNNER_WIDTH),
            *([i.device] if several else []),
            shortened(i.version or "does not load", 30),
            *(str(counts[i.runner, i.device][v]) for v in RAN_VERDICTS),
        ]
        for i in document.implementations
        if i.available or (i.runner, i.device) in counts
    ]
    return ["runner", *(["device"] if several else []), "version", *RAN_VERDICTS], rows


def _implementations(document: Document) -> str:
    headers, rows = implementations(document)
    table = columns(headers, rows, right=RAN_VERDICTS)
    lines = [wrapped(line) for line in not_run(document)]
    return "\n".join([table, "", *lines]) if lines else table


def not_run(document: Document) -> list[str]:
    """Why implementations did not run, in a line for each reason."""
    ran = {(r.runner, r.device) for r in document.results}
    several = len({i.device for i in document.implementations}) > 1
    by_reason: dict[str, list[str]] = defaultdict(list)
    for i in document.implementations:
        if not i.available and (i.runner, i.device) not in ran:
            by_reason[i.reason or "not available"].append(f"{i.runner} on {i.device}" if several else i.runner)
    return [f"not run: {', '.join(names)}: {reason}" for reason, names in _merged(by_reason).items()]


def _merged(by_reason: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Runners by why they did not run; what extras would install is told once, and of variants only their runner."""
    lacking = {reason: found[1] for reason in by_reason if (found := _EXTRA.search(reason))}
    if len(lacking) < 2:
        merged = {reason: list(names) for reason, names in by_reason.items()}
    else:
        merged = {reason: list(names) for reason, names in by_reason.items() if reason not in lacking}
        extras = ",".join(dict.fromkeys(lacking.values()))
        merged[f"not installed; pip install 'bncheck[{extras}]'"] = [n for r in lacking for n in by_reason[r]]
    return {
        reason: [name for name in names if name.partition(":")[0] == name or name.partition(":")[0] not in names]
        for reason, names in merged.items()
    }


def _every(document: Document, style: Style) -> str:
    colours = {"pass": "green", "known": "cyan", "fail": "red", "error": "red"}
    rows = []
    for result in document.results:
        largest = max((t.bound_ratio or 0.0 for t in result.tensors), default=None)
        note = result.reason or result.error or "; ".join([*map(_caused, result.causes), *result.notes])
        verdict = style(result.verdict, colours.get(result.verdict, "yellow"))
        rows.append([_runner(result), verdict, "-" if largest is None else ratio(largest), note])
    header, *lines = columns(["runner", "verdict", "x bound", "note"], rows, ["x bound"], WIDTH - 2).split("\n")
    listed, last = [f"case\n  {header}"], None
    for result, line in zip(document.results, lines, strict=True):
        if result.case != last:
            last = result.case
            listed.append(last)
        listed.append(f"  {line}")
    return "\n".join(listed)


def _caused(cause: Cause) -> str:
    """The kind of a cause, and of one that was solved what fits."""
    return cause.kind if cause.interval is None else f"{cause.kind}: {cause.message.partition(', ')[0]}"


def _runner(result: Result) -> str:
    """The runner, and its device where that is not the CPU."""
    name = shortened_name(result.runner, RUNNER_WIDTH)
    return name if result.device == "cpu" else f"{name} on {result.device}"


KNOWN_HEADERS = ("runner", "cause", "cases", "requested", "used", "documented in")
EXPECTED_HEADERS = ("runner", "cause", "cases", "expected by", "because")


def known(document: Document) -> tuple[str, list[tuple[str, str, int, str, str, str]]]:
    """How many results differ as documented, and in what, under `KNOWN_HEADERS`."""
    documented = [r for r in document.results if r.verdict == "known" and r.expectation is None]
    specs = {c.id: c.spec for c in document.cases}
    groups: dict[tuple[str, str, str, str, str], int] = Counter()
    for result in documented:
        for cause in result.causes:
            if cause.source is None:  # what only informs
                continue
            default = "default " if specs.get(result.case, {}).get(cause.kind) == "default" else ""
            requested = "-" if cause.requested is None else f"{default}{_value(cause.requested)}"
            key = (_runner(result), cause.kind, requested, _value(cause.effective), cause.source.split(" <")[0])
            groups[key] += 1
    rows = [
        (runner, kind, count, shortened(requested, 16), shortened(used, 22), source)
        for (runner, kind, requested, used, source), count in sorted(groups.items())
    ]
    one = len(documented) == 1
    return f"Known: {counted(len(documented), 'result')} {'differs' if one else 'differ'} as documented", rows


def expected(document: Document) -> tuple[str, list[tuple[str, str, int, str, str]]]:
    """How many results fail as entries in an expectations file say, and by which, under `EXPECTED_HEADERS`."""
    groups: dict[tuple[str, str, str, str], int] = Counter()
    for result in document.results:
        if (entry := result.expectation) is not None:
            kinds = ", ".join(result.kinds) or "error"
            groups[entry.source, _runner(result), kinds, " ".join(entry.reason.split())] += 1
    count = sum(groups.values())
    rows = [(runner, kinds, count, source, reason) for (source, runner, kinds, reason), count in groups.items()]
    return f"Expected: {counted(count, 'result')} {'fails' if count == 1 else 'fail'} as expected", rows


def _known(document: Document, every: bool) -> str:
    head, rows = known(document)
    if not any(r.verdict == "known" and r.expectation is None for r in document.results):
        return ""
    hint = "" if every else "--all lists each"
    return f"{head:<70}{hint:>24}".rstrip() + "\n" + columns(KNOWN_HEADERS, rows, right=["cases"])


def _expected(document: Document) -> str:
    head, rows = expected(document)
    return f"{head}\n{columns(EXPECTED_HEADERS, rows, right=['cases'])}" if rows else ""


def _stale(document: Document, style: Style) -> str:
    """Expectations that no longer hold."""
    if not document.stale:
        return ""
    lines = [style(f"Stale expectations: {len(document.stale)}", "red")]
    for stale in document.stale:
        lines += [f"{stale.source}  {stale.entry}", wrapped(stale.message, "  ")]
    return "\n".join(lines)


def _value(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _failed(document: Document, style: Style) -> str:
    failed = [r for r in document.results if r.verdict in ("fail", "error")]
    if not failed:
        return ""
    headers = ("case", "runner", "tensor", "error", "x bound", "cause")
    rows = [_failed_row(r) for r in failed]
    table = columns(headers, rows, right=["x bound", "error"]).split("\n")
    lines = [style(f"Failed or in error: {len(failed)}", "red"), table[0]]
    told: Counter[tuple[str, str]] = Counter()
    for result, row in zip(failed, table[1:], strict=True):
        key = (result.runner, result.error or "")
        told[key] += 1
        if result.error and told[key] > TOLD:  # a function that does not load, say
            continue
        lines.append(row)
        if len(result.case) > CASE_WIDTH:
            lines.append(f"  {result.case}")
        lines += [
            wrapped(sentence, "  ") for sentence in ([result.error] if result.error else sentences(result.causes))
        ]
        if command := reproduce.command(document, result):
            lines.append(reproduce.written(command, "  "))
    lines += [
        wrapped(f"and {count - TOLD} more of {runner}: {error}")
        for (runner, error), count in told.items()
        if error and count > TOLD
    ]
    return "\n".join(lines)


def _failed_row(result: Result) -> list[str]:
    tensor = worst(result)
    kinds = ", ".join(result.kinds) or result.verdict
    error = f"{tensor.max_abs:.1e}" if tensor and tensor.max_abs is not None else "-"
    times = ratio(tensor.bound_ratio) if tensor and tensor.bound_ratio is not None else "-"
    name = tensor.name if tensor else "-"
    return [shortened(result.case, CASE_WIDTH), _runner(result), name, error, times, kinds]


def _closing(document: Document, style: Style) -> str:
    if is_bad(document):
        return style(outcome(document), "red")
    judged = document.summary.passed or document.summary.known
    return style(outcome(document), "green") if judged else outcome(document)


def is_bad(document: Document) -> bool:
    """Whether anything fails, is in error, is stale or is missing."""
    return bool(document.cut_short or document.summary.fail or document.summary.error or document.stale)


def outcome(document: Document) -> str:
    """What came of it, in a line."""
    if document.cut_short:
        return f"cut short after {counted(len(document.results), 'result')}"
    summary = document.summary
    found = [
        (summary.fail, "discrepancy", "discrepancies"),
        (summary.error, "error", "errors"),
        (len(document.stale), "stale expectation", "stale expectations"),
    ]
    told = [f"{n} {one if n == 1 else many}" for n, one, many in found if n]
    if told:
        return ", ".join(told)
    if not (summary.passed or summary.known):
        return "nothing was judged"
    expected = sum(r.expectation is not None for r in document.results)
    known = f", {summary.known - expected} as documented" if summary.known > expected else ""
    known += f", {expected} as expected" if expected else ""
    unsupported = f", {summary.unsupported} unsupported" if summary.unsupported else ""
    return f"no discrepancies: {summary.passed} as requested{known}{unsupported}"
