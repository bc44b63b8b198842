"""``bncheck runners``"""

from __future__ import annotations

import click


@click.command("runners")
@click.option("--verbose", is_flag=True, help="Pass on what the frameworks print.")
def command(verbose: bool) -> None:
    """Show which implementations can run here: versions, devices, and why others cannot.

    Each framework is really imported, in a process of its own.
    """
    from tabulate import tabulate

    from bncheck.document import Implementation
    from bncheck.run import engine, runners

    found = [
        e for e in engine.run([], runners.select([]), engine.Options(verbose=verbose)) if isinstance(e, Implementation)
    ]
    rows = [[i.runner, i.version or "-", i.device if i.available else "-", i.reason or ""] for i in found]
    headers = ["runner", "version", "devices", "why not"]
    text = tabulate(sorted(rows), headers, tablefmt="plain", disable_numparse=True)
    click.echo("\n".join(line.rstrip() for line in text.splitlines()))
