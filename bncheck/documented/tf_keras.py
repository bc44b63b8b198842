"""The legacy Keras layer: fused or not, by rank, axis and dtype, and with that another moving variance."""

from __future__ import annotations

from bncheck.case.model import Case
from bncheck.documented.arrangement import channel_last
from bncheck.documented.reading import Fact, Reading, Source, Unsupported, defaults, reading

FAMILY = "tensorflow"
NEEDS = ("tensorflow", "tf-keras")
EXTRA = "tensorflow"

LAYER = Source(
    "tf_keras",
    "https://github.com/keras-team/tf-keras/blob/master/tf_keras/layers/normalization/batch_normalization.py",
)
FUSED = Source(
    "tf_keras, fused path",
    "https://github.com/tensorflow/tensorflow/blob/master/tensorflow/core/kernels/fused_batch_norm_op.cc",
)


def documented(case: Case) -> Reading | Unsupported:
    return legacy(case, LAYER)


def legacy(case: Case, source: Source) -> Reading | Unsupported:
    """What the layer documents, which `tf.compat.v1.layers` is a shell around.

    Its parameters are float32 for 16-bit inputs ("Raise parameters of fp16 batch norm to fp32").
    """
    if case.momentum == "cumulative":
        return Unsupported("momentum is a number; the layer keeps no cumulative average")
    facts = defaults(case, source, epsilon=1e-3, momentum=0.99, mode="inference")
    dtype = "float64" if case.input.dtype == "float64" else "float32"
    notes = () if dtype == case.input.dtype or case.input.dtype == "float32" else ("parameters in float32",)
    rank, kept = len(case.input.shape), case.channels.kept
    arrangement = channel_last(case) if not kept or rank < 2 else None
    if arrangement is not None:
        rank, kept = len(arrangement.groups), (arrangement.axis,)
    if is_fused(rank, kept, case.input.dtype):
        facts = (*facts, Fact("moving_variance", "unbiased", "the fused kernel keeps N/max(N-1, 1) of it", FUSED))
    return reading(case, *facts, arrangement=arrangement, parameters_dtype=dtype, notes=notes)


def is_fused(rank: int, kept: tuple[int, ...], dtype: str) -> bool:
    """Whether the layer takes its fused path: rank 4 or 5, one axis, second or last, and not float64."""
    return rank in (4, 5) and kept in ((1,), (rank - 1,)) and dtype != "float64"
