"""YAML text to plain data, strictly, keeping where each value stands.

ruamel.yaml reads the YAML 1.2; this module walks its node tree, because plain data has no positions, and because a
case file that strangers send needs refusing what YAML allows: tags, duplicate keys, anchors that multiply.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError, YAMLStreamError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from bncheck.case.problem import Problem

MAX_BYTES = 1 << 20
MAX_NODES = 100_000

Path_ = tuple[str | int, ...]
_TAG = re.compile(r"(&\S+\s+)?!")


class Written(float):
    """A float that remembers how it was written, so that ``1.250`` is known to have three decimals."""

    text: str

    def __new__(cls, value: float, text: str) -> Written:
        number = super().__new__(cls, value)
        number.text = text
        return number


@dataclass
class Text:
    """The data of one file, the position (line, column) of each value, and of each key of a mapping, by path."""

    file: Path
    data: Any = None
    values: dict[Path_, tuple[int, int]] = field(default_factory=dict)
    keys: dict[Path_, tuple[int, int]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def problem(self, path: Path_, message: str, *, at_key: bool = False) -> Problem:
        """A problem at ``path``, or at its nearest ancestor that stands in the file."""
        places = self.keys if at_key else self.values
        if path in places:
            line, column = places[path]
        else:
            while path and path not in self.values:
                path = path[:-1]
            line, column = self.values.get(path, (1, 1))
        return Problem(self.file, line, column, message)


class _Unreadable(Exception):
    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def read(file: Path) -> Text:
    """The data of ``file`` with positions; what is wrong with it as YAML is in ``problems``.

    ``data`` is None if the file cannot be parsed; duplicate keys and tagged values are only left out of it.
    """
    text = Text(file)
    try:
        size = file.stat().st_size
        if size > MAX_BYTES:
            message = f"the file has {size:,} bytes; at most {MAX_BYTES:,} are read. Put large tensors in a .npy file"
            text.problems.append(Problem(file, 1, 1, message))
            return text
        source = file.read_bytes().decode("utf-8")
    except OSError as error:
        text.problems.append(Problem(file, 1, 1, f"cannot be read: {error.strerror or error}"))
        return text
    except UnicodeDecodeError as error:
        text.problems.append(Problem(file, 1, 1, f"is not UTF-8 text (byte {error.start}); save it as UTF-8"))
        return text
    try:
        node = _loader().compose(source)
        if node is None:
            raise _Unreadable(
                Problem(file, 1, 1, "the file is empty; a case needs at least title, input, axis and mode")
            )
        text.data = _Walk(text, source).value(node, ())
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        what = " ".join(str(p) for p in (error.problem, error.context) if p) or "cannot be parsed"
        text.problems.append(Problem(file, line, column, f"not valid YAML: {what}; mend the syntax here"))
    except (YAMLError, YAMLStreamError, ValueError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else "cannot be parsed"
        text.problems.append(Problem(file, 1, 1, f"not valid YAML: {first}"))
    except _Unreadable as error:
        text.problems.append(error.problem)
    except RecursionError:
        text.problems.append(Problem(file, 1, 1, "is nested too deeply to be a case; flatten the lists"))
    return text


def _loader() -> YAML:
    return YAML(typ="safe", pure=True)


class _Walk:
    """Turns nodes into data, records positions, and collects what is refused."""

    def __init__(self, text: Text, source: str) -> None:
        self._text = text
        self._source = source
        self._constructor = _loader().constructor
        self._nodes = 0
        self._open: list[int] = []

    def value(self, node: Node, path: Path_) -> Any:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise _Unreadable(
                self._problem(
                    node,
                    f"more than {MAX_NODES:,} values once its aliases are expanded; put large tensors in a .npy file",
                )
            )
        if id(node) in self._open:
            raise _Unreadable(self._problem(node, "an anchor that contains its own alias; write the value out"))
        self._text.values[path] = (node.start_mark.line + 1, node.start_mark.column + 1)
        if _TAG.match(self._source, node.start_mark.index):
            self._text.problems.append(self._problem(node, "YAML tags are not allowed in a case; remove the tag"))
            return None
        self._open.append(id(node))
        try:
            if isinstance(node, MappingNode):
                return dict(self._items(node, path))
            if isinstance(node, SequenceNode):
                return [self.value(child, (*path, i)) for i, child in enumerate(node.value)]
            assert isinstance(node, ScalarNode)  # there are no other nodes
            return self._scalar(node)
        finally:
            self._open.pop()

    def _items(self, node: MappingNode, path: Path_) -> Iterator[tuple[str, Any]]:
        seen: dict[str, int] = {}
        for key_node, value_node in node.value:
            plain = isinstance(key_node, ScalarNode)
            key = self._scalar(key_node) if plain else None
            if key_node.value == "<<" or not isinstance(key, str):
                shown = key_node.value if plain else "a list or mapping"
                self._text.problems.append(
                    self._problem(key_node, f"{shown!r} cannot be a key here; keys are plain words")
                )
                continue
            if key in seen:
                self._text.problems.append(
                    self._problem(key_node, f"`{key}` is already given on line {seen[key]}; remove one of the two")
                )
                continue
            seen[key] = key_node.start_mark.line + 1
            self._text.keys[(*path, key)] = (key_node.start_mark.line + 1, key_node.start_mark.column + 1)
            yield key, self.value(value_node, (*path, key))

    def _scalar(self, node: ScalarNode) -> Any:
        value = self._constructor.construct_object(node)
        if isinstance(value, float):
            return Written(value, node.value)
        if value is not None and not isinstance(value, str | int | bool):
            return str(node.value)  # a date, say
        return value

    def _problem(self, node: Node, message: str) -> Problem:
        return Problem(self._text.file, node.start_mark.line + 1, node.start_mark.column + 1, message)
