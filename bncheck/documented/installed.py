"""The versions of distributions, looked up without importing them."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping

_ALSO_AS = {
    "tensorflow": ("tensorflow-cpu", "tf-nightly", "tensorflow-intel", "tensorflow-macos"),
    "onnxruntime": ("onnxruntime-gpu",),
}
"""Builds for another processor, and nightly ones, are distributions of other names."""


def version_of(distribution: str, installed: Mapping[str, str] | None = None) -> str | None:
    """The version of a distribution, here or among those ``installed`` elsewhere; None if it is not there."""
    for name in (distribution, *_ALSO_AS.get(distribution, ())):
        if installed is not None:
            if name in installed:
                return installed[name]
            continue
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None
