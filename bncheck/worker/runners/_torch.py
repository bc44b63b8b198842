"""What the PyTorch runners share: the GPU that they can use."""


def gpu():
    """The GPU, with the switches that change its arithmetic; None if there is none."""
    import torch

    if not torch.cuda.is_available():
        return None
    return {
        "name": torch.cuda.get_device_name(0),
        "torch cuda": torch.version.cuda,
        "torch cudnn": torch.backends.cudnn.version(),
        "torch tf32 in cudnn": torch.backends.cudnn.allow_tf32,
        "torch cudnn benchmark": torch.backends.cudnn.benchmark,
        "torch deterministic algorithms": torch.are_deterministic_algorithms_enabled(),
    }
