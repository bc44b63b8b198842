"""What ``bncheck --version`` says: what is installed here, found without importing any of it."""

from __future__ import annotations

import platform

from bncheck import __version__
from bncheck.documented.installed import version_of

FRAMEWORKS = {
    "tensorflow": "tensorflow",
    "keras": "tensorflow",
    "tf-keras": "tensorflow",
    "torch": "torch",
    "jax": "jax",
    "flax": "jax",
    "dm-haiku": "jax",
    "onnx": "onnx",
    "onnxruntime": "onnx",
    "openvino": "openvino",
}
"""The distributions that runners need, each with the extra that installs it; stated here so that listing them imports
no runner."""


def versions() -> str:
    """A line for bncheck, for Python and for each framework."""
    rows = {
        "bncheck": __version__,
        "Python": f"{platform.python_version()} on {platform.system()}",
        "numpy": version_of("numpy") or "not installed",
    }
    for name, extra in FRAMEWORKS.items():
        rows[name] = version_of(name) or f"not installed; pip install 'bncheck[{extra}]'"
    return "\n".join(f"{name:<12} {what}" for name, what in rows.items())
