"""Case files as commands take them: paths, their limits, and what is said when they are bad."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from bncheck.case.load import LoadedCase

USAGE = 2
"""Exit code of a usage error or a bad case file."""

max_elements = click.option(
    "--max-elements",
    type=click.IntRange(min=1),
    metavar="N",
    help="Take tensors of up to N values (67,108,864 unless given).",
)


matching = click.option(
    "-k", "expression", metavar="EXPRESSION", help="Only cases whose ids match: words with and, or, not, ()."
)


def corpus() -> Path:
    """The cases that come with bncheck: inside the package, or beside it in a checkout."""
    package = Path(__file__).parent.parent
    installed = package / "cases"
    return installed if installed.is_dir() else package.parent / "cases"


def load_or_exit(paths: Sequence[Path], limit: int | None, expression: str | None = None) -> list[LoadedCase]:
    """All cases of ``paths`` whose ids match; with bad ones, every problem goes to standard error and the exit code
    is 2."""
    from bncheck.case.select import BadExpression, Expression

    try:
        wanted = Expression(expression) if expression is not None else None
    except BadExpression as error:
        raise click.UsageError(str(error)) from None
    cases = _all_or_exit(paths, limit)
    chosen = [case for case in cases if wanted is None or wanted.matches(case.id)]
    if not chosen:
        raise click.UsageError(f"no case matches {expression!r}")
    return chosen


def _all_or_exit(paths: Sequence[Path], limit: int | None) -> list[LoadedCase]:
    from bncheck.case.expected import broken
    from bncheck.case.load import load
    from bncheck.case.model import MAX_ELEMENTS
    from bncheck.case.problem import BadCases, Problem

    try:
        cases: Sequence[LoadedCase] = load(paths, max_elements=limit or MAX_ELEMENTS)
        problems: list[Problem] = []
    except BadCases as bad:
        cases, problems = bad.cases, bad.problems
    problems += [problem for case in cases for problem in broken(case)]
    if problems:
        for problem in sorted(set(problems)):
            click.echo(problem, err=True)
        count = len(set(problems))
        click.echo(f"{count} problem{'s' if count > 1 else ''} in case files; nothing was run", err=True)
        sys.exit(USAGE)
    return list(cases)
