"""``bncheck lint``"""

from __future__ import annotations

from pathlib import Path

import click

from bncheck.cli.paths import load_or_exit, max_elements


@click.command("lint")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PATH...")
@max_elements
def command(paths: tuple[Path, ...], max_elements: int | None) -> None:
    """Check case files without running them.

    Every error of every file is listed as file:line:column with what to do about it; the exit code is then 2.

    \b
    Example:
      bncheck lint cases/
    """
    cases = load_or_exit(paths, max_elements)
    files = len({case.file for case in cases})
    click.echo(f"{len(cases)} case{_s(len(cases))} in {files} file{_s(files)}: no problems")


def _s(count: int) -> str:
    return "" if count == 1 else "s"
