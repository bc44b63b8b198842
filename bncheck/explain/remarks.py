"""Where an axis looks like a mistake: what happens, why nothing raises, when it breaks, and what to write instead."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bncheck.explain.axes import Axes, Size, numpy_axis

NAMES = {
    "N": "batch",
    "C": "channels",
    "D": "depth",
    "H": "height",
    "W": "width",
    "L": "length",
    "T": "time",
    "F": "features",
}
"""What the letters of a layout stand for."""

_CHANGING = {"N": "batch size", "C": "number of channels", "T": "number of time steps", "F": "number of features"}
"""What changes when such an axis has another size, where that is not the name itself."""

SPACE = "DHW"


@dataclass(frozen=True)
class Remark:
    """What should be said beside the facts; a warning if the axis looks like a mistake."""

    kind: str
    text: str
    is_warning: bool = True


def remarks(axes: Axes) -> tuple[Remark, ...]:
    """Everything that is doubtful about the kept axes; nothing for an axis that is right."""
    return (*_warnings(axes), *_notes(axes))


def _warnings(axes: Axes) -> Iterator[Remark]:
    letters, kept, channel = axes.letters, axes.kept, axes.channel
    if 0 in axes.sizes:
        yield Remark("empty", "The tensor is empty: nothing is there to average, and frameworks differ on that.")
        return
    if axes.reduced and letters:
        if "N" in {letters[a] for a in kept}:
            yield Remark("batch kept", _batch_kept(axes))
        elif len(kept) > 1 and channel is not None:
            yield Remark("several kept", _several_kept(axes, channel))
        elif not kept and channel is not None and axes.sizes[channel] != 1:
            yield Remark("nothing kept", _nothing_kept(axes, channel))
        elif len(kept) == 1 and channel is not None and kept != (channel,):
            yield Remark("not the channels", _not_the_channels(axes, channel))
        elif len(kept) == 1 and channel is None and letters[kept[0]] in SPACE:
            yield Remark("no channels", _no_channels(axes))
    if axes.values.value == 1:
        yield Remark(
            "one value",
            "Each statistic is that of one value: its variance is 0, so in training the output is beta, whatever x "
            "is. Keras, Flax and ONNX do not raise, PyTorch does. Take a larger batch, or keep fewer axes.",
        )
    if axes.count.value is None:
        unknown = [a for a in kept if isinstance(axes.sizes[a], str)]
        yield Remark(
            "unknown size",
            f"The size of {axes.named(unknown)} is not known, and gamma and beta have one entry for each of its "
            "indices: Keras raises when it builds the layer, and PyTorch needs the number.",
        )


def _notes(axes: Axes) -> Iterator[Remark]:
    if not axes.letters:
        length_1 = [a for a in axes.kept if axes.sizes[a] == 1]
        if length_1 and len(axes.kept) == 1 and axes.values.value != 1:
            text = f"Axis {length_1[0]} has length 1, so everything shares one mean: right for grey images only."
            yield Remark("length 1", text)
        yield Remark(
            "no layout",
            "Whether this is the right axis depends on what the axes are. Add --layout, a letter for each: N batch, "
            "C channels, D H W space, L or T length, F features.",
            is_warning=False,
        )
    elif "N" not in axes.letters:
        moved = (
            f"axis {axes.kept[0]} is axis {axes.kept[0] + 1} then" if len(axes.kept) == 1 else "each axis is one more"
        )
        yield Remark(
            "no batch",
            f"{axes.letters} has no batch axis N, which layers count as axis 0: {moved}; -1 stays -1.",
            is_warning=False,
        )


def _right(axes: Axes, channel: int) -> str:
    """What keeping the channels gives: ``30 statistics, each over 4*64*64 = 16,384 values``."""
    right = axes.keeping(channel)
    return f"{_counted(axes.sizes[channel])}, each over {right.values} values"


def _counted(count: Size) -> str:
    if count == 1:
        return "1 statistic"
    return f"{count:,} statistics" if isinstance(count, int) else f"{count} statistics"


def _name(axes: Axes, axis: int) -> str:
    return NAMES[axes.letters[axis]]


def _changing(axes: Axes, axis: int) -> str:
    return _CHANGING.get(axes.letters[axis], _name(axes, axis))


def _not_the_channels(axes: Axes, channel: int) -> str:
    kept, channels = axes.kept[0], _name(axes, channel)
    size = axes.sizes[channel]
    together = f", all {size} {channels} averaged together" if size != 1 else ""
    text = (
        f"On {axes.letters} this normalizes over {_name(axes, kept)}: one mean for each index of "
        f"{axes.letters[kept]}{together}. {channels.capitalize()} are axis {axes.spelled([channel])}: "
        f"{_right(axes, channel)}."
    )
    if axes.count.value is None:
        return text
    return (
        f"{text} Nothing raises: the layer builds {axes.count.written(',')} of everything and trains; it breaks when "
        f"the {_changing(axes, kept)} changes or the model is ported."
    )


def _batch_kept(axes: Axes) -> str:
    batch, channel = axes.letters.index("N"), axes.channel
    if channel is not None and axes.reduced == (channel,):
        right = axes.keeping(channel)
        text = (
            f"Keras's axis names what is kept, NumPy's what is averaged over: this is x.mean(axis={channel}), over "
            f"{_name(axes, channel)} alone. If x.mean(axis={numpy_axis(right.reduced)}) is meant, write "
            f"axis={axes.spelled([channel])}: {_right(axes, channel)}."
        )
    else:
        text = (
            "Each sample has statistics of its own, as in layer or instance normalization: with the batch kept this is "
            "no batch normalization"
        )
        if channel is not None:
            text += f", which keeps {_name(axes, channel)}: axis={axes.spelled([channel])}, {_right(axes, channel)}"
        text += "."
    size = axes.sizes[batch]
    if isinstance(size, str):
        return text
    return (
        f"{text} {_nothing_raises(axes)} while every batch has {size} sample{'' if size == 1 else 's'}; with another "
        "number it breaks, since gamma, beta and the moving statistics belong to places in the batch."
    )


def _several_kept(axes: Axes, channel: int) -> str:
    others = [_changing(axes, a) for a in axes.kept if a != channel]
    count = axes.count.value or axes.count.written()
    text = (
        f"This keeps {_counted(count)}, one for each combination of {axes.named(axes.kept)}, each over {axes.values} "
        f"values. Batch normalization usually keeps {_name(axes, channel)} alone: axis={axes.spelled([channel])}, with "
        f"{_right(axes, channel)}."
    )
    if axes.count.value is None:
        return text
    return f"{text} {_nothing_raises(axes)}; it breaks when the {' or the '.join(others)} changes."


def _nothing_raises(axes: Axes) -> str:
    if len(axes.kept) == 1:
        return "Nothing raises"
    return "Nothing raises in tf_keras and Flax (Keras 3 takes one axis only)"


def _nothing_kept(axes: Axes, channel: int) -> str:
    channels = _name(axes, channel)
    return (
        f"One mean and one variance for all {channels} together: what differs between {channels} stays in the output. "
        f"Batch normalization keeps them: axis={axes.spelled([channel])}, {_right(axes, channel)}."
    )


def _no_channels(axes: Axes) -> str:
    kept = axes.kept[0]
    return (
        f"{axes.letters} has no axis for channels: this normalizes over {_name(axes, kept)}, with one mean for each "
        f"index of {axes.letters[kept]}. Nothing raises; it breaks when the {_changing(axes, kept)} changes. Grey "
        f"images have one channel: x[..., None] with axis=-1, one mean over {axes.keeping().values} values."
    )
