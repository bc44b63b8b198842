"""What changed from one run to another: regressions in full, the rest shortly, in at most 100 columns."""

from __future__ import annotations

import itertools
import math
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TypeVar

import click

from bncheck.diff import Altered, Change, Diff, Lone, unnumbered
from bncheck.document import Document, Result, Stale, Tensor
from bncheck.reports.columns import WIDTH, columns, counted, shortened, shortened_name, wrapped
from bncheck.reports.result import ratio, sentences

OWN = "bncheck's own environment"
CASE_WIDTH = 40
RUNNER_WIDTH = 20
SAID_WIDTH = 60
TOLD = 3
"""How many are listed of results that changed in the same way, of cases that came or went, of stale expectations; more
are counted."""

WAYS = 20
"""Ways to change that are listed, those of most results first; the others are counted."""

Item = TypeVar("Item")
Ways = Sequence[tuple[str, Sequence[Change]]]
"""Changes, under what is said of all that changed in the same way."""


def render(diff: Diff, *, every: bool = False, colour: bool = False) -> str:
    """The report. ``every``: list each result and each case, and count none."""
    if diff.is_empty and not (diff.old.cut_short or diff.new.cut_short):
        return _closing(diff, colour) + "\n"
    parts = [
        _heading(diff),
        _circumstances(diff),
        _unpaired(diff, every, colour),
        _regressions(diff.of("regression"), every, colour),
        _shortly("Other changes", diff.of("other"), every),
        _shortly("Better", diff.of("better"), every),
        _stale(diff.stale, every),
        _closing(diff, colour),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _heading(diff: Diff) -> str:
    return f"old  {_run(diff.old)}\nnew  {_run(diff.new)}"


def _run(document: Document) -> str:
    started = document.started[:16].replace("T", " ")
    devices = " and ".join(sorted({r.device for r in document.results})) or "no device"
    cases, results = counted(len(document.cases), "case"), counted(len(document.results), "result")
    runners = counted(len({r.runner for r in document.results}), "runner")
    return f"{started}, {cases} x {runners} on {devices}: {results}{', cut short' if document.cut_short else ''}"


def _circumstances(diff: Diff) -> str:
    """In what the runs were made otherwise."""
    lines = [f"{d.name} {d.old or 'none'} -> {d.new or 'none'}" for d in diff.environment]
    runners: dict[str, list[str]] = defaultdict(list)
    for d in diff.versions:
        runners[f"{d.old or 'does not load'} -> {d.new or 'does not load'}"].append(d.name)
    for d in diff.environments:
        runners[f"in {d.old or OWN} -> in {d.new or OWN}"].append(d.name)
    for d in diff.devices:
        runners[f"on {d.old} -> on {d.new}"].append(d.name)
    lines += [f"{', '.join(names)} {change}" for change, names in runners.items()]
    return "\n".join(map(_entry, lines))


def _unpaired(diff: Diff, every: bool, colour: bool) -> str:
    """What only one run has, and what is not compared."""
    lines = [_styled(line, "yellow", colour) for line in _lone("went", diff.went, "new", every)]
    lines += [*_lone("came", diff.came, "old", every), *_failing(diff.came, every)]
    groups: dict[tuple[str, ...], list[Altered]] = defaultdict(list)
    for altered in diff.altered:
        groups[altered.keys].append(altered)
    for keys, group in groups.items():
        results = counted(sum(max(len(a.old), len(a.new)) for a in group), "result")
        text = f"changed: {counted(len(group), 'case')} with another {', '.join(keys)}, {results} not compared"
        lines.append(_entry(f"{text}: {_few([a.case for a in group], every)}"))
    for lone, name, other in ((diff.went, "new", diff.new), (diff.came, "old", diff.old)):
        if lone.results:
            why = "was cut short" if other.cut_short else "lacks them"
            lines.append(f"not compared: {counted(len(lone.results), 'result')}, because {name} {why}")
    return "\n".join(lines)


def _lone(verb: str, lone: Lone, other: str, every: bool) -> Iterator[str]:
    """What one run has and the ``other`` has not."""
    for i in lone.implementations:
        where = "" if i.device == "cpu" else f" on {i.device}"
        version = f" {i.version}" if i.version else ""
        why = f"; {other}: {i.reason}" if i.reason else ""
        yield _entry(f"{verb}: {i.runner}{version}{where}, {counted(len(i.results), 'result')}{why}")
    if lone.cases:
        results = counted(sum(len(case.results) for case in lone.cases), "result")
        names = _few([case.case for case in lone.cases], every)
        yield _entry(f"{verb}: {counted(len(lone.cases), 'case')}, {results}: {names}")


def _failing(came: Lone, every: bool) -> Iterator[str]:
    """What fails of what came: no regression, because nothing was better before."""
    results = [*(i.results for i in came.implementations), *(case.results for case in came.cases)]
    failing = [r for r in itertools.chain(*results) if r.verdict in ("fail", "error")]
    if failing:
        names = _few([f"{r.case} on {r.runner} ({', '.join(r.kinds) or r.verdict})" for r in failing], every)
        yield _entry(f"  of what came, {len(failing):,} {'fails' if len(failing) == 1 else 'fail'}: {names}")


def _regressions(changes: Sequence[Change], every: bool, colour: bool) -> str:
    """Each with its worst error, before and now, and with what is said of it now."""
    if not changes:
        return ""
    ways = _ways(changes)
    shown = _first(ways, WAYS, every)
    headers = ("case", "tensor", "error", "x bound")
    rows = [_row(change) for _, group in shown for change in _first(group, TOLD, every)]
    header, *table = columns(headers, rows, right=headers[2:], width=WIDTH - 2).split("\n")
    lines = [_styled(_head(f"Regressions: {len(changes):,}", ways, every), "red", colour), f"  {header}"]
    row = iter(table)
    for way, group in shown:
        lines.append(_entry(f"{way}: {counted(len(group), 'result')}"))
        said: dict[str, None] = {}
        for change in _first(group, TOLD, every):
            lines.append(f"  {next(row)}")
            if len(change.new.case) > CASE_WIDTH:
                lines.append(wrapped(change.new.case, "    "))
            news = [s for s in _said(change.new) if s not in said]
            lines += [wrapped(sentence, "    ") for sentence in news]
            said |= dict.fromkeys(news)
        if not every and len(group) > TOLD:
            lines.append(f"  and {len(group) - TOLD:,} more")
    return "\n".join([*lines, *_rest(ways, every)])


def _shortly(head: str, changes: Sequence[Change], every: bool) -> str:
    """How results changed, with the first of each way."""
    if not changes:
        return ""
    ways = _ways(changes)
    lines = [_head(f"{head}: {len(changes):,}", ways, every)]
    for way, group in _first(ways, WAYS, every):
        names = _few([change.new.case for change in group], every)
        lines.append(_entry(f"{way}: {counted(len(group), 'result')}: {names}"))
    return "\n".join([*lines, *_rest(ways, every)])


def _stale(stale: Sequence[Stale], every: bool) -> str:
    """Expectations that no longer hold: no regression by itself, but the new run fails of them."""
    if not stale:
        return ""
    lines = [f"Stale expectations: {len(stale):,}"]
    lines += [_entry(f"{s.source} {s.entry}: {s.message}") for s in _first(stale, TOLD, every)]
    if not every and len(stale) > TOLD:
        lines.append(f"and {len(stale) - TOLD:,} more")
    return "\n".join(lines)


def _closing(diff: Diff, colour: bool) -> str:
    worse, other, better = len(diff.of("regression")), len(diff.of("other")), len(diff.of("better"))
    alike, went = f"{counted(diff.alike, 'result')} alike", len(diff.went.implementations)
    if not (diff.alike or diff.changes):
        text = "nothing was compared: no result has its like in the other run"
    elif not diff.changes:
        text = f"no changes: {alike}"
    else:
        told = [counted(worse, "regression") if worse else "no regressions"]
        told += [counted(other, "other change")] if other else []
        text = ", ".join([*told, *([f"{better:,} better"] if better else []), alike])
    if went:
        text += f"; {counted(went, 'implementation')} went"
    return _styled(text, "red" if worse else "yellow" if went or not diff.alike else "green", colour)


def _ways(changes: Sequence[Change]) -> Ways:
    groups: dict[tuple[str, str], list[Change]] = defaultdict(list)
    for change in changes:
        groups[_way(change), unnumbered(change.new.error)].append(change)
    ordered = sorted(groups.items(), key=lambda item: -len(item[1]))
    return [(way, group) for (way, _), group in ordered]


def _way(change: Change) -> str:
    old, new = change.old, change.new
    place = f" on {new.device}" if old.device == new.device != "cpu" else ""
    about = "; ".join(_about(change))
    verdicts = f"{_verdict(old)} -> {_verdict(new)}"
    return f"{shortened_name(new.runner, RUNNER_WIDTH)}{place}: {verdicts}{f' ({about})' if about else ''}"


def _verdict(result: Result) -> str:
    return "known, expected" if result.expectation else result.verdict


def _about(change: Change) -> Iterator[str]:
    """The causes, or what is said in their place, and what else changed of them."""
    old, new = change.old, change.new
    had, has = sorted(old.kinds), sorted(new.kinds)
    if change.effect != "regression" and (said := new.reason or new.error):
        yield shortened(said, SAID_WIDTH)
    elif had and not has:
        yield f"was {', '.join(had)}"
    elif had and had != has:
        yield f"{', '.join(had)} -> {', '.join(has)}"
    elif has:
        yield ", ".join(f"{kind} {_values(change, kind)}" if kind in change.revalued else kind for kind in has)
    if change.grown:
        yield "error grew"
    elif change.effect == "better" and old.verdict == new.verdict and had == has:
        yield "error shrank"
    if old.documented and new.documented and old.documented.source != new.documented.source:
        yield f"documented in {_source(old)} -> {_source(new)}"


def _values(change: Change, kind: str) -> str:
    """What explained a result and what does now, with as few digits as tell them apart."""
    pair = [next(c.effective for c in r.causes if c.kind == kind) for r in (change.old, change.new)]
    texts = [[_value(value, digits) for value in pair] for digits in (2, 4, 17)]
    return " -> ".join(next((two for two in texts if len(set(two)) == 2), texts[0]))


def _value(value: object, digits: int) -> str:
    return f"{value:.{digits}g}" if isinstance(value, float) else shortened(str(value), SAID_WIDTH // 2)


def _source(result: Result) -> str:
    """By what a result is known, without links."""
    return re.sub(r" <[^>]*>", "", result.documented.source) if result.documented else ""


def _row(change: Change) -> list[str]:
    """The case, and the error of what grew, or else of what is worst now, with its ratio to the bound."""
    tensors = [t for t in change.new.tensors if t.name in change.grown] or change.new.tensors
    worst = max(tensors, key=lambda t: math.inf if t.bound_ratio is None else t.bound_ratio, default=None)
    case = shortened(change.new.case, CASE_WIDTH)
    if worst is None:
        return [case, "-", "-", "-"]
    before = next((t for t in change.old.tensors if t.name == worst.name), None)
    (error, times), (new_error, new_times) = _sizes(before), _sizes(worst)
    return [case, worst.name, f"{error} -> {new_error}", f"{times} -> {new_times}"]


def _sizes(tensor: Tensor | None) -> tuple[str, str]:
    """A tensor's largest error, and that over its bound."""
    if tensor is None or tensor.max_abs is None or tensor.bound_ratio is None:
        return "-", "-"
    return f"{tensor.max_abs:.1e}", ratio(tensor.bound_ratio)


def _said(result: Result) -> list[str]:
    return [result.error] if result.error else sentences(result.causes)


def _first(items: Sequence[Item], most: int, every: bool) -> Sequence[Item]:
    return items if every else items[:most]


def _few(names: Sequence[str], every: bool) -> str:
    """Some names, and how many more there are."""
    first = _first(names, TOLD, every)
    more = f" and {len(names) - len(first):,} more" if len(names) > len(first) else ""
    return ", ".join(first) + more


def _head(text: str, ways: Ways, every: bool) -> str:
    """A heading, with how to see the rest if not all is listed below it."""
    whole = every or (len(ways) <= WAYS and all(len(group) <= TOLD for _, group in ways))
    return text if whole else f"{text:<{WIDTH - 24}}{'--all lists each':>24}"


def _rest(ways: Ways, every: bool) -> list[str]:
    """How many changed in ways that are not listed."""
    left = [] if every else ways[WAYS:]
    return [f"and {sum(len(group) for _, group in left):,} more, in {len(left):,} other ways"] if left else []


def _entry(text: str) -> str:
    return wrapped(text, hanging="  ")


def _styled(text: str, fg: str, colour: bool) -> str:
    return click.style(text, fg=fg) if colour else text
