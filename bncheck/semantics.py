"""One record of every way to read batch normalization.

A case is one reading (what was requested), an implementation's documentation is another, and an explanation of a
difference is a third. All of them are values of one type, handed to one reference, so the formula exists once.
"""

from dataclasses import dataclass
from typing import Literal

Mode = Literal["training", "inference"]
Placement = Literal["inside", "outside", "floor"]
Estimator = Literal["biased", "unbiased"]
Momentum = float | Literal["cumulative"]
NormalizedBy = Literal["batch", "moving", "updated"]
Update = Literal["once", "none", "twice", "crossed", "exchanged", "debiased"]
Exchange = Literal["none", "gamma and beta", "mean and variance"]
Taken = Literal["variance", "deviation", "square"]
Formula = Literal["deviations", "squares"]
Masking = Literal["left out", "ignored", "inverted", "zeros"]
Backward = Literal["exact", "constants", "constant mean", "constant variance", "statistics"]
Slip = Literal["none", "gamma", "deviation", "count", "deviation in gamma", "mean in gamma", "averaged", "exchanged"]
Precision = Literal["wide", "narrow", "narrow sums", "float32", "float16", "bfloat16"]

EPSILON = 1e-3
"""Keras's default epsilon: what ``epsilon: default`` requests."""

MOMENTUM = 0.99
"""Keras's default momentum (the weight of the *old* moving statistic): what ``momentum: default`` requests."""

MODE: Mode = "inference"
"""Keras's default mode (``training=False``): what ``mode: default`` requests."""


@dataclass(frozen=True)
class Semantics:
    """How ``y = gamma * (x - mean) / sqrt(variance + epsilon) + beta`` is to be read.

    Every field has a value that a case can request, and others that wrong implementations are known by.

    ``kept``
        the axes that keep their own statistics (Keras's ``axis``), sorted, non-negative; all others are averaged over.
    ``along``
        the axes that parameters and moving statistics lie along, where those are not the kept ones: statistics are
        then averaged over the axes that are too many, and repeated along those that are missing.
    ``order``
        the axes in the order in which the tensor's memory is taken to be (a tensor NHWC in memory that is read as
        NCHW), where that is not their own; ``kept`` counts axes of that order.
    ``mode``
        ``training`` normalizes by the batch's statistics and updates the moving ones; ``inference`` normalizes by the
        moving statistics and leaves them alone.
    ``normalized_by``, ``update``
        what normalizes, and what becomes of the moving statistics, where that is not as the mode has it. ``updated``:
        the moving statistics after the step; ``twice``: the same batch enters two times; ``crossed``: the batch's
        variance enters the moving mean, and its mean the moving variance; ``exchanged``: each is stored as the other;
        ``debiased``: as if they had begun at 0, and divided by 1 - momentum^steps, so that what they were is forgotten.
    ``epsilon``, ``placement``
        added to the variance inside the square root; ``outside``, added to the root; or, as a ``floor``, the least that
        a variance is taken to be.
    ``momentum``
        the weight of the old moving statistic, ``new = momentum*old + (1 - momentum)*batch``; ``cumulative`` is the
        plain average over all steps so far (PyTorch's ``momentum=None``).
    ``center``, ``scale``
        whether beta is added, whether gamma multiplies.
    ``gamma_offset``
        what is added to gamma (1 in implementations that store gamma - 1).
    ``exchange``
        which two are taken for each other.
    ``taken``
        what stands for the variance that normalizes: its root, or its square where a variance is taken for a deviation.
    ``batch_variance``, ``moving_variance``
        the estimator that normalizes a training batch, and the one that enters the moving variance: ``biased`` divides
        by N, ``unbiased`` by max(N - 1, 1).
    ``correction``
        what is taken off N where the variance that enters the moving one is multiplied once more, by N/(N - this).
    ``batch_formula``
        how a batch's variance is computed: E[(x - E[x])^2] from ``deviations``, or from ``squares``, E[x^2] - E[x]^2,
        which is the same number and cancels where the mean is large.
    ``mask``
        what becomes of the positions that a case's mask hides, None where it has none: ``left out`` of the batch's
        statistics; ``ignored``, the mask is, and all positions enter; ``inverted``, they alone enter; ``zeros`` enter
        in their place.
    ``virtual``, ``adjacent``
        how many rows of the first axis make a virtual batch, with statistics of its own, of which the mean enters the
        moving ones; None where the batch is one. Of G virtual batches each has every G-th row; or, ``adjacent``, rows
        that follow each other.
    ``precision``
        where tensors are rounded. ``wide``: arithmetic in float32 or in a wider dtype of the tensor's own, each result
        rounded once. ``narrow``: scale, shift or statistics of a 16-bit tensor are themselves held in its dtype;
        ``narrow sums``: and its gradients are summed in it. A format: all arithmetic is done in that narrower one.
    ``backward``
        what the gradient of x takes for constants: nothing that depends on x (``exact``); ``constants``, the
        statistics of a batch, as in inference; its mean or its variance alone. ``statistics``: given ones are taken for
        the batch's, which depend on x.
    ``backward_slip``
        what gradients lack or have too much: gamma, or 1/sqrt(v + epsilon) (``deviation``), that of x; the division of
        its sums by N (``count``); that of gamma, 1/sqrt(v + epsilon), or the mean; those of parameters are
        ``averaged``, not summed; or ``exchanged``.
    """

    kept: tuple[int, ...]
    mode: Mode
    epsilon: float = EPSILON
    momentum: Momentum = MOMENTUM
    center: bool = True
    scale: bool = True
    batch_variance: Estimator = "biased"
    moving_variance: Estimator = "biased"
    correction: float = 0.0
    batch_formula: Formula = "deviations"
    mask: Masking | None = None
    virtual: int | None = None
    adjacent: bool = False
    precision: Precision = "wide"
    along: tuple[int, ...] | None = None
    order: tuple[int, ...] | None = None
    normalized_by: NormalizedBy | None = None
    update: Update | None = None
    placement: Placement = "inside"
    gamma_offset: float = 0.0
    exchange: Exchange = "none"
    taken: Taken = "variance"
    backward: Backward = "exact"
    backward_slip: Slip = "none"

    @property
    def normalizes_by(self) -> NormalizedBy:
        """Which statistics normalize."""
        return self.normalized_by or ("batch" if self.mode == "training" else "moving")

    @property
    def partial(self) -> bool:
        """Whether what normalizes may be the statistics of a part of a channel's values."""
        return self.mask is not None or self.virtual is not None

    @property
    def updates(self) -> Update:
        """What becomes of the moving statistics at each step."""
        return self.update or ("once" if self.mode == "training" else "none")
