"""``bncheck diff``"""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path

import click

REGRESSION = 1


@click.command("diff")
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
@click.option("--all", "every", is_flag=True, help="List every result that changed, not only the first of each kind.")
@click.option("--strict", is_flag=True, help="Exit with 1 for any result that changed, for the better too, or went.")
def command(old: Path, new: Path, every: bool, strict: bool) -> int:
    """Say what changed from one run to another.

    OLD and NEW are what `--report json=PATH` wrote, on whatever machines, or the PATH.partial of a run that was cut
    short. Told are verdicts and causes that changed, errors that grew by more than rounding, and cases, implementations
    and versions that came or went. An implementation that ran in another environment each time, as before and after
    an upgrade, is compared with itself.

    \b
    Exit codes:
      0  no regression
      1  a result that passed or was known fails or is in error, a failure has a new cause, or its error grew;
         with --strict, any result changed or went
      2  usage error, or a file that is no results document

    \b
    Examples:
      bncheck diff yesterday.json today.json
      bncheck diff --strict old-release.json new-release.json
    """
    from bncheck.diff import diff
    from bncheck.document import BadDocument
    from bncheck.reports import changes
    from bncheck.running.journal import read

    gc.disable()  # documents are large and without cycles: to look for them takes longer than all the rest
    try:
        found = diff(read(old), read(new))
    except BadDocument as error:
        raise click.UsageError(str(error)) from None
    finally:
        gc.enable()
    colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    click.echo(changes.render(found, every=every, colour=colour), nl=False, color=colour)
    return REGRESSION if found.of("regression") or (strict and not found.keeps) else 0
