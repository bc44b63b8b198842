"""Where an implementation fixes the place of the channel: how the case's axes become those that it takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bncheck.case.model import Case


@dataclass(frozen=True)
class Arrangement:
    """Each axis of what is handed over is made of the case's axes in ``groups``, in order; ``axis`` is the one kept."""

    groups: tuple[tuple[int, ...], ...]
    axis: int
    note: str

    def described(self, case: Case) -> dict[str, Any]:
        """As the worker takes it."""
        return {
            "groups": [list(g) for g in self.groups],
            "shape": list(case.channels.shape),
            "statistic": list(case.channels.statistic_shape),
        }


def _note(case: Case, groups: tuple[tuple[int, ...], ...]) -> str:
    letters = ("".join(case.input.layout[a] for a in group) or "1" for group in groups)
    return f"{case.input.layout} to " + "".join(part if len(part) == 1 else f"({part})" for part in letters)


def _reduced(case: Case) -> list[tuple[int, ...]]:
    return [(axis,) for axis in range(len(case.input.shape)) if axis not in case.channels.kept]


def placeless(case: Case) -> bool:
    """Whether an axis of length 0 comes behind the channel where that is second: there is nothing to convolve."""
    return any(case.input.shape[axis] == 0 for (axis,) in _reduced(case)[1:])


def channel_last(case: Case, *, least: int = 2, most: int | None = None) -> Arrangement:
    """The kept axes merged into the last one, in a rank from ``least`` to ``most``; what is too many is merged too."""
    before = _reduced(case)
    if most is not None and len(before) > most - 1:
        before = [*before[: most - 2], tuple(a for (a,) in before[most - 2 :])]
    before += [()] * (least - 1 - len(before))
    groups = (*before, case.channels.kept)
    return Arrangement(groups, len(groups) - 1, _note(case, groups))


def channel_second(case: Case, *, most: int, least: int = 2) -> Arrangement:
    """The kept axes merged into axis 1, behind the first of the others, in a rank from ``least`` to ``most``."""
    others = _reduced(case) or [()]
    first, rest = others[0], others[1:]
    if len(rest) > most - 2:
        rest = [tuple(a for (a,) in rest)]
    rest += [()] * (least - 2 - len(rest))
    groups = (first, case.channels.kept, *rest)
    return Arrangement(groups, 1, _note(case, groups))
