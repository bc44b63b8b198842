"""``bncheck run``"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bncheck.cli.paths import corpus, load_or_exit, max_elements

if TYPE_CHECKING:
    from bncheck.document import Document
    from bncheck.run.runners import Runner

REPORTS = ("table", "json")


class Report(click.ParamType[tuple[str, Path | None]]):
    """FORMAT or FORMAT=PATH."""

    name = "FORMAT[=PATH]"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, Path | None]:
        form, equals, path = value.partition("=")
        if form not in REPORTS:
            self.fail(f"there is no format {form!r}; there are {', '.join(REPORTS)}", param, ctx)
        if equals and not path:
            self.fail(f"{value!r} names no file; write {form}=PATH, or {form} for standard output", param, ctx)
        if path and not Path(path).absolute().parent.is_dir():
            self.fail(f"the folder of {path!r} does not exist", param, ctx)
        return form, Path(path) if path else None


@click.command("run")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="[PATH]...")
@click.option(
    "--runner",
    "spellings",
    multiple=True,
    metavar="RUNNER",
    help="A runner by name, a pattern such as 'torch*', or one's own as LABEL=FILE.py:FUNCTION. Repeatable; without "
    "it, every implementation that is installed. A runner that is named must run.",
)
@click.option(
    "--report",
    "reports",
    multiple=True,
    type=Report(),
    help="table or json, to standard output or to =PATH. Repeatable; a table unless given.",
)
@click.option("--all", "every", is_flag=True, help="List every result in the table, not only what is not a pass.")
@click.option("-k", "expression", metavar="EXPRESSION", help="Only cases whose ids match: words with and, or, not, ().")
@max_elements
@click.option("--verbose", is_flag=True, help="Pass on what the frameworks print, on standard error.")
def command(
    paths: tuple[Path, ...],
    spellings: tuple[str, ...],
    reports: tuple[tuple[str, Path | None], ...],
    every: bool,
    expression: str | None,
    max_elements: int | None,
    verbose: bool,
) -> int:
    """Run cases on every implementation installed and name the cause of each difference.

    PATHs are case files or folders of them; without any, the cases that come with bncheck are run.

    \b
    Exit codes:
      0  every result is as requested, or differs as documented
      1  something fails
      2  usage error or a bad case file; nothing was run
      3  an error (crash, hang, nonsense), or a runner that was named did not run
      4  nothing could be judged

    \b
    Examples:
      bncheck run cases/
      bncheck run cases/ -k 'epsilon and not training' --all
      bncheck run --runner '*' --runner mine=kernels/bn.py:batch_norm --report table --report json=results.json
    """
    from bncheck.case.select import BadExpression, Expression
    from bncheck.cli.progress import Progress
    from bncheck.document import CaseRecord, Implementation, Result
    from bncheck.run import engine
    from bncheck.run.compose import compose
    from bncheck.run.runners import BadRunner, select

    to_stdout = [form for form, path in reports if path is None]
    if len(to_stdout) > 1:
        raise click.UsageError(
            f"{' and '.join(to_stdout)} cannot both go to standard output; give one a file, FORMAT=PATH"
        )
    written = [path for _, path in reports if path is not None]
    if len({p.absolute() for p in written}) < len(written):
        raise click.UsageError("two reports cannot go to one file")
    try:
        runners = select(spellings)
        chosen = Expression(expression) if expression is not None else None
    except (BadRunner, BadExpression) as error:
        raise click.UsageError(str(error)) from None
    cases = load_or_exit(paths or (corpus(),), max_elements)
    if chosen is not None:
        cases = [case for case in cases if chosen.matches(case.id)]
        if not cases:
            raise click.UsageError(f"no case matches {expression!r}")

    started = time.time()
    implementations: list[Implementation] = []
    results: list[Result] = []
    with Progress() as progress:
        for event in engine.run(cases, runners, verbose=verbose):
            progress.on(event)
            if isinstance(event, Implementation):
                implementations.append(event)
            elif isinstance(event, engine.Done):
                results.append(event.result)
    records = [
        CaseRecord(
            id=c.id,
            file=str(c.file),
            line=c.line,
            title=c.case.title,
            why=c.case.why,
            links=list(c.case.links),
            spec=c.spec,
        )
        for c in cases
    ]
    document = compose(started, implementations, records, results)
    for form, path in reports or (("table", None),):
        _write(form, path, document, seconds=time.time() - started, every=every)
    return _exit_code(document, runners)


def _write(form: str, path: Path | None, document: Document, *, seconds: float, every: bool) -> None:
    from bncheck.reports import json, table

    colour = path is None and sys.stdout.isatty() and "NO_COLOR" not in os.environ
    if form == "json":
        text = json.render(document)
    else:
        text = table.render(document, seconds=seconds, every=every, colour=colour)
    if path is None:
        click.echo(text, nl=False, color=colour)
        return
    partial = path.with_name(path.name + ".partial")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise click.ClickException(f"{path} cannot be written: {error.strerror}") from None


def _exit_code(document: Document, runners: list[Runner]) -> int:
    ran = {i.runner for i in document.implementations if i.available}
    summary = document.summary
    if summary.error or any(r.named and r.spelling not in ran for r in runners):
        return 3
    if summary.fail:
        return 1
    return 0 if summary.passed or summary.known else 4
