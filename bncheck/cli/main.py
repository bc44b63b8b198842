"""The command line: one module a command, imported when it is called."""

from __future__ import annotations

import importlib
import sys

import click
from click.shell_completion import CompletionItem

COMMANDS = {
    "init": "Write a few cases and settings to start with.",
    "run": "Run cases on every implementation installed and judge every difference.",
    "explain": "Say what an axis means: what is kept, how others write it, whether it looks like a mistake.",
    "power": "Say what a set of cases could ever catch, without running any implementation.",
    "lint": "Check case files without running them.",
    "schema": "Print the JSON Schema of case files, expectations or results, for editors and programs.",
    "report": "Render a report of a results document, whenever it was written.",
    "diff": "Say what changed from one run to another, by their results documents.",
    "bisect": "Find the release in which what a case finds changed, in environments of old and new ones.",
    "repro": "Print a failure as a script that runs without bncheck, for an upstream issue.",
    "environments": "Show, build and remove the environments of old and new releases that runners run in.",
    "runners": "Show which implementations can run here, their versions, and why others cannot.",
}
"""Each command and what it does; stated here so that listing them imports none."""


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"bncheck.cli.{cmd_name}").command
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        commands = [CompletionItem(name, help=does) for name, does in COMMANDS.items() if name.startswith(incomplete)]
        return commands + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _show_versions(ctx: click.Context, _: click.Parameter, asked: bool) -> None:
    if asked and not ctx.resilient_parsing:
        from bncheck.cli.version import versions

        click.echo(versions())
        ctx.exit()


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_show_versions,
    help="Show the versions of bncheck and of the frameworks installed.",
)
def cli() -> None:
    """Which frameworks agree about batch normalization, and why the others do not.

    \b
    Examples:
      bncheck run cases/
      bncheck explain --shape 4,30,64,64 --layout NCHW --axis -1
    """


def main() -> None:
    """Run the command line; Ctrl-C ends it with exit code 130."""
    try:
        result = cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except OSError as error:  # standard output is full, say
        if error.filename is not None:
            raise
        click.echo(f"Error: {error.strerror}", err=True)
        sys.exit(3)
    sys.exit(result if isinstance(result, int) else 0)
