"""Keras 3: one axis of any place; epsilon 1e-3, momentum 0.99, biased variances, on every backend.

A 16-bit tensor is cast to float32 and the output back ("BN is prone to overflow with float16/bfloat16 inputs"); with
``dtype="float16"`` the layer's variables are float16, with ``"mixed_float16"`` float32. So it has been since Keras 3.0.
"""

from __future__ import annotations

from collections.abc import Mapping

from bncheck.documented import keras_2, tensorflow
from bncheck.documented.arrangement import channel_last
from bncheck.documented.installed import before
from bncheck.documented.reading import Call, Fact, Reading, Source, Unsupported, defaults, reading, single_axis
from bncheck.documented.tensorflow import numbers_of, too_old
from bncheck.documented.tf_keras import legacy
from bncheck.documented.ways import Way

FAMILY = "tensorflow"
NEEDS = ("tensorflow", "keras")
EXTRA = "tensorflow"

VARIANTS = {
    "graph": "inside tf.function",
    "xla": "compiled, tf.function(jit_compile=True)",
    "predict": "a functional model of unknown sides, model.predict",
    "synchronized": "synchronized=True on two replicas, the batch split into one row and the rest",
    "mixed-float16": "the dtype policy mixed_float16",
    "mixed-bfloat16": "the dtype policy mixed_bfloat16",
}
APART = ("synchronized",)
"""It has a worker of its own: the CPU is split in two before TensorFlow starts."""

LAYER = Source(
    "keras.layers.BatchNormalization", "https://keras.io/api/layers/normalization_layers/batch_normalization/"
)
SYNCHRONIZED = Source(
    "Keras on TensorFlow, _compute_moments_sync",
    "https://github.com/keras-team/keras/blob/v3.15.1/keras/src/backend/tensorflow/nn.py#L1515-L1544",
)


def way(versions: Mapping[str, str], variant: str | None) -> Way | str:
    if not before(versions, "keras", 3):
        return too_old(versions) or Way("keras", NEEDS)
    if variant is not None:
        return f"needs Keras 3; Keras {versions['keras']}"
    if before(versions, "keras", 2, 4) != before(versions, "tensorflow", 2):
        needed = "TensorFlow 1" if before(versions, "keras", 2, 4) else "TensorFlow 2"
        found = f"TensorFlow {versions['tensorflow']}" if "tensorflow" in versions else "no TensorFlow"
        return f"Keras {versions['keras']} needs {needed}; {found}"
    if before(versions, "tensorflow", 2):
        return too_old(versions) or Way("_keras_in_graph", NEEDS)
    if before(versions, "tensorflow", 2, 2):
        return f"Keras {versions['keras']} needs TensorFlow 2.2 or newer; TensorFlow {versions['tensorflow']}"
    return Way("_keras_2", NEEDS)


def companions(distribution: str, release: str) -> list[str]:
    numbers = numbers_of(distribution, release)
    layer = []
    if numbers is not None and numbers < (2,):
        layer = ["keras==2.3.*"]
    elif numbers is not None and numbers < (2, 16):
        layer = [f"keras==2.{numbers[1]}.*" if numbers >= (2, 6) else "keras==2.4.*"]
    return [*layer, *tensorflow.companions(distribution, release)]


def documented(call: Call) -> Reading | Unsupported:
    if call.before("keras", 2, 4):
        return keras_2.documented(call)
    if call.before("keras", 3):
        return legacy(call)
    return layer(call)


def layer(call: Call, *facts: Fact) -> Reading | Unsupported:
    """What the layer documents on every backend; ``facts`` are those of one."""
    case = call.case
    if case.momentum == "cumulative":
        return Unsupported("momentum is a number; the layer keeps no cumulative average")
    axis, notes = single_axis(case)
    adapted = axis is None or len(case.input.shape) < 2
    if case.mask is not None:  # it has all axes of x but the last
        adapted = adapted or case.channels.kept != (len(case.input.shape) - 1,)
    parameters_dtype: str = case.parameters_dtype
    if call.variant == "predict":
        if case.mode == "training":
            return Unsupported("predict is inference")
        adapted = adapted or case.channels.kept == (0,)  # the first axis is that of the batch
    elif call.variant == "synchronized":
        if call.device == "gpu":
            return Unsupported("the two replicas are on a CPU")
        if case.mask is not None:
            return Unsupported("the replicas are given no mask")
        if case.requested.mode != "training":
            return Unsupported("in inference nothing is synchronized")
        facts = (*facts, Fact("batch_formula", "squares", "var = E(x^2) - E(x)^2, says a comment", SYNCHRONIZED))
        adapted = adapted or case.channels.kept == (0,)  # the first axis is that of the batch
    elif call.variant in ("mixed-float16", "mixed-bfloat16"):
        dtype = call.variant.partition("-")[2]
        if case.input.dtype != dtype:
            return Unsupported(f"the policy computes in {dtype}")
        parameters_dtype = "float32"
    if adapted:
        notes = ()
    if parameters_dtype != case.parameters_dtype:
        notes = (*notes, "parameters in float32")
    return reading(
        case,
        *defaults(case, LAYER, epsilon=1e-3, momentum=0.99, mode="inference"),
        *facts,
        axis=axis,
        arrangement=channel_last(case) if adapted else None,
        parameters_dtype=parameters_dtype,
        notes=notes,
        takes=("trainable", "mask"),
        gradients=call.variant not in ("predict", "synchronized"),
    )
