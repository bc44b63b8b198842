"""What is wanted of an environment, judged: from a project's settings, or written out behind a runner's ``@``."""

from __future__ import annotations

import contextlib
import difflib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")

LEAST_PYTHON = (3, 7)
"""What a worker runs on."""

AT_RELEASE = "release"
"""What else is installed is to be of the same time: what came out later often breaks what is old."""

_EXAMPLES = {"python": "3.8", "until": "2021-11-30", "interpreter": ".venv-old"}
KEYS = ("python", "packages", "until", "interpreter")


@dataclass(frozen=True)
class Wanted:
    """An environment to be built, or one that exists.

    ``name``: as it is written behind a runner's ``@``. ``packages``: PEP 508 requirements. ``python``: a version such
    as 3.8, or the path of an interpreter; None: bncheck's own, or else the newest for which the packages are to be
    had. ``until``: a day, such as 2021-11-30, after which nothing counts as released, or `AT_RELEASE`, the day of the
    packages themselves. ``interpreter``: an interpreter, or the folder of a virtual environment, which is taken as it
    is; there is nothing else then.
    """

    name: str
    packages: tuple[str, ...] = ()
    python: str | None = None
    until: str | None = None
    interpreter: Path | None = None

    @property
    def said(self) -> str:
        """What it is of, in a line."""
        if self.interpreter is not None:
            return str(self.interpreter)
        python = f" on Python {self.python}" if self.python else ""
        until = " as of its release" if self.until == AT_RELEASE else f" as of {self.until}" if self.until else ""
        return " ".join(self.packages) + python + until


class Misplaced(ValueError):
    """What is wrong with the value of one key of a table."""

    def __init__(self, message: str, key: str) -> None:
        super().__init__(message)
        self.key = key


def of_table(name: str, table: Any, home: Path) -> Wanted:
    """The environment that a table of settings in the folder ``home`` asks for. Raises `ValueError`, and `Misplaced`
    where a key is wrong."""
    if not NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name: letters, digits, _ . and -, beginning with a letter or digit")
    if not isinstance(table, Mapping):
        raise ValueError("should be a table with python and packages, or with interpreter")
    for key in table:
        if key not in KEYS:
            raise Misplaced(f"unknown key `{key}`; there are {', '.join(KEYS)}", key)
    if "interpreter" in table:
        if len(table) > 1:
            raise Misplaced(
                "nothing is installed into an interpreter that exists; leave out the other keys", "interpreter"
            )
        return Wanted(name, interpreter=home / Path(_text(table, "interpreter")).expanduser())
    packages = table.get("packages")
    if packages is None:
        example = 'write packages = ["tensorflow-cpu==2.4.4"], or interpreter = ".venv-old" for one that exists'
        raise ValueError(f"packages is missing; {example}")
    if not isinstance(packages, list) or not packages or not all(isinstance(p, str) for p in packages):
        message = 'packages should be a list such as ["tensorflow-cpu==2.4.4"]'
        raise Misplaced(message, "packages")
    try:
        requirements = tuple(requirement(package) for package in packages)
    except ValueError as error:
        raise Misplaced(str(error), "packages") from None
    python = interpreter_or_version(_text(table, "python"), home) if "python" in table else None
    return Wanted(name, requirements, python, _day(table) if "until" in table else None)


def named(text: str, defined: Mapping[str, Wanted]) -> Wanted:
    """What stands behind ``@``: the name of an environment that is ``defined``, or one that is written out itself, as
    releases with spaces between them, at whose time it is built, or as the path of an interpreter or virtual
    environment. Raises `ValueError`."""
    if text in defined:
        return defined[text]
    if "://" in text:
        raise _an_address(text)
    if is_path(text):
        return Wanted(text, interpreter=Path(text).expanduser())
    if not text.strip():
        raise ValueError("there is no environment without a name; write for example keras@tensorflow-cpu==2.15.1")
    if NAME.fullmatch(text):
        close = difflib.get_close_matches(text, defined, n=1)
        there = (
            f"did you mean {close[0]}?" if close else f"there are {', '.join(defined)}" if defined else "none is set"
        )
        raise ValueError(
            f"there is no environment {text!r}; {there}. One is set as [tool.bncheck.environments.{text}] in "
            f"pyproject.toml or bncheck.toml, or written out: {text}==RELEASE"
        )
    return Wanted(text, tuple(requirement(each) for each in text.split()), until=AT_RELEASE)


def is_path(text: str) -> bool:
    """Whether a text is taken as a path, which no name and no requirement is: it has a separator."""
    return os.sep in text or "/" in text


def requirement(text: str) -> str:
    """A requirement as the index is asked for it. Raises `ValueError` for anything else than a name with versions."""
    try:
        parsed = Requirement(text)
    except InvalidRequirement:
        raise ValueError(f"{text!r} is no requirement; write for example tensorflow-cpu==2.4.4") from None
    if parsed.url is not None:
        raise _an_address(text)
    return str(parsed)


def _an_address(text: str) -> ValueError:
    return ValueError(f"{text!r} is an address; name a release, or an interpreter that has it installed")


def _day(table: Mapping[str, Any]) -> str:
    value = table["until"]
    if value == AT_RELEASE:
        return AT_RELEASE
    with contextlib.suppress(ValueError):
        return str(value if type(value) is date else date.fromisoformat(_text(table, "until")))
    raise Misplaced(f'until should be a day such as "2021-11-30", or "release", not {value}', "until")


def is_version(text: str) -> bool:
    return re.fullmatch(r"3(\.[0-9]{1,3}){1,2}", text) is not None


def interpreter_or_version(text: str, home: Path) -> str:
    """A version such as 3.8, or an absolute path. Raises `Misplaced`."""
    if is_version(text) and tuple(map(int, text.split("."))) >= LEAST_PYTHON:
        return text
    if re.fullmatch(r"[0-9.]+", text):
        raise Misplaced(f'{text} is no version that a worker runs on; write one such as "3.8", 3.7 or newer', "python")
    if is_path(text):
        return os.path.abspath(home / Path(text).expanduser())  # noqa: PTH100  # what a virtual environment links to is another one
    raise Misplaced(f'{text!r} is neither a version such as "3.8" nor the path of an interpreter', "python")


def _text(table: Mapping[str, Any], key: str) -> str:
    value = table[key]
    if not isinstance(value, str) or not value or "\0" in value:
        raise Misplaced(f'{key} should be a text, for example {key} = "{_EXAMPLES[key]}"', key)
    return value
