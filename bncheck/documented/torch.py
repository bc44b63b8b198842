"""PyTorch's modules: the channel is axis 1 of two to five; epsilon 1e-5, unbiased moving variance.

Parameters are held in the tensor's dtype; a 16-bit tensor is taken with float32 parameters too (``mixed``), and no
other mixture. Autocast leaves ``batch_norm`` alone: it is in none of its lists, so a tensor keeps its dtype. On a GPU
statistics are float32 inside (``cuda/Normalization.cu``), and an epsilon below cuDNN's minimum goes to PyTorch's own
kernel rather than being raised (``_select_batch_norm_backend``).
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping

from bncheck.documented.arrangement import channel_second, placeless
from bncheck.documented.installed import before
from bncheck.documented.reading import Call, Fact, Reading, Refusal, Source, Unsupported, defaults, mixed, reading
from bncheck.documented.ways import Way

FAMILY = "torch"
NEEDS = ("torch", "numpy")
EXTRA = "torch"

VARIANTS = {
    "autocast": "a float32 module inside torch.autocast",
    "channels-last": "channels-last memory",
    "compile": "torch.compile, for the very shape",
    "export": "torch.export, decomposed into core operators",
    "folded": "folded into the convolution or linear layer before it, here an identity; inference only",
    "mixed": "a 16-bit tensor, float32 parameters",
    "view": "a view: transposed, with gaps and an offset",
}

APART = ("compile",)

FILES = "https://github.com/pytorch/pytorch/blob"
MODULE = Source("torch.nn.BatchNorm2d", "https://docs.pytorch.org/docs/stable/generated/torch.nn.BatchNorm2d.html")
FROZEN = Source(
    "PyTorch's notes on evaluation mode",
    "https://docs.pytorch.org/docs/stable/notes/autograd.html#evaluation-mode-nn-module-eval",
)
FUNCTIONAL = Source(
    "torch.nn.functional.batch_norm",
    "https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.batch_norm.html",
)
CHECKS = Source("torch.nn.functional.batch_norm", f"{FILES}/v2.13.0/torch/nn/functional.py#L2887-L2896")
CHECKS_OF_2_10 = Source("torch.nn.functional.batch_norm", f"{FILES}/v2.10.0/torch/nn/functional.py#L2840-L2844")
KERNEL = Source("PyTorch's CPU kernel", f"{FILES}/v2.13.0/aten/src/ATen/native/Normalization.cpp")
FUSION = Source("torch.nn.utils.fusion", f"{FILES}/v2.13.0/torch/nn/utils/fusion.py#L58-L108")
OPERATION = Source("torch.batch_norm", KERNEL.link)
DECOMPOSITION = Source("torch.compile's batch norm", f"{FILES}/v2.13.0/torch/_decomp/decompositions.py#L2077-L2159")
HALF = Source("pytorch#102070, in PyTorch 2.2", "https://github.com/pytorch/pytorch/pull/102070")
AUTOCAST_OF_2_1 = Source("torch.autocast", f"{FILES}/v2.1.2/torch/amp/autocast_mode.py#L259-L267")
FUSION_OF_1_13 = Source("torch.nn.utils.fusion", f"{FILES}/v1.13.1/torch/nn/utils/fusion.py#L14-L54")

COMPILES_FROM = {12: (2, 4), 13: (2, 6), 14: (2, 10)}
"""From which release torch.compile takes Python 3.12 and later (``check_if_dynamo_supported`` in ``torch._dynamo``)."""


def way(versions: Mapping[str, str], variant: str | None) -> Way | str:
    del variant  # is called in the same way
    return without_numpy(versions) or Way("torch", NEEDS)


def without_numpy(versions: Mapping[str, str]) -> str | None:
    """Why tensors cannot be handed over from NumPy, or None."""
    if before(versions, "torch", 2, 3) and "numpy" in versions and not before(versions, "numpy", 2):
        return f"PyTorch {versions['torch']} needs numpy<2; NumPy {versions['numpy']}"
    return None


def companions(distribution: str, release: str) -> list[str]:
    """What a release of PyTorch needs and does not say: NumPy 1 and, for torch.compile, ``pkg_resources``."""
    return ["numpy<2", "setuptools<81"] if before({distribution: release}, "torch", 2, 3) else []


def documented(call: Call) -> Reading | Unsupported:
    case = call.case
    notes: tuple[str, ...] = ()
    if case.center != case.scale:  # `affine` switches both
        notes = ("weight of ones",) if case.center else ("bias of zeros",)
    return batch_norm(call, MODULE, mode="training", notes=notes, takes=("trainable",))


def batch_norm(
    call: Call, source: Source, *, mode: str, notes: tuple[str, ...] = (), takes: tuple[str, ...] = ()
) -> Reading | Unsupported:
    """What the module and the function under it share; they differ in the default mode."""
    case = call.case
    kept, rank = case.channels.kept, len(case.input.shape)
    training = (mode if case.mode == "default" else case.mode) == "training"
    arrangement = None if kept == (1,) and 2 <= rank <= 5 else channel_second(case, most=5)
    rank = len(arrangement.groups) if arrangement else rank
    reason = _too_old(call) or _impossible(call, training, rank)
    if reason is not None:
        return Unsupported(reason)
    narrow = case.input.dtype in ("float16", "bfloat16")
    float32 = mixed(case)
    widened = narrow and (float32 or call.variant in ("mixed", "autocast"))
    facts: tuple[Fact, ...] = (
        *defaults(case, source, epsilon=1e-5, momentum=0.9, mode=mode),
        Fact("moving_variance", "unbiased", "running_var takes the unbiased variance, N/(N-1)", MODULE),
    )
    if training and case.channels.values == 0:
        facts = (*facts, Fact("update", "none", "an empty batch leaves the running statistics alone", OPERATION))
    if not case.trainable and case.mode == "training":
        words = "requires_grad_(False) freezes the parameters; statistics are the batch's until eval()"
        facts = (*facts, Fact("mode", "training", words, FROZEN))
    compiled = call.variant == "compile"
    if compiled and training and case.momentum == "cumulative":
        compiled, notes = False, (*notes, "the count of batches breaks the graph: not compiled")
    if compiled and not (training and narrow and case.gradients):
        facts = (*facts, Fact("precision", "wide", "statistics of 16-bit tensors are float32 inside", DECOMPOSITION))
    elif call.variant == "folded" and narrow:
        facts = (*facts, Fact("precision", "narrow", "weight and bias are folded in the layer's dtype", FUSION))
    elif training and narrow and not widened and call.device == "cpu":
        words = "in training on a CPU the saved mean and deviation have the parameters' dtype"
        facts = (*facts, Fact("precision", "narrow", words, DECOMPOSITION if compiled else KERNEL))
    return reading(
        case,
        *facts,
        arrangement=arrangement,
        parameters_dtype="float32" if widened else None,
        refusal=_refusal(call, training, compiled, rank),
        notes=(*notes, "parameters in float32") if widened and not float32 else notes,
        takes=takes,
        gradients=not (call.variant == "export" and training),  # autograd does not go through what it writes in place
    )


def _too_old(call: Call) -> str | None:
    """Why a variant is not to be had of this release."""
    this = f"this is PyTorch {call.versions.get('torch')}"
    if call.variant == "export" and call.before("torch", 2, 2):
        return f"decomposing what torch.export exports came with PyTorch 2.2; {this}"
    if call.variant == "compile":
        if call.before("torch", 2, 1):
            return f"torch.compiler, which resets torch.compile, came with PyTorch 2.1; {this}"
        for minor, release in COMPILES_FROM.items():
            if call.before("torch", *release) and not call.before("python", 3, minor):
                return f"torch.compile takes Python 3.{minor} from PyTorch {release[0]}.{release[1]} on; {this}"
    return None


def _impossible(call: Call, training: bool, rank: int) -> str | None:
    """Why a variant cannot be asked this, for a tensor that is handed over with so many axes."""
    case = call.case
    if call.variant == "channels-last" and rank not in (4, 5):
        return "channels-last memory is for four axes or five"
    if call.variant == "mixed" and case.input.dtype not in ("float16", "bfloat16"):
        return "float32 parameters are mixed with 16-bit tensors only"
    if call.variant == "folded" and training:
        return f"what trains is not folded ({FUSION.link})"
    if call.variant == "folded" and placeless(case):
        return "there is nothing to convolve"
    if call.variant == "export" and training and case.momentum == "cumulative":
        return "torch.export takes no momentum that depends on a count of batches"
    if call.variant == "compile" and call.device == "cpu":
        compiler = os.environ.get("CXX", "clang++" if sys.platform == "darwin" else "g++")
        if shutil.which(compiler) is None:
            return f"torch.compile needs a C++ compiler, and there is no {compiler}"
    return None


def _refusal(call: Call, training: bool, compiled: bool, rank: int) -> Refusal | None:
    case = call.case
    said = "TorchRuntimeError" if compiled else None  # what it is about stands in further lines
    early_half = case.input.dtype == "float16" and call.device == "cpu" and call.before("torch", 2, 2)
    if early_half and call.variant == "autocast":
        return Refusal("bfloat16 in autocast on a CPU before 2.2", "AutocastCPU only support Bfloat16", AUTOCAST_OF_2_1)
    if training and case.channels.values == 1:
        words = "more than one value per channel in training"
        return Refusal(words, said or "Expected more than 1 value per channel", CHECKS)
    if case.epsilon == 0 and not call.before("torch", 2, 10):
        if call.before("torch", 2, 12):
            return Refusal("eps above 0", said or "eps must be positive", CHECKS_OF_2_10)
        if training:
            return Refusal("eps above 0 in training", said or "eps must be positive", CHECKS)
    if call.variant == "folded" and mixed(case) and call.before("torch", *((2, 5) if rank == 2 else (2, 1))):
        return Refusal(
            f"{case.parameters_dtype} layers to fold {case.parameters_dtype} into", "the same", FUSION_OF_1_13
        )
    if early_half and case.channels.values and not compiled:
        return Refusal("bfloat16, float32 and float64 on a CPU before 2.2", "not implemented for 'Half'", HALF)
    return None
