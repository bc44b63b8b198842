"""``bncheck init``"""

from __future__ import annotations

import shlex
import textwrap
from pathlib import Path

import click

from bncheck import pyproject
from bncheck.cli.settings import Refused
from bncheck.pyproject import BadProject
from bncheck.reports.columns import WIDTH

WORKFLOWS = ("github", "github-gpu", "gitlab")

GPU_FAMILIES = ("tensorflow", "torch")


@click.command("init")
@click.argument("folder", default=".", type=click.Path(path_type=Path, file_okay=False), metavar="[FOLDER]")
@click.option("--workflow", type=click.Choice(WORKFLOWS), help="Write a workflow for CI too, which runs the cases.")
def command(folder: Path, workflow: str | None) -> None:
    """Write what a project starts with, into FOLDER or here.

    A few small cases fit for what is installed, an expectations file without entries, and [tool.bncheck] in
    pyproject.toml, which names the runners found. What exists already is left as it is.

    A workflow installs bncheck with what is installed here, runs the cases on every push, and keeps the reports, of
    failures too: for GitHub, for GitHub with a GPU on a machine of one's own, or for GitLab.

    \b
    Examples:
      bncheck init && bncheck run
      bncheck init --workflow github
    """
    from bncheck import documented, init
    from bncheck.running.runners import select

    runners = select([])
    found = [runner for runner in runners if runner.missing is None]
    here = [runner.spelling for runner in found]
    on_gpu = [runner.spelling for runner in found if runner.family in GPU_FAMILIES]
    if workflow == "github-gpu" and not on_gpu:
        raise click.UsageError("no framework that runs on a GPU is installed here; pip install 'bncheck[torch]' first")
    absent = [runner.spelling for runner in runners if runner.missing is not None]
    file = folder / pyproject.NAME
    try:
        project = pyproject.parse(file, pyproject.read(file) if file.exists() else b"")
        section = init.added(project, here) if project.table is None else None
    except BadProject as error:
        raise Refused(str(error)) from None

    for name, text in init.files({runner.family for runner in found}).items():
        _tell(folder / name, None if _write(folder / name, text) else "it exists")
    if section is not None:
        _write(file, section, more=True)
    _tell(file, None if section is not None else "it has [tool.bncheck]")
    has_paths = section is not None or (isinstance(project.table, dict) and "paths" in project.table)
    if workflow is not None:
        extras = {extra for name in here if (extra := documented.of(name).EXTRA)}
        written = init.workflow(workflow, extras=extras, on_gpu=on_gpu, paths_are_set=has_paths)
        for name, text in written.items():
            exists = f"it exists; let it say {init.INCLUDE}" if name == init.GITLAB else "it exists"
            _tell(folder / name, None if _write(folder / name, text) else exists)

    click.echo(f"\nRunners here: {', '.join(here)}")
    if absent:
        others = f"Not here, so not in {file}: {', '.join(absent)} (`bncheck runners` says why)"
        click.echo(textwrap.fill(others, WIDTH, break_on_hyphens=False, break_long_words=False))
    if workflow is None:
        click.echo(f"In CI: bncheck init --workflow, for {', '.join(WORKFLOWS[:-1])} or {WORKFLOWS[-1]}")
    run = "bncheck run" if has_paths else "bncheck run cases"
    click.echo(f"Next: {run if folder == Path() else f'cd {shlex.quote(str(folder))} && {run}'}")


def _write(file: Path, content: bytes, *, more: bool = False) -> bool:
    """Whether a file was written: a new one, or ``more`` at the end of one that may be there."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("ab" if more else "xb") as stream:
            stream.write(content)
    except OSError as error:
        if isinstance(error, FileExistsError) and file.exists():
            return False
        raise Refused(f"{error.filename} cannot be written: {error.strerror}") from None
    return True


def _tell(file: Path, left: str | None) -> None:
    click.echo(f"left   {file}: {left}" if left else f"wrote  {file}")
