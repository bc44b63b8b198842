"""``bncheck run``"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bncheck.case.corpus import corpus
from bncheck.cli.expectations import books_or_exit, bring_up_to_date, expectations, update
from bncheck.cli.interrupting import interruptible
from bncheck.cli.paths import load_or_exit, matched, matching, max_elements
from bncheck.cli.placing import runners_or_exit
from bncheck.cli.reports import Chosen, check, every, replaceable, reports, write
from bncheck.cli.runners import spellings_from
from bncheck.cli.settings import WithSettings, paths
from bncheck.settings import DEVICE_CHOICES, size

if TYPE_CHECKING:
    from bncheck.document import Document, Findings
    from bncheck.expectations.gate import Gate
    from bncheck.running.events import Event
    from bncheck.running.journal import Journal
    from bncheck.running.runners import Runner

INTERRUPTED = 130


class Size(click.ParamType):  # type: ignore[type-arg]  # not subscriptable before click 8.4
    """A number of bytes: 800M, 2G, 1.5GiB."""

    name = "SIZE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        try:
            return size(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.command("run", cls=WithSettings)
@paths(required=False)
@click.option(
    "--runner",
    "spellings",
    multiple=True,
    metavar="RUNNER",
    shell_complete=spellings_from,
    help="A runner by name, a pattern such as 'torch*', or one's own as LABEL=FILE.py:FUNCTION; behind the name "
    "@ENVIRONMENT, as set in pyproject.toml or written out: keras@tensorflow-cpu==2.15.1. Repeatable; without it, "
    "every implementation that is installed. A runner that is named must run.",
)
@reports
@every
@matching
@max_elements
@click.option(
    "--device",
    type=click.Choice(DEVICE_CHOICES),
    default="cpu",
    show_default=True,
    help="Where to run. A device that is named must be there; with all, what is absent is listed.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=300,
    show_default=True,
    metavar="SECONDS",
    help="End a worker that takes longer for one case.",
)
@click.option("--max-memory", type=Size(), help="End a worker that holds more memory, for example 2G.")
@expectations
@update
@click.option("--max-fail", type=click.IntRange(min=1), metavar="N", help="End the run at the N-th failure or error.")
@click.option("-j", "jobs", type=click.IntRange(min=1), metavar="N", help="Workers at a time; one a core unless given.")
@click.option("--verbose", is_flag=True, help="Pass on what the frameworks print, on standard error.")
def command(
    paths: tuple[Path, ...],
    spellings: tuple[str, ...],
    reports: tuple[Chosen, ...],
    every: bool,
    expression: str | None,
    max_elements: int | None,
    device: str,
    timeout: float,
    max_memory: int | None,
    expectations: Path | None,
    update: bool,
    max_fail: int | None,
    jobs: int | None,
    verbose: bool,
) -> int:
    """Run cases on every implementation installed and judge every difference.

    PATHs are case files or folders of them; without any, the cases that come with bncheck are run. A project can
    settle them, and --runner, --device, --timeout, --max-memory and --expectations, in [tool.bncheck] of its
    pyproject.toml, which `bncheck init` writes; what the command line says wins.

    \b
    Exit codes:
      0  every result is as requested, or differs as documented or expected
      1  something fails, or an expectation no longer holds
      2  usage error or a bad case file; nothing was run
      3  an error (crash, hang, nonsense), or a runner that was named did not run
      4  nothing could be judged
    130  Ctrl-C or SIGTERM; what was finished is reported

    \b
    Examples:
      bncheck run cases/
      bncheck run cases/ -k 'epsilon and not training' --all
      bncheck run cases/ --update-expectations
      bncheck run --runner '*' --runner mine=kernels/bn.py:batch_norm --report table --report json=results.json
      bncheck run cases/ --report table --report github --report junit=junit.xml
    """
    from bncheck.running import engine
    from bncheck.running.beginning import begin
    from bncheck.running.events import DEVICES, Options
    from bncheck.running.expecting import gate
    from bncheck.running.journal import Journal

    wanted = check(reports)
    if update and not (paths or expectations):
        raise click.UsageError("--update-expectations: name the cases, or a file with --expectations")
    paths = paths or (corpus(),)
    loaded = load_or_exit(paths, max_elements)
    books = books_or_exit(paths, loaded, expectations, update=update)
    cases = matched(loaded, expression)
    settings = click.get_current_context().obj
    with interruptible():
        runners = runners_or_exit(spellings, settings.environments)

    started = time.time()
    beginning = begin(started, cases)
    judging = gate(books, started, runners, settings.runners)
    devices = DEVICES if device == "all" else (device,)
    options = Options(devices=devices, timeout=timeout, max_memory=max_memory, jobs=jobs, verbose=verbose)
    try:
        journals = [Journal(path, beginning) for form, path in wanted if form == "json" and path and replaceable(path)]
    except OSError as error:
        raise click.UsageError(f"{error.filename} cannot be written: {error.strerror}") from None
    findings, interrupted = _run(engine.run(cases, runners, options), judging, journals, max_fail)
    cut_short = interrupted or findings.failures >= (max_fail or math.inf)
    document = findings.document(beginning, stale=judging.stale(cut_short=cut_short), cut_short=cut_short)
    write(wanted, document, seconds=time.time() - started, every=every)
    for journal in journals:
        journal.remove()
    if interrupted:
        return INTERRUPTED
    settled = update and not cut_short
    if settled:
        bring_up_to_date(books, judging, document.results)
    elif unjudged := judging.unjudged():
        told = f"{unjudged} of {len(judging.seen)} expectations"
        click.echo(f"not judged, because what they are about did not run: {told}", err=True)
    return _exit_code(document, runners, gpu=device == "gpu", stale=not settled)


def _run(
    events: Generator[Event, None, None], gate: Gate, journals: Sequence[Journal], max_fail: int | None
) -> tuple[Findings, bool]:
    """What a run finds until it is over, is interrupted (which is told too) or has failed ``max_fail`` times."""
    from bncheck.cli.progress import Progress
    from bncheck.document import Findings
    from bncheck.running.events import found

    findings = Findings()
    with interruptible(), contextlib.closing(events), Progress() as progress:
        try:
            for event in events:
                progress.on(event)
                if (news := found(event)) is None:
                    continue
                news = gate.take(news)
                for journal in journals:
                    journal.add(news)
                findings.add(news)
                if findings.failures == max_fail:
                    break
        except KeyboardInterrupt:
            return findings, True
    return findings, False


def _exit_code(document: Document, runners: Sequence[Runner], *, gpu: bool, stale: bool) -> int:
    """By the contract; a runner that was named has to have run, and where ``gpu`` was named, some runner on it;
    ``stale``: expectations that no longer hold count."""
    ran = {i.runner for i in document.implementations if i.available}
    summary = document.summary
    if summary.error or (gpu and not ran) or any(r.named and r.spelling not in ran for r in runners):
        return 3
    if summary.fail or (stale and document.stale):
        return 1
    return 0 if summary.passed or summary.known else 4
