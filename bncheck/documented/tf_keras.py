"""The legacy Keras layer: fused or not, by rank, axis and dtype, and with that another moving variance.

Its parameters are float32 for 16-bit inputs ("Raise parameters of fp16 batch norm to fp32"), and so is the arithmetic
on both paths. ``fused`` is left as it is by default, and the layer chooses its path; with ``virtual_batch_size``, which
it passes on to the class that it is of, it is never the fused one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from bncheck.documented import tensorflow
from bncheck.documented.arrangement import channel_last
from bncheck.documented.installed import before
from bncheck.documented.reading import Call, Fact, Reading, Source, Unsupported, defaults, reading
from bncheck.documented.tensorflow import numbers_of, too_old, without_bfloat16
from bncheck.documented.tf_fused import KERNEL, fused, refusal
from bncheck.documented.ways import Way

FAMILY = "tensorflow"
NEEDS = ("tensorflow", "tf-keras")
EXTRA = "tensorflow"

LAYER = Source(
    "tf_keras",
    "https://github.com/keras-team/tf-keras/blob/v2.21.0/tf_keras/layers/normalization/batch_normalization.py",
)
UPDATES = Source(
    "tf_keras, Layer.updates",
    "https://github.com/keras-team/tf-keras/blob/v2.21.0/tf_keras/engine/base_layer_v1.py#L1005-L1006",
)
PAST = Source(
    "tf.keras",
    "https://github.com/keras-team/keras/blob/v2.12.0/keras/layers/normalization/batch_normalization.py",
)
FIRST = Source(
    "tf.keras, as of TensorFlow 1.15",
    "https://github.com/tensorflow/tensorflow/blob/v1.15.5/tensorflow/python/keras/layers/normalization.py",
)
FUSED = Source("tf_keras, fused path", KERNEL.link)
FUSED_PAST = Source("tf.keras, fused path", KERNEL.link)


def way(versions: Mapping[str, str], variant: str | None) -> Way | str:
    del variant  # there is none
    if before(versions, "tensorflow", 2):
        return too_old(versions) or Way("_tf_keras_in_graph", ("tensorflow",))
    if before(versions, "tensorflow", 2, 16):
        return Way("_tf_keras_2", ("tensorflow",))
    return Way("tf-keras", NEEDS)


def companions(distribution: str, release: str) -> list[str]:
    numbers = numbers_of(distribution, release)
    layer = []
    if numbers is not None and numbers >= (2, 16):
        layer = [f"tf-keras=={numbers[0]}.{numbers[1]}.*"]
    elif numbers is not None and numbers[:2] == (2, 6):  # it takes any later Keras, and works with none
        layer = ["keras==2.6.*"]
    return [*layer, *tensorflow.companions(distribution, release)]


def documented(call: Call) -> Reading | Unsupported:
    read = legacy(call)
    if call.before("tensorflow", 2):
        return frozen(call, read, FIRST)
    return read


def frozen(call: Call, read: Reading | Unsupported, source: Source) -> Reading | Unsupported:
    """What the layer of TensorFlow 1 reads where it is not trainable: it only has no updates."""
    if call.case.mode != "training" or call.case.trainable or isinstance(read, Unsupported):
        return read
    kept = tuple(fact for fact in read.facts if fact.field != "moving_variance")  # which nothing enters
    words = "training says what normalizes, whether or not the layer is trainable"
    none = "a layer that is not trainable has no updates to run"
    return replace(read, facts=(*kept, Fact("mode", "training", words, source), Fact("update", "none", none, UPDATES)))


def legacy(
    call: Call,
    source: Source | None = None,
    takes: tuple[str, ...] = ("trainable", "mask", "virtual_batch_size"),
) -> Reading | Unsupported:
    """What the layer documents, which `tf.compat.v1.layers` is a shell around."""
    case = call.case
    if (cannot := without_bfloat16(call)) is not None:
        return cannot
    if source is None:
        source = PAST if call.before("tensorflow", 2, 16) else LAYER
    if call.before("tensorflow", 2, 12):
        takes = tuple(switch for switch in takes if switch != "mask")
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
    fused_path = is_fused(rank, kept, case.input.dtype, call.versions) and case.virtual_batch_size is None
    precision = None
    if case.input.dtype == "float16" and not fused_path and call.before("tensorflow", 2, 3):
        precision = Fact("precision", "narrow", "statistics, scale and offset are cast to x's dtype", FIRST)
    return reading(
        case,
        *defaults(case, source, epsilon=1e-3, momentum=0.99, mode="inference"),
        *(fused(call, FUSED_PAST if call.before("tensorflow", 2, 16) else FUSED) if fused_path else ()),
        Fact("mask", "ignored", "the fused path warns that it ignores a mask", LAYER)
        if fused_path and case.mask is not None
        else None,
        precision,
        arrangement=arrangement,
        parameters_dtype=dtype,
        refusal=refusal(call, kept) if fused_path else None,
        notes=notes,
        takes=takes,
    )


def is_fused(rank: int, kept: tuple[int, ...], dtype: str, versions: Mapping[str, str] | None = None) -> bool:
    """Whether the layer takes its fused path: rank 4 or, from TensorFlow 2.6 on, 5, one axis, second or last, and, from
    2.3 on, not float64."""
    ranks = (4,) if before(versions or {}, "tensorflow", 2, 6) else (4, 5)
    double = dtype == "float64" and not before(versions or {}, "tensorflow", 2, 3)
    return rank in ranks and kept in ((1,), (rank - 1,)) and not double
