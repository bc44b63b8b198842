"""``torch.nn.functional.batch_norm``, with running statistics that it updates in place."""

import numpy as np

from ._torch import gpu  # noqa: F401


def load():
    import torch

    return torch.__version__


def run(case):
    import torch

    def tensor(array):
        if array is None:
            return None
        if case.dtype == "bfloat16" and array.dtype != np.float32:
            return placed(torch.from_numpy(array.view(np.int16)).view(torch.bfloat16).to(device))
        return placed(torch.from_numpy(array).to(device))

    def placed(x):
        if case.variant == "view":
            order = tuple(range(x.ndim))[::-1]
            whole = x.new_full([*(x.shape[axis] + 1 for axis in order), 2], float("nan"))
            part = whole[(slice(1, None),) * x.ndim]
            return part[..., 1].permute(order).copy_(x)
        return x

    def array(tensor):
        tensor = tensor.detach().cpu()
        if tensor.dtype == torch.bfloat16:
            import ml_dtypes

            return tensor.contiguous().view(torch.int16).numpy().view(ml_dtypes.bfloat16)
        return tensor.numpy()

    def apply(x, **options):
        return torch.nn.functional.batch_norm(x, running_mean, running_var, weight, bias, **options)

    device = "cuda" if case.device == "gpu" else "cpu"
    running_mean, running_var = tensor(case.moving_mean), tensor(case.moving_variance)
    weight, bias = tensor(case.gamma), tensor(case.beta)
    epsilon = case.given(eps="epsilon")
    options = dict(epsilon)
    if case.momentum is not None:
        options["momentum"] = 1 - case.momentum  # PyTorch's weighs the new batch
    if case.mode is not None:
        options["training"] = case.mode == "training"
    with torch.set_grad_enabled(case.upstream is not None):
        for x in case.steps:
            x = tensor(x)
            if case.upstream is not None:
                of = {"x": x, "gamma": weight, "beta": bias}
                of = {name: t.requires_grad_() for name, t in of.items() if t is not None}
            output = apply(x, **options)
        result = {"output": array(output)}
        result["moving_mean"], result["moving_variance"] = array(running_mean), array(running_var)
        if case.upstream is not None:
            gradients = torch.autograd.grad(output, list(of.values()), tensor(case.upstream))
            result.update(("gradient_" + name, array(g)) for name, g in zip(of, gradients))
        if case.extra is not None:
            result["inference"] = array(apply(tensor(case.extra), training=False, **epsilon))
    return result
