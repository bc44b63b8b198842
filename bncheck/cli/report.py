"""``bncheck report``"""

from __future__ import annotations

from pathlib import Path

import click

from bncheck.cli.reports import Chosen, check, every, reports, write


@click.command("report")
@click.argument("results", type=click.Path(path_type=Path))
@reports
@every
def command(results: Path, reports: tuple[Chosen, ...], every: bool) -> None:
    """Render a report of a results document, whenever it was written.

    RESULTS is what `--report json=PATH` wrote, or the PATH.partial that a run leaves which was cut short.

    \b
    Formats:
      table     what the terminal says
      json      the results document itself
      html      a page to look at, one file
      markdown  a summary for a job or a pull request
      junit     tests, for Jenkins, GitLab and others
      github    annotations on the lines of the cases
      sarif     alerts for code scanning
      badge     an SVG for a README

    \b
    Examples:
      bncheck report results.json --report table --all
      bncheck report results.json --report markdown >> "$GITHUB_STEP_SUMMARY"
      bncheck report results.json --report junit=junit.xml --report html=report.html
    """
    from bncheck.document import BadDocument
    from bncheck.running.journal import read

    chosen = check(reports)
    try:
        document = read(results)
    except BadDocument as error:
        raise click.UsageError(str(error)) from None
    write(chosen, document, every=every)
