"""What a worker answers, checked: its interpreter may be any executable, and its framework any code."""

from __future__ import annotations

from collections.abc import Mapping, Set
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args

import numpy as np
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from bncheck.case.model import TensorName
from bncheck.judge import relations
from bncheck.judge.verdict import Unlike
from bncheck.processes import printable
from bncheck.reference import Tensor
from bncheck.worker import wire

LONGEST_WORDS = 500
LONGEST_PLACE = 100

NAMES = frozenset(prefix + name for prefix in ("", relations.PREFIX) for name in get_args(TensorName))
DTYPES = frozenset(np.dtype(code).name for code in "?" + np.typecodes["AllInteger"] + np.typecodes["AllFloat"])


class BadAnswer(Exception):
    """An answer that cannot be used; the message says what is wrong with it."""

    def __init__(self, wrong: str) -> None:
        super().__init__(f"answered nonsense: {wrong}")


def _one_of(known: Set[str], what: str) -> AfterValidator:
    def check(text: str) -> str:
        if text not in known:
            raise ValueError(f"{text[:40]!a} is no {what}")
        return text

    return AfterValidator(check)


Words = Annotated[str, AfterValidator(lambda text: printable(text)[:LONGEST_WORDS])]
Name = Annotated[str, _one_of(NAMES, "tensor that a call returns")]
Dtype = Annotated[str, _one_of(DTYPES | {"bfloat16"}, "dtype of numbers")]
Length = Annotated[int, Field(ge=0, lt=1 << 48)]
Axes = Annotated[list[Length], Field(max_length=32)]
Count = Annotated[int, Field(ge=0, lt=1 << 63)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Fact = bool | Annotated[int, Field(ge=-(1 << 63), lt=1 << 63)] | Annotated[float, Field(allow_inf_nan=False)] | Words


_Kind = TypeVar("_Kind", bound=BaseModel)


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Failed(_Part):
    """It could not do what it was asked."""

    error: Words


class Loaded(_Part):
    """A runner is loaded: its version, and facts of the GPU that it can use."""

    version: Words | None
    gpu: Annotated[dict[Words, Fact | None], Field(max_length=64)] | None


class Lacking(_Part):
    """The implementation cannot be asked this."""

    unsupported: Words


class Refused(_Part):
    """The implementation raised this."""

    refused: Words


class Described(_Part):
    """The form of a tensor. Where its file is, is known: what is said of that does not count."""

    dtype: Dtype
    shape: Axes
    path: str


class Again(_Part):
    """A tensor that an equal call gave otherwise, as in `Unlike`."""

    name: Name
    count: Count
    size: Count
    at: Axes | None
    first: float
    again: float


class Returned(_Part):
    """The tensors that a call returned."""

    tensors: dict[Name, Described]
    seconds: Seconds
    unlike: list[Again]

    def opened(self, folder: Path) -> dict[str, Tensor]:
        """The tensors, from the files in ``folder`` that the worker was told to write. Raises `BadAnswer`."""
        if folder.is_symlink():
            raise BadAnswer("the folder of its tensors is a link")
        found = {}
        for name, described in self.tensors.items():
            try:
                told = {"path": str(folder / name), "dtype": described.dtype, "shape": described.shape}
                found[name] = wire.open_tensor(told, "r")
            except FileNotFoundError:
                raise BadAnswer(f"{name}: there is no file of it") from None
            except OSError as error:
                raise BadAnswer(f"{name}: its file cannot be opened: {error.strerror}") from None
            except ValueError as error:
                raise BadAnswer(f"{name}: {error}") from None
        return found

    @property
    def differing(self) -> list[Unlike]:
        return [Unlike(**dict(each)) for each in self.unlike]


ToLoad = Loaded | Failed
ToCall = Returned | Refused | Lacking | Failed

_TO_LOAD: Mapping[str, type[ToLoad]] = {"error": Failed, "version": Loaded}
_TO_CALL: Mapping[str, type[ToCall]] = {
    "error": Failed,
    "unsupported": Lacking,
    "refused": Refused,
    "tensors": Returned,
}
"""What an answer is, by the key that only this one has."""


def to_load(answer: Mapping[str, Any]) -> ToLoad:
    """What a worker answers when it is told to load a runner. Raises `BadAnswer`."""
    return _checked(_TO_LOAD, answer)


def to_call(answer: Mapping[str, Any], *, related: bool) -> ToCall:
    """What it answers to a call; ``related``: it was asked for a second one. Raises `BadAnswer`."""
    found = _checked(_TO_CALL, answer)
    if isinstance(found, Returned):
        for name in ("output", f"{relations.PREFIX}output") if related else ("output",):
            if name not in found.tensors:
                raise BadAnswer(f"there is no {name}")
    return found


def _checked(kinds: Mapping[str, type[_Kind]], answer: Mapping[str, Any]) -> _Kind:
    kind = next((kind for key, kind in kinds.items() if key in answer), None)
    if kind is None:
        raise BadAnswer(f"it has none of {', '.join(kinds)}")
    try:
        return kind.model_validate(answer)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = printable(".".join(str(part) for part in first["loc"]))
        raise BadAnswer(f"{where[:LONGEST_PLACE]}: {first['msg'].removeprefix('Value error, ')}") from None
