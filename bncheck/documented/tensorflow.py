"""TensorFlow's releases: where each has the legacy Keras layer, and what must be installed beside it."""

from __future__ import annotations

from collections.abc import Mapping

from packaging.version import Version

from bncheck.documented.installed import also_as, before
from bncheck.documented.reading import Call, Unsupported


def numbers_of(distribution: str, release: str) -> tuple[int, ...] | None:
    """The numbers of a release of TensorFlow, built for whatever processor; None for another distribution."""
    return Version(release).release if distribution in also_as("tensorflow") else None


def companions(distribution: str, release: str) -> list[str]:
    """What a release of TensorFlow needs and does not say: releases of its own needs that came after it broke it."""
    numbers = numbers_of(distribution, release)
    if numbers is None:
        return []
    protobuf = ["protobuf<3.21"] if numbers < (2, 9) else []
    numpy = ["numpy<1.24"] if numbers < (2, 12) else ["numpy<2"] if numbers < (2, 15) else []
    return [*protobuf, *numpy]


def too_old(versions: Mapping[str, str]) -> str | None:
    """Why a TensorFlow is too old to be called at all, or None."""
    if before(versions, "tensorflow", 1, 15):
        return f"needs TensorFlow 1.15 or newer; TensorFlow {versions['tensorflow']}"
    return None


def without_bfloat16(call: Call) -> Unsupported | None:
    """Why a bfloat16 tensor cannot be handed over from NumPy, or None."""
    if call.case.input.dtype == "bfloat16" and call.before("tensorflow", 2, 14):
        return Unsupported("until TensorFlow 2.13 its bfloat16 is not that of ml_dtypes")
    return None
