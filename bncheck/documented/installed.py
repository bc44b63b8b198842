"""The versions of distributions, looked up without importing them."""

from __future__ import annotations

import importlib.metadata

_ALSO_AS = {
    "tensorflow": ("tensorflow-cpu", "tf-nightly", "tensorflow-intel", "tensorflow-macos"),
    "onnxruntime": ("onnxruntime-gpu",),
}
"""Builds for another processor, and nightly ones, are distributions of other names."""


def version_of(distribution: str) -> str | None:
    """The installed version of a distribution; None if it is not there."""
    for name in (distribution, *_ALSO_AS.get(distribution, ())):
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None
