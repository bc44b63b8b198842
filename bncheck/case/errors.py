"""Data to a model, or to everything that is wrong with them, in words: where, what, and how to mend it."""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar, cast

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from bncheck.case.model import Model
from bncheck.case.rules import LETTERS, Broken, shown
from bncheck.case.text import Path_

M = TypeVar("M", bound=Model)


class Error(NamedTuple):
    """What is wrong at a path of the data: with the value there, or (``at_key``) with the key."""

    path: Path_
    message: str
    at_key: bool = False


def validate(model: type[M], data: dict[str, Any], context: dict[str, Any]) -> tuple[M | None, list[Error]]:
    """``data`` as ``model``, or its errors. What is wrong is taken out and the rest is looked at again: one error hides
    no other."""
    errors: list[Error] = []
    taken: set[Path_] = set()
    while True:
        try:
            valid = model.model_validate(data, context=context)
        except ValidationError as error:
            details = error.errors(include_url=False)
        else:
            return (None if errors else valid), errors
        missing = [_missing(path, model) for path in taken]  # only says that what was taken out is missing
        found = [e for e in _errors(details, data, model) if e not in errors and e not in missing]
        errors += found
        broken = {_key(e.path) for e in found} - taken - {()}
        if not broken:
            return None, errors
        taken |= broken
        data = _without(data, broken)


def _key(path: Path_) -> Path_:
    """The key of the case, or of one of its mappings, whose value holds ``path``."""
    path = path[:2]
    while path and not isinstance(path[-1], str):
        path = path[:-1]
    return path


def _without(data: dict[str, Any], paths: set[Path_]) -> dict[str, Any]:
    """``data`` without what is at ``paths``, which are one or two keys long; a layout is replaced by one that fits."""
    kept = {key: value for key, value in data.items() if (key,) not in paths}
    for outer, key in (tuple(map(str, path)) for path in paths if len(path) == 2):
        if isinstance(kept.get(outer), dict):
            kept[outer] = {k: v for k, v in kept[outer].items() if k != key}
            if (outer, key) == ("input", "layout") and isinstance(kept[outer].get("shape"), list):
                kept[outer]["layout"] = LETTERS[: len(kept[outer]["shape"])]
    return kept


_TAGGED = ("values", "upstream", "relu", "of")
"""Keys whose values are one of several recipes: the location of an error within them names the recipe first."""


def _path(loc: Sequence[str | int], data: Any, *, absent: bool) -> Path_:
    """Where in the data a pydantic location points: it also names members of unions, which the data do not have.

    ``absent``: the location ends with a key that the data lack.
    """
    path: list[str | int] = []
    tag = False
    for i, part in enumerate(loc):
        if tag:
            tag = False
            continue
        inside = (isinstance(data, dict) and part in data) or (
            isinstance(data, list) and isinstance(part, int) and part < len(data)
        )
        if inside:
            data = data[part]
            path.append(part)
            tag = part in _TAGGED and isinstance(data, dict | list)
        elif absent and i == len(loc) - 1:
            path.append(part)
    return tuple(path)


_WANTED = {
    "float_type": "a number",
    "int_type": "an integer",
    "int_from_float": "an integer",
    "string_type": "text",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "finite_number": "a finite number",
    "greater_than_equal": "at least {ge:g}",
    "less_than_equal": "at most {le:g}",
    "less_than": "less than {lt:g}",
}


def _errors(details: Sequence[ErrorDetails], data: Any, model: type[Model]) -> list[Error]:
    """One message a place: where a value fits no member of a union, what each of them wants is joined by "or"."""
    wanted: dict[Path_, list[str]] = {}
    given: dict[Path_, Any] = {}
    others: list[Error] = []
    for detail in details:
        kind, context = detail["type"], detail.get("ctx", {})
        path = _path(detail["loc"], data, absent=kind == "missing")
        if kind == "rules":
            root = context["root"] if context["root"] is not None else path
            others += [Error((*root, *b.at), b.message) for b in cast(list[Broken], context["broken"])]
        elif kind == "extra_forbidden":
            others.append(_unknown(path, model))
        elif kind == "missing":
            others.append(_missing(path, model))
        elif detail["loc"][-1:] == ("[key]",):
            others.append(Error(path, f"should be {_quoted(context)}, not {shown(detail['input'])}", at_key=True))
        elif kind == "literal_error" or kind in _WANTED:
            phrase = _quoted(context) if kind == "literal_error" else _WANTED[kind].format(**context)
            wanted.setdefault(path, []).append(phrase)
            given[path] = detail["input"]
        elif kind == "string_too_short":
            described = _known_at(path[:-1], model)[str(path[-1])]["description"]
            others.append(Error(path, f"should not be empty; say {described}"))
        else:
            others.append(Error(path, _plain(kind, detail["msg"], context)))
    deeper = [*wanted, *(e.path for e in others)]
    return [
        Error(
            path,
            f"should be {' or '.join(dict.fromkeys(phrases))}, not {shown(given[path])}{_meant(given[path], phrases)}",
        )
        for path, phrases in wanted.items()
        if not any(len(other) > len(path) and other[: len(path)] == path for other in deeper)
        and path not in (e.path for e in others)
    ] + others


def _meant(given: Any, phrases: Sequence[str]) -> str:
    """The word that was meant, if one of those that are wanted is much like it."""
    close = difflib.get_close_matches(str(given), re.findall("`([^`]+)`", " ".join(phrases)), n=1)
    return f"; did you mean `{close[0]}`?" if close else ""


def _quoted(context: dict[str, Any]) -> str:
    """The words that a literal may be."""
    return str(context["expected"]).replace("'", "`")


def _plain(kind: str, message: str, context: dict[str, Any]) -> str:
    if kind == "too_short":
        return f"should have at least {context['min_length']} entries, not {context['actual_length']}"
    if kind == "too_long":
        return f"should have at most {context['max_length']} entries, not {context['actual_length']}"
    return message


@functools.cache
def _schema(model: type[Model]) -> dict[str, Any]:
    return model.model_json_schema()


def _known_at(path: Path_, model: type[Model]) -> dict[str, Any]:
    """The keys that the mapping at ``path`` may have, with their JSON Schemas, for suggestions."""
    schema = _schema(model)
    nodes = [schema]
    for part in path:
        nodes = [node["properties"][part] for node in nodes if part in node.get("properties", {})]
        nodes = [resolved for node in nodes for resolved in _members(node, schema)]
    return {key: schema for node in nodes for key, schema in node.get("properties", {}).items()}


def _members(node: dict[str, Any], schema: dict[str, Any]) -> list[dict[str, Any]]:
    """A schema, or the members of the union that it is."""
    if "$ref" in node:
        return _members(schema["$defs"][node["$ref"].rsplit("/", 1)[1]], schema)
    members = [m for key in ("anyOf", "oneOf", "allOf") for m in node.get(key, [])]
    return [resolved for member in members for resolved in _members(member, schema)] or [node]


def _unknown(path: Path_, model: type[Model]) -> Error:
    key, known = str(path[-1]), list(_known_at(path[:-1], model))
    close = difflib.get_close_matches(key, known, n=1)
    if close and close[0] != key:
        return Error(path, f"unknown key `{key}`; did you mean `{close[0]}`?", at_key=True)
    if key in known or not known:
        return Error(path, f"`{key}` does not belong here; remove it", at_key=True)
    return Error(path, f"unknown key `{key}`; known here are {', '.join(known)}", at_key=True)


def _missing(path: Path_, model: type[Model]) -> Error:
    key = str(path[-1])
    examples = _known_at(path[:-1], model).get(key, {}).get("examples")
    return Error(path[:-1], f"`{key}` is missing; add " + (f"for example `{key}: {examples[0]}`" if examples else "it"))
