"""The releases of a distribution that the index has, and the Python to use each of them on."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import subprocess
import sys
from bisect import bisect
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import VERSION_PATTERN, InvalidVersion, Version

from bncheck.environments.interpreter import clean

LEAST_PIP = Version("25.1")
"""The first that lists releases as data."""

_INSTALL = "pip install 'bncheck[environments]'"

SECONDS = 300.0
"""What pip may take to ask the index."""

_UNREACHED = ("Retrying (", "Could not fetch URL", "ProxyError", "SSLError")
"""What pip says where the index did not answer, before it says that there is no such distribution."""

_PIP = "import sys; del sys.path[0]; import runpy; runpy.run_module('pip', run_name='__main__', alter_sys=True)"
"""pip, and not what is called so in the current folder."""


class NoRelease(Exception):
    """There is no such distribution or release, or none between the ends; the message says how to mend it."""


class NoIndex(Exception):
    """The index could not be asked; the message says why, in pip's words where they are its."""


def distribution(text: str) -> str:
    """The canonical name of a distribution; a text that is anything else than its name is a `ValueError`."""
    try:
        named = Requirement(text).name
    except InvalidRequirement:
        named = None
    if named != text:
        raise ValueError(f"{text!r} is no name of a package; write for example tensorflow-cpu")
    return canonicalize_name(text)


def between(name: str, first: str, last: str, pythons: Iterable[str]) -> tuple[list[Version], dict[Version, str]]:
    """The releases of a distribution from ``first`` to ``last``, in the order of that way, and for each the version of
    the Python to use: of ``pythons`` the one that can use most of them, and for what is left the next.

    Pre-releases are among them only where an end is one. Raises `NoRelease`, `NoIndex`.
    """
    ends = release(first), release(last)
    if ends[0] == ends[1]:
        raise NoRelease(f"{first} and {last} are the same release; there is nothing between them")
    pythons = list(pythons)
    with ThreadPoolExecutor() as pool:
        listed = pool.map(lambda python: listing(name, python, any(end.is_prerelease for end in ends)), pythons)
        usable = dict(zip(pythons, map(frozenset, listed), strict=True))
    there = sorted(frozenset().union(*usable.values()))
    on = "Python " + ", ".join(pythons)
    if not there:
        raise NoRelease(f"the index has no release of {name} for {on}")
    for end in ends:
        if end not in there:
            place = bisect(there, end)
            near = " and ".join(map(str, there[max(place - 1, 0) : place + 1]))
            raise NoRelease(f"the index has no release {end} of {name} for {on}; the nearest: {near}")
    found = [each for each in there if min(ends) <= each <= max(ends)]
    order = sorted(pythons, key=lambda python: -len(usable[python].intersection(found)))  # of equals, the first
    chosen = {each: next(python for python in order if each in usable[python]) for each in found}
    return found if ends[0] < ends[1] else found[::-1], chosen


def release(text: str) -> Version:
    """Raises `NoRelease`."""
    try:
        return Version(text)
    except InvalidVersion:
        raise NoRelease(f"{text!r} is no release; write for example 2.4.4") from None


def listing(name: str, python: str, pre: bool) -> list[Version]:
    """The releases of which the index that pip is set up for has a wheel for that version of Python. Raises
    `NoIndex`."""
    try:
        there = Version(importlib.metadata.version("pip"))
    except importlib.metadata.PackageNotFoundError:
        there = Version("0")
    if there < LEAST_PIP:
        raise NoIndex(
            f"pip {LEAST_PIP} or newer, which asks the index, is not installed; pip install 'bncheck[environments]'"
        )
    asked = ["index", "versions", "--json", "--python-version", python, "--only-binary", ":all:"]
    try:
        process = subprocess.run(
            [sys.executable, "-c", _PIP, *asked, *(["--pre"] if pre else []), "--", name],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=clean(os.environ),
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise NoIndex(f"the index did not answer within {SECONDS:g} s") from None
    if process.returncode == 0:
        return _parsed(process.stdout)
    said = re.sub(r"[^\x20-\x7e\n]", " ", process.stderr.decode("utf-8", "replace"))
    if "No matching distribution found" in said and not any(words in said for words in _UNREACHED):
        return []
    words = next((line for line in said.splitlines() if any(words in line for words in _UNREACHED)), said.strip())
    raise NoIndex(f"the index cannot be asked. pip: {words[-500:] or 'it said nothing'}")


def _parsed(answer: bytes) -> list[Version]:
    """The releases in pip's answer; what is no version by the standard is none that could be asked for. Raises
    `NoIndex`."""
    try:
        versions = json.loads(answer)["versions"]
        return [Version(text) for text in versions if re.fullmatch(VERSION_PATTERN, text, re.VERBOSE | re.IGNORECASE)]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise NoIndex(f"the index cannot be asked: pip answered {answer[:80]!r}") from None
