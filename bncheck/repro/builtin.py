"""A built-in runner's call: tensors in the axes that it takes, the call itself, and its results in the case's."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bncheck import worker
from bncheck.case.inputs import Inputs
from bncheck.case.model import Case
from bncheck.documented.arrangement import Arrangement
from bncheck.documented.reading import Reading
from bncheck.repro.call import Written, filled_in
from bncheck.repro.source import segment
from bncheck.worker.call import TENSORS, Arranged, Call

_RUNNERS = Path(worker.__file__).parent / "runners"

_SET = r'os\.environ\[("\w+")\] = ("\w+")'
"""A variable of the environment that is set to a word, by which a shared module may decide."""


def written(
    name: str, case: Case, reading: Reading, inputs: Inputs, arguments: Mapping[str, Any], returned: Sequence[str]
) -> Written:
    """The call of the runner ``name`` on ``x`` or ``batches``, of which the tensors ``returned`` are wanted."""
    source = _source(name.replace("-", "_"))
    described = reading.arrangement.described(case) if reading.arrangement else None
    environment = _environment(source)
    call = Call(arguments, inputs.named, Arranged(described), name)
    text = _where_run_is(source)
    for variable, word in re.findall(_SET, "\n".join(environment)):
        text = text.replace(f"os.environ[{variable}] ==", f"{word} ==")
    filled = filled_in(text, call)
    axes = _Axes.of(case, reading.arrangement)
    return Written(
        ["from types import SimpleNamespace", *_modules(environment), *filled.imports, *_loaded(source)],
        [_given(case, axes, filled.tensors), *filled.parts, _called(axes, returned)],
        filled.tensors,
        environment,
    )


def _source(module: str) -> str:
    return (_RUNNERS / f"{module}.py").read_text(encoding="utf-8")


def _where_run_is(source: str) -> str:
    """The text of the module that has the function ``run`` of a runner, its own or one that it shares with others,
    behind the texts of the modules that it takes functions from."""
    shared = [n for n in ast.parse(source).body if isinstance(n, ast.ImportFrom) and n.level and n.module]
    for node in shared:
        if any(alias.name == "run" for alias in node.names):
            return _where_run_is(_source(str(node.module)))
    return "\n\n\n".join([*(_source(str(node.module)) for node in shared), source])


def _loaded(source: str) -> list[str]:
    """What a runner imports to say its version."""
    load = next(n for n in ast.parse(source).body if isinstance(n, ast.FunctionDef) and n.name == "load")
    return [f"import {alias.name}" for n in load.body if isinstance(n, ast.Import) for alias in n.names]


def _environment(source: str) -> list[str]:
    """What a runner's module does at import, and before it the modules that it shares with others."""
    found: list[str] = []
    for node in ast.parse(source).body[1:]:
        if isinstance(node, ast.ImportFrom) and node.level and node.module is None:
            for alias in node.names:
                found += _environment(_source(alias.name))
        elif _acts(node):
            found.append(segment(source, node))
    return found


def _modules(environment: list[str]) -> list[str]:
    """What a script imports for its environment, beside os."""
    named = {ast.unparse(n) for text in environment for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Attribute)}
    return ["import importlib.util"] if "importlib.util" in named else []


def _acts(node: ast.stmt) -> bool:
    """Whether a statement of a module does something, rather than import or define."""
    if isinstance(node, ast.Assign):
        return not all(isinstance(target, ast.Name) for target in node.targets)
    return isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant)


@dataclass(frozen=True)
class _Axes:
    """What is done to a batch and to a statistic for the call, and to an output and to a statistic after it."""

    batch: str = ""
    mask: str = ""
    statistic: str = ""
    output: str = ""
    moving: str = ""
    comment: str = ""

    @classmethod
    def of(cls, case: Case, arrangement: Arrangement | None) -> _Axes:
        if arrangement is None:
            return cls()
        shape, statistic = case.channels.shape, case.channels.statistic_shape
        order = tuple(axis for group in arrangement.groups for axis in group)
        apart = tuple(shape[a] for a in order)
        merged = tuple(int(np.prod([shape[a] for a in group], dtype=int)) for group in arrangement.groups)
        inverse = tuple(int(i) for i in np.argsort(order))
        moves, merges = order != tuple(range(len(order))), apart != merged
        averaged = [group for place, group in enumerate(arrangement.groups) if place != arrangement.axis]
        over = [axis for group in averaged for axis in group]
        ranks = tuple(sorted(over).index(axis) for axis in over)
        sides = tuple(int(np.prod([shape[a] for a in group], dtype=int)) for group in averaged)
        return cls(
            mask=f".transpose{ranks}.reshape{sides}",
            batch=(f".transpose{order}" if moves else "") + (f".reshape{merged}" if merges else ""),
            statistic=".reshape(-1)" if len(statistic) != 1 else "",
            output=(f".reshape{apart}" if merges else "") + (f".transpose{inverse}" if moves else ""),
            moving=f".reshape({statistic})" if len(statistic) != 1 else "",
            comment=f"  # {arrangement.note}",
        )

    def arranged(self, batch: str) -> str:
        return f"np.ascontiguousarray({batch}{self.batch})" if self.batch else batch


def _given(case: Case, axes: _Axes, tensors: Sequence[str]) -> str:
    """The object that the function reads its tensors from."""
    several = case.batches > 1
    steps = "batches" if case.batches == case.steps else f"batches[:{case.steps}]"
    batches = {
        "steps": f"[{axes.arranged('x')} for x in {steps}]" if axes.batch and several else steps,
        "extra": axes.arranged("batches[-1]"),
        "upstream": axes.arranged("upstream"),
        "mask": f"mask{axes.mask}",
    }
    if not several:
        batches["steps"] = f"[{axes.arranged('x')}]"
    fields = [f"{t}={batches[t]},{axes.comment}" if t in batches else f"{t}={t}{axes.statistic}," for t in tensors]
    return "\n".join(["case = SimpleNamespace(", *(f"    {field}" for field in fields), ")"])


def _called(axes: _Axes, returned: Sequence[str]) -> str:
    back = {name: axes.output if name in TENSORS else axes.moving for name in returned}
    restored = [f'result["{name}"] = result["{name}"]{restore}' for name, restore in back.items() if restore]
    return "\n".join(["result = run(case)", *restored])
