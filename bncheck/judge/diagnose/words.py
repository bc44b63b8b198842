"""What an explanation says to a user: what was used, what was requested, how one knows it, what it is known from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from bncheck.case.model import Case
from bncheck.channels import Channels
from bncheck.document import Cause
from bncheck.judge.diagnose.alterations import Alteration
from bncheck.judge.diagnose.search import Explanation
from bncheck.judge.diagnose.solved import Known, Solved
from bncheck.semantics import Semantics

_PARAMETERS = {
    ("scale", False): ("gamma ignored", "gamma is ignored: the output is as if all of it were 1."),
    ("center", False): ("beta ignored", "beta is ignored: the output is as if all of it were 0."),
    ("gamma_offset", 1.0): ("1 + gamma", "1 + gamma multiplies, not gamma: the weights hold what is added to 1."),
    ("exchange", "gamma and beta"): ("gamma and beta exchanged", "gamma and beta are taken for each other."),
    ("exchange", "mean and variance"): (
        "mean and variance exchanged",
        "mean and variance are taken for each other: the variance is subtracted, and the root of the mean divides.",
    ),
    ("taken", "deviation"): (
        "deviation for variance",
        "a deviation is taken for the variance: the root of sqrt(variance) + epsilon divides.",
    ),
    ("taken", "square"): (
        "variance squared",
        "the variance is taken for a deviation and squared: the root of variance^2 + epsilon divides.",
    ),
}
_PARAMETERS |= {
    ("mask", "ignored"): ("mask ignored", "the mask is ignored: all positions enter the statistics."),
    ("mask", "zeros"): (
        "zeros for what is masked",
        "what the mask hides enters the statistics as zeros, and is counted; it should be left out.",
    ),
    ("virtual", None): (
        "virtual batches ignored",
        "virtual batches are ignored: one mean and one variance are those of the whole batch.",
    ),
    ("adjacent", True): (
        "virtual batches of adjacent rows",
        "a virtual batch is made of rows that follow each other; of G virtual batches each should have every G-th row.",
    ),
    ("mask", "inverted"): (
        "mask inverted",
        "the mask is taken the wrong way round: the positions that it hides, and no others, enter the statistics.",
    ),
}
_UPDATES = {
    "none": "the moving statistics are as they were before: they were not updated.",
    "once": "the moving statistics were updated by this batch, in inference.",
    "twice": "the moving statistics were updated two times by the same batch.",
    "crossed": "the batch's variance entered the moving mean, and its mean the moving variance.",
    "exchanged": "each moving statistic is stored as the other.",
}
_GRADIENTS = {
    ("backward", "constants"): (
        "statistics constant",
        "gradient_x is what inference gives: the statistics are treated as constants; in training they depend on x.",
    ),
    ("backward", "constant mean"): (
        "mean constant",
        "gradient_x treats the mean as a constant; in training it depends on x, as the variance does.",
    ),
    ("backward", "constant variance"): (
        "variance constant",
        "gradient_x treats the variance as a constant; in training it depends on x, as the mean does.",
    ),
    ("backward", "statistics"): (
        "training formula",
        "gradient_x is by training's formula, as if the statistics depended on x; in inference they are given.",
    ),
    ("normalized_by", "moving"): (
        "moving statistics",
        "gradients are those of the moving statistics, as in inference; those of the batch normalized the output.",
    ),
    ("normalized_by", "batch"): (
        "batch statistics",
        "gradients are those of the batch's own statistics, as in training; the moving ones normalized the output.",
    ),
    ("backward_slip", "count"): (
        "no division by N",
        "gradient_x lacks a division by N: sums over the batch are subtracted, not means.",
    ),
    ("backward_slip", "gamma"): ("gamma missing", "gradient_x lacks the factor gamma."),
    ("backward_slip", "deviation"): (
        "1/sqrt(variance + epsilon) missing",
        "gradient_x lacks the factor 1/sqrt(variance + epsilon).",
    ),
    ("backward_slip", "deviation in gamma"): (
        "1/sqrt(variance + epsilon) missing in gamma's",
        "gradient_gamma lacks the factor 1/sqrt(variance + epsilon).",
    ),
    ("backward_slip", "mean in gamma"): (
        "mean missing in gamma's",
        "gradient_gamma is made of x, not of x - mean.",
    ),
    ("backward_slip", "averaged"): (
        "averaged",
        "gradient_gamma and gradient_beta are averages over the batch; they should be sums.",
    ),
    ("backward_slip", "exchanged"): (
        "gradients exchanged",
        "gradient_gamma and gradient_beta are returned for each other.",
    ),
}
_MODES = {
    "moving": ("moving statistics", "the moving statistics normalize, as in inference; those of the batch should."),
    "updated": (
        "updated moving statistics",
        "the moving statistics normalize, after this batch had updated them; {should} should.",
    ),
    "batch": ("batch statistics", "the batch's own statistics normalize, as in training; the moving ones should."),
}


def causes(explanation: Explanation, case: Case) -> list[Cause]:
    """One cause for each change of an explanation."""
    return [_cause(alteration, explanation, case) for alteration in explanation.alterations]


def summary(explanation: Explanation, case: Case) -> str:
    """An explanation in a few words, to tell it from others."""
    parts = []
    for cause in causes(explanation, case):
        used = _number(cause.effective) if isinstance(cause.effective, float) else str(cause.effective)
        parts.append(f"{cause.kind} {used}")
    return " with ".join(parts) or "nothing changed"


def _cause(alteration: Alteration, explanation: Explanation, case: Case) -> Cause:
    changes, kind, requested = dict(alteration.changes), alteration.kind, case.requested
    asked: Any = None
    interval: list[float] | None = None
    used: Any
    if alteration.solved is not None:
        assert explanation.solved is not None
        asked = getattr(requested, alteration.solved)
        solved, named = explanation.solved, explanation.named(requested)
        used = _used(solved, named)
        interval = [solved.low, solved.high]
        message = _solved(used, solved, asked, named, case)
    elif kind == "axis":
        asked, used, message = _axis(changes, case)
    elif kind in ("batch-variance", "moving-variance"):
        used = next(iter(changes.values()))
        asked = "biased" if used == "unbiased" else "unbiased"
        kept = Channels(case.channels.shape, explanation.semantics.kept)
        values = case.channels.values if explanation.semantics.order else kept.values
        if rows := explanation.semantics.virtual:
            values = values * rows // kept.shape[0]
        message = _variance(kind, used, asked, values)
    elif kind == "momentum":
        asked, used = requested.momentum, "cumulative"
        message = f"the plain average of all steps used, momentum {asked:g} requested (PyTorch's `momentum=None`)."
    elif kind == "mode":
        asked = requested.mode
        used, words = _MODES[changes["normalized_by"]]
        message = words.format(should="those of the batch" if asked == "training" else "those before it")
    elif kind == "epsilon-placement":
        asked, used, message = _placement(changes["placement"], explanation.semantics)
    elif kind == "moving-update":
        asked, used = requested.updates, changes["update"]
        message = _UPDATES[used]
    elif kind == "gradient":
        asked, (used, message) = "as the output", _GRADIENTS[alteration.changes[0]]
    elif kind == "precision":
        asked, used, message = _precision(changes["precision"], case)
    else:
        asked, (used, message) = "as given", _PARAMETERS[alteration.changes[0]]
    sentence = message if message.startswith("gradient_") else message[:1].upper() + message[1:]
    return Cause(kind=kind, requested=asked, effective=used, interval=interval, message=sentence)


def _used(solved: Solved, named: Sequence[Known]) -> float:
    """The number to report: a known value that is as good as the estimate, else the estimate."""
    half, value = (solved.high - solved.low) / 2, max(solved.value, 0.0)
    near = [k for k in named if abs(k.value - value) <= 0.4 * half]
    if not near and (len(named) == 1 and half <= 0.005 * value):
        near = list(named)
    if not near and solved.low <= 0:
        near = [k for k in named if k.value == 0]
    return near[0].value if near else value


def _solved(used: float, solved: Solved, asked: float | str, named: Sequence[Known], case: Case) -> str:
    low, high = interval_of(solved)
    wanted = asked if isinstance(asked, str) else f"{asked:g}"
    message = f"{_other_than(used, asked)} used ({low} to {high} fit), {wanted} requested"
    if not named:
        alone = case.channels.count == 1
        return f"{message}.{' With one channel, any wrong scale would look like this.' if alone else ''}"
    if len(named) == 1:
        return f"{message}: {named[0].says}."
    names = " and ".join((", ".join(k.name for k in named[:-1]), named[-1].name))
    both = "both" if len(named) == 2 else "all"
    return f"{message}. {names} {both} fit; {case.input.dtype} cannot tell them apart in this case."


def _number(value: float) -> str:
    return f"{value:.4g}"


def _other_than(value: float, asked: float | str) -> str:
    """A number with so many digits that it is seen to be another than what was asked for."""
    if isinstance(asked, str):
        return _number(value)
    return next((t for d in range(4, 18) if float(t := f"{value:.{d}g}") != asked), repr(value))


def interval_of(solved: Solved) -> tuple[str, str]:
    """Both ends of what fits, rounded outwards to two digits of the width between them."""
    low, high = max(solved.low, 0.0), solved.high
    if not high > low or not math.isfinite(high):
        return f"{low:.6g}", f"{high:.6g}"
    unit = 10.0 ** (math.floor(math.log10(high - low)) - 1)
    digits = max(2, math.ceil(math.log10(high / unit)) + 1)
    return f"{math.floor(low / unit) * unit:.{digits}g}", f"{math.ceil(high / unit) * unit:.{digits}g}"


def _named(axes: Sequence[int], layout: str) -> str:
    return ", ".join(f"{layout[a]} (axis {a})" for a in axes) or "no axis"


def _axis(changes: dict[str, Any], case: Case) -> tuple[list[int], Any, str]:
    layout, own = case.input.layout, case.channels
    kept, order = list(changes["kept"]), changes.get("order")
    asked = list(own.kept)
    if order is not None:
        read = "".join(layout[a] for a in order)
        used: Any = read
        return (
            asked,
            used,
            (
                f"the memory of {layout} is read as {read}: the axes were renamed (by a reshape), not transposed, and "
                "what is kept there is no channel."
            ),
        )
    others = [a for a in range(len(layout)) if a not in kept and own.shape[a] > 1]
    message = (
        f"statistics keep {_named(kept, layout)} and average over {', '.join(layout[a] for a in others) or 'nothing'}; "
        f"requested is to keep {_named(asked, layout)}."
    )
    if changes["along"] is None and kept:
        message = message[:-1] + f". gamma, beta and the moving statistics lie along {_named(kept, layout)} too."
    long = [a for a in asked if own.shape[a] > 1]
    if sorted(kept) == [a for a in range(len(layout)) if own.shape[a] > 1 and a not in long]:
        message += " The axes are the wrong way round: Keras's `axis` names those kept, NumPy's those averaged over."
    elif not kept:
        message += " One mean and one variance serve everything."
    elif not others:
        message += " Every value is its own mean, and the output is beta."
    elif 0 in kept and 0 not in asked and layout[0] == "N":
        like = "layer" if kept == [0] else "instance" if set(asked) <= set(kept) else "layer or instance"
        message += f" Each sample has statistics of its own, as in {like} normalization."
    return asked, kept, message


def _variance(kind: str, used: str, asked: str, values: int) -> str:
    factor = f"times {values:,}/{max(values - 1, 1):,}"
    by = f"the unbiased variance (divided by N - 1, {factor})" if used == "unbiased" else "the biased variance"
    if kind == "batch-variance":
        rest = " Every framework normalizes a batch by the biased one." if used == "unbiased" else ""
        return f"the batch is normalized by {by}; {asked} is requested.{rest}"
    rest = " PyTorch and TensorFlow's fused kernel keep the unbiased one, Keras and ONNX the biased."
    return f"the moving variance takes {by}; {asked} is requested.{rest}"


def _placement(placement: str, semantics: Semantics) -> tuple[str, str, str]:
    number = _number(semantics.epsilon)
    asked = "inside the root"
    if placement == "outside":
        return (
            asked,
            "outside the root",
            (f"epsilon is added outside the root, sqrt(variance) + {number}; it should be sqrt(variance + {number})."),
        )
    return (
        asked,
        "a floor",
        (f"epsilon is a floor, sqrt(max(variance, {number})), not added; it should be sqrt(variance + {number})."),
    )


def _precision(precision: str, case: Case) -> tuple[str, str, str]:
    dtype = case.input.dtype
    if precision == "narrow":
        used = f"{dtype} for scale, shift or statistics"
        return (
            "float32 inside",
            used,
            f"the errors are no larger than if scale, shift or statistics were rounded to {dtype}; float32 is due.",
        )
    names = {"float16": "11 significant bits (float16, TF32)", "bfloat16": "8 significant bits (bfloat16)"}
    used = names.get(precision, precision)
    inside = "float32" if dtype in ("float16", "bfloat16") else dtype
    return inside, used, f"the errors are no larger than those of arithmetic in {used}; {inside} is due for {dtype}."
