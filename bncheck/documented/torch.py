"""PyTorch's modules: the channel is axis 1 of two to five; epsilon 1e-5, unbiased moving variance.

Parameters are held in the tensor's dtype; the mixture of a 16-bit tensor with float32 parameters, which PyTorch takes
too, is not asked for. On a GPU statistics are float32 inside (``cuda/Normalization.cu``), and an epsilon below cuDNN's
minimum goes to PyTorch's own kernel rather than being raised (``_select_batch_norm_backend``).
"""

from __future__ import annotations

from bncheck.documented.arrangement import channel_second
from bncheck.documented.reading import Call, Fact, Reading, Refusal, Source, Unsupported, defaults, reading

FAMILY = "torch"
NEEDS = ("torch",)
EXTRA = "torch"

FILES = "https://github.com/pytorch/pytorch/blob"
MODULE = Source("torch.nn.BatchNorm2d", "https://docs.pytorch.org/docs/stable/generated/torch.nn.BatchNorm2d.html")
FUNCTIONAL = Source(
    "torch.nn.functional.batch_norm",
    "https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.batch_norm.html",
)
CHECKS = Source("torch.nn.functional.batch_norm", f"{FILES}/v2.13.0/torch/nn/functional.py#L2887-L2896")
CHECKS_OF_2_10 = Source("torch.nn.functional.batch_norm", f"{FILES}/v2.10.0/torch/nn/functional.py#L2840-L2844")
KERNEL = Source("PyTorch's CPU kernel", f"{FILES}/v2.13.0/aten/src/ATen/native/Normalization.cpp")
OPERATION = Source("torch.batch_norm", KERNEL.link)
HALF = Source("pytorch#102070, in PyTorch 2.2", "https://github.com/pytorch/pytorch/pull/102070")


def documented(call: Call) -> Reading | Unsupported:
    case = call.case
    notes: tuple[str, ...] = ()
    if case.center != case.scale:  # `affine` switches both
        notes = ("weight of ones",) if case.center else ("bias of zeros",)
    return batch_norm(call, MODULE, mode="training", notes=notes)


def batch_norm(call: Call, source: Source, *, mode: str, notes: tuple[str, ...] = ()) -> Reading | Unsupported:
    """What the module and the function under it share; they differ in the default mode."""
    case = call.case
    kept, rank = case.channels.kept, len(case.input.shape)
    training = (mode if case.mode == "default" else case.mode) == "training"
    facts: tuple[Fact, ...] = (
        *defaults(case, source, epsilon=1e-5, momentum=0.9, mode=mode),
        Fact("moving_variance", "unbiased", "running_var takes the unbiased variance, N/(N-1)", MODULE),
    )
    if training and case.channels.values == 0:
        facts = (*facts, Fact("update", "none", "an empty batch leaves the running statistics alone", OPERATION))
    if training and case.input.dtype in ("float16", "bfloat16") and call.device == "cpu":
        words = "in training on a CPU the saved mean and deviation have the parameters' dtype"
        facts = (*facts, Fact("precision", "narrow", words, KERNEL))
    return reading(
        case,
        *facts,
        arrangement=None if kept == (1,) and 2 <= rank <= 5 else channel_second(case, most=5),
        refusal=_refusal(call, training),
        notes=notes,
    )


def _refusal(call: Call, training: bool) -> Refusal | None:
    case = call.case
    if training and case.channels.values == 1:
        words = "more than one value per channel in training"
        return Refusal(words, "Expected more than 1 value per channel", CHECKS)
    if case.epsilon == 0 and not call.before("torch", 2, 10):
        if call.before("torch", 2, 12):
            return Refusal("eps above 0", "eps must be positive", CHECKS_OF_2_10)
        if training:
            return Refusal("eps above 0 in training", "eps must be positive", CHECKS)
    if case.input.dtype == "float16" and call.device == "cpu" and call.before("torch", 2, 2):
        return Refusal("bfloat16, float32 and float64 on a CPU before 2.2", "not implemented for 'Half'", HALF)
    return None
