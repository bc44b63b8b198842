"""The legacy Keras layer: fused or not, by rank, axis and dtype, and with that another moving variance.

Its parameters are float32 for 16-bit inputs ("Raise parameters of fp16 batch norm to fp32"), and so is the arithmetic
on both paths. ``fused`` is left as it is by default, and the layer chooses its path; with ``virtual_batch_size``, which
it passes on to the class that it is of, it is never the fused one.
"""

from __future__ import annotations

from bncheck.documented.arrangement import channel_last
from bncheck.documented.reading import Call, Fact, Reading, Source, Unsupported, defaults, reading
from bncheck.documented.tf_fused import KERNEL, fused

FAMILY = "tensorflow"
NEEDS = ("tensorflow", "tf-keras")
EXTRA = "tensorflow"

LAYER = Source(
    "tf_keras",
    "https://github.com/keras-team/tf-keras/blob/v2.21.0/tf_keras/layers/normalization/batch_normalization.py",
)
FUSED = Source("tf_keras, fused path", KERNEL.link)


def documented(call: Call) -> Reading | Unsupported:
    return legacy(call, LAYER)


def legacy(
    call: Call, source: Source, takes: tuple[str, ...] = ("trainable", "mask", "virtual_batch_size")
) -> Reading | Unsupported:
    """What the layer documents, which `tf.compat.v1.layers` is a shell around."""
    case = call.case
    if case.momentum == "cumulative":
        return Unsupported("momentum is a number; the layer keeps no cumulative average")
    dtype = "float64" if case.input.dtype == "float64" else "float32"
    notes = () if dtype == case.parameters_dtype else ("parameters in float32",)
    rank, kept = len(case.input.shape), case.channels.kept
    adapted = not kept or rank < 2
    if case.mask is not None:  # it has all axes of x but the last
        adapted = adapted or kept != (rank - 1,)
    arrangement = channel_last(case) if adapted else None
    if arrangement is not None:
        rank, kept = len(arrangement.groups), (arrangement.axis,)
    fused_path = is_fused(rank, kept, case.input.dtype) and case.virtual_batch_size is None
    return reading(
        case,
        *defaults(case, source, epsilon=1e-3, momentum=0.99, mode="inference"),
        *(fused(call, FUSED) if fused_path else ()),
        Fact("mask", "ignored", "the fused path warns that it ignores a mask", LAYER)
        if fused_path and case.mask is not None
        else None,
        arrangement=arrangement,
        parameters_dtype=dtype,
        notes=notes,
        takes=takes,
    )


def is_fused(rank: int, kept: tuple[int, ...], dtype: str) -> bool:
    """Whether the layer takes its fused path: rank 4 or 5, one axis, second or last, and not float64."""
    return rank in (4, 5) and kept in ((1,), (rank - 1,)) and dtype != "float64"
