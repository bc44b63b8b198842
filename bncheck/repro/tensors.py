"""A case's tensors in plain NumPy: written out where they are small, else by the recipe, to the same last bit."""

from __future__ import annotations

import ast
import math
import textwrap
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bncheck.case import discriminating, inputs, random_words
from bncheck.case.inputs import Inputs
from bncheck.case.load import LoadedCase
from bncheck.case.model import Arange, Constant, Dropout, File, Normal, Relu, Replace, Uniform
from bncheck.case.rules import index_of
from bncheck.reference import Tensor
from bncheck.repro.numerals import SMALL, WIDTH, array, dtype_of, listed, literal, quoted, reshaped
from bncheck.repro.source import taken

WRITTEN_OUT = 256
"""Values up to which batches are written out; the recipe of more takes fewer lines."""

DRAWN = 1 << 22
"""Random numbers that are drawn at a time: for each, 48 bytes are at work."""


@dataclass
class Tensors:
    """Text that makes the tensors: imports for the top of a script, the functions that it needs, the statements."""

    imports: list[str] = field(default_factory=list)
    definitions: list[str] = field(default_factory=list)
    statements: list[str] = field(default_factory=list)
    taken: set[str] = field(default_factory=set)
    draws: set[str] = field(default_factory=set)
    """The methods that random numbers come of."""

    def take(self, module: Any, *names: str) -> None:
        """Functions of a module, in the source."""
        self.taken.update(names)
        imports, definitions = taken(Path(module.__file__).read_text(encoding="utf-8"), *names)
        self.imports += imports
        self.definitions += [d for d in definitions if d not in self.definitions]


def tensors(loaded: LoadedCase, made: Inputs, parameters: Collection[str]) -> Tensors:
    """Statements that make ``x``, or the list ``batches`` where there are several, and the named parameters."""
    text = Tensors()
    if loaded.case.input.dtype == "bfloat16":
        text.imports.append("import ml_dtypes")
    _Batches(loaded, text, "x", loaded.case.input.values, loaded.case.batches).write(made.batches)
    if made.upstream is not None:
        _Batches(loaded, text, "upstream", loaded.case.upstream).write([made.upstream])
    if made.mask is not None:
        positions = made.mask.positions
        flags = listed(map(str, positions.astype(int).reshape(-1)), 8)
        text.statements.append(f"mask = np.array({flags}, bool){reshaped(positions.shape)}")
    if text.draws:
        text.take(random_words, *text.draws)
    for name in parameters:
        values = made.parameters[name]
        if values.size <= SMALL or getattr(loaded.case.parameters, name) is not None:
            text.statements.append(f"{name} = {array(values)}")
            continue
        if "parameters" not in text.taken:
            text.take(discriminating, "parameters")
            text.statements.append(f"given = parameters({values.size}, {loaded.case.requested.epsilon})")
        recipe = _rounded(f'given["{name}"]', loaded.case.parameters_dtype, text)
        text.statements.append(f"{name} = {recipe}{reshaped(values.shape)}")
    kinds = {"class": 1, "def": 2}  # constants stand before both
    text.definitions.sort(key=lambda d: (kinds.get(d.split()[0], 0), d.startswith("def batch(")))
    return text


def _rounded(expression: str, dtype: str, text: Tensors) -> str:
    """Float64 values as the dtype holds them."""
    if dtype == "bfloat16":
        text.take(inputs, "nearest_bfloat16")
        expression = f"nearest_bfloat16({expression})"
    if not isinstance(ast.parse(expression, mode="eval").body, ast.Call | ast.Subscript | ast.Name):
        expression = f"({expression})"
    return f"{expression}.astype({dtype_of(dtype)})"


class _Batches:
    """The batches of a case, or another tensor of that form, as text."""

    def __init__(self, loaded: LoadedCase, text: Tensors, name: str, recipe: Any, count: int = 1) -> None:
        self._case, self._folder, self._text = loaded.case, loaded.file.parent, text
        self._shape = loaded.case.channels.shape
        self._size = math.prod(self._shape)
        self._name, self._recipe, self._count = name, recipe, count
        self._lines: list[str] = []
        """What comes before the expression of one batch."""

    def write(self, made: Sequence[Tensor]) -> None:
        name, recipe, several = self._name, self._recipe, self._count > 1
        statements = self._text.statements
        if self._count * self._size <= WRITTEN_OUT and not isinstance(recipe, Arange | Constant):
            values = array(np.stack(made) if several else made[0])
            statements.append(f"batches = list({values})" if several else f"{name} = {values}")
            return
        dtype, expression = self._case.input.dtype, self._expression(recipe, name)
        if len(values := _rounded(expression, dtype, self._text)) > WIDTH - len("    return "):
            self._lines.append(f"values = {expression}")
            values = _rounded("values", dtype, self._text)
        if several:
            lines = [*self._lines, f"return {values}"]
            self._text.definitions.append("def batch(number):\n" + textwrap.indent("\n".join(lines), "    "))
            statements.append(f"batches = [batch(number) for number in range({self._count})]")
        else:
            statements += [*self._lines, f"{name} = {values}"]

    def _expression(self, recipe: Any, name: str) -> str:
        """The values of one batch in float64, in its shape; ``name`` is that of the random numbers."""
        if recipe is None:
            return self._from_above() if name == "upstream" else self._discriminating(name)
        if isinstance(recipe, Normal):
            mean, deviation = self._spread(recipe.normal.mean), self._spread(recipe.normal.std)
            return f"{mean} + {deviation} * {self._random(name, 'normal')}{reshaped(self._shape)}"
        if isinstance(recipe, Uniform):
            low, high = self._spread(recipe.uniform.low), self._spread(recipe.uniform.high)
            return f"{low} + ({high} - {low}) * {self._random(name, 'uniform')}{reshaped(self._shape)}"
        if isinstance(recipe, Constant):
            return f"np.full({self._shape}, {self._spread(recipe.constant)})"
        if isinstance(recipe, Relu):
            self._lines.append(f"values = {self._expression(recipe.relu, f'{name}/relu')}")
            return "np.maximum(values, 0.0)"
        if isinstance(recipe, Dropout):
            rate = recipe.dropout.rate
            self._lines.append(f"values = {self._expression(recipe.dropout.of, f'{name}/dropout')}")
            drawn = self._random(name, "uniform", "/dropped")
            self._lines.append(f"dropped = {drawn}{reshaped(self._shape)} < {rate}")
            return f"np.where(dropped, 0.0, values / (1 - {rate}))"
        if isinstance(recipe, Replace):
            inner = self._expression(recipe.replace.of, f"{name}/replace")
            self._lines.append(f"values = np.array({inner}, float)")
            for key, value in recipe.replace.at.items():
                self._lines.append(f"values[{', '.join(map(str, index_of(key) or ()))}] = {literal(value)}")
            return "values"
        return self._listed(recipe)

    def _random(self, name: str, distribution: str, suffix: str = "") -> str:
        """So many random numbers as a batch has, flat, from the stream of that name: a part at a time if many."""
        self._text.draws.add(f"Stream.{distribution}")
        several = self._count > 1
        stream = f'Stream({"f" if several else ""}"{name}/{"{number}" if several else "0"}{suffix}")'
        if self._size <= DRAWN:
            return f"{stream}.{distribution}({self._size})"
        self._lines.append(f"stream = {stream}")
        part = f"stream.{distribution}(min({DRAWN}, {self._size} - i))"
        return f"np.concatenate([{part} for i in range(0, {self._size}, {DRAWN})])"

    def _spread(self, argument: float | list[float]) -> str:
        """A number, or one number a channel that broadcasts against the tensor."""
        if not isinstance(argument, list):
            return literal(argument)
        return f"np.reshape({listed(map(literal, argument), 8)}, {self._along})"

    @property
    def _along(self) -> tuple[int, ...]:
        channels = self._case.channels
        return tuple(d if a in channels.kept else 1 for a, d in enumerate(channels.shape))

    def _discriminating(self, name: str) -> str:
        channels, epsilon, text = self._case.channels, self._case.requested.epsilon, self._text
        normal = self._random(name, "normal")
        text.take(discriminating, "deviations")
        text.imports.append("from types import SimpleNamespace")
        text.statements.append(f"channels = SimpleNamespace(shape={channels.shape}, kept={channels.kept})")
        for per_channel, function in (("scale", discriminating.scales), ("offset", discriminating.offsets)):
            if channels.count > SMALL:
                text.take(discriminating, function.__name__)
                values = f"{function.__name__}({channels.count}, {epsilon})"
            else:
                values = array(function(channels.count, epsilon))
            text.statements.append(f"{per_channel} = {values}.reshape{self._along}")
        self._lines.append(f"normal = {normal}")
        return f"offset + scale * deviations(normal, 0, channels){reshaped(self._shape)}"

    def _from_above(self) -> str:
        channels, text = self._case.channels, self._text
        drawn, of_x = self._random("upstream", "normal"), f"np.zeros({self._size})"
        if self._case.input.values is None:
            of_x = self._random("x", "normal").replace('"x/0', f'"x/{self._case.steps - 1}')
        text.take(discriminating, "deviations")
        text.imports.append("from types import SimpleNamespace")
        made = f"channels = SimpleNamespace(shape={channels.shape}, kept={channels.kept})"
        values = array(discriminating.upstream_offsets(channels.count))
        if channels.count > SMALL:
            text.take(discriminating, "upstream_offsets")
            values = f"upstream_offsets({channels.count})"
        text.statements += [*([] if made in text.statements else [made]), f"offset = {values}.reshape{self._along}"]
        self._lines += [f"normal = {of_x}", f"of_x = deviations(normal, 0, channels){reshaped(self._shape)}"]
        return f"offset + {drawn}{reshaped(self._shape)} + {discriminating.ALONG_X} * of_x"

    def _listed(self, recipe: Any) -> str:
        """Values that stand in the case or beside it: one batch, or all of them one after the other."""
        if isinstance(recipe, Arange):
            start, stop, step = (*recipe.arange, 1.0)[:3]
            size = math.ceil((stop - start) / step)
            flat = f"({literal(start)} + {literal(step)} * np.arange({size}.0))"
            if step == 1 and start.is_integer() and abs(start) + size < 2**53:
                flat = f"np.arange({literal(start)}, {literal(start + size)})"
        elif isinstance(recipe, File):
            path = self._folder / recipe.file
            size = math.prod(np.lib.format.open_memmap(path, mode="r").shape)
            flat = f"np.load({quoted(str(path))}).reshape(-1)"
        else:
            values = np.asarray(recipe, dtype=np.float64).reshape(-1)
            size = values.size
            flat = f"np.array({listed(map(literal, values), 8)})"
        if size == self._size:
            return flat + reshaped(self._shape)
        return f"{flat}.reshape({(self._count, *self._shape)})[number]"
