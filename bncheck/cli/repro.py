"""``bncheck repro``"""

from __future__ import annotations

import platform
from pathlib import Path

import click

from bncheck.cli.interrupting import interruptible
from bncheck.cli.paths import case_named, roots
from bncheck.cli.placing import one_runner_or_exit
from bncheck.cli.runners import CannotRun, spellings_from
from bncheck.cli.settings import WithSettings


@click.command("repro", cls=WithSettings)
@click.argument("identity", metavar="CASE")
@click.argument("spelling", metavar="RUNNER", shell_complete=spellings_from)
@roots
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
    from bncheck.running.once import NotRun, once

    with interruptible():
        runner = one_runner_or_exit(spelling, click.get_current_context().obj.environments)
    loaded = case_named(identity, roots)
    try:
        seen = once(loaded, runner, device)
    except NotRun as error:
        raise CannotRun(f"{runner.spelling}: {error}") from None
    reading = runner.documented(loaded.case, device)
    if isinstance(reading, Unsupported) or seen.result.verdict == "unsupported":
        raise click.UsageError(f"{runner.spelling} cannot be asked {loaded.id}: {seen.result.reason}")
    gpu = f", GPU {seen.gpu['name']}" if seen.gpu else ""
    there = runner.environment
    numpy, python = (
        (there.distributions["numpy"], there.python_version) if there else (np.__version__, platform.python_version())
    )
    where = f"NumPy {numpy}, Python {python}, {platform.platform()}{gpu}"
    made = inputs.make(loaded.case, loaded.file.parent)
    if loaded.case.relation is not None and not is_written_out(made):
        raise click.UsageError(
            f"a script of a relation has the tensors of both calls written out, and those of {loaded.id} are too "
            "large; make the case smaller"
        )
    click.echo(script(Seen(loaded, runner, reading, seen.result, seen.version, where), made), nl=False)
