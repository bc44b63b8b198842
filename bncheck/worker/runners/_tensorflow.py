"""TensorFlow as all runners of its family need it: one process serves Keras 3, the legacy layers and the raw ops."""

import importlib.util
import os

# Both are read at import. `tf.compat.v1.layers` is built on the legacy Keras, from TensorFlow 2.16 on in that package.
os.environ["TF_USE_LEGACY_KERAS"] = "1" if importlib.util.find_spec("tf_keras") else "0"
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # leave memory to the other workers on the GPU

import tensorflow


def version():
    return "TF " + tensorflow.__version__


def differentiated(function, x, weights, upstream, **options):
    """What ``function`` makes of x, and the gradients by name: of x, and of those weights that are not None."""
    of = {"x": x, **weights}
    of = {"gradient_" + name: tensor for name, tensor in of.items() if tensor is not None}
    with tensorflow.GradientTape() as tape:
        tape.watch(of)
        output = function(x, **options)
        first = output[0] if isinstance(output, tuple) else output
    return output, tape.gradient(first, of, tensorflow.convert_to_tensor(upstream))


def gpu():
    """The GPU, with the switches that change its arithmetic; None if there is none."""
    found = tensorflow.config.experimental.list_physical_devices("GPU")
    if not found:
        return None
    if not hasattr(tensorflow.config.experimental, "tensor_float_32_execution_enabled"):  # before TensorFlow 2.4
        return {"name": found[0].name}
    build = tensorflow.sysconfig.get_build_info()
    return {
        "name": tensorflow.config.experimental.get_device_details(found[0]).get("device_name", found[0].name),
        "tensorflow cuda": build.get("cuda_version"),
        "tensorflow cudnn": build.get("cudnn_version"),
        "tensorflow tf32": tensorflow.config.experimental.tensor_float_32_execution_enabled(),
        "tensorflow deterministic ops": os.environ.get("TF_DETERMINISTIC_OPS", "0") == "1",
    }
