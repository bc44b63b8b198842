"""Failures that are alike, so that a report with little room tells them once and the most telling first."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import dataclass

from bncheck.diff import unnumbered
from bncheck.document import Document, Result
from bncheck.reports.result import worst


@dataclass(frozen=True)
class Alike:
    """Failures of one case file with the same kinds of cause, or of one runner with the same error; the worst first."""

    what: str
    """The kinds of cause, or `error`."""
    results: list[Result]

    @property
    def worst(self) -> Result:
        return self.results[0]


def failures(document: Document) -> list[Alike]:
    """All that fails or is in error: errors first, because they hide what they are about, then a file for each kind of
    cause, those of most results first and what nothing explains last, then the other files."""
    files = {case.id: case.file for case in document.cases}
    groups: dict[tuple[str, ...], list[Result]] = defaultdict(list)
    for result in document.results:
        if result.verdict == "error":
            groups["error", result.runner, result.device, unnumbered(result.error)].append(result)
        elif result.verdict == "fail":
            groups[", ".join(result.kinds) or "fail", files.get(result.case, result.case)].append(result)
    alike = [Alike(key[0], sorted(results, key=_size, reverse=True)) for key, results in groups.items()]
    alike.sort(key=lambda a: -len(a.results))
    told: Counter[str] = Counter()
    order = []
    for each in alike:
        order.append((each.what != "error", told[each.what], each.what == "unexplained"))
        told[each.what] += each.what != "error"
    return [each for _, each in sorted(zip(order, alike, strict=True), key=lambda pair: pair[0])]


def _size(result: Result) -> float:
    tensor = worst(result)
    ratio = None if tensor is None else tensor.bound_ratio
    return math.inf if ratio is None or math.isnan(ratio) else ratio
