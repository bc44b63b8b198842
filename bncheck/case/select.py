"""``-k EXPRESSION``: cases by what their ids contain, with and, or, not and parentheses, as pytest has it."""

from __future__ import annotations

import re

_TOKEN = re.compile(r"[()]|[^\s()]+")


class BadExpression(Exception):
    """An expression that cannot be read."""


class Expression:
    """Matches ids: a word is true of an id that contains it, whatever its case."""

    def __init__(self, text: str) -> None:
        self._words: list[str] = []
        parts = []
        for token in _TOKEN.findall(text):
            if token in ("(", ")", "and", "or", "not"):
                parts.append(token)
            else:
                parts.append(f"contains[{len(self._words)}]")
                self._words.append(token.lower())
        try:
            self._code = compile(" ".join(parts), "<-k>", "eval")
        except SyntaxError:
            raise BadExpression(f"{text!r} is not an expression of words with and, or, not and parentheses") from None

    def matches(self, identity: str) -> bool:
        contains = [word in identity.lower() for word in self._words]
        return bool(eval(self._code, {"__builtins__": {}}, {"contains": contains}))
