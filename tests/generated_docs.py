"""What documents in bncheck/docs say that the program itself knows, between the comments that mark it.

``python tests/generated_docs.py`` writes it; a test fails while it is not up to date.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
from pydantic import TypeAdapter

import bncheck
from bncheck.case import inputs
from bncheck.case.load import LoadedCase
from bncheck.case.model import Case
from bncheck.case.rules import PARAMETERS
from bncheck.case.text import Text
from bncheck.causes import CauseKind
from bncheck.document import Cause
from bncheck.documented import torch
from bncheck.documented.reading import Call
from bncheck.judge import verdict
from bncheck.judge.question import Question
from bncheck.judge.references import References
from bncheck.reports.result import told
from bncheck.running import inprocess

sys.path[:0] = [str(Path(__file__).parent / folder) for folder in ("judge", "running")]
import own_runners  # noqa: E402
from miniatures import EXACT, Miniature  # noqa: E402

DOCS = Path(bncheck.__file__).parent / "docs"

Function = Callable[..., Any]


# The case format


def keys() -> str:
    """Every key of a case file, by its schema."""
    schema = TypeAdapter(Case).json_schema()
    rows = ["| key | takes | absent | what it is |", "|---|---|---|---|"]
    for path, node, required in _keys(schema, schema["$defs"]):
        absent = "required" if required else _default(node)
        rows.append(f"| `{path}` | {_takes(node)} | {absent} | {_said(path, node)} |")
    return "\n".join(rows)


def recipes() -> str:
    """Every way to say values, by the schema."""
    definitions = TypeAdapter(Case).json_schema()["$defs"]
    one_of = definitions["Relu"]["properties"]["relu"]["oneOf"]
    rows = ["| key | takes | what it is |", "|---|---|---|"]
    for choice in one_of:
        if "$ref" not in choice:
            rows.append(f"| a nested list | {_takes(choice)} | the values themselves |")
            continue
        definition = _resolved(choice, definitions)
        ((name, node),) = definition["properties"].items()
        inner = _resolved(node, definitions) if "$ref" in node else None
        takes = _arguments(inner) if inner else _takes(node)
        rows.append(f"| `{name}` | {takes} | {_plain(definition.get('description') or RECIPES[name])} |")
    return "\n".join(rows)


RECIPES = {
    "constant": "one value everywhere",
    "normal": "numbers of a normal distribution, the same on every machine",
    "uniform": "numbers between two, evenly distributed, the same on every machine",
    "relu": "values with 0 for what is negative",
}
SAID = {
    "why": "what a reader learns from it",
    "links": "where it comes from",
    "input.dtype": "of x and, unless `parameters.dtype` says otherwise, of parameters and statistics",
    "mode": "`default`: what the implementation does when it is not told",
    "epsilon": "`default`: no argument is passed",
    "center": "whether there is a beta",
    "scale": "whether there is a gamma",
    "parameters.gamma": "multiplies",
    "parameters.beta": "is added",
    "parameters.moving_mean": "before the call",
    "parameters.moving_variance": "before the call",
    "tolerance.rtol": "with `atol`, replaces the bound by `atol + rtol*|expected|`",
    "tolerance.atol": "see `tolerance.rtol`",
}
"""Words for keys of which the schema says nothing."""


def _keys(node: Mapping[str, Any], definitions: Mapping[str, Any], below: str = "") -> Iterator[tuple[str, Any, bool]]:
    for name, child in node["properties"].items():
        inner = _inner(child, definitions)
        if inner is not None:
            yield from _keys(inner, definitions, f"{below}{name}.")
        else:
            yield f"{below}{name}", child, name in node.get("required", ()) and (not below or below == "input.")


def _inner(node: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The mapping with keys of its own that a key holds."""
    for choice in [node, *node.get("anyOf", ())]:
        if "$ref" in choice:
            return _resolved(choice, definitions)
    return None


def _resolved(node: Mapping[str, Any], definitions: Mapping[str, Any]) -> Any:
    return definitions[node["$ref"].rpartition("/")[2]]


def _arguments(node: Mapping[str, Any]) -> str:
    required = node.get("required", ())
    return ", ".join(
        f"`{name}`{'' if name in required else f' ({_default(child)})'}: {_takes(child)}"
        for name, child in node["properties"].items()
    )


def _takes(node: Mapping[str, Any]) -> str:
    if "anyOf" in node:
        kinds = list(dict.fromkeys(_takes(choice) for choice in node["anyOf"] if choice.get("type") != "null"))
        return " or ".join(kinds)
    if "oneOf" in node:
        return "[values](#values)"
    if "const" in node or "enum" in node:
        return ", ".join(f"`{value}`" for value in node.get("enum", [node.get("const")]))
    if node.get("type") == "array":
        return _list_of(node.get("items") or {})
    if node.get("type") == "object":
        return f"mapping to {_takes(node['additionalProperties'])}"
    if node.get("type") == "boolean":
        return "`true`, `false`"
    low, high = node.get("minimum"), node.get("maximum")
    high = f"below {node['exclusiveMaximum']}" if "exclusiveMaximum" in node else high
    limits = "" if low is None and high is None else f" from {low:g}" if high is None else f" {low or 0:g} to {high}"
    return {"string": "text"}.get(node.get("type", ""), node.get("type", "")) + limits


def _list_of(items: Mapping[str, Any]) -> str:
    deeper = {"type": "array"} in items.get("anyOf", ())
    choices = [choice for choice in items.get("anyOf", [items]) if choice != {"type": "array"}]
    words = [_takes(choice) for choice in choices if choice]
    plural = [re.sub(r"^(number|integer|text)\b", r"\1s", word) for word in words]
    return f"{'nested ' if deeper else ''}list{' of ' if plural else ''}{' or '.join(plural)}"


def _default(node: Mapping[str, Any]) -> str:
    default = node.get("default")
    return "" if default in (None, [], {}) else f"`{str(default).lower() if isinstance(default, bool) else default}`"


def _said(path: str, node: Mapping[str, Any]) -> str:
    said = node.get("description")
    assert (said is None) == (path in SAID), (
        f"{path}: a description stands in the schema, or in SAID, and in one of them"
    )
    return _plain(said or SAID[path])


def _plain(text: str) -> str:
    """As Markdown, in a cell."""
    text = text.replace("``", "`").replace("|", "\\|").removesuffix(".")
    return text[0].lower() + text[1:]


# Causes


@dataclass(frozen=True)
class Example:
    """A function that is wrong in one way, and the case that shows it. ``does``: what it does, in a sentence."""

    kind: CauseKind
    does: str
    function: Function
    case: Mapping[str, Any]


def _wrong(**changes: Any) -> Function:
    """A function that is exact but for what is wrong with it; in float32, where it is rounding that is wrong."""
    rounds = {"arithmetic", "summed", "one_pass"} & changes.keys()
    return Miniature(**({"sums": "pairwise"} if rounds else EXACT), **changes).new()


def _with_a_relu(x: Any, **arguments: Any) -> dict[str, Any]:
    result = own_runners.right(x, **arguments)
    return {**result, "output": np.maximum(result["output"], 0)}


TRAINING: Mapping[str, Any] = {"mode": "training", "momentum": 0.9}
INFERENCE: Mapping[str, Any] = {"mode": "inference"}
FAR_FROM_ZERO = {"shape": [8, 3, 8, 4], "layout": "NCHW", "values": {"normal": {"mean": 300, "std": 1}}}
HALF = {"shape": [8, 3, 16, 16], "layout": "NCHW", "dtype": "float16", "values": {"uniform": {"low": 10, "high": 11}}}

EXAMPLES = (
    Example("epsilon", "A port keeps PyTorch's default", _wrong(epsilon=1e-5), TRAINING),
    Example("epsilon-placement", "Epsilon is added to the root", _wrong(placement="outside"), INFERENCE),
    Example("axis", "The last axis is kept, on NCHW", _wrong(kept=(3,)), TRAINING),
    Example("batch-variance", "A batch is normalized by N - 1", _wrong(batch_unbiased=True), TRAINING),
    Example("moving-variance", "The unbiased variance is stored", _wrong(moving_unbiased=True), TRAINING),
    Example("momentum", "Momentum is taken for the weight of the new statistic", _wrong(momentum=0.1), TRAINING),
    Example("moving-update", "The updates are never run", _wrong(update="none"), TRAINING),
    Example("mode", "Inference normalizes by its own batch", _wrong(normalized_by="batch"), INFERENCE),
    Example("parameters", "The weights hold what is added to 1", _wrong(gamma="one more"), INFERENCE),
    Example("precision", "Everything is computed in bfloat16", _wrong(arithmetic="bfloat16"), INFERENCE),
    Example(
        "accumulation",
        "2,048 values of float16 are summed in float16",
        _wrong(summed="float16"),
        {**TRAINING, "input": HALF, "check": ["output"]},
    ),
    Example(
        "cancellation",
        "A variance is taken as E[x²]-E[x]², far from zero",
        _wrong(one_pass=True),
        {**TRAINING, "input": FAR_FROM_ZERO, "check": ["output"]},
    ),
    Example("nonfinite", "A channel comes out as NaN", _wrong(finish="nan"), INFERENCE),
    Example("shape", "The output is flat", _wrong(finish="flat"), INFERENCE),
    Example("dtype", "The output is float64", _wrong(finish="float64"), INFERENCE),
    Example(
        "gradient",
        "The backward pass takes the batch's statistics for constants",
        own_runners.gradients_of_constants,
        {**TRAINING, "check": ["gradients"]},
    ),
    Example("refused", "The call raises", own_runners.raises, INFERENCE),
    Example("nondeterministic", "Each call gives other bits", own_runners.never_the_same, {**INFERENCE, "repeat": 2}),
    Example(
        "documentation",
        "PyTorch would store the biased variance: as requested, but not as it documents",
        _wrong(),
        {**TRAINING, "check": ["moving_variance"]},
    ),
    Example("unexplained", "A ReLU is fused into it", _with_a_relu, INFERENCE),
)


def causes() -> str:
    """An example of every kind of cause, in bncheck's words about a function that is really wrong."""
    assert [example.kind for example in EXAMPLES] == list(get_args(CauseKind))
    return "\n\n".join(f"### `{e.kind}`\n\n{e.does}.\n\n```\n{told([], [cause(e)], [])}\n```" for e in EXAMPLES)


def cause(example: Example) -> Cause:
    """What bncheck makes of an example: the cause of its kind."""
    data = {"title": "an example", "input": {"shape": [4, 3, 5, 2], "layout": "NCHW"}, "axis": 1, **example.case}
    case = Case.model_validate(data)
    found = _of_torch(example.function, case) if example.kind == "documentation" else _own(example.function, case)
    first, *_ = [cause for cause in found if cause.kind == example.kind]
    return first


def _own(function: Function, case: Case) -> list[Cause]:
    result, _ = inprocess.result(function, "example", LoadedCase("example", case, {}, Text(Path("example.yaml"))))
    return result.causes


def _of_torch(function: Function, case: Case) -> list[Cause]:
    """As if PyTorch had returned it."""
    made = inputs.make(case)
    reading = torch.documented(Call(case, {"torch": "2.13.0"}, "cpu", None))
    question = Question(case, made, reading, References(made, case.steps))
    (x,), arguments = made.batches, {name: made.parameters[name] for name in PARAMETERS}
    requested = case.requested
    returned = function(
        x, axis=case.channels.kept, epsilon=requested.epsilon, momentum=requested.momentum, training=True, **arguments
    )
    return verdict.judge(question, returned).causes


# Between comments

GENERATED: Mapping[str, Mapping[str, Callable[[], str]]] = {
    "cases.md": {"keys": keys, "recipes": recipes},
    "causes.md": {"causes": causes},
}


def written(name: str) -> str:
    """A document, brought up to date."""
    text = (DOCS / name).read_text(encoding="utf-8")
    for mark, make in GENERATED[name].items():
        begin, end = f"<!-- {mark}: written by tests/generated_docs.py -->\n", f"<!-- end of {mark} -->"
        before, _, rest = text.partition(begin)
        _, found, after = rest.partition(end)
        assert found, f"{name} has no place for {mark}"
        text = f"{before}{begin}\n{make()}\n\n{end}{after}"
    return text


if __name__ == "__main__":
    for document in GENERATED:
        (DOCS / document).write_text(written(document), encoding="utf-8")
