"""``bncheck runners``"""

from __future__ import annotations

import click


class CannotRun(click.ClickException):
    """A runner that was named cannot run, or not be judged."""

    exit_code = 3


def spellings_from(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:  # noqa: ARG001
    """What a shell completes a runner's name to: the built-in ones."""
    from bncheck import documented

    return [spelling for spelling in documented.spellings() if spelling.startswith(incomplete)]


@click.command("runners")
@click.option("--verbose", is_flag=True, help="Pass on what the frameworks print.")
def command(verbose: bool) -> None:
    """Show which implementations can run here: versions, devices, and why others cannot.

    Each framework is really imported, in a process of its own; `bncheck --version` is quicker and imports none.

    \b
    Example:
      bncheck runners --verbose
    """
    from tabulate import tabulate

    from bncheck import documented
    from bncheck.document import Implementation
    from bncheck.running import engine, runners
    from bncheck.running.events import DEVICES, Options
    from bncheck.running.line import NO_GPU

    options = Options(devices=DEVICES, verbose=verbose)
    found = [e for e in engine.run([], runners.select(documented.built_in()), options) if isinstance(e, Implementation)]
    rows = []
    for name in sorted({i.runner for i in found}):
        places = [i for i in found if i.runner == name]
        devices = ", ".join(i.device for i in places if i.available) or "-"
        why = next((i.reason for i in places if not i.available and i.reason != NO_GPU), None)
        rows.append([name, places[0].version or "-", devices, why or ", ".join(documented.variants(name))])
    headers = ["runner", "version", "devices", "variants, or why not"]
    text = tabulate([headers, *rows], tablefmt="plain", disable_numparse=True)
    click.echo("\n".join(line.rstrip() for line in text.splitlines()))
