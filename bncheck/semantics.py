"""One record of every way to read batch normalization.

A case is one reading (what was requested), an implementation's documentation is another, and an explanation of a
difference is a third. All of them are values of one type, handed to one reference, so the formula exists once.
"""

from dataclasses import dataclass
from typing import Literal

Mode = Literal["training", "inference"]
Estimator = Literal["biased", "unbiased"]
Precision = Literal["wide", "narrow"]
Momentum = float | Literal["cumulative"]

EPSILON = 1e-3
"""Keras's default epsilon: what ``epsilon: default`` requests."""

MOMENTUM = 0.99
"""Keras's default momentum (the weight of the *old* moving statistic): what ``momentum: default`` requests."""

MODE: Mode = "inference"
"""Keras's default mode (``training=False``): what ``mode: default`` requests."""


@dataclass(frozen=True)
class Semantics:
    """How ``y = gamma * (x - mean) / sqrt(variance + epsilon) + beta`` is to be read.

    ``kept``
        the axes that keep their own statistics (Keras's ``axis``), sorted, non-negative; all others are averaged over.
    ``mode``
        ``training`` normalizes by the batch's statistics and updates the moving ones; ``inference`` normalizes by the
        moving statistics and leaves them alone.
    ``epsilon``
        added to the variance, inside the square root.
    ``momentum``
        the weight of the old moving statistic, ``new = momentum*old + (1 - momentum)*batch``; ``cumulative`` is the
        plain average over all steps so far (PyTorch's ``momentum=None``).
    ``center``, ``scale``
        whether beta is added, whether gamma multiplies.
    ``batch_variance``, ``moving_variance``
        the estimator that normalizes a training batch, and the one that enters the moving variance: ``biased`` divides
        by N, ``unbiased`` by max(N - 1, 1).
    ``precision``
        where 16-bit tensors are rounded. ``wide``: arithmetic in float32, each result rounded once. ``narrow``:
        scale, shift or statistics are themselves held in the tensor's dtype.
    """

    kept: tuple[int, ...]
    mode: Mode
    epsilon: float = EPSILON
    momentum: Momentum = MOMENTUM
    center: bool = True
    scale: bool = True
    batch_variance: Estimator = "biased"
    moving_variance: Estimator = "biased"
    precision: Precision = "wide"
