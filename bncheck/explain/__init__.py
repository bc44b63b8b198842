"""What ``axis`` means for a shape, said without running anything: pure functions from a case to data."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from bncheck.case.model import Case
from bncheck.explain.axes import Axes, Size
from bncheck.explain.defaults import Defaults, Difference, Step, defaults, differences, step
from bncheck.explain.remarks import Remark, remarks
from bncheck.explain.spellings import Spelling, spellings


@dataclass(frozen=True)
class Explanation:
    """What is kept and what is averaged over, whether that looks like a mistake, how the same is written elsewhere,
    in what documented defaults differ, and, of a training case, what a step must move.

    ``asked`` is the axis as written; ``parameters`` are the learned ones that the case has; ``given`` is what it says
    itself of what could be left to an implementation.
    """

    asked: int | tuple[int, ...]
    axes: Axes
    parameters: tuple[str, ...]
    remarks: tuple[Remark, ...]
    spellings: tuple[Spelling, ...]
    defaults: tuple[Defaults, ...]
    differences: tuple[Difference, ...]
    given: dict[str, float | str]
    step: Step | None


def explain(case: Case, *, has_layout: bool = True, unknown: Collection[int] = ()) -> Explanation:
    """What there is to say about a case.

    ``has_layout``: whether its letters were given, rather than put there because a case has some. ``unknown``: the axes
    whose sizes were not given; what the case has there counts for nothing.
    """
    letters = case.input.layout if has_layout else ""
    sizes: list[Size] = list(case.input.shape)
    for axis in unknown:
        sizes[axis] = letters[axis] if letters else f"d{axis}"
    axes = Axes(tuple(sizes), letters, case.channels.kept)
    documented = defaults(case)
    keras, _, torch, *_ = documented
    asked = case.axis if isinstance(case.axis, int) else tuple(case.axis)
    given: dict[str, float | str] = {"epsilon": case.epsilon, "momentum": case.momentum}
    return Explanation(
        asked=asked,
        axes=axes,
        parameters=tuple(name for name, has in (("gamma", case.scale), ("beta", case.center)) if has),
        remarks=remarks(axes),
        spellings=spellings(axes, asked if isinstance(asked, int) else None, keras.groups, torch.groups),
        defaults=documented,
        differences=differences(case, axes, documented),
        given={name: value for name, value in given.items() if value != "default"},
        step=step(case, axes, documented),
    )
