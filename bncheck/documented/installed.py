"""The versions of distributions, looked up without importing them."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Mapping

from bncheck.distributions import OTHER_BUILDS


def also_as(distribution: str) -> tuple[str, ...]:
    """A distribution's names: its own first."""
    return (distribution, *OTHER_BUILDS.get(distribution, ()))


def before(versions: Mapping[str, str], distribution: str, *release: int) -> bool:
    """Whether a distribution is there and older than ``release``: ``before(versions, "torch", 2, 10)``.

    Only the numbers count: a release candidate or a nightly build is taken for the release that it leads to.
    """
    numbers = re.match(r"\d+(\.\d+)*", versions.get(distribution, ""))
    return numbers is not None and tuple(map(int, numbers[0].split(".")))[: len(release)] < release


def version_of(distribution: str, installed: Mapping[str, str] | None = None) -> str | None:
    """The version of a distribution, here or among those ``installed`` elsewhere; None if it is not there."""
    for name in also_as(distribution):
        if installed is not None:
            if name in installed:
                return installed[name]
            continue
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None
