"""Settings as commands take them: in place of options that were not given, judged and told with their place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from bncheck.pyproject import BadProject
from bncheck.settings import Settings, read

STANDS_FOR = {"spellings": "runners", "max_memory": "max-memory"}
"""The settings that have another name than the parameter of a command that they stand in for."""

F = TypeVar("F", bound=Callable[..., Any])


class Refused(click.ClickException):
    """A pyproject.toml that cannot be used: lines that say where, what, and how to mend it."""

    exit_code = 2

    def show(self, file: Any = None) -> None:
        click.echo(self.message, file=file, err=True)


class WithSettings(click.Command):
    """A command whose parameters settings stand in for; its `obj` is the `Settings`."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        refused = None
        completing = extra.get("resilient_parsing", False)
        try:
            settings = Settings() if completing else read(Path.cwd())
        except BadProject as error:
            settings, refused = Settings(), Refused(str(error))
        defaults = {
            "spellings": settings.runners,
            "device": settings.device,
            "timeout": settings.timeout,
            "max_memory": settings.max_memory,
            "expectations": settings.expectations,
        }
        made = {name: value for name, value in defaults.items() if value not in (None, ())}
        try:
            context = super().make_context(info_name, args, parent, obj=settings, default_map=made, **extra)
        except click.UsageError as error:
            if isinstance(error, click.BadParameter) and error.ctx and error.param and error.param.name:
                refused = refused or _placed(error.ctx, error.param.name, error.message)
            if refused is None:
                raise
        if refused is not None:  # only now, so that --help is shown
            raise refused
        return context


def paths(*, required: bool) -> Callable[[F], F]:
    """The argument PATH..., for which the setting ``paths`` stands in; ``required``: one of the two."""

    def settled(ctx: click.Context, _: click.Parameter, value: tuple[Path, ...]) -> tuple[Path, ...]:
        chosen: tuple[Path, ...] = value or ctx.obj.paths
        if required and not chosen:
            message = "name case files or folders of them, here or as `paths` in [tool.bncheck] of pyproject.toml"
            raise click.UsageError(message, ctx)
        return chosen

    return click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="[PATH]...", callback=settled)


def wrong(parameter: str, message: str) -> click.ClickException:
    """What is wrong with the value of a parameter of the current command, to be raised: a usage error, or if a setting
    stood in for it, with the place of that."""
    return _placed(click.get_current_context(), parameter, message) or click.UsageError(message)


def _placed(context: click.Context, parameter: str, message: str) -> Refused | None:
    """What is wrong with a setting that stood in for a parameter; None if it was given itself."""
    if context.get_parameter_source(parameter) is not ParameterSource.DEFAULT_MAP:
        return None
    return Refused(str(context.obj.bad(STANDS_FOR.get(parameter, parameter), message)))
