"""Keras 2.2 and 2.3, on TensorFlow 1: fused or not, by rank, axis and device, and with statistics of its own kind.

One axis of any place. The variance that enters the moving one is corrected to a sample's, by N/(N - (1 + epsilon)),
also where the fused operation has corrected it already. Up to 2.2 the moving averages are debiased as if they had begun
at 0, and so forget what they were. ``trainable=False`` does not change what normalizes: it runs no updates.
"""

from __future__ import annotations

from bncheck.case.model import Case
from bncheck.documented.arrangement import channel_last
from bncheck.documented.reading import (
    Call,
    Fact,
    Reading,
    Refusal,
    Source,
    Unsupported,
    defaults,
    mixed,
    reading,
    single_axis,
)
from bncheck.documented.tensorflow import without_bfloat16
from bncheck.documented.tf_fused import WRAPPER, fused

FILE = "https://github.com/keras-team/keras/blob/2.2.5/keras"
LAYER = Source("keras 2.2.5, BatchNormalization", f"{FILE}/layers/normalization.py")
CORRECTION = Source("keras 2.2.5, BatchNormalization.call", f"{FILE}/layers/normalization.py#L187-L195")
BACKEND = Source("keras 2.2.5, fused path", f"{FILE}/backend/tensorflow_backend.py#L2064-L2071")
AVERAGE = Source("keras 2.2.5, moving_average_update", f"{FILE}/backend/tensorflow_backend.py#L1049-L1063")
UPDATES = Source("keras 2.2.5, Layer.updates", f"{FILE}/engine/base_layer.py#L178-L181")
MOMENTS = Source(
    "tf.nn.moments",
    "https://github.com/tensorflow/tensorflow/blob/v1.15.5/tensorflow/python/ops/nn_impl.py",
)


def documented(call: Call) -> Reading | Unsupported:
    case = call.case
    if (cannot := without_bfloat16(call)) is not None:
        return cannot
    if case.momentum == "cumulative":
        return Unsupported("momentum is a number; the layer keeps no cumulative average")
    if mixed(case):
        return Unsupported("its parameters have the layer's dtype, which is x's")
    axis, notes = single_axis(case)
    rank = len(case.input.shape)
    arrangement = channel_last(case) if axis is None or rank < 2 else None
    kept = case.channels.kept
    if arrangement is not None:
        rank, kept, notes = len(arrangement.groups), (arrangement.axis,), ()
    is_fused = rank == 4 and (kept == (3,) or (kept == (1,) and call.device == "gpu"))
    return reading(
        case,
        *defaults(case, LAYER, epsilon=1e-3, momentum=0.99, mode="inference"),
        *(fused(call, BACKEND) if is_fused else ()),
        *_statistics(call),
        _narrow(case, is_fused),
        axis=axis,
        arrangement=arrangement,
        refusal=Refusal("16- and 32-bit floats on this path", "", WRAPPER)
        if is_fused and case.input.dtype == "float64"
        else None,
        notes=notes,
        takes=("trainable",),
    )


def _narrow(case: Case, is_fused: bool) -> Fact | None:
    """That functions which are not fused compute in 16 bits, and the moving averages are taken in them."""
    if case.input.dtype != "float16" or (is_fused and case.mode != "training"):
        return None
    if is_fused:
        return Fact("precision", "narrow", "the moving statistics are averaged in x's dtype", AVERAGE)
    return Fact("precision", "narrow", "the statistics, computed in float32, are cast to x's dtype", MOMENTS)


def _statistics(call: Call) -> tuple[Fact, ...]:
    """What becomes of the moving statistics."""
    case = call.case
    if case.mode != "training":
        return ()
    if not case.trainable:
        words = "training says what normalizes, whether or not the layer is trainable"
        none = "a layer that is not trainable has no updates to run"
        return Fact("mode", "training", words, LAYER), Fact("update", "none", none, UPDATES)
    facts: tuple[Fact, ...] = ()
    if case.channels.values > 1:
        words = "the moving variance takes the sample's, N/(N - (1 + epsilon)), whatever was corrected before"
        facts += (Fact("correction", 1.0 + case.requested.epsilon, words, CORRECTION),)
    if call.before("keras", 2, 3):
        words = "the averages are debiased as if they had begun at 0, zero_debias=True"
        facts += (Fact("update", "debiased", words, AVERAGE),)
    return facts
