"""The formula in NumPy, as a careful user writes it: in the tensor's dtype, in float32 inside if that has 16 bits."""

import numpy as np


def load():
    return np.__version__


def run(case):
    def normalize(x, mean, variance):
        y = (x - mean) / np.sqrt(variance + inside.type(case.epsilon))
        if case.gamma is not None:
            y = y * case.broadcast(case.gamma).astype(inside)
        if case.beta is not None:
            y = y + case.broadcast(case.beta).astype(inside)
        return y.astype(x_dtype)

    x_dtype = case.steps[0].dtype
    inside = np.result_type(np.float32, x_dtype)
    moving_mean = case.moving_mean
    moving_variance = case.moving_variance
    for number, x in enumerate(case.steps, 1):
        x = x.astype(inside)
        if case.mode == "training":
            mean = x.mean(axis=case.reduced, keepdims=True)
            variance = x.var(axis=case.reduced, keepdims=True)
            momentum = inside.type(1 - 1 / number if case.momentum == "cumulative" else case.momentum)
            moving_mean = momentum * moving_mean.astype(inside) + (1 - momentum) * mean.reshape(moving_mean.shape)
            moving_variance = momentum * moving_variance.astype(inside) + (1 - momentum) * variance.reshape(
                moving_variance.shape
            )
            moving_mean, moving_variance = moving_mean.astype(x_dtype), moving_variance.astype(x_dtype)
        else:
            mean = case.broadcast(moving_mean).astype(inside)
            variance = case.broadcast(moving_variance).astype(inside)
        output = normalize(x, mean, variance)
    result = {"output": output, "moving_mean": moving_mean, "moving_variance": moving_variance}
    if case.extra is not None:
        mean, variance = (case.broadcast(s).astype(inside) for s in (moving_mean, moving_variance))
        result["inference"] = normalize(case.extra.astype(inside), mean, variance)
    return result
