"""OpenVINO's ``BatchNormInference``, compiled for the CPU; it has no training."""

import functools


def load():
    import openvino

    return openvino.__version__.partition("-")[0]  # then comes the build


@functools.lru_cache(maxsize=16)
def compiled(shape, kind, epsilon, variant, *parameters):
    """A model on tensors of one shape and element type, with the values of its parameters as constants."""
    import numpy as np
    import openvino
    import openvino.opset13 as ops

    x = ops.parameter(list(shape), getattr(openvino.Type, kind))
    before = x
    if variant == "folded":  # behind a convolution that changes nothing
        sides = len(shape) - 2
        kernel = ops.constant(np.ones([shape[1], 1, 1] + [1] * sides), dtype=x.get_element_type())
        before = ops.group_convolution(x, kernel, [1] * sides, [0] * sides, [0] * sides, [1] * sides)
    constants = [ops.constant(np.array(p), dtype=x.get_element_type()) for p in parameters]
    model = openvino.Model([ops.batch_norm_inference(before, *constants, epsilon)], [x], "batch_normalization")
    return openvino.compile_model(model, "CPU", {} if variant is None else {"INFERENCE_PRECISION_HINT": "f32"})


def run(case):
    import numpy as np
    import openvino

    mean, variance = case.moving_mean, case.moving_variance
    gamma = np.ones_like(mean) if case.gamma is None else case.gamma
    beta = np.zeros_like(mean) if case.beta is None else case.beta
    x = case.steps[-1]
    kind = {"float64": "f64", "float32": "f32", "float16": "f16", "bfloat16": "bf16"}[case.dtype]
    values = [tuple(p.astype(float).tolist()) for p in (gamma, beta, mean, variance)]
    model = compiled(x.shape, kind, case.epsilon, case.variant, *values)
    if case.dtype == "bfloat16":  # NumPy has none of its own, so that only the bits are passed
        x = openvino.Tensor(x.view(np.float16), x.shape, openvino.Type.bf16)
        return {"output": model([x]).to_tuple()[0].view(mean.dtype)}
    return {"output": model([x])[0]}
