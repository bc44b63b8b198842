"""PyTorch's modules: the channel is axis 1 of two to five; epsilon 1e-5, unbiased moving variance."""

from __future__ import annotations

from bncheck.case.model import Case
from bncheck.documented.arrangement import channel_second
from bncheck.documented.reading import Fact, Reading, Refusal, Source, Unsupported, defaults, reading

FAMILY = "torch"
NEEDS = ("torch",)
EXTRA = "torch"

MODULE = Source("torch.nn.BatchNorm2d", "https://docs.pytorch.org/docs/stable/generated/torch.nn.BatchNorm2d.html")
FUNCTIONAL = Source(
    "torch.nn.functional.batch_norm", "https://github.com/pytorch/pytorch/blob/main/torch/nn/functional.py"
)
KERNEL = Source(
    "PyTorch's CPU kernel", "https://github.com/pytorch/pytorch/blob/main/aten/src/ATen/native/Normalization.cpp"
)


def documented(case: Case) -> Reading | Unsupported:
    notes: tuple[str, ...] = ()
    if case.center != case.scale:  # `affine` switches both
        notes = ("weight of ones",) if case.center else ("bias of zeros",)
    return batch_norm(case, MODULE, mode="training", notes=notes)


def batch_norm(case: Case, source: Source, *, mode: str, notes: tuple[str, ...] = ()) -> Reading | Unsupported:
    """What the module and the function under it share; they differ in the default mode."""
    kept, rank = case.channels.kept, len(case.input.shape)
    facts: tuple[Fact, ...] = (
        *defaults(case, source, epsilon=1e-5, momentum=0.9, mode=mode),
        Fact("moving_variance", "unbiased", "running_var takes the unbiased variance, N/(N-1)", MODULE),
    )
    training = (mode if case.mode == "default" else case.mode) == "training"
    if training and case.input.dtype in ("float16", "bfloat16"):
        words = "in training the saved mean and deviation have the parameters' dtype"
        facts = (*facts, Fact("precision", "narrow", words, KERNEL))
    return reading(
        case,
        *facts,
        arrangement=None if kept == (1,) and 2 <= rank <= 5 else channel_second(case, most=5),
        refusal=_refusal(case, training),
        notes=notes,
    )


def _refusal(case: Case, training: bool) -> Refusal | None:
    if training and case.channels.values == 1:
        return Refusal(
            "more than one value per channel in training", "Expected more than 1 value per channel", FUNCTIONAL
        )
    if training and case.epsilon == 0:
        return Refusal("eps above 0 in training", "eps must be positive", FUNCTIONAL)
    return None
