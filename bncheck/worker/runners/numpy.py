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

    def differentiated(x, mean, variance):
        """The gradients with respect to x, gamma and beta."""
        upstream = case.upstream.astype(inside)
        root = np.sqrt(variance + inside.type(case.epsilon))
        normalized = (x - mean) / root
        of_x = upstream
        if case.mode == "training":  # mean and variance depend on x too
            mean_of_product = (upstream * normalized).mean(axis=case.reduced, keepdims=True)
            of_x = of_x - upstream.mean(axis=case.reduced, keepdims=True) - normalized * mean_of_product
        if case.gamma is not None:
            of_x = of_x * case.broadcast(case.gamma).astype(inside)
        of_x = of_x / root
        of_gamma = (upstream * normalized).sum(axis=case.reduced).reshape(case.moving_mean.shape)
        of_beta = upstream.sum(axis=case.reduced).reshape(case.moving_mean.shape)
        of_gamma, of_beta = of_gamma.astype(moving_mean.dtype), of_beta.astype(moving_mean.dtype)
        return {"gradient_x": of_x.astype(x_dtype), "gradient_gamma": of_gamma, "gradient_beta": of_beta}

    x_dtype = case.steps[0].dtype
    inside = np.result_type(np.float32, x_dtype)
    held = case.moving_mean.dtype
    moving_mean = case.moving_mean
    moving_variance = case.moving_variance
    options = {}
    if case.mask is not None:
        options["where"] = np.expand_dims(case.mask, case.kept)
    for number, x in enumerate(case.steps, 1):
        x = x.astype(inside)
        if case.mode == "training":
            mean = x.mean(axis=case.reduced, keepdims=True, **options)
            variance = x.var(axis=case.reduced, keepdims=True, **options)
            momentum = inside.type(1 - 1 / number if case.momentum == "cumulative" else case.momentum)
            moving_mean = momentum * moving_mean.astype(inside) + (1 - momentum) * mean.reshape(moving_mean.shape)
            moving_variance = momentum * moving_variance.astype(inside) + (1 - momentum) * variance.reshape(
                moving_variance.shape
            )
            moving_mean, moving_variance = moving_mean.astype(held), moving_variance.astype(held)
        else:
            mean = case.broadcast(moving_mean).astype(inside)
            variance = case.broadcast(moving_variance).astype(inside)
        output = normalize(x, mean, variance)
    result = {"output": output, "moving_mean": moving_mean, "moving_variance": moving_variance}
    if case.upstream is not None:
        result.update(differentiated(x, mean, variance))
    if case.extra is not None:
        mean, variance = (case.broadcast(s).astype(inside) for s in (moving_mean, moving_variance))
        result["inference"] = normalize(case.extra.astype(inside), mean, variance)
    return result
