"""What implementations document of a plain call, in what that makes them differ, and what a training step must move."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bncheck.case.model import Case
from bncheck.documented import flax_linen, keras, onnx, tf_keras, torch
from bncheck.documented.reading import SWITCHES, Call, Reading, Source, Unsupported
from bncheck.explain.axes import Axes
from bncheck.explain.spellings import Groups
from bncheck.semantics import Estimator


@dataclass(frozen=True)
class Defaults:
    """What an implementation documents of a call on this shape that says nothing but the axis.

    ``momentum`` weighs the old statistic. ``path``: which way it takes, where that depends on the call. ``groups``: the
    axes that it is handed, where not x's. ``refusal``: what it wants and the case does not give, so that it raises.
    """

    name: str
    epsilon: float
    momentum: float
    moving_variance: Estimator
    mode: str
    source: Source
    path: str = ""
    groups: Groups | None = None
    refusal: str = ""


FLAX = Defaults(
    name="Flax",
    epsilon=flax_linen.EPSILON,
    momentum=flax_linen.MOMENTUM,
    moving_variance="biased",
    mode="none (nnx: training)",  # linen asks for use_running_average
    source=flax_linen.MODULE,
)

ONNX = Defaults(
    name="ONNX",
    epsilon=onnx.EPSILON,
    momentum=onnx.MOMENTUM,
    moving_variance="biased",  # "the population variance", its words are
    mode="inference",
    source=onnx.OPERATOR,
)


def defaults(case: Case) -> tuple[Defaults, ...]:
    """Of Keras 3, tf_keras, PyTorch, Flax and ONNX, on the case's shape, axis and dtype; the newest facts of each."""
    asked = case.model_copy(update={"adapt": True})
    without = {switch: absent for switch, (absent, _) in SWITCHES.items()}
    plain = asked.model_copy(update={"epsilon": "default", "momentum": "default", "mode": "default"})
    found = []
    for name, module, source in (
        ("Keras 3", keras, keras.LAYER),
        ("tf_keras", tf_keras, tf_keras.LAYER),
        ("PyTorch", torch, torch.MODULE),
    ):
        reading, of_the_case = module.documented(Call(plain)), module.documented(Call(asked))
        if isinstance(reading, Unsupported):  # it has no such switch: of its defaults as they are without
            reading = module.documented(Call(plain.model_copy(update=without)))
        assert isinstance(reading, Reading)  # what is left to an implementation and may be adapted, it can be asked
        read = reading.semantics(plain.requested)
        assert isinstance(read.momentum, float)  # every default is a number
        path = ""
        if name == "tf_keras":
            path = "fused" if read.moving_variance == "unbiased" else "not fused"
        groups = reading.arrangement.groups if reading.arrangement else None
        refusal = of_the_case.refusal if isinstance(of_the_case, Reading) else None
        found.append(
            Defaults(
                name,
                read.epsilon,
                read.momentum,
                read.moving_variance,
                read.mode,
                source,
                path=path,
                groups=groups,
                refusal=refusal.words if refusal else "",
            )
        )
    return (*found, FLAX, ONNX)


@dataclass(frozen=True)
class Difference:
    """A default in which implementations differ, and what comes of it."""

    kind: str
    text: str


def differences(case: Case, axes: Axes, of: Sequence[Defaults]) -> tuple[Difference, ...]:
    """In what implementations differ, of all that the case leaves to them."""
    found = []
    if case.epsilon == "default":
        several = sorted({d.epsilon for d in of}, reverse=True)
        ordinary, small = (100 * (math.sqrt((v + several[0]) / (v + several[-1])) - 1) for v in (1, 1e-3))
        text = f"outputs differ by {ordinary:.2f} % at a variance of 1, by {small:.0f} % at one of 1e-3"
        found.append(Difference("epsilon", f"{_either(several)}: {text}"))
    if case.momentum == "default":
        several = sorted({d.momentum for d in of}, reverse=True)
        left = " or ".join(f"{100 * momentum**10:.0f} %" for momentum in several)
        found.append(
            Difference("weight of old", f"{_either(several)}: after 10 steps {left} of what was there is left")
        )
    n = axes.values.value
    if n is None or n > 1:
        more = "1/(n-1) for n values" if n is None else f"{100 / (n - 1):.2g} %"
        text = f"unbiased is larger by {more}; what normalizes a batch is biased"
        found.append(Difference("moving variance", text))
    if case.mode == "default":
        text = "a plain layer(x) trains in PyTorch, until .eval(); in Keras only within fit()"
        found.append(Difference("mode", text))
    return tuple(found)


def _either(numbers: Sequence[float]) -> str:
    return " or ".join(map(plainly, numbers))


def plainly(number: float) -> str:
    """A number as people write it: ``1e-3``, ``0.99``, ``0``."""
    if number == 0 or 1e-2 <= abs(number) < 1e5:
        return f"{number:.6g}"
    mantissa, exponent = f"{number:.5e}".split("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"


@dataclass(frozen=True)
class Moved:
    """The moving statistics of an implementation after the first step, as formulas; or why it refuses the step."""

    name: str
    mean: str
    variance: str
    refusal: str = ""


@dataclass(frozen=True)
class Step:
    """The first of ``steps`` training steps, from ``mean`` and ``variance`` where these are known numbers.

    ``moves``: whether the statistics change at all; with a momentum of 1 they do not.
    """

    steps: int
    mean: float | None
    variance: float | None
    moves: bool
    moved: tuple[Moved, ...]


def step(case: Case, axes: Axes, of: Sequence[Defaults]) -> Step | None:
    """What one training step must move; None where the case asks for inference, or where nothing is to be averaged."""
    if case.requested.mode != "training" or axes.values.value == 0:
        return None
    mean, variance = (_number(p) for p in (case.parameters.moving_mean, case.parameters.moving_variance))
    moved = []
    for d in of:
        if case.momentum == "cumulative" and d.name != "PyTorch":
            continue  # only PyTorch has it
        old = _weight_of_old(case, d)
        batch = f"variance*{axes.bessel}" if d.moving_variance == "unbiased" and axes.bessel else "variance"
        moved.append(Moved(d.name, _after(mean, old, "mean"), _after(variance, old, batch), d.refusal))
    return Step(case.steps, mean, variance, case.momentum != 1, tuple(moved))


def _number(parameter: object) -> float | None:
    return float(parameter) if isinstance(parameter, int | float) else None


def _weight_of_old(case: Case, d: Defaults) -> float:
    """In the first step: a cumulative average begins with the first batch."""
    if case.momentum == "cumulative":
        return 0.0
    return d.momentum if case.momentum == "default" else case.momentum


def _after(start: float | None, old: float, batch: str) -> str:
    """``old*start + (1 - old)*batch``, with the numbers put in; a start that is not known is called old."""
    new, terms = 1 - old, []
    if start is None:
        terms += [] if old == 0 else ["old" if old == 1 else f"{old:.6g}*old"]
    elif old * start:
        terms.append(f"{old * start:.6g}")
    if new:
        terms.append(batch if new == 1 else f"{new:.6g}*{batch}")
    return " + ".join(terms) or "0"
