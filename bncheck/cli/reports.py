"""Reports as commands offer them: FORMAT or FORMAT=PATH, several at once, one to standard output."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from bncheck.document import Document

FORMATS = ("table", "json", "html", "markdown", "junit", "github", "sarif", "badge")
"""Each is a module of `bncheck.reports`, imported when it is asked for."""

LONGEST_NAME = 240

Chosen = tuple[str, Path | None]
"""A format, and the file it goes to; None is standard output."""


class NotWritten(click.ClickException):
    """A report is lost, after the run."""

    exit_code = 3


class _Report(click.ParamType):  # type: ignore[type-arg]  # not subscriptable before click 8.4
    name = "FORMAT[=PATH]"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> Chosen:
        form, equals, path = value.partition("=")
        if form not in FORMATS:
            self.fail(f"there is no format {form!r}; there are {', '.join(FORMATS)}", param, ctx)
        if equals and not path:
            self.fail(f"{value!r} names no file; write {form}=PATH, or {form} for standard output", param, ctx)
        if not path:
            return form, None
        target = Path(path).resolve()  # a link stays a link
        if len(target.name) > LONGEST_NAME:
            self.fail(f"{path!r} cannot be written: its name is too long", param, ctx)
        if not target.parent.is_dir():
            self.fail(f"the folder of {path!r} does not exist", param, ctx)
        if target.is_dir():
            self.fail(f"{path!r} is a folder; name a file", param, ctx)
        if not os.access(target if target.exists() else target.parent, os.W_OK):
            self.fail(f"{path!r} cannot be written", param, ctx)
        return form, target

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002
        if "=" in incomplete:
            return [CompletionItem(incomplete, type="file")]
        return [CompletionItem(form) for form in FORMATS if form.startswith(incomplete)]


reports = click.option(
    "--report",
    "reports",
    multiple=True,
    type=_Report(),
    help=f"{', '.join(FORMATS[:-1])} or {FORMATS[-1]}, to standard output or to =PATH. Repeatable; "
    "a table unless given.",
)

every = click.option(
    "--all", "every", is_flag=True, help="List every result in the table, not only what is not a pass."
)


def check(chosen: Sequence[Chosen]) -> list[Chosen]:
    """What is to be written; raises a usage error if two reports have one target. GitHub's commands are lines that may
    stand beside a table."""
    to_stdout = [form for form, path in chosen if path is None]
    if len(to_stdout) > 1 and sorted(to_stdout) != ["github", "table"]:
        names = " and ".join(to_stdout)
        raise click.UsageError(f"{names} cannot both go to standard output; give one a file, FORMAT=PATH")
    files = [path.absolute() for _, path in chosen if path is not None]
    if len(set(files)) < len(files):
        raise click.UsageError("two reports cannot go to one file")
    return list(chosen) or [("table", None)]


def text(form: str, document: Document, *, seconds: float | None, every: bool, colour: bool = False) -> str:
    """A report as text."""
    render: Callable[..., str] = importlib.import_module(f"bncheck.reports.{form}").render
    return render(document, seconds=seconds, every=every, colour=colour) if form == "table" else render(document)


def write(chosen: Sequence[Chosen], document: Document, *, seconds: float | None = None, every: bool = False) -> None:
    """Write reports, each to its file or to standard output, in colours on a terminal unless NO_COLOR is set."""
    for form, path in chosen:
        if path is None:
            colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
            click.echo(text(form, document, seconds=seconds, every=every, colour=colour), nl=False, color=colour)
            continue
        try:
            replace(path, text(form, document, seconds=seconds, every=every))
        except OSError as error:
            raise NotWritten(f"{path} cannot be written: {error.strerror}") from None


def replaceable(path: Path) -> bool:
    """Whether a path is a file or nothing yet, not a device or a pipe."""
    return path.is_file() or not path.exists()


def replace(path: Path, text: str) -> None:
    """Write a file in one step: whoever reads it meanwhile finds the old one or the new."""
    if not replaceable(path):
        path.write_text(text, encoding="utf-8")
        return
    whole = path.with_name(path.name + ".whole")
    try:
        whole.write_text(text, encoding="utf-8")
        whole.replace(path)
    finally:
        whole.unlink(missing_ok=True)
