"""``torch.nn.BatchNorm1d``, ``2d`` and ``3d``, as a module with its own running statistics."""

import numpy as np

from ._torch import gpu  # noqa: F401


def load():
    import torch

    return torch.__version__


def run(case):
    import torch

    def tensor(array):
        if case.dtype == "bfloat16" and array.dtype != np.float32:
            return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16).to(device)
        return torch.from_numpy(array).to(device)

    def batch(array):
        x = tensor(array)
        if case.variant == "channels-last":
            return x.to(memory_format=torch.channels_last if x.ndim == 4 else torch.channels_last_3d)
        if case.variant == "view":
            order = tuple(range(x.ndim))[::-1]
            whole = x.new_full([*(x.shape[axis] + 1 for axis in order), 2], float("nan"))
            part = whole[(slice(1, None),) * x.ndim]
            return part[..., 1].permute(order).copy_(x)
        return x

    def array(tensor):
        tensor = tensor.detach().cpu()
        if case.dtype == "bfloat16":
            import ml_dtypes

            if tensor.dtype == torch.bfloat16:
                return tensor.contiguous().view(torch.int16).numpy().view(ml_dtypes.bfloat16)
        return tensor.numpy()

    def ready(x):
        """What is called on ``x`` and on other batches of its form, in the mode that the layer is in."""
        if case.variant == "autocast":
            return torch.autocast(device, torch.float16 if case.dtype == "float16" else torch.bfloat16)(layer)
        if case.variant == "compile":
            return torch.compile(layer, dynamic=False)
        if case.variant == "folded":
            if x.ndim == 2:
                before = torch.nn.Linear(channels, channels, bias=False).to(x)
                with torch.no_grad():
                    before.weight.copy_(torch.eye(channels))
                return torch.nn.utils.fusion.fuse_linear_bn_eval(before.eval(), layer)
            convolutions = {3: torch.nn.Conv1d, 4: torch.nn.Conv2d, 5: torch.nn.Conv3d}
            before = convolutions[x.ndim](channels, channels, 1, groups=channels, bias=False).to(x)
            torch.nn.init.ones_(before.weight)
            return torch.nn.utils.fusion.fuse_conv_bn_eval(before.eval(), layer)
        if case.variant == "export":
            return torch.export.export(layer, (x,)).run_decompositions().module()
        return layer

    device = "cuda" if case.device == "gpu" else "cpu"
    rank, channels = case.steps[0].ndim, case.steps[0].shape[1]
    layer_class = {2: torch.nn.BatchNorm1d, 3: torch.nn.BatchNorm1d, 4: torch.nn.BatchNorm2d, 5: torch.nn.BatchNorm3d}
    options = case.given(eps="epsilon")
    if case.momentum == "cumulative":
        options["momentum"] = None
    elif case.momentum is not None:
        options["momentum"] = 1 - case.momentum  # PyTorch's weighs the new batch
    layer = layer_class[rank](channels, affine=case.gamma is not None or case.beta is not None, **options)
    held = "float32" if case.variant in ("mixed", "autocast") and case.dtype != "float64" else case.parameters_dtype
    layer.to(device, getattr(torch, held))
    if not case.trainable:
        layer.requires_grad_(False)
    if case.variant == "compile":
        torch.compiler.reset()  # beyond eight forms of a call in one process it would no longer compile
    with torch.no_grad():
        if case.gamma is not None:
            layer.weight.copy_(tensor(case.gamma))
        if case.beta is not None:
            layer.bias.copy_(tensor(case.beta))
        layer.running_mean.copy_(tensor(case.moving_mean))
        layer.running_var.copy_(tensor(case.moving_variance))
        if case.mode is not None:
            layer.train(case.mode == "training")
    with torch.set_grad_enabled(case.upstream is not None):
        apply = ready(batch(case.steps[0]))
        for x in case.steps:
            x = batch(x)
            if case.upstream is not None:
                x.requires_grad_()
            output = apply(x)
        result = {
            "output": array(output),
            "moving_mean": array(layer.running_mean),
            "moving_variance": array(layer.running_var),
        }
        if case.upstream is not None and (case.variant != "export" or case.mode == "inference"):
            of = {"x": x}
            apart = case.trainable and case.variant != "folded"  # there are gamma and beta to differentiate by
            if case.gamma is not None and apart:
                of["gamma"] = layer.weight
            if case.beta is not None and apart:
                of["beta"] = layer.bias
            gradients = torch.autograd.grad(output, list(of.values()), batch(case.upstream))
            result.update(("gradient_" + name, array(g)) for name, g in zip(of, gradients))
        if case.extra is not None:
            layer.eval()
            x = batch(case.extra)
            result["inference"] = array(ready(x)(x))
    return result
