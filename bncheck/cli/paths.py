"""Case files as commands take them: paths, their limits, and what is said when they are bad."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

if TYPE_CHECKING:
    from bncheck.case.load import LoadedCase
    from bncheck.case.problem import BadCases

USAGE = 2
"""Exit code of a usage error or a bad case file."""

LISTED = 5
"""Ids that are told where one is not there."""

max_elements = click.option(
    "--max-elements",
    type=click.IntRange(min=1),
    metavar="N",
    help="Take tensors of up to N values (67,108,864 unless given).",
)


matching = click.option(
    "-k", "expression", metavar="EXPRESSION", help="Only cases whose ids match: words with and, or, not, ()."
)

roots = click.option(
    "--cases",
    "roots",
    multiple=True,
    type=click.Path(path_type=Path, exists=True),
    metavar="PATH",
    help="A case file or a folder of them, where CASE is. Repeatable; ./cases and the cases that come with bncheck "
    "unless given.",
)


def load_or_exit(paths: Sequence[Path], limit: int | None, expression: str | None = None) -> list[LoadedCase]:
    """All cases of ``paths`` whose ids match; with bad ones, every problem goes to standard error and the exit code
    is 2."""
    from bncheck.case.model import MAX_ELEMENTS
    from bncheck.case.problem import BadCases
    from bncheck.case.sound import load_sound

    try:
        return matched(load_sound(paths, max_elements=limit or MAX_ELEMENTS), expression)
    except BadCases as bad:
        exit_with(bad, "case files")


def matched(cases: Sequence[LoadedCase], expression: str | None) -> list[LoadedCase]:
    """The cases whose ids match; raises a usage error if none does."""
    from bncheck.case.select import BadExpression, chosen

    try:
        return chosen(cases, expression)
    except BadExpression as error:
        raise click.UsageError(str(error)) from None


def case_named(identity: str, roots: Sequence[Path]) -> LoadedCase:
    """The case of that id below ``roots``, of which only its own file is read; else a usage error that tells others."""
    from bncheck.case.corpus import corpus
    from bncheck.case.load import case_files, name_of
    from bncheck.case.problem import BadCases
    from bncheck.case.sound import load_sound_file

    roots = roots or [*(p for p in [Path("cases")] if p.is_dir()), corpus()]
    files: dict[str, tuple[Path, Path]] = {}
    for root in roots:
        for file in case_files(root):
            files.setdefault(name_of(file, root), (file, root))
    name = next((n for n in files if identity == n or identity.startswith(f"{n}[")), None)
    if name is None:
        close = difflib.get_close_matches(identity, files, n=LISTED, cutoff=0.5)
        where = " or ".join(map(str, roots))
        raise click.UsageError(f"there is no case {identity!r} in {where}; --cases says where to look{_one_of(close)}")
    try:
        cells = {cell.id: cell for cell in load_sound_file(*files[name], max_elements=sys.maxsize)}
    except BadCases as bad:
        exit_with(bad, "case files")
    if identity not in cells:
        close = difflib.get_close_matches(identity, cells, n=LISTED, cutoff=0.0)
        problem = f"{identity!r} are {len(cells)} cases" if identity == name else f"there is no case {identity!r}"
        raise click.UsageError(problem + _one_of(close))
    return cells[identity]


def _one_of(ids: Sequence[str]) -> str:
    return "; name one of" + "".join(f"\n  {i}" for i in ids) if ids else ""


def exit_with(bad: BadCases, what: str) -> NoReturn:
    """Every problem of ``what`` to standard error, and exit code 2."""
    for problem in bad.problems:
        click.echo(problem, err=True)
    count = len(bad.problems)
    click.echo(f"{count} problem{'s' if count > 1 else ''} in {what}; nothing was run", err=True)
    sys.exit(USAGE)
