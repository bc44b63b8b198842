"""``bncheck lint``"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bncheck.cli.expectations import books_or_exit
from bncheck.cli.paths import exit_with, load_or_exit, max_elements
from bncheck.cli.settings import WithSettings, paths

if TYPE_CHECKING:
    from bncheck.expectations.book import Book


@click.command("lint", cls=WithSettings)
@paths(required=True)
@max_elements
def command(paths: tuple[Path, ...], max_elements: int | None) -> None:
    """Check case files, and the expectations beside them, without running anything.

    PATHs are case files or folders of them; without any, those of [tool.bncheck] in pyproject.toml. A file of
    expectations stands for its folder. Every error of every file is listed as file:line:column with what to do about
    it; the exit code is then 2.

    \b
    Examples:
      bncheck lint cases/
      bncheck lint cases/epsilon.yaml cases/expectations.yaml
    """
    from bncheck.case.load import EXPECTATIONS

    settings = click.get_current_context().obj
    named = [path for path in paths if _same(path, settings.expectations)]
    beside = [path for path in paths if path.name == EXPECTATIONS and path.is_file() and path not in named]
    holding = [path.parent if path in beside else path for path in paths if path not in named]
    holding += settings.paths if named else ()
    cases = load_or_exit(holding, max_elements)
    books = books_or_exit(holding, cases, settings.expectations, update=False)
    _exit_if_unread(beside, books)
    files, entries = len({case.file for case in cases}), sum(len(book.entries) for book in books)
    expected = f", {entries} expectation{_s(entries)}" if entries else ""
    click.echo(f"{len(cases)} case{_s(len(cases))} in {files} file{_s(files)}{expected}: no problems")


def _same(path: Path, other: Path | None) -> bool:
    return other is not None and path.resolve() == other.resolve()


def _exit_if_unread(written: Sequence[Path], books: Sequence[Book]) -> None:
    """A file of expectations that no run would read is a problem, whatever is in it."""
    from bncheck.case.problem import BadCases, Problem

    files = sorted({book.file for book in books})
    message = (
        f"no run reads this file: what is expected stands in {' and '.join(map(str, files))}; move the entries there"
    )
    unread = [path for path in written if not any(_same(path, file) for file in files)]
    if unread:
        exit_with(BadCases([Problem(path, 1, 1, message) for path in unread]), "expectations")


def _s(count: int) -> str:
    return "" if count == 1 else "s"
