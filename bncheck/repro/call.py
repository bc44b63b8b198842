"""A built-in runner's own call, as its users would write it: its very source, with what the case says filled in.

What `run(case)` reads of the case is mostly settled by the case alone. So branches are decided, and settings stand
where they are used; the tensors remain as attributes of `case`. All else is the runner's text, line by line.
"""

from __future__ import annotations

import ast
import builtins
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from bncheck.repro.numerals import plain
from bncheck.repro.source import Edit, edited, end, segment, start, taken
from bncheck.worker.call import Call

TENSORS = ("steps", "extra", "mask", "upstream", "gamma", "beta", "moving_mean", "moving_variance")
"""What a call reads that is not settled by the case's words."""

_PLAIN = (type(None), bool, int, float, str)


@dataclass(frozen=True)
class Written:
    """The text of a call: imports for the top of a script, its ``parts``, the tensors of the case that it reads, and
    what stands before a framework is imported."""

    imports: list[str]
    parts: list[str]
    tensors: list[str]
    environment: list[str] = field(default_factory=list)


def filled_in(text: str, call: Call) -> Written:
    """The function ``run`` of a runner's module with the text ``text``, for one call."""
    module = ast.parse(text)
    function = next(n for n in module.body if isinstance(n, ast.FunctionDef) and n.name == "run")
    imports = [n for n in function.body if isinstance(n, ast.Import)]
    whole = edited(segment(text, function), _without(imports, function.lineno - 1))
    whole = _pruned(whole, call)
    whole = edited(whole, _settled(ast.parse(whole), whole, call))
    whole = _tidy(_without_uncalled(whole))
    nodes = list(ast.walk(ast.parse(whole)))
    read = {n.attr for n in nodes if isinstance(n, ast.Attribute) and _is_case(n.value)}
    around = taken(text, *(n.id for n in nodes if isinstance(n, ast.Name)))
    return Written(
        [*around.imports, *(segment(text, n).strip() for n in imports)],
        [*around.definitions, whole],
        [t for t in TENSORS if t in read],
    )


def _without(nodes: list[ast.Import], above: int) -> Iterator[Edit]:
    for node in nodes:
        yield Edit((node.lineno - above, 0), (node.lineno - above + 1, 0))


def _tidy(text: str) -> str:
    """Without blank lines at the head of the function, nor two in a row."""
    return re.sub(r"(:\n)\n+|(\n\n)\n+", r"\1\2", text)


def _without_uncalled(text: str) -> str:
    """A function's text without the functions in it that nothing names any more."""
    (whole,) = ast.parse(text).body
    named = {n.id for n in ast.walk(whole) if isinstance(n, ast.Name)}
    for node in ast.walk(whole):
        if isinstance(node, ast.FunctionDef) and node is not whole and node.name not in named:
            lines = text.splitlines()
            return _without_uncalled("\n".join([*lines[: node.lineno - 1], *lines[node.end_lineno :]]))
    return text


def _is_case(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id == "case"


class _Open(Exception):
    """An expression whose value the case alone does not say."""


def _value(node: ast.expr, call: Call) -> Any:
    """What an expression is that reads nothing but the case; raises `_Open` for any other."""
    names = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
    if "case" not in names or not all(n == "case" or hasattr(builtins, n) for n in names):
        raise _Open
    try:
        return eval(compile(ast.Expression(node), "<run>", "eval"), {"case": call})
    except Exception:  # it is not reached for such a case
        raise _Open from None


def _decided(test: ast.expr, call: Call) -> bool:
    if isinstance(test, ast.Compare) and all(isinstance(n, ast.Constant) for n in (test.left, *test.comparators)):
        return bool(eval(compile(ast.Expression(test), "<run>", "eval")))
    value = _value(test, call)
    if not isinstance(value, _PLAIN):
        raise _Open
    return bool(value)


def _pruned(text: str, call: Call) -> str:
    """``text`` with the branches that the case takes in place of the choice."""
    lines = text.splitlines()
    for suite in _suites(ast.parse(text)):
        for node in suite:
            if not isinstance(node, ast.If) or lines[node.lineno - 1].lstrip().startswith("elif"):
                continue
            try:
                chosen = node.body if _decided(node.test, call) else node.orelse
            except _Open:
                continue
            branch = [" " * node.col_offset + "pass"] if len(suite) == 1 else []
            after = node.end_lineno
            if chosen:
                branch = lines[chosen[0].lineno - 1 : chosen[-1].end_lineno]
                if branch[0].lstrip().startswith("elif"):
                    branch[0] = branch[0].replace("elif", "if", 1)
                branch = textwrap.indent(textwrap.dedent("\n".join(branch)), " " * node.col_offset).splitlines()
                if isinstance(chosen[-1], ast.Return | ast.Continue):  # nothing else is reached
                    after = suite[-1].end_lineno
            return _pruned("\n".join([*lines[: node.lineno - 1], *branch, *lines[after:]]), call)
    return text


def _suites(tree: ast.AST) -> Iterator[list[ast.stmt]]:
    for node in ast.walk(tree):
        for name in ("body", "orelse"):
            suite = getattr(node, name, None)
            if isinstance(suite, list) and suite:
                yield suite


def _settled(node: ast.AST, text: str, call: Call) -> Iterator[Edit]:
    """What becomes of the expressions below ``node``, outermost first."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.keyword) and child.arg is None and (given := _given(child.value, call)):
            yield Edit(start(child), end(child), ", ".join(f"{name}={value}" for name, value in given.items()))
            continue
        if not isinstance(child, ast.expr):
            yield from _settled(child, text, call)
            continue
        literal = _literal(child, call)
        if literal is not None:
            yield Edit(start(child), end(child), literal)
        elif isinstance(child, ast.IfExp) and (chosen := _branch(child, call)) is not None:
            yield from _instead(child, chosen, text, call)
        elif (given := _given(child, call)) is not None:
            yield Edit(start(child), end(child), _dictionary(given, text.splitlines()[child.lineno - 1]))
        elif isinstance(child, ast.Call) and isinstance(child.func, ast.Name) and child.func.id == "kept":
            yield Edit(start(child), end(child), f"{ast.unparse(child.args[1])}()")  # a script makes one call
        elif isinstance(child, ast.Call) and _method(child) == "broadcast":
            shape = list(call.broadcast(call.moving_mean).shape)
            yield from _instead(child, child.args[0], text, call, f".reshape({shape})")
        else:
            yield from _settled(child, text, call)


def _instead(node: ast.expr, part: ast.expr, text: str, call: Call, after: str = "") -> Iterator[Edit]:
    """``part`` of an expression in place of the whole, itself settled, with ``after`` behind it."""
    yield Edit(start(node), start(part))
    yield Edit(end(part), end(node), after)
    holder = ast.Expr(part)
    yield from _settled(holder, text, call)


def _literal(node: ast.expr, call: Call) -> str | None:
    """The value of a whole expression, written out; arithmetic stays as it is, since it shows where numbers come
    from."""
    if isinstance(node, ast.Name) or any(isinstance(n, ast.BinOp) for n in ast.walk(node)):
        return None
    try:
        value = _value(node, call)
    except _Open:
        return None
    return plain(value) if _is_plain(value) else None


def _is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(_is_plain(v) for v in value.values())
    return all(map(_is_plain, value)) if isinstance(value, tuple | list) else isinstance(value, _PLAIN)


def _dictionary(given: dict[str, str], line: str) -> str:
    """Keyword arguments as a dictionary, on lines of their own where they are many."""
    pairs = [f'"{name}": {value}' for name, value in given.items()]
    if len(pairs) < 3:
        return f"{{{', '.join(pairs)}}}"
    indent = line[: len(line) - len(line.lstrip())]
    return "{\n" + "".join(f"{indent}    {pair},\n" for pair in pairs) + indent + "}"


def _branch(node: ast.IfExp, call: Call) -> ast.expr | None:
    try:
        return node.body if _decided(node.test, call) else node.orelse
    except _Open:
        return None


def _method(node: ast.expr) -> str | None:
    """The method of the case that an expression calls."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and _is_case(node.func.value):
        return node.func.attr
    return None


def _given(node: ast.expr, call: Call) -> dict[str, str] | None:
    """The keyword arguments that `case.given(...)` makes, written out; None for any other expression."""
    if _method(node) != "given":
        return None
    assert isinstance(node, ast.Call)
    named = {k.arg: str(ast.literal_eval(k.value)) for k in node.keywords if k.arg}
    return {
        argument: plain(value) if _is_plain(value) else f"case.{named[argument]}"
        for argument, value in call.given(**named).items()
    }
