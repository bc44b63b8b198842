"""What a script says at its head: what was asked, what is expected and why, and what was seen."""

from __future__ import annotations

import textwrap

import numpy as np

from bncheck import __version__
from bncheck.case.model import Case
from bncheck.case.related import RELATIONS
from bncheck.documented import way
from bncheck.reports.result import sentences
from bncheck.repro.numerals import WIDTH
from bncheck.repro.seen import Seen
from bncheck.running.runners import Runner

PHRASES = {
    "pass": "is as it should be",
    "known": "is not what was asked for, but what is documented",
    "fail": "is not what was asked for",
    "refused": "raises",
    "documentation": "is what was asked for, but not what is documented",
    "error": "gives no answer",
}


def docstring(seen: Seen) -> str:
    case, result = seen.loaded.case, seen.result
    kinds = {cause.kind for cause in result.causes}
    phrase = next((PHRASES[k] for k in ("refused", "documentation") if kinds == {k}), PHRASES[result.verdict])
    needs = ["numpy", *(["ml_dtypes"] if case.input.dtype == "bfloat16" else []), *_distributions(seen.runner)]
    paragraphs = [
        f"Batch normalization by {seen.runner.spelling} {phrase}.",
        f"{case.title.rstrip('.')}.",
        *_asked(case),
        *_found(seen),
        f"Needs {', '.join(dict.fromkeys(needs))}. Exits with 1 if a number is farther off than "
        f"{'rounding explains' if case.tolerance is None else 'is tolerated'}, else with 0. Written by bncheck "
        f"{__version__} for its case {seen.loaded.id}.",
    ]
    text = "\n\n".join(_wrapped(paragraph) for paragraph in paragraphs)
    text = "".join(c if c.isprintable() or c == "\n" else "?" for c in text)
    return '"""' + text.replace("\\", "\\\\").replace('"""', r"\"\"\"") + '\n"""'


def _distributions(runner: Runner) -> list[str]:
    """What a built-in runner needs, and where that is not what is installed here, in which version."""
    if runner.own is not None:
        return []
    found = way(runner.name, runner.versions)
    needs = [] if isinstance(found, str) else found.needs
    return [f"{need} {runner.versions[need]}" if runner.environment else need for need in needs if need != "numpy"]


def _wrapped(paragraph: str) -> str:
    """A paragraph in lines that fit; those of its lines that are indented stay as they are."""
    return "\n".join(line if line.startswith("    ") else _filled(line) for line in paragraph.split("\n"))


def _filled(line: str) -> str:
    after = "  " if line.startswith("- ") else ""
    return textwrap.fill(line, WIDTH, subsequent_indent=after, break_on_hyphens=False, break_long_words=False)


def _asked(case: Case) -> list[str]:
    """What is asked for, in words and as a formula."""
    requested, channels, layout = case.requested, case.channels, case.input.layout
    kept = _axes(case, channels.kept)
    each = f"for each index of {kept}" if channels.kept else "for everything"
    lines = [f"x is {case.input.dtype} {list(channels.shape)}, {layout}; one mean and one variance {each}."]
    y = "(x - mean)/sqrt(variance + epsilon)".replace("epsilon", repr(requested.epsilon))
    y = f"    y = {'gamma*' if requested.scale else ''}{y}{' + beta' if requested.center else ''}"
    if requested.mode == "training":
        values = channels.values if case.mask is None else int(np.array(case.mask, dtype=bool).sum())
        of = "the batch's" if case.mask is None else "those of the batch's values at the positions where mask is True"
        if requested.virtual is not None:
            groups = channels.shape[0] // requested.virtual
            values //= groups
            lines.append(
                f"x is cut into {groups} virtual batches of {requested.virtual} rows that are {groups} apart, each "
                "with a mean and a variance of its own; the batch's are the mean of these."
            )
            of = "those of the virtual batch"
        lines[0] += f" Training: both are {of}, the variance divided by {values}, their number of values."
        lines.append(y)
        if any(name.startswith("moving") or name == "inference" for name in case.checked):
            old = "the plain average over all batches"
            if not isinstance(requested.momentum, str):
                old = f"{requested.momentum:.12g}*moving + {1 - requested.momentum:.12g}*batch's"
            lines.append(f"    moving = {old}")
        if case.steps > 1:
            lines.append(f"There are {case.steps} steps, each on a batch of its own; output is the last one's.")
        if "inference" in case.checked:
            lines.append("Then inference on one more batch, with the moving statistics.")
    else:
        frozen = "" if case.trainable else "The layer is frozen, which means "
        lines[0] += f" {frozen}{'inference' if frozen else 'Inference'}: both are the moving ones, as given."
        lines.append(y)
    if case.gradients:
        named = [name for name, there in (("x", True), ("gamma", requested.scale), ("beta", requested.center)) if there]
        last = "the last output" if case.steps > 1 else "output"
        lines.append(f"upstream is the gradient with respect to {last}; of it come those of {', '.join(named)}.")
    left = [name for name in ("epsilon", "momentum", "mode") if getattr(case, name) == "default"]
    if left:
        lines.append(f"The call leaves {' and '.join(left)} to its defaults; expected are those of Keras.")
    bound = f"how far rounding in {case.input.dtype} can take it, a bound derived for these very data"
    if case.relation is not None:
        said = f"{'One call is' if case.relation == 'identity-start' else 'Two calls are'} judged by a relation: "
        return ["\n".join([*lines, f"{said}{RELATIONS[case.relation].said}. Beside each number stands {bound}."])]
    if case.tolerance is not None:
        bound = f"a tolerance of {case.tolerance.atol} + {case.tolerance.rtol}*|expected|"
    return ["\n".join([*lines, f"Expected is what this gives in float64; beside each number stands {bound}."])]


def _axes(case: Case, axes: tuple[int, ...]) -> str:
    named = [f"{a} ({case.input.layout[a]})" for a in axes]
    return f"axis {named[0]}" if len(named) == 1 else f"axes {', '.join(named)}"


def _found(seen: Seen) -> list[str]:
    """What was seen, with which versions, and why it is so as far as it is known."""
    result = seen.result
    said = [f"Seen with {seen.runner.spelling} {seen.version}, {seen.where}:"]
    if result.error is not None:
        said.append(f"- {result.error}")
    said += [f"- {sentence}" for sentence in sentences(result.causes)]
    sources = dict.fromkeys(cause.source for cause in result.causes if cause.source)
    said += [f"- Documented: {source}" for source in sources]
    said += [f"- Note: {note}." for note in result.notes]
    ratios = [tensor.bound_ratio for tensor in result.tensors]
    formal = any(cause.kind in ("documentation", "shape", "dtype") for cause in result.causes)
    if result.verdict == "fail" and ratios and not formal and all(r is not None and r <= 1 for r in ratios):
        said.append("- No number by itself shows it, only all of a channel together: this script ends with 0.")
    return ["\n".join(said) if len(said) > 1 else said[0].rstrip(":") + ": as expected."]
