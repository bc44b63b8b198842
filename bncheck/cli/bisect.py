"""``bncheck bisect``"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
from tqdm import tqdm

from bncheck.cli.interrupting import interruptible
from bncheck.cli.paths import case_named, roots
from bncheck.cli.placing import one_runner_or_exit
from bncheck.cli.runners import CannotRun, spellings_from

if TYPE_CHECKING:
    from packaging.version import Version

    from bncheck.bisection.change import Change
    from bncheck.bisection.log import Log
    from bncheck.bisection.trial import Question, Tried
    from bncheck.spelling import Spelling

INTERRUPTED = 130
UNCHANGED = 4


@click.command("bisect")
@click.argument("identity", metavar="CASE")
@click.option(
    "--runner",
    "spelling",
    required=True,
    metavar="RUNNER",
    shell_complete=spellings_from,
    help="The runner's name, or one's own as LABEL=FILE.py:FUNCTION.",
)
@click.option("--package", required=True, metavar="NAME", help="The package whose releases are tried.")
@click.option("--good", required=True, metavar="RELEASE", help="The release with which others are compared.")
@click.option(
    "--bad", required=True, metavar="RELEASE", help="A release, newer or older, where something else is found."
)
@click.option(
    "--with",
    "besides",
    multiple=True,
    metavar="REQUIREMENT",
    help="What to install besides, such as 'protobuf<3.21'. Repeatable; what the runner needs is there without it.",
)
@click.option(
    "--python",
    metavar="VERSION",
    help="Such as 3.9; of those found here, the one for most of the releases unless given.",
)
@roots
@click.option(
    "--log",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where to keep what was tried, and go on from; a file in the user's cache unless given.",
)
def command(
    identity: str,
    spelling: str,
    package: str,
    good: str,
    bad: str,
    besides: tuple[str, ...],
    python: str | None,
    roots: tuple[Path, ...],
    path: Path | None,
) -> int:
    """Find the release in which what a case finds changed: its verdict, or the causes.

    CASE is an id as reports print it, with its cell. The releases are those that the index of pip has wheels of for a
    Python that is found here. Both ends are tried first, then halves of what is left, each in an environment of its
    own, built with uv as it could be when that release was new. What cannot be installed or does not run is skipped.
    The same command goes on where it was ended.

    \b
    Exit codes:
      0  the release is found, or those are named of which it is one
      2  usage error
      3  an end cannot be judged, or the index, the network or the disk fails
      4  nothing changed from one end to the other
    130  Ctrl-C or SIGTERM

    \b
    Example:
      bncheck bisect questions/epsilon-0 --runner tf-keras --package tensorflow-cpu --good 2.8.4 --bad 2.13.1
    """
    from bncheck.bisection.answer import answer
    from bncheck.bisection.log import BadLog, Log
    from bncheck.bisection.releases import NoIndex, NoRelease, between
    from bncheck.bisection.trial import CannotGoOn, Question
    from bncheck.environments import cache, pythons
    from bncheck.environments.interpreter import BadInterpreter
    from bncheck.reports.columns import counted

    loaded = case_named(identity, roots)
    question = Question(loaded, _runner(spelling), *_judged(package, besides, python))
    named, path = path is not None, path or cache.folder().parent / "bisections" / f"{question.key}.jsonl"
    try:
        log = Log(path, question.key)
    except BadLog as error:
        raise (click.UsageError(f"--log: {error}") if named else CannotRun(str(error))) from None
    try:
        with interruptible():
            click.echo(f"asking the index for the releases of {question.package}", err=True)
            usable = [python] if python else [version for version, _ in pythons.newest()]
            releases, on = between(question.package, good, bad, usable)
            click.echo(
                f"{counted(len(releases), 'release')}, {len(log.tried)} tried before; log: {path}",
                err=True,
            )
            change = _found(question, releases, on, log)
    except NoRelease as error:
        raise click.UsageError(str(error)) from None
    except (NoIndex, CannotGoOn, BadLog, BadInterpreter) as error:
        raise CannotRun(f"{error}\nThe same command goes on from here.") from None
    except KeyboardInterrupt:
        click.echo(f"ended; to go on:\n  {shlex.join(['bncheck', *sys.argv[1:]])}", err=True)
        return INTERRUPTED
    click.echo(answer(question, change))
    return 0 if change.is_one else UNCHANGED


def _runner(text: str) -> Spelling:
    """The one runner that is spelled so, in no environment; else a usage error."""
    from bncheck.spelling import Spelling

    spelling = Spelling.parse(text)
    if spelling.environment is not None:
        raise click.UsageError(f"--runner {text}: leave out @{spelling.environment}; --package says what is installed")
    return Spelling(one_runner_or_exit(text, {}).spelling, own=spelling.own)


def _judged(package: str, besides: tuple[str, ...], python: str | None) -> tuple[str, tuple[str, ...], str | None]:
    """What is to be installed, on which Python, as it was given if it is a name, requirements and a version; else a
    usage error."""
    from bncheck.bisection.releases import distribution
    from bncheck.environments.wanted import is_version, requirement

    try:
        judged = distribution(package), tuple(requirement(each) for each in besides), python
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    if python is not None and not is_version(python):
        raise click.UsageError(f"--python {python!r} is no version; write for example 3.9")
    return judged


def _found(question: Question, releases: list[Version], on: dict[Version, str], log: Log) -> Change:
    """The change, while each release that is tried is told and kept in the log. Raises `CannotRun`."""
    from bncheck.bisection.answer import line
    from bncheck.bisection.change import EndSkipped, find

    def attempt(release: Version) -> Tried:
        tried = log.tried.get(str(release))
        if tried is not None and (tried.result is not None or release not in ends):  # there is no way without an end
            bar.write(line(tried, "from the log"), file=sys.stderr)
            return tried
        bar.set_description_str(str(release))
        tried = question.put(release, on[release], lambda text: bar.set_description_str(f"{release}: {text[:70]}"))
        log.add(tried)
        bar.write(line(tried, f"{tried.seconds:.0f} s"), file=sys.stderr)
        return tried

    ends, form = (releases[0], releases[-1]), "{desc} {elapsed}"
    with tqdm(leave=False, bar_format=form, file=sys.stderr, disable=not sys.stderr.isatty()) as bar:
        try:
            return find(releases, attempt)
        except EndSkipped as error:
            end = error.tried
            raise CannotRun(
                f"{question.package} {end.release}, an end, cannot be judged: {end.skipped}\n"
                f"Name another end, or add what it needs, such as --with 'protobuf<3.21'"
            ) from None
