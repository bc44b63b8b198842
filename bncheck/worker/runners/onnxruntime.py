"""ONNX Runtime on a model of one ``BatchNormalization`` node."""

import functools

from ._onnx import model


def load():
    import onnx  # noqa: F401
    import onnxruntime

    return onnxruntime.__version__


def gpu():
    """The GPU, as far as ONNX Runtime tells of it; None if its CUDA provider is not there or does not start."""
    import numpy as np
    import onnxruntime

    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        return None
    one = np.ones(1, np.float32)
    tried = model(15, one.reshape(1, 1), dict.fromkeys(["scale", "B", "input_mean", "input_var"], one), None, {})
    found = session(tried.SerializeToString(), "gpu", True).get_provider_options().get("CUDAExecutionProvider")
    return found and {"name": "CUDA device " + found["device_id"], "onnxruntime tf32": found.get("use_tf32") == "1"}


@functools.lru_cache(maxsize=16)
def session(model, device, optimized):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    if not optimized:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    cuda = ["CUDAExecutionProvider"] if device == "gpu" else []
    return onnxruntime.InferenceSession(model, options, providers=[*cuda, "CPUExecutionProvider"])


def run(case):
    import numpy as np

    def apply(x, training, mean, variance):
        parameters = {"scale": scale, "B": bias, "input_mean": mean, "input_var": variance}
        opset = 9 if case.variant == "opset-9" else 14 if case.variant == "opset-14" else 15
        attributes = case.given(epsilon="epsilon", momentum="momentum")
        outputs = 1 if case.variant == "output-only" else None
        inputs, folded = case.variant == "inputs", case.variant == "folded"
        proto = model(opset, x, parameters, training, attributes, inputs, outputs, folded)
        ready = session(proto.SerializeToString(), case.device, case.variant != "unoptimized")
        return ready.run(None, {"X": x, **parameters} if inputs else {"X": x})

    held = np.float32 if case.variant == "mixed" else case.moving_mean.dtype
    mean, variance = case.moving_mean.astype(held), case.moving_variance.astype(held)
    scale = np.ones_like(mean) if case.gamma is None else case.gamma.astype(held)
    bias = np.zeros_like(mean) if case.beta is None else case.beta.astype(held)
    training = None if case.mode is None else case.mode == "training"
    for x in case.steps:
        output, *statistics = apply(x, training, mean, variance)
        if case.mode == "training" and case.variant != "output-only":
            mean, variance = statistics
    if case.mode == "training" and case.variant == "output-only":
        return {"output": output}
    result = {"output": output, "moving_mean": mean, "moving_variance": variance}
    if case.extra is not None:
        result["inference"] = apply(case.extra, False, mean, variance)[0]
    return result
