"""What a case's keys demand of each other. Each rule returns all that breaks it, with the cure in the message."""

from __future__ import annotations

import math
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bncheck.channels import Channels

if TYPE_CHECKING:
    from bncheck.case.model import Parameters

LETTERS = "NCDHWLTF"
PARAMETERS = ("gamma", "beta", "moving_mean", "moving_variance")


class Broken(NamedTuple):
    """A message, and the place it belongs to, below the key that the rule is about."""

    message: str
    at: tuple[str | int, ...] = ()


def _times(sizes: Sequence[int]) -> str:
    """A product with its factors: "2*3 = 6"."""
    product = str(math.prod(sizes))
    return f"{'*'.join(str(s) for s in sizes)} = {product}" if len(sizes) > 1 else product


def size(shape: Sequence[int], limit: int) -> list[Broken]:
    elements = math.prod(shape)
    if elements > limit:
        return [
            Broken(
                f"the tensor has {elements:,} values; at most {limit:,} are taken. Make it smaller, or raise the limit "
                "with --max-elements"
            )
        ]
    return []


def layout(letters: str, shape: Sequence[int] | None) -> list[Broken]:
    found = []
    strange = sorted(set(letters) - set(LETTERS))
    if strange:
        found.append(
            f"layout letter {', '.join(map(repr, strange))} is not known; letters are N batch, C channels, "
            "D H W space, L or T length, F features"
        )
    twice = [letter for letter, count in Counter(letters).items() if count > 1]
    if twice:
        found.append(f"layout letter {', '.join(map(repr, twice))} stands twice; give each axis a letter of its own")
    if shape is not None and len(letters) != len(shape):
        found.append(
            f"layout {letters!r} names {len(letters)} axes, but shape {list(shape)} has {len(shape)}; "
            "give one letter for each axis"
        )
    return [Broken(message) for message in found]


def axis(given: int | Sequence[int], rank: int) -> list[Broken]:
    axes, single = ([given], True) if isinstance(given, int) else (list(given), False)
    found = []
    seen: dict[int, int] = {}
    for position, value in enumerate(axes):
        place: tuple[str | int, ...] = () if single else (position,)
        if not -rank <= value < rank:
            found.append(Broken(f"axis {value} is out of range for rank {rank}; use {-rank} to {rank - 1}", place))
        elif value % rank in seen:
            earlier = seen[value % rank]
            same = "" if earlier == value else f" (it is axis {earlier})"
            found.append(Broken(f"axis {value} is named twice{same}; name each axis once", place))
        else:
            seen[value % rank] = value
    return found


def nested_numbers(value: list[Any]) -> list[Broken]:
    def is_number(item: Any) -> bool:
        return not isinstance(item, bool) and isinstance(item, int | float) and _is_finite(item)

    return _nested(value, is_number, "a finite number")


def nested_flags(value: list[Any]) -> list[Broken]:
    return _nested(value, lambda item: isinstance(item, int) and item in (0, 1), "true or false, 1 or 0")


def _nested(value: list[Any], fits: Callable[[Any], bool], what: str, at: tuple[int, ...] = ()) -> list[Broken]:
    """The entries of a nested list that are not ``what`` they should be; else, that it is not rectangular."""
    found = []
    for i, item in enumerate(value):
        if isinstance(item, list):
            found += _nested(item, fits, what, (*at, i))
        elif not fits(item):
            found.append(Broken(f"should be {what}, not {shown(item)}", (*at, i)))
    if found:
        return found
    shapes = {_nested_shape(item) for item in value}
    if len(shapes) > 1:
        found.append(Broken("the entries of this list have different lengths; make it rectangular", at))
    return found


def _is_finite(number: int | float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:
        return False


def _nested_shape(value: Any) -> tuple[int, ...]:
    """The shape of a rectangular nested list (ragged lists are refused level by level)."""
    if not isinstance(value, list):
        return ()
    return (len(value), *(_nested_shape(value[0]) if value else ()))


def not_negative(value: Any, what: str) -> list[Broken]:
    """A number, or the numbers of a nested list."""
    smallest = min(_flat(value), default=0)
    return [Broken(f"{what} cannot be negative ({smallest:g}); give 0 or more")] if smallest < 0 else []


def _flat(value: Any) -> Iterator[float]:
    if isinstance(value, list):
        for item in value:
            yield from _flat(item)
    else:
        yield value


def parameters(given: Parameters, channels: Channels, dtype: str) -> list[Broken]:
    found = []
    wider = dtype in ("float16", "bfloat16")
    if given.dtype not in (None, dtype, "float32" if wider else dtype):
        cure = f"take {dtype} or float32" if wider else "leave it out"
        message = f"parameters in {given.dtype} beside x in {dtype} are not to be had of any implementation; {cure}"
        found.append(Broken(message, ("dtype",)))
    for name in PARAMETERS:
        value = getattr(given, name)
        if isinstance(value, list) and _nested_shape(value) not in ((channels.count,), channels.statistic_shape):
            shape, wanted = _nested_shape(value), channels.statistic_shape
            forms = "in a flat list" if len(wanted) == 1 else f"flat, or nested as {list(wanted)}"
            given_form = f"{math.prod(shape)} entries" if len(shape) == 1 else f"shape {list(shape)}"
            message = (
                f"{name} has {given_form}, but the axis keeps {_times(wanted)} indices; give a number or "
                f"{channels.count} entries {forms}"
            )
            found.append(Broken(message, (name,)))
    return found


def frozen(names: Sequence[str]) -> list[Broken]:
    if "gradients" not in names:
        return []
    message = "a frozen layer has no gradients of gamma and beta; leave gradients out, or set `trainable: true`"
    return [Broken(message, (list(names).index("gradients"),))]


def mask(given: list[Any], channels: Channels, trains: bool, gradients: bool) -> list[Broken]:
    found = []
    if not trains:
        found.append(Broken("only training takes statistics of a batch; leave the mask out, or set `mode: training`"))
    if gradients:
        found.append(Broken("gradients are not judged together with a mask; leave one of them out"))
    shape = _nested_shape(given)
    if shape not in (channels.reduced_shape, (channels.values,)):
        found.append(
            Broken(
                f"the mask has shape {list(shape)}; it should be {list(channels.reduced_shape)}, x's shape without the "
                f"axes that are kept, or {channels.values} entries in a flat list"
            )
        )
    return found


def virtual_batches(rows: int, channels: Channels, layout: str, beside: Sequence[str]) -> list[Broken]:
    """``beside``: what else the case has, of that which is not judged together with virtual batches."""
    found = [f"virtual batches are not judged together with {name}; leave one of them out" for name in beside]
    batch = channels.shape[0]
    if layout[0] != "N":
        found.append(f"virtual batches are cut along the first axis, which is {layout[0]}; put N first")
    elif 0 in channels.kept:
        found.append("virtual batches are cut along the first axis, which keeps its statistics; take another axis")
    elif batch == 0 or batch % rows:
        divisors = [n for n in range(1, batch + 1) if batch % n == 0]
        near = min(divisors, key=lambda n: (abs(n - rows), n), default=None)
        cure = f"take {near}" if near else "give it some"
        found.append(f"the batch has {batch} rows, which are no whole number of virtual batches of {rows}; {cure}")
    return [Broken(message) for message in found]


def steps(count: int, mode: str, shape: Sequence[int], limit: int) -> list[Broken]:
    if count > 1 and count * math.prod(shape) > limit:
        return [
            Broken(
                f"{count} batches of {math.prod(shape):,} values are more than {limit:,} values; take fewer steps, or "
                "raise the limit with --max-elements"
            )
        ]
    if count > 1 and mode != "training":
        return [Broken(f"{count} steps are training steps, but the mode is {mode}; set `mode: training` or `steps: 1`")]
    return []


def check(names: Sequence[str], mode: str) -> list[Broken]:
    found = [
        Broken(f"`{name}` is listed twice; list each tensor once", (i,))
        for i, name in enumerate(names)
        if name in names[:i]
    ]
    if "inference" in names and mode != "training":
        found.append(
            Broken(
                f"`inference` is the output after training, but the mode is {mode}; check `output`, "
                "or set `mode: training`",
                (names.index("inference"),),
            )
        )
    return found


def values(recipe: Any, channels: Channels, batches: int, folder: Path | None) -> list[Broken]:
    """Whether the recipe's sizes fit the tensor: one batch, or all batches one after the other."""
    shape = channels.shape
    fits = f"{list(shape)}" if batches == 1 else f"{list(shape)}, or {[batches, *shape]} for all {batches} batches"
    allowed: tuple[tuple[int, ...], ...] = (shape, (batches, *shape))
    if recipe is None:
        return []
    if isinstance(recipe, list):
        if _nested_shape(recipe) not in allowed:
            return [Broken(f"the list has shape {list(_nested_shape(recipe))}; it should be {fits}")]
        return []
    name = next(iter(type(recipe).model_fields))
    inner = getattr(recipe, name)
    if name == "arange":
        start, stop, step = (*inner, 1.0)[:3]
        steps = (stop - start) / step if step else 0.0
        count = math.ceil(steps) if abs(steps) < 2**63 else 2**63
        if max(count, 0) not in [math.prod(s) for s in allowed]:
            total = math.prod(shape)
            wanted = f"{total}" if batches == 1 else f"{total}, or {total * batches} for all {batches} batches"
            gives = f"{max(count, 0)}" if count < 2**63 else "too many"
            message = (
                f"arange gives {gives} values, but shape {list(shape)} takes {wanted}; "
                f"write for example `arange: [0, {total}]`"
            )
            return [Broken(message, ("arange",))]
        return []
    if name == "file":
        return [Broken(message, ("file",)) for message in _file(inner, folder, allowed, fits)]
    if name == "relu":
        return [Broken(b.message, ("relu", *b.at)) for b in values(inner, channels, batches, folder)]
    if name == "dropout":
        return [Broken(b.message, ("dropout", "of", *b.at)) for b in values(inner.of, channels, batches, folder)]
    if name == "replace":
        found = [Broken(b.message, ("replace", "of", *b.at)) for b in values(inner.of, channels, batches, folder)]
        return found + _indices(inner.at, "x", shape, ("replace", "at"))
    arguments: dict[tuple[str, ...], Any] = {(name,): inner}
    if name in ("normal", "uniform"):
        arguments = {(name, key): getattr(inner, key) for key in type(inner).model_fields}
    found = [
        Broken(
            f"{len(argument)} entries, but the axis keeps {_times(channels.statistic_shape)} indices; give a number or "
            f"{channels.count} entries",
            place,
        )
        for place, argument in arguments.items()
        if isinstance(argument, list) and len(argument) != channels.count
    ]
    if name == "normal":
        found += [Broken(b.message, (name, "std")) for b in not_negative(inner.std, "a standard deviation")]
    return found


def _file(name: str, folder: Path | None, allowed: Sequence[tuple[int, ...]], fits: str) -> list[str]:
    if folder is None:
        return ["a case that is not in a file cannot name a file; write the values out"]
    label = shown(name)
    try:
        target = (folder / name).resolve()
        inside = not Path(name).is_absolute() and target.is_relative_to(folder.resolve())
    except (OSError, ValueError, RuntimeError):  # a loop of links, a NUL byte
        return [f"{label} is not the name of a file; mend the name"]
    if not inside:
        return [f"{label} is outside the case's folder; put the file beside the case"]
    try:
        found = target.is_file()
    except (OSError, ValueError):
        found = False
    if not found:
        return [f"{label} does not exist beside the case; add it or mend the name"]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            array = np.lib.format.open_memmap(target, mode="r")
    except Exception:  # a header is parsed as Python: anything can come of it
        return [f"{label} cannot be read as a .npy file of numbers; save it with numpy.save"]
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu":
        return [f"{label} does not hold one array of real numbers; save one with numpy.save"]
    if array.shape not in allowed:
        return [f"{label} has shape {list(array.shape)}; it should be {fits}"]
    if not np.isfinite(array).all():  # last, since it reads the whole file
        return [f"{label} holds NaN or infinity; save finite numbers"]
    return []


def upstream(recipe: Any, channels: Channels, checked: bool, folder: Path | None) -> list[Broken]:
    """Whether a gradient that comes from above is of use: ``checked``, of the right size, and not constant."""
    if recipe is None:
        return []
    if not checked:
        message = (
            "`upstream` is the gradient that gradients are made of, but none are checked; add `gradients` to `check`, "
            "or remove it"
        )
        return [Broken(message)]
    if found := values(recipe, channels, 1, folder):
        return found
    if channels.values > 1 and _constant(recipe, channels, folder):
        message = (
            "a constant upstream makes the gradient of x vanish in training, whatever is computed; give values that "
            "differ within a channel, for example `{normal: {mean: 1, std: 1}}`, or remove it"
        )
        return [Broken(message)]
    return []


def _constant(recipe: Any, channels: Channels, folder: Path | None) -> bool:
    """Whether all values of each channel are alike, as far as the recipe tells."""
    if isinstance(recipe, list):
        return _alike(np.asarray(recipe, dtype=np.float64), channels)
    name = next(iter(type(recipe).model_fields))
    inner = getattr(recipe, name)
    if name == "file":
        assert folder is not None  # else it has been refused
        return _alike(np.lib.format.open_memmap(folder / inner, mode="r"), channels)
    if name == "relu":
        return _constant(inner, channels, folder)
    if name == "normal":
        return not any(_flat(inner.std))
    if name == "uniform":
        return bool(np.all(np.asarray(inner.low) == np.asarray(inner.high)))
    return bool(name == "constant")


def _alike(values: np.ndarray[Any, Any], channels: Channels) -> bool:
    reduced = tuple(axis for axis in range(values.ndim) if axis not in channels.kept)
    return bool(values.size) and not np.any(np.ptp(values, axis=reduced))


def expected(
    given: dict[Any, Any], channels: Channels, checked: Sequence[str], lacking: Sequence[str] = ()
) -> list[Broken]:
    """``lacking``: gradients that the case has not, because it has no such parameter."""
    found = []
    for tensor, numbers in given.items():
        listed = "gradients" if tensor.startswith("gradient_") else tensor
        if tensor in lacking:
            key, parameter = ("scale", "gamma") if tensor == "gradient_gamma" else ("center", "beta")
            message = f"`{tensor}` is expected, but there is no {parameter}; remove it, or set `{key}: true`"
            found.append(Broken(message, (tensor,)))
            continue
        if listed in ("inference", "gradients") and listed not in checked:
            message = f"`{tensor}` is expected, but not checked; add `{listed}` to `check`"
            found.append(Broken(message, (tensor,)))
            continue
        of_x = tensor in ("output", "inference", "gradient_x")
        shape = channels.shape if of_x else channels.statistic_shape
        if isinstance(numbers, list):
            if len(numbers) != math.prod(shape):
                found.append(
                    Broken(
                        f"{len(numbers)} numbers, but {tensor} has {_times(shape)}; list all in C "
                        'order, or single ones as {"[0, 1]": number}',
                        (tensor,),
                    )
                )
            continue
        found += _indices(numbers, tensor, shape, (tensor,))
    return found


def _indices(keys: Iterable[str], tensor: str, shape: Sequence[int], place: tuple[str, ...]) -> list[Broken]:
    """The keys that are no index into a tensor of that name and shape."""
    found = []
    for key in keys:
        index = index_of(key)
        if index is None or len(index) != len(shape) or not all(i < d for i, d in zip(index, shape, strict=True)):
            cure = f'write for example "{[0] * len(shape)}"' if math.prod(shape) else "it has no values"
            found.append(Broken(f"{key!r} is not an index into {tensor} of shape {list(shape)}; {cure}", (*place, key)))
    return found


def index_of(key: str) -> tuple[int, ...] | None:
    """The index that a key such as ``"[0, 1, 0, 0]"`` writes."""
    if not re.fullmatch(r"\[\s*([0-9]{1,18}\s*(,\s*[0-9]{1,18}\s*)*)?\]", key):
        return None
    return tuple(int(digits) for digits in re.findall(r"\d+", key))


def shown(value: Any) -> str:
    """A value in a message, as YAML writes it, cut short."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."
