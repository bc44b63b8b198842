"""``bncheck repro``"""

from __future__ import annotations

import contextlib
import difflib
import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bncheck.cli.interrupting import interruptible
from bncheck.cli.paths import exit_with
from bncheck.cli.placing import runners_or_exit
from bncheck.cli.runners import spellings_from
from bncheck.cli.settings import WithSettings

if TYPE_CHECKING:
    from bncheck.case.load import LoadedCase
    from bncheck.document import Result
    from bncheck.running.runners import Runner

LISTED = 5
"""Ids that are told where one is not there."""


class NotRun(click.ClickException):
    """The runner cannot run here."""

    exit_code = 3


@click.command("repro", cls=WithSettings)
@click.argument("identity", metavar="CASE")
@click.argument("spelling", metavar="RUNNER", shell_complete=spellings_from)
@click.option(
    "--cases",
    "roots",
    multiple=True,
    type=click.Path(path_type=Path, exists=True),
    metavar="PATH",
    help="A case file or a folder of them, where CASE is. Repeatable; ./cases and the cases that come with bncheck "
    "unless given.",
)
@click.option("--device", type=click.Choice(["cpu", "gpu"]), default="cpu", show_default=True, help="Where to run.")
def command(identity: str, spelling: str, roots: tuple[Path, ...], device: str) -> None:
    """Print one case on one runner as a script that runs without bncheck.

    CASE is an id as reports print it, with its cell. RUNNER is a runner's name, or one's own as
    LABEL=FILE.py:FUNCTION. The case is run once, to say in the script what was seen. The script has the tensors, the
    very call, the numbers that should come out, the difference in units of what rounding explains, and the versions;
    it exits with 1 if a number is farther off than that. It needs NumPy and the framework: paste it into an issue.

    \b
    Examples:
      bncheck repro 'questions/features[axis=-1]' torch > repro.py
      bncheck repro questions/epsilon-1e-3 mine=kernel.py:batch_norm > repro.py
    """
    import numpy as np

    from bncheck.case import inputs
    from bncheck.documented.reading import Unsupported
    from bncheck.repro.relation import is_written_out
    from bncheck.repro.script import script
    from bncheck.repro.seen import Seen

    with interruptible():
        runners = runners_or_exit([spelling], click.get_current_context().obj.environments)
    if len(runners) > 1:
        raise click.UsageError(f"{spelling!r} are several runners; name one, such as {runners[0].spelling}")
    (runner,) = runners
    loaded = _case(identity, roots)
    result, version, gpu = _run(loaded, runner, device)
    reading = runner.documented(loaded.case, device)
    if isinstance(reading, Unsupported) or result.verdict == "unsupported":
        raise click.UsageError(f"{runner.spelling} cannot be asked {loaded.id}: {result.reason}")
    where = f"NumPy {np.__version__}, Python {platform.python_version()}, {platform.platform()}{gpu}"
    made = inputs.make(loaded.case, loaded.file.parent)
    if loaded.case.relation is not None and not is_written_out(made):
        raise click.UsageError(
            f"a script of a relation has the tensors of both calls written out, and those of {loaded.id} are too "
            "large; make the case smaller"
        )
    click.echo(script(Seen(loaded, runner, reading, result, version, where), made), nl=False)


def _case(identity: str, roots: Sequence[Path]) -> LoadedCase:
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


def _run(loaded: LoadedCase, runner: Runner, device: str) -> tuple[Result, str, str]:
    """What is found of the case, with which version, and on which GPU if on one. Raises `NotRun`."""
    from bncheck.document import Findings
    from bncheck.running import engine
    from bncheck.running.events import Options, found

    findings = Findings()
    with contextlib.closing(engine.run([loaded], [runner], Options(devices=(device,)))) as events:
        for event in events:
            if (news := found(event)) is not None:
                findings.add(news)
    (implementation,) = findings.implementations
    if not implementation.available:
        raise NotRun(f"{runner.spelling}: {implementation.reason}")
    (result,) = findings.results
    gpu = f", GPU {findings.gpu['name']}" if findings.gpu else ""
    return result, implementation.version or "", gpu
