"""What each implementation documents about batch normalization, as pure functions with sources; the parent's side.

A module here and one of the same name in ``bncheck.worker.runners`` make a runner. It says in which worker it runs
(``FAMILY``), which distributions it needs (``NEEDS``), which extra installs them (``EXTRA``), and in
``documented(call)`` how it reads a case on one device, with the versions installed: a `Reading`, or `Unsupported` with
the reason. ``VARIANTS`` names other ways to call it; those in ``APART`` have a worker of their own. Where older
versions are called otherwise or not at all, ``way(versions, variant)`` says how: a `Way`, or why not.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from bncheck.documented.ways import Way

if TYPE_CHECKING:
    from bncheck.documented.reading import Call, Reading, Unsupported

DEFAULT_FAMILIES = ("numpy", "tensorflow", "torch")
"""Workers of the runners that run where none is named: those whose implementations people port between."""

_RUNNERS = Path(__file__).parent.parent / "worker" / "runners"


class Documented(Protocol):
    """What every module here offers."""

    FAMILY: str
    NEEDS: Sequence[str]
    EXTRA: str | None

    @staticmethod
    def documented(call: Call) -> Reading | Unsupported: ...


@cache
def built_in() -> tuple[str, ...]:
    """The names of the built-in runners, sorted."""
    paired = [
        m.name for m in pkgutil.iter_modules([str(Path(__file__).parent)]) if (_RUNNERS / f"{m.name}.py").exists()
    ]
    return tuple(sorted(name.replace("_", "-") for name in paired))


def of(spelling: str) -> Documented:
    """The module of a built-in runner, or of a variant of it."""
    name = spelling.partition(":")[0]
    return cast(Documented, importlib.import_module(f"{__name__}.{name.replace('-', '_')}"))


def way(spelling: str, versions: Mapping[str, str]) -> Way | str:
    """How a built-in runner or a variant of it is called with the ``versions`` of what is installed, or why it cannot
    be."""
    module, (name, _, variant) = of(spelling), spelling.partition(":")
    found: Callable[[Mapping[str, str], str | None], Way | str] | None = getattr(module, "way", None)
    return Way(name, tuple(module.NEEDS)) if found is None else found(versions, variant or None)


def variants(name: str) -> Mapping[str, str]:
    """The variants of a built-in runner: what each of them does, in a few words."""
    found: Mapping[str, str] = getattr(of(name), "VARIANTS", {})
    return found


def apart(spelling: str) -> bool:
    """Whether a runner is a variant that has a worker of its own, as what takes long or sets up its process has."""
    name, _, variant = spelling.partition(":")
    return variant in getattr(of(name), "APART", ()) if variant else False


def companions(spelling: str, distribution: str, release: str) -> list[str]:
    """What to install with a release of ``distribution`` for a built-in runner to be called: requirements, such as
    ``["tf-keras==2.17.*"]`` beside tensorflow-cpu 2.17.1."""
    found: Callable[[str, str], list[str]] | None = getattr(of(spelling), "companions", None)
    return [] if found is None else found(distribution, release)


@cache
def spellings() -> tuple[str, ...]:
    """The built-in runners and their variants, each runner before its variants."""
    return tuple(s for name in built_in() for s in (name, *(f"{name}:{variant}" for variant in variants(name))))


def by_default() -> tuple[str, ...]:
    """The built-in runners that run where none is named."""
    return tuple(name for name in built_in() if of(name).FAMILY in DEFAULT_FAMILIES)
