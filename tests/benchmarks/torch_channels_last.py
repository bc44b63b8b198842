"""PyTorch on tensors in channels-last memory, for which it has kernels of its own."""

from __future__ import annotations

import numpy as np
import torch


def apply(x, *, axis, epsilon, momentum, training, gamma, beta, moving_mean, moving_variance):
    """``torch.nn.functional.batch_norm`` on ``x``, of rank 3 to 5, laid out with its channels last."""
    (channel,) = axis
    last = np.ascontiguousarray(np.moveaxis(x, channel, -1))
    image = last.reshape(last.shape[0], -1, 1, last.shape[-1]) if x.ndim == 3 else last
    viewed = _tensor(image).movedim(-1, 1)
    mean, variance = _tensor(moving_mean).clone(), _tensor(moving_variance).clone()
    weight, bias = (None if p is None else _tensor(p) for p in (gamma, beta))
    with torch.no_grad():
        y = torch.nn.functional.batch_norm(
            viewed, mean, variance, weight, bias, training=training, momentum=1 - momentum, eps=epsilon
        )
    output = np.moveaxis(_array(y.movedim(1, -1).contiguous()).reshape(last.shape), -1, channel)
    return {"output": output, "moving_mean": _array(mean), "moving_variance": _array(variance)}


def _tensor(array):
    if array.dtype.name == "bfloat16":
        return torch.from_numpy(np.ascontiguousarray(array).view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(np.ascontiguousarray(array))


def _array(tensor):
    if tensor.dtype == torch.bfloat16:
        import ml_dtypes

        return tensor.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    return tensor.numpy()
