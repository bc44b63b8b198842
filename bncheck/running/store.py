"""The tensors of the cases in play: made once, in files that every worker maps, gone when the last has seen them."""

from __future__ import annotations

import itertools
import math
import os
import shutil
import tempfile
import threading
from collections import Counter
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from bncheck import processes
from bncheck.case import inputs
from bncheck.case.load import LoadedCase
from bncheck.judge.references import References
from bncheck.reference import Reference, Tensor
from bncheck.semantics import Semantics
from bncheck.worker import wire

PREFIX = "bncheck-"

KEPT_BYTES = 1 << 29
KEPT_CASES = 256
"""How much to keep for workers that are behind; what is dropped beyond that is made again, the same."""


class Prepared:
    """One case with its tensors, and the reference under any reading, each computed once.

    ``related``: the tensors of a relation's second call. ``bytes`` is what all take, 0 until they are made.
    """

    def __init__(self, loaded: LoadedCase, folder: Path) -> None:
        self.loaded = loaded
        self.described: dict[str, dict[str, Any]] = {}
        self.related: dict[str, dict[str, Any]] = {}
        self.folder = folder
        self.users = 0
        self.bytes = 0
        self._lock = threading.Lock()

    @cached_property
    def inputs(self) -> inputs.Inputs:
        self.folder.mkdir()
        made = inputs.make(self.loaded.case, self.loaded.file.parent, self._allocate)
        named = made.named
        for name, tensor in named.items():
            if name not in self.described:
                self.described[name] = wire.write_tensor(tensor, str(self.folder / name))
            tensor.flags.writeable = False
        self.bytes = sum(tensor.nbytes for tensor in named.values())
        for name, tensor in made.related.named.items() if made.related is not None else ():
            self.related[name] = self.described[name]
            if tensor is not named[name]:
                self.related[name] = wire.write_tensor(tensor, str(self.folder / f"related_{name}"))
                self.bytes += tensor.nbytes
        return made

    def _allocate(self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Tensor:
        if math.prod(shape) * dtype.itemsize < wire.MAPPED:
            return np.empty(shape, dtype)
        described = {"path": str(self.folder / name), "dtype": dtype.name, "shape": list(shape)}
        self.described[name] = described
        tensor: Tensor = wire.open_tensor(described, "w+")
        return tensor

    def make(self) -> None:
        """Make the tensors, if no other thread has."""
        with self._lock:
            _ = self.inputs

    def reference(self, semantics: Semantics) -> Reference:
        with self._lock:
            return self._references(semantics)

    @cached_property
    def _references(self) -> References:
        return References(self.inputs, self.loaded.case.steps)


class Store:
    """Hands out prepared cases to ``visitors``, each of which comes to a case at most once."""

    def __init__(self, folder: Path, visitors: int) -> None:
        self._folder = folder
        self._visitors = visitors
        self._numbers: dict[LoadedCase, int] = {}
        """Cases in the order in which they were first asked for."""
        self._prepared: dict[int, Prepared] = {}
        self._seen: Counter[int] = Counter()
        self._names = itertools.count()
        self._lock = threading.Lock()

    def acquire(self, loaded: LoadedCase) -> Prepared:
        with self._lock:
            number = self._numbers.setdefault(loaded, len(self._numbers))
            prepared = self._prepared.get(number)
            if prepared is None:
                prepared = Prepared(loaded, self._folder / f"case{next(self._names)}")
                self._prepared[number] = prepared
            prepared.users += 1
        return prepared

    def release(self, loaded: LoadedCase) -> None:
        """A visitor is done with a case: drop what all have seen, and what is too much to keep."""
        with self._lock:
            number = self._numbers[loaded]
            self._seen[number] += 1
            self._prepared[number].users -= 1
            kept, count = 0, 0
            for other in sorted(self._prepared, reverse=True):
                prepared = self._prepared[other]
                if prepared.users:
                    continue
                kept, count = kept + prepared.bytes, count + 1
                if self._seen[other] >= self._visitors or kept > KEPT_BYTES or count > KEPT_CASES:
                    del self._prepared[other]
                    shutil.rmtree(prepared.folder, ignore_errors=True)


def new_folder() -> Path:
    """A folder for tensors, named after this process; those of processes that were killed are removed."""
    for left in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        owner = left.name.removeprefix(PREFIX).partition("-")[0]
        if owner.isdigit() and not processes.is_running(int(owner)):
            shutil.rmtree(left, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
