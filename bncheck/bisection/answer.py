"""The answer in words: which release it was, and what is found before and after it."""

from __future__ import annotations

from bncheck.bisection.change import Change
from bncheck.bisection.trial import Question, Tried
from bncheck.reports.columns import shortened, wrapped
from bncheck.reports.result import told


def line(tried: Tried, seconds: str) -> str:
    """A release that was tried, in a line."""
    what = tried.outcome if tried.skipped is None else f"skipped: {tried.skipped}"
    start = f"{tried.release:<12} Python {tried.python:<8}"
    return f"{start} {shortened(f'{what:<30}', 88 - len(start))}  {seconds}"


def answer(question: Question, change: Change) -> str:
    """The whole answer; of what lies between where only skipped ones do, every release and why."""
    before, after = change.before, change.after
    asked = f"{question.case.id} on {question.spelling.name}"
    if not change.is_one:
        said = (
            f"{asked} did not change: with {question.package} {before.release} and {after.release} it has the same "
            f"verdict and causes."
        )
    elif change.skipped:
        said = (
            f"{asked} changed in {question.package} {after.release}, or in one of those before it that had to be "
            f"skipped, of which nothing is known."
        )
    else:
        said = f"{asked} changed in {question.package} {after.release}."
    skipped = [wrapped(f"{each.release}: {each.skipped}", hanging="  ") for each in change.skipped]
    parts = [wrapped(said), *(["\n".join(skipped)] if skipped else [])]
    parts += [_shown(question, each) for each in (before, after)]
    if change.is_one and (besides := _besides(question, before, after)):
        parts.append(wrapped(f"Other releases beside it: {besides}."))
    return "\n\n".join(parts)


def _shown(question: Question, tried: Tried) -> str:
    """A release, and what is found there."""
    assert tried.result is not None
    result = tried.result
    head = f"{question.package} {tried.release} on Python {tried.python}: {result.verdict}"
    body = told(result.tensors, result.causes, result.notes, said=result.reason)
    return f"{head}\n{body}" if body else head


def _besides(question: Question, before: Tried, after: Tried) -> str:
    """What else is there in another release, or in one of the two environments only."""
    old, new = {"Python": before.python, **before.distributions}, {"Python": after.python, **after.distributions}
    names = [name for name in old if old[name] != new.get(name)] + [name for name in new if name not in old]
    own = question.package.lower()
    return "; ".join(f"{n} {old.get(n, 'absent')}, then {new.get(n, 'absent')}" for n in sorted(names) if n != own)
