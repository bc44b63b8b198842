"""Distributions that are the same package, built for another processor or every night: they go by other names."""

from __future__ import annotations

from collections.abc import Mapping

OTHER_BUILDS: Mapping[str, tuple[str, ...]] = {
    "tensorflow": ("tensorflow-cpu", "tf-nightly", "tensorflow-intel", "tensorflow-macos"),
    "onnxruntime": ("onnxruntime-gpu",),
}
"""By the name that others depend on, the other names."""
