"""The same batch normalization as each library writes it, with what must be done to the axes before and after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bncheck.explain.axes import Axes, Product, numpy_axis

WIDTH = 86
"""Characters in which a spelling should fit; a longer one takes several lines."""

Groups = tuple[tuple[int, ...], ...]
"""The axes that are handed over, each made of axes of x."""


@dataclass(frozen=True)
class Spelling:
    """How the same is written. The last line is a layer, a result or operators; those before it lead there.

    ``beside``: in short, to stand beside the spelling before it.
    """

    name: str
    lines: tuple[str, ...]
    beside: str = ""


def spellings(
    axes: Axes, asked: int | None, for_keras: Groups | None, for_torch: Groups | None
) -> tuple[Spelling, ...]:
    """``asked``: the axis as written, if that was one number. ``for_…``: what has to be handed over, if not x."""
    return (
        *_means(axes),
        *_keras(axes, asked, for_keras),
        _torch(axes, for_torch),
        *_flax(axes),
        _onnx(axes, for_torch),
    )


def _means(axes: Axes) -> tuple[Spelling, ...]:
    moments = f"tf.nn.moments(x, axes={list(axes.reduced)})"
    return (
        Spelling("NumPy", (f"x.mean(axis={numpy_axis(axes.reduced)})",)),
        Spelling("TensorFlow", (moments,), beside=moments),
    )


def _keras(axes: Axes, asked: int | None, groups: Groups | None) -> tuple[Spelling, ...]:
    if groups is None:
        written = asked if asked is not None and asked >= 0 else axes.spelled(axes.kept)
        listed = f"axis={list(axes.kept)}"
        return (
            Spelling("Keras", (f"BatchNormalization(axis={written})",)),
            Spelling("tf_keras", (f"BatchNormalization({listed})",), beside=f"tf_keras: also {listed}"),
        )
    handed = _Handed(axes, groups)
    x = f"ops.transpose(x, {handed.permutation})" if handed.permutation else "x"
    x = f"ops.reshape({x}, {_tuple(handed.shape)})" if handed.shape else x
    back = f"ops.reshape(y, {_tuple(handed.restored)})" if handed.restored else "y"
    back = f"ops.transpose({back}, {handed.inverse})" if handed.inverse else back
    merged: tuple[str, ...] = (f"y = BatchNormalization(axis=-1)({x})", back)
    if len(merged[0]) > WIDTH:
        merged = (f"x = {x}", "y = BatchNormalization(axis=-1)(x)", back)
    if len(axes.kept) < 2:
        return (Spelling("Keras", merged),)
    return (Spelling("Keras 3", merged), Spelling("tf_keras", (f"BatchNormalization(axis={list(axes.kept)})",)))


def _torch(axes: Axes, groups: Groups | None) -> Spelling:
    rank = len(groups or axes.sizes)
    layer = f"BatchNorm{max(rank - 2, 1)}d({axes.count.written()})"
    if groups is None:
        return Spelling("PyTorch", (layer,))
    handed = _Handed(axes, groups)
    x = f"x.permute{handed.permutation}" if handed.permutation else "x"
    x += f".reshape({', '.join(handed.shape)})" if handed.shape else ""
    back = f".reshape({', '.join(handed.restored)})" if handed.restored else ""
    back += f".permute{handed.inverse}" if handed.inverse else ""
    whole = f"{layer}({x}){back}"
    return Spelling("PyTorch", (whole,) if len(whole) <= WIDTH else (f"y = {layer}({x})", f"y{back}"))


def _flax(axes: Axes) -> tuple[Spelling, ...]:
    axis = axes.spelled(axes.kept) if len(axes.kept) == 1 else str(axes.kept)
    linen = Spelling("Flax", (f"BatchNorm(axis={axis})",))
    if len(axes.kept) != 1:
        return (linen,)
    nnx = f"nnx.BatchNorm({axes.count.written()}, axis={axis}, rngs=nnx.Rngs(0))"
    return linen, Spelling("Flax nnx", (nnx,), beside=nnx)


def _onnx(axes: Axes, groups: Groups | None) -> Spelling:
    if groups is None or axes.kept == (1,):  # ONNX takes any rank
        return Spelling("ONNX", ("BatchNormalization",))
    handed = _Handed(axes, groups)
    before = [f"Transpose {_packed(handed.permutation)}"] if handed.permutation else []
    before += [f"Reshape {_packed(handed.shape)}"] if handed.shape else []
    after = [f"Reshape {_packed(handed.restored)}"] if handed.restored else []
    after += [f"Transpose {_packed(handed.inverse)}"] if handed.inverse else []
    lines = ", ".join([*before, "BatchNormalization"]), ", ".join(after)
    whole = ", ".join(lines)
    return Spelling("ONNX", (whole,) if len(whole) <= WIDTH else (lines[0] + ",", lines[1]))


class _Handed:
    """How x becomes what is handed over, and back: permuted, then reshaped; None where that is not needed.

    Sizes in a reshape are -1 where axis 0 is, so that the batch may have any size.
    """

    def __init__(self, axes: Axes, groups: Groups) -> None:
        order = tuple(a for group in groups for a in group)
        moves = order != tuple(range(len(order)))
        self.permutation = order if moves else None
        self.inverse = tuple(order.index(a) for a in range(len(order))) if moves else None
        free = 0 not in axes.sizes

        def size(group: Sequence[int]) -> str:
            return "-1" if free and 0 in group else Product(tuple(axes.sizes[a] for a in group)).written()

        merges = any(len(group) != 1 for group in groups)
        self.shape = [size(group) for group in groups] if merges else None
        self.restored = [size([a]) for a in order] if merges else None


def _tuple(sizes: Sequence[str]) -> str:
    return f"({', '.join(sizes)}{',' if len(sizes) == 1 else ''})"


def _packed(numbers: Sequence[object]) -> str:
    """Numbers as an attribute of an operator: ``[0,3,1,2]``."""
    return f"[{','.join(map(str, numbers))}]"
