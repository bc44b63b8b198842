"""``bncheck environments``"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from bncheck.cli.interrupting import interruptible
from bncheck.cli.runners import CannotRun
from bncheck.cli.settings import WithSettings

if TYPE_CHECKING:
    from bncheck.environments.cache import Built
    from bncheck.environments.wanted import Wanted
    from bncheck.settings import Settings

FAILED = 3


@click.group("environments")
def command() -> None:
    """Show, build and remove the environments that runners run in, as in --runner keras@ENVIRONMENT.

    An environment is set as [tool.bncheck.environments.NAME] in pyproject.toml, with `python` (a version or a path) and
    `packages`, or with `interpreter`, one that exists; or it is written out, as releases with spaces between them. What
    is built is kept in your cache and used again.

    \b
    Example:
      bncheck environments build tf-old
    """


@command.command("list", cls=WithSettings)
@click.pass_obj
def list_(settings: Settings) -> None:
    """Show the environments that are set, and what is built.

    \b
    Example:
      bncheck environments list
    """
    from bncheck.environments import cache
    from bncheck.environments.interpreter import BadInterpreter, inspect
    from bncheck.reports.columns import columns, shortened, wrapped

    built = {each.key: each for each in cache.built()}
    rows, unusable, seen = [], [], set()
    for name, wanted in settings.environments.items():
        there = built.get(cache.key(wanted)) if wanted.interpreter is None else None
        seen.add(there)
        try:
            place = wanted.interpreter or (there and there.folder)
            state = f"Python {inspect(name, place).python_version}" if place else "not built"
        except BadInterpreter as error:
            state = "cannot be used"
            unusable.append(wrapped(f"{name}: {error}", hanging="  "))
        rows.append([shortened(name, 30), _size(there), state, wanted.said])
    rows += [[each.key, _size(each), "not set", each.said] for each in built.values() if each not in seen]
    if rows:
        click.echo(columns(["environment", "size", "state", "of"], rows, right=["size"]))
        click.echo("\n".join(["", *unusable, f"built ones are in {cache.folder()}"]))
    else:
        click.echo("No environment is set in pyproject.toml, and none is built.")


@command.command(cls=WithSettings)
@click.argument("names", nargs=-1, metavar="[ENVIRONMENT]...")
@click.pass_obj
def build(settings: Settings, names: Sequence[str]) -> int:
    """Build environments, side by side; without a name, all that are set.

    \b
    Exit codes: 0 all are there, 2 usage, 3 one cannot be built

    \b
    Examples:
      bncheck environments build
      bncheck environments build 'tensorflow-cpu==2.15.1'
    """
    import contextlib

    from bncheck.cli.placing import Building
    from bncheck.environments import builder
    from bncheck.environments.interpreter import BadInterpreter

    wanted = [_named(name, settings) for name in names] or list(settings.environments.values())
    if not wanted:
        raise click.UsageError("no environment is set in pyproject.toml; name one, such as tensorflow-cpu==2.15.1")
    failed = False
    with interruptible(), contextlib.closing(builder.build(wanted)) as events, Building() as building:
        for event in events:
            building.on(event)
            if isinstance(event, builder.Ended):
                if isinstance(event.outcome, BadInterpreter):
                    failed = True
                else:
                    click.echo(f"{event.name}  {event.outcome.python}")
    return FAILED if failed else 0


@command.command(cls=WithSettings)
@click.argument("names", nargs=-1, metavar="[ENVIRONMENT]...")
@click.option("--all", "every", is_flag=True, help="Remove everything that is built, set or not.")
@click.pass_obj
def remove(settings: Settings, names: Sequence[str], every: bool) -> None:
    """Remove built environments from the cache, by name or as listed.

    \b
    Exit codes: 0 removed, 2 usage, 3 one cannot be removed

    \b
    Examples:
      bncheck environments remove tf-old
      bncheck environments remove --all
    """
    from bncheck.environments import cache

    if bool(names) == every:
        raise click.UsageError("name what to remove, or give --all")
    built = {each.key: each for each in cache.built()}
    chosen = list(built.values())
    if names:
        wanted = {name: _named(name, settings) for name in names if name not in built}
        if existing := [name for name, each in wanted.items() if each.interpreter is not None]:
            raise click.UsageError(f"{existing[0]} was not built by bncheck, and is not removed by it")
        keys = [name if name in built else cache.key(wanted[name]) for name in names]
        if absent := [name for name, key in zip(names, keys, strict=True) if key not in built]:
            raise click.UsageError(f"{absent[0]} is not built; `bncheck environments list` shows what is")
        chosen = [built[key] for key in dict.fromkeys(keys)]
    for each in chosen:
        try:
            cache.remove(each)
        except OSError as error:
            raise CannotRun(f"{error.filename}: {error.strerror}") from None
        click.echo(f"removed {each.said}")


def _named(text: str, settings: Settings) -> Wanted:
    from bncheck.environments.wanted import named

    try:
        return named(text, settings.environments)
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def _size(built: Built | None) -> str:
    return "-" if built is None else f"{built.size / 2**20:,.0f} MiB"
