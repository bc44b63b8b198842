"""``bncheck power``"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bncheck.causes import CauseKind
from bncheck.cli.paths import load_or_exit, matching, max_elements
from bncheck.cli.settings import WithSettings, paths
from bncheck.reports.columns import WIDTH

if TYPE_CHECKING:
    from bncheck.power import Power

COLUMNS: dict[CauseKind, str] = {
    "axis": "axis",
    "batch-variance": "batch",
    "moving-variance": "moving",
    "mode": "mode",
    "epsilon-placement": "place",
    "parameters": "params",
    "moving-update": "update",
    "precision": "bits",
    "cancellation": "cancel",
    "gradient": "grad",
}
"""Short headings of the kinds of defects, told below the table."""

LEGEND = """\
epsilon, momentum: the smallest difference that is noticed. Of each other kind, how many defects:
batch, moving: its variance by the other estimator. place: epsilon outside the root, or as a floor.
params: gamma, beta, mean or variance left out or taken for another. update: of moving statistics.
bits: arithmetic in fewer. cancel: a variance as E[x^2] - E[x]^2. grad: in gradients alone."""

SEEN_BY: dict[CauseKind, str] = {
    "epsilon": "a wrong epsilon: add a channel with a variance near or below epsilon",
    "momentum": "a wrong momentum: add a case in training whose moving statistics are not those of its batch",
    "axis": "a wrong axis: add a case in training whose axes are longer than 1, or of the same length in inference",
    "batch-variance": "a batch normalized by the unbiased variance: add a case in training with few values a channel",
    "moving-variance": "an unbiased moving variance, or a biased one: add a case in training with few values a channel",
    "mode": "statistics of the wrong mode: give moving statistics unlike the batch's, and a batch of more than one",
    "epsilon-placement": "epsilon outside the root or as a floor: add a channel with a variance near or below epsilon",
    "parameters": "parameters left out or taken for each other: give gamma, beta, mean and variance different values",
    "moving-update": "moving statistics that are not updated, or twice: check them in training, with momentum below 1",
    "precision": "arithmetic in fewer bits: check an output with values of many digits",
    "cancellation": "a variance as E[x^2] - E[x]^2: add a case in training with means of 100 deviations and more, and "
    "64 to 1,000 values a channel",
    "gradient": "a wrong backward pass: check `gradients` in training and in inference",
}
"""For each kind, what no case sees, and which case would."""


@click.command("power", cls=WithSettings)
@paths(required=True)
@matching
@max_elements
def command(paths: tuple[Path, ...], expression: str | None, max_elements: int | None) -> None:
    """Say what a set of cases could ever catch, without running any implementation.

    PATHs are case files or folders of them; without any, those of [tool.bncheck] in pyproject.toml.

    Each case is read under every known defect. The table shows the smallest wrong epsilon and momentum that the case
    would notice, as differences, and how many defects of each other kind; a dash where it notices none, n/a where its
    mode or tensors have none. What no case sees is listed last, with the case that would.

    \b
    Examples:
      bncheck power cases/
      bncheck power cases/questions/video.yaml
    """
    from bncheck.power import power, unseen

    powers = [power(loaded) for loaded in load_or_exit(paths, max_elements, expression)]
    click.echo(f"{_table(powers)}\n\n{LEGEND}\n")
    blind = unseen(powers)
    if not blind:
        click.echo("Every kind of defect is seen by some case.")
        return
    click.echo("No case sees")
    for kind in blind:
        click.echo(textwrap.fill(f"{SEEN_BY[kind]}.", WIDTH, initial_indent="  ", subsequent_indent="    "))


def _table(powers: Sequence[Power]) -> str:
    shared = _shared([p.case for p in powers])
    rows = [
        ["epsilon", "momentum", *COLUMNS.values()],
        *([_difference(p.epsilon), _difference(p.momentum), *(_count(*p.noticed[k]) for k in COLUMNS)] for p in powers),
    ]
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    left = WIDTH - sum(widths) - len(widths)
    names = [f"case, in {shared}" if shared else "case", *(p.case[len(shared) :] for p in powers)]
    return "\n".join(
        f"{_short(name, left):<{left}} " + " ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        for name, row in zip(names, rows, strict=True)
    )


def _shared(ids: Sequence[str]) -> str:
    """The folder that all cases lie in."""
    folders = {case.rpartition("/")[0] for case in (i.partition("[")[0] for i in ids)}
    return f"{folders.pop()}/" if len(folders) == 1 and "" not in folders else ""


def _short(name: str, width: int) -> str:
    """A name with its beginning and its end, since cells of one file differ there."""
    return name if len(name) <= width else f"{name[: width - 13]}...{name[-10:]}"


def _difference(smallest: float | None) -> str:
    return "-" if smallest is None else f"{smallest:.0e}"


def _count(seen: int, of: int) -> str:
    return "n/a" if not of else "-" if not seen else "all" if seen == of else f"{seen}/{of}"
