"""Both sides of the bound, measured on the real frameworks over random well-posed cases.

The first table counts honest outputs that are called wrong: beyond the bound that the verdict uses, which follows what
each implementation documents, and by ``numpy.allclose`` and ``torch.testing.assert_close`` on the same data. The others
count wrong implementations that slip through: on the same random data, which are adversarial (means of up to 10,000
deviations, up to 200,000 values a statistic), and on the data that a case has by default.

    python tests/benchmarks/calibration.py [--cases 3000] [--seed 1] [--only NUMBER] [--json PATH]

A case depends on the seed and its number alone; ``--only`` runs a single one again.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import math
import shutil
import sys
import tempfile
import textwrap
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate

from bncheck import documented
from bncheck.bounds import Bounds
from bncheck.case.load import LoadedCase
from bncheck.case.model import Case
from bncheck.case.text import Text
from bncheck.channels import Channels
from bncheck.documented.reading import Call, Reading, Unsupported
from bncheck.doubledouble import DoubleDouble
from bncheck.formats import Format
from bncheck.judge import compare, verdict
from bncheck.judge.question import Question
from bncheck.reference import Reference, Statistics, evaluate
from bncheck.running.connection import Connection
from bncheck.running.line import call_message
from bncheck.running.runners import Runner, select
from bncheck.running.store import Prepared
from bncheck.semantics import Semantics
from bncheck.worker import wire

CHANNELS_LAST = "torch-channels-last"
SECONDS = 300.0
"""How long a worker may take to start, or for one call."""

STATISTICS = ("moving_mean", "moving_variance")


# Random cases

DTYPES = {"float32": 0.7, "float64": 0.1, "float16": 0.1, "bfloat16": 0.1}
DATA = ("normal", "uniform", "rectified", "sorted", "log-normal", "linear")
LETTERS = {2: "N", 3: "NL", 4: "NHW", 5: "NDHW"}
MOST_VALUES = 200_000
MOST_OFFSET = {"float32": 1e4, "float64": 1e4, "float16": 1e2, "bfloat16": 1e1}
"""In 16 bits, values further from zero than that many deviations are hardly more than constant."""

SCALES = {"float32": (-4, 4), "float64": (-4, 4), "bfloat16": (-4, 4), "float16": (0.5, 1.5)}
"""Powers of ten. The variance must be a normal float16 even after a factor of 3e-3."""

SMALLEST_SCALE = {"float16": 0.01}
"""Of a channel, as a part of the case's; 3e-3 in other dtypes."""


def log_uniform(rng: np.random.Generator, low: float, high: float, size: int | None = None) -> Any:
    return np.exp(rng.uniform(math.log(low), math.log(high), size))


def draw(seed: int, number: int, folder: Path) -> LoadedCase:
    """Random case ``number``: drawn again until it is well-posed. Its data are written to ``folder``."""
    rng = np.random.default_rng([seed, number])
    for _ in range(1000):
        dtype = str(rng.choice(list(DTYPES), p=list(DTYPES.values())))
        shape, axis = draw_shape(rng)
        training = rng.random() < 0.7
        kind = str(rng.choice(DATA))
        offset = 0.0 if rng.random() < 0.15 else float(log_uniform(rng, 0.01, MOST_OFFSET[dtype]))
        x, sigma, mean = draw_data(rng, kind, offset, dtype, shape, axis)
        data = {
            "title": f"{kind}, |mean|/sigma {offset:.2g}, {x.size // shape[axis]} values a statistic",
            "input": {
                "shape": list(shape),
                "layout": LETTERS[len(shape)][:axis] + "C" + LETTERS[len(shape)][axis:],
                "dtype": dtype,
                "values": {"file": "x.npy"},
            },
            "axis": axis,
            "mode": "training" if training else "inference",
            "epsilon": draw_epsilon(rng),
            "momentum": float(rng.choice([0.9, 0.99, 0.999, rng.uniform(0.05, 0.95)])),
            "center": bool(rng.random() < 0.9),
            "scale": bool(rng.random() < 0.9),
            "parameters": draw_parameters(rng, sigma, mean),
        }
        if well_posed(x, axis, dtype):
            np.save(folder / "x.npy", x)
            case = Case.model_validate(data, context={"folder": folder})
            return LoadedCase(f"seed {seed} case {number}", case, data, Text(folder / "case.yaml"))
    raise AssertionError("the generator makes no well-posed cases")


def draw_shape(rng: np.random.Generator) -> tuple[tuple[int, ...], int]:
    """A shape of rank 2 to 5 and its channel axis: mostly last or second, with 3 to `MOST_VALUES` values a channel."""
    rank, channels = int(rng.integers(2, 6)), int(rng.integers(1, 13))
    values = float(3 * (MOST_VALUES / 3) ** (rng.random() ** 1.3))
    lengths = []
    for left in range(rank - 1, 1, -1):
        length = max(1, round(values ** (rng.uniform(0.3, 1.7) / left)))
        lengths.append(length)
        values = max(1.0, values / length)
    lengths.append(max(1, int(values)))
    rng.shuffle(lengths)
    if rank > 2 and rng.random() < 0.3 and math.prod(lengths) // lengths[-1] * channels <= MOST_VALUES:
        lengths[-1] = channels  # so that a wrong axis has as many statistics
    lengths[0] = max(lengths[0], -(-3 // math.prod(lengths[1:])))
    axis = int(rng.choice([rank - 1, 1, rng.integers(rank)]))
    return (*lengths[:axis], channels, *lengths[axis:]), axis


def draw_data(
    rng: np.random.Generator, kind: str, offset: float, dtype: str, shape: tuple[int, ...], axis: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The values, exactly as ``dtype`` holds them but in an own type of NumPy; the deviation and mean of a channel."""
    channels = shape[axis]
    others = (*shape[:axis], *shape[axis + 1 :])
    deviates = draw_deviates(rng, kind, channels, math.prod(others))
    scale = 10 ** rng.uniform(*SCALES[dtype]) * log_uniform(rng, SMALLEST_SCALE.get(dtype, 3e-3), 1, channels)
    sigma = scale * np.maximum(deviates.std(axis=1), 1e-3)
    shift = offset * sigma * rng.choice([-1, 1], channels)
    rows = deviates * scale[:, None] + shift[:, None]
    stored = rows.astype(dtype).astype(np.float64)
    x = np.moveaxis(stored.reshape(channels, *others), 0, axis)
    return x, stored.std(axis=1), stored.mean(axis=1)


def draw_deviates(rng: np.random.Generator, kind: str, channels: int, values: int) -> np.ndarray:
    """A row a channel, of about unit deviation."""
    if kind == "linear":
        return np.tile(np.linspace(-1.7, 1.7, values), (channels, 1)) * rng.choice([-1, 1], (channels, 1))
    if kind == "uniform":
        return rng.uniform(-1.7, 1.7, (channels, values))
    normal = rng.standard_normal((channels, values))
    if kind == "sorted":
        return np.sort(normal, axis=1) * rng.choice([-1, 1], (channels, 1))
    return {"normal": normal, "rectified": np.maximum(normal, 0), "log-normal": np.exp(normal)}[kind]


def draw_epsilon(rng: np.random.Generator) -> float:
    """1e-8 to 1e-2; in two of five cases a framework's default."""
    return float(rng.choice([1e-3, 1e-5, *log_uniform(rng, 1e-8, 1e-2, 3)]))


def draw_parameters(rng: np.random.Generator, sigma: np.ndarray, mean: np.ndarray) -> dict[str, list[float]]:
    """gamma of 0.1 to 10 and beta of 0.01 to 10, either sign; moving statistics near the batch's."""
    count = len(sigma)
    signs = rng.choice([-1, 1], (3, count))
    parameters = {
        "gamma": signs[0] * log_uniform(rng, 0.1, 10, count),
        "beta": signs[1] * log_uniform(rng, 0.01, 10, count) * (rng.random() < 0.9),
        "moving_mean": mean + signs[2] * sigma * rng.uniform(0.5, 1.5, count),
        "moving_variance": sigma**2 * rng.uniform(0.6, 1.9, count),
    }
    return {name: values.tolist() for name, values in parameters.items()}


def well_posed(x: np.ndarray, axis: int, dtype: str) -> bool:
    """Whether no channel is constant, and values and variances stay well inside what ``dtype`` holds.

    Outputs then do too: gamma and beta are at most 10, and values at most sqrt(N) deviations from their mean.
    """
    reduced = tuple(a for a in range(x.ndim) if a != axis)
    limits = Format.of(dtype)
    variance = x.var(axis=reduced)
    large = max(float(np.abs(x).max()), float(variance.max()))
    return bool((variance > 4 * limits.smallest).all() and large < limits.largest / 8)


def by_default(drawn: LoadedCase) -> LoadedCase:
    """The case of the same shape and request on the data and parameters that a case has by default."""
    data = {k: v for k, v in drawn.spec.items() if k != "parameters"}
    data["input"] = {k: v for k, v in data["input"].items() if k != "values"}
    return LoadedCase(drawn.id, Case.model_validate(data), data, drawn.text)


# Real implementations in real workers


@dataclass(frozen=True)
class Answer:
    """What an implementation returned for a case, or what it said instead; ``reading`` is what it documents."""

    runner: str
    reading: Reading
    tensors: Mapping[str, np.ndarray] = field(default_factory=dict)
    said: str | None = None


class Workers:
    """The workers of all runners, a process a family."""

    def __init__(self, runners: Sequence[Runner]) -> None:
        missing = [r.missing for r in runners if r.missing]
        if missing:
            raise SystemExit("\n".join(missing))
        ordered = sorted(runners, key=lambda r: r.family)
        self._families = [list(group) for _, group in itertools.groupby(ordered, key=lambda r: r.family)]
        self._connections = [Connection(verbose=False) for _ in self._families]
        self._pool = ThreadPoolExecutor(len(self._families))

    def __enter__(self) -> Workers:
        try:
            list(self._pool.map(_load, self._families, self._connections))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for connection in self._connections:
            connection.close()
        self._pool.shutdown()

    def ask(self, prepared: Prepared) -> list[Answer]:
        """Every runner's answer, the families side by side."""
        prepared.make()
        parts = self._pool.map(lambda f, c: list(_ask(f, c, prepared)), self._families, self._connections)
        return list(itertools.chain.from_iterable(parts))


def _load(runners: Sequence[Runner], connection: Connection) -> None:
    for runner in runners:
        connection.send({"load": runner.load})
        answer = connection.receive(SECONDS)
        if "error" in answer:
            raise RuntimeError(f"{runner.spelling} cannot be loaded: {answer['error']}")


def _ask(runners: Sequence[Runner], connection: Connection, prepared: Prepared) -> Iterator[Answer]:
    case = prepared.loaded.case
    for runner in runners:
        called, judged = readings(runner, case)
        if isinstance(called, Unsupported) or isinstance(judged, Unsupported):
            continue
        folder = prepared.folder / runner.spelling
        folder.mkdir()
        connection.send(call_message(runner, case, called, prepared.described, folder))
        answer = connection.receive(SECONDS)
        if "tensors" not in answer:
            yield Answer(runner.spelling, judged, said=str(answer))
            continue
        described = {k: {**d, "path": str(folder / k)} for k, d in answer["tensors"].items()}
        yield Answer(runner.spelling, judged, {k: wire.open_tensor(d, "r") for k, d in described.items()})


def readings(runner: Runner, case: Case) -> tuple[Reading | Unsupported, Reading | Unsupported]:
    """How to call a runner, and what it documents: for PyTorch on channels-last memory, what its module does."""
    called = runner.documented(case)
    if runner.spelling != CHANNELS_LAST or isinstance(called, Unsupported):
        return called, called
    torch = documented.of("torch").documented(Call(case))
    if isinstance(torch, Unsupported) or len(case.input.shape) == 2:
        return called, Unsupported("two axes have one memory order")
    return called, replace(called, facts=torch.facts)


def implementations() -> list[Runner]:
    own = Path(__file__).parent / "torch_channels_last.py"
    return select([*documented.by_default(), f"{CHANNELS_LAST}={own}:apply"])


# Measures

TOLERANCES = {
    "allclose": dict.fromkeys(DTYPES, (1e-5, 1e-8)),
    "assert_close": {
        "float16": (1e-3, 1e-5),
        "bfloat16": (1.6e-2, 1e-5),
        "float32": (1.3e-6, 1e-5),
        "float64": (1e-7, 1e-7),
    },
}
"""rtol and atol by dtype: the defaults of ``numpy.allclose``; what ``torch.testing.assert_close`` documents."""


@dataclass(frozen=True)
class Target:
    """A tensor as one reading has it: value, what float64 leaves over of it, bound; and rounded to its dtype."""

    channels: Channels
    value: np.ndarray
    rest: np.ndarray | float
    bound: np.ndarray
    rounded: np.ndarray

    @classmethod
    def of(cls, expected: compare.Expected, dtype: str) -> Target:
        shape = expected.channels.walked
        value, rest, bound = (np.zeros(shape) for _ in range(3))
        with np.errstate(all="ignore"):
            for index in expected.channels.blocks():
                found = expected.at(index)
                value[index], bound[index] = found[0], found[2]
                rest[index] = 0.0 if found[1] is None else found[1]
            rounded = value.astype(dtype).astype(np.float64)
        return cls(expected.channels, value, rest, bound, rounded)

    def ratios(self, actual: np.ndarray) -> np.ndarray:
        """The largest error over its bound in each channel; infinite for what is not finite, 0 without a bound."""
        with np.errstate(all="ignore"):
            error = np.abs(self.channels.view(actual).astype(np.float64) - self.value - self.rest)
            ratio = np.where(self.bound == np.inf, 0.0, error / self.bound)
            largest = ratio.max(axis=self.channels.reduced)
        return np.where(np.isnan(largest), np.inf, largest).reshape(-1)

    def close(self, actual: np.ndarray, tolerance: tuple[float, float]) -> bool:
        rtol, atol = tolerance
        with np.errstate(all="ignore"):
            error = np.abs(self.channels.view(actual).astype(np.float64) - self.rounded)
            return bool((error <= atol + rtol * np.abs(self.rounded)).all())


class Targets:
    """Every tensor of a case under any reading, each computed once."""

    def __init__(self, prepared: Prepared) -> None:
        self._prepared = prepared
        self._found: dict[tuple[Semantics, str], dict[str, Target]] = {}

    def of(self, semantics: Semantics, statistics_dtype: str) -> dict[str, Target]:
        key = (semantics, statistics_dtype)
        if key not in self._found:
            self._found[key] = self._compute(semantics, statistics_dtype)
        return self._found[key]

    def _compute(self, semantics: Semantics, statistics_dtype: str) -> dict[str, Target]:
        case, reference = self._prepared.loaded.case, self._prepared.reference(semantics)
        limits = Bounds(reference, case.input.dtype, statistics_dtype)
        output = compare.of_output(reference.output, self._prepared.inputs.batches[0], limits.output, None)
        targets = {"output": Target.of(output, case.input.dtype)}
        for name in STATISTICS if semantics.mode == "training" else ():
            value, error = getattr(reference.moving, name[7:]), getattr(limits.moving, name[7:])
            shape = case.channels.statistic_shape
            targets[name] = Target.of(compare.of_statistic(value, error, shape, None), statistics_dtype)
        return targets


class Distribution:
    """Errors over their bound, kept as counts of thousandths."""

    def __init__(self) -> None:
        self.largest, self._counts = 0.0, np.zeros(2001, dtype=np.int64)

    def add(self, ratios: np.ndarray) -> None:
        self.largest = max(self.largest, float(ratios.max()))
        self._counts += np.bincount((np.minimum(ratios, 2.0) * 1000).astype(int), minlength=2001)

    def quantile(self, part: float) -> float:
        """To a thousandth, upwards."""
        return float(np.searchsorted(np.cumsum(self._counts), part * self._counts.sum()) + 1) / 1000


# Honest implementations


@dataclass
class Honest:
    """What was measured of one implementation in one mode, in outputs and in moving statistics."""

    outputs: int = 0
    outputs_beyond: int = 0
    void: int = 0
    ratios: Distribution = field(default_factory=Distribution)
    statistics: int = 0
    statistics_beyond: int = 0
    statistics_ratios: Distribution = field(default_factory=Distribution)
    failed: int = 0
    called_wrong: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TOLERANCES, 0))


@dataclass(frozen=True)
class Beyond:
    """A tensor of a real implementation that is beyond its bound, or a result that failed; ``defect``: a known one."""

    case: str
    title: str
    runner: str
    dtype: str
    mode: str
    tensor: str
    ratio: float
    defect: str | None


def float32_weight(momentum: float, runner: str) -> float:
    """The weight of the old statistic that is left of ``momentum`` where TensorFlow takes it by way of float32."""
    if runner == "tf-nn":  # tf.train.ExponentialMovingAverage converts `decay` itself, then subtracts it from 1
        momentum = float(np.float32(momentum))
    return 1.0 - float(np.float32(1.0 - momentum))


def known_defect(runner: str, prepared: Prepared, name: str, tensor: np.ndarray, reading: Reading) -> str | None:
    """The one true defect that is known, where it explains all of the error.

    TensorFlow's legacy layers and ``tf.train.ExponentialMovingAverage`` convert ``1 - momentum`` to a float32 tensor
    before they cast it to float64, so that a float64 moving statistic is right to eight digits only. It is put down to
    that only if it is within the bound about the reference with that very weight.
    """
    case = prepared.loaded.case
    momentum = case.requested.momentum
    if runner not in ("tf-keras", "tf-layers", "tf-nn") or case.input.dtype != "float64" or name not in STATISTICS:
        return None
    assert not isinstance(momentum, str)
    semantics = replace(reading.semantics(case.requested), momentum=float32_weight(momentum, runner))
    within = Targets(prepared).of(semantics, "float64")[name].ratios(tensor).max() <= 1
    return "1 - momentum is rounded to float32" if within else None


@dataclass
class HonestSide:
    """What real implementations return, and every tensor of theirs that is beyond its bound.

    ``rows`` by implementation and mode; ``largest``, the largest error over its bound (but for known defects), by
    implementation, kind of tensor and dtype.
    """

    rows: dict[tuple[str, str], Honest] = field(default_factory=lambda: defaultdict(Honest))
    largest: dict[tuple[str, str, str], float] = field(default_factory=lambda: defaultdict(float))
    beyond: list[Beyond] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    @property
    def alarms(self) -> list[Beyond]:
        return [b for b in self.beyond if b.defect is None]

    def add(self, prepared: Prepared, targets: Targets, answers: Sequence[Answer]) -> None:
        for answer in answers:
            if answer.said is not None:
                self.said.append(f"{prepared.loaded.id} {answer.runner}: {answer.said}")
                continue
            known = self._tensors(prepared, targets, answer)
            self._verdict(prepared, answer, known)

    def _tensors(self, prepared: Prepared, targets: Targets, answer: Answer) -> bool:
        """Measure each tensor; whether a known defect was among them."""
        case, runner, reading = prepared.loaded.case, answer.runner, answer.reading
        row = self.rows[runner, case.requested.mode]
        expected = targets.of(reading.semantics(case.requested), reading.parameters_dtype)
        known = False
        for name in case.checked:
            tensor, target = answer.tensors[name], expected[name]
            ratios = target.ratios(tensor)
            beyond = bool(ratios.max() > 1)
            defect = known_defect(runner, prepared, name, tensor, reading) if beyond else None
            known = known or defect is not None
            if beyond:
                self._note(prepared, runner, name, float(ratios.max()), defect)
            if defect is None:
                key = (runner, "output" if name == "output" else "moving", case.input.dtype)
                self.largest[key] = max(self.largest[key], float(ratios.max()))
            if name == "output":
                row.outputs += 1
                row.outputs_beyond += beyond and defect is None
                row.void += not np.isfinite(target.bound).all()
                row.ratios.add(ratios)
                for method, tolerances in TOLERANCES.items():
                    row.called_wrong[method] += not target.close(tensor, tolerances[case.input.dtype])
            else:
                row.statistics += 1
                row.statistics_beyond += beyond and defect is None
                if defect is None:
                    row.statistics_ratios.add(ratios)
        return known

    def _verdict(self, prepared: Prepared, answer: Answer, known: bool) -> None:
        """What the judge itself says of the whole result."""
        question = Question(prepared.loaded.case, prepared.inputs, answer.reading, prepared.reference)
        judgement = verdict.judge(question, answer.tensors)
        if judgement.verdict == "fail" and not known:
            self.rows[answer.runner, prepared.loaded.case.requested.mode].failed += 1
            self._note(prepared, answer.runner, "result: " + "; ".join(c.message for c in judgement.causes), 0.0, None)

    def _note(self, prepared: Prepared, runner: str, tensor: str, ratio: float, defect: str | None) -> None:
        case = prepared.loaded.case
        title, mode = case.title, case.requested.mode
        self.beyond.append(Beyond(prepared.loaded.id, title, runner, case.input.dtype, mode, tensor, ratio, defect))


# Wrong implementations

Wrong = Callable[[Prepared], Reference | None]
"""What a wrong implementation computes for a case, but for the last rounding; None where the defect is none."""


def wrong(change: Callable[[Semantics], dict[str, Any] | None]) -> Wrong:
    """A defect that is another reading of what was requested."""

    def of(prepared: Prepared) -> Reference | None:
        requested = prepared.loaded.case.requested
        changes = change(requested)
        return prepared.reference(replace(requested, **changes)) if changes else None

    return of


def in_training(**changes: Any) -> Wrong:
    return wrong(lambda requested: changes if requested.mode == "training" else None)


def epsilon_exchanged(requested: Semantics) -> dict[str, Any] | None:
    other = {1e-3: 1e-5, 1e-5: 1e-3}.get(requested.epsilon)
    return None if other is None else {"epsilon": other}


def momentum_exchanged(requested: Semantics) -> dict[str, Any] | None:
    assert not isinstance(requested.momentum, str)
    return {"momentum": 1 - requested.momentum} if requested.mode == "training" else None


def beta_ignored(prepared: Prepared) -> Reference | None:
    requested = prepared.loaded.case.requested
    if not requested.center or not prepared.inputs.parameters["beta"].any():
        return None
    return prepared.reference(replace(requested, center=False))


def other_axis(prepared: Prepared) -> Reference | None:
    """Statistics of another axis of the same length."""
    case = prepared.loaded.case
    (kept,), shape = case.requested.kept, case.input.shape
    others = [a for a, length in enumerate(shape) if a != kept and length == shape[kept] > 1]
    return prepared.reference(replace(case.requested, kept=(others[0],))) if others else None


def one_pass_variance(prepared: Prepared) -> Reference | None:
    """E[x^2] - E[x]^2 in the arithmetic of the dtype, the sums pairwise."""

    def one_pass(batch: np.ndarray, channels: Channels) -> Statistics:
        x = channels.view(batch).astype(np.result_type(np.float32, batch.dtype))
        mean, square = x.mean(axis=channels.reduced), (x * x).mean(axis=channels.reduced)
        found = (mean, np.maximum(square - mean * mean, 0))
        return Statistics(*(DoubleDouble.of(s.reshape(-1).astype(np.float64)) for s in found))

    requested = prepared.loaded.case.requested
    if requested.mode != "training":
        return None
    return evaluate(requested, prepared.inputs.batches, prepared.inputs.exact, one_pass)


WRONG: dict[str, Wrong] = {
    "epsilon 1e-3 for 1e-5, or back": wrong(epsilon_exchanged),
    "epsilon raised to 1.001e-5": wrong(lambda r: {"epsilon": 1.001e-5} if r.epsilon < 1.001e-5 else None),
    "epsilon left out": wrong(lambda r: {"epsilon": 0.0}),
    "epsilon outside the root": wrong(lambda _: {"placement": "outside"}),
    "variance of the batch unbiased": in_training(batch_variance="unbiased"),
    "variance in one pass": one_pass_variance,
    "moving variance unbiased": in_training(moving_variance="unbiased"),
    "momentum exchanged": wrong(momentum_exchanged),
    "statistics of another axis": other_axis,
    "training for inference, or back": wrong(lambda r: {"mode": "inference" if r.mode == "training" else "training"}),
    "gamma ignored": wrong(lambda r: {"scale": False} if r.scale else None),
    "beta ignored": beta_ignored,
}

TYPICAL = 3000
"""Values a statistic that default data are made for."""

SETS = ("random data", "default data", f"default data, at most {TYPICAL:,} values a statistic")


METHODS = ("no trace", "bound", "verdict", *TOLERANCES)
"""Where a wrong implementation may slip through. ``no trace``: its tensors are those of a right one, bit by bit;
``bound``: each element is within its bound; ``verdict``: the judge, with all its evidence, does not call it a fail."""


@dataclass
class Slipped:
    """In how many cases a wrong implementation slipped through, by method."""

    cases: int = 0
    through: dict[str, int] = field(default_factory=lambda: dict.fromkeys(METHODS, 0))


@dataclass
class WrongSide:
    """The other tables: by set of data and defect."""

    rows: dict[tuple[str, str], Slipped] = field(default_factory=lambda: defaultdict(Slipped))

    def add(self, prepared: Prepared, targets: Targets, data: str) -> None:
        case = prepared.loaded.case
        dtype = case.input.dtype
        expected = targets.of(case.requested, dtype)
        sets = [data]
        if data == SETS[1] and case.channels.values <= TYPICAL:
            sets.append(SETS[2])
        for name, defect in WRONG.items():
            with np.errstate(all="ignore"):
                reference = defect(prepared)
                if reference is None:
                    continue
                tensors = {n: tensor for n, tensor in returned(prepared, reference) if n in expected}
            through = slips_through(prepared, tensors, expected)
            for chosen in sets:
                row = self.rows[chosen, name]
                row.cases += 1
                for method, slipped in through.items():
                    row.through[method] += slipped


def slips_through(
    prepared: Prepared, tensors: Mapping[str, np.ndarray], expected: Mapping[str, Target]
) -> dict[str, bool]:
    """By method whether all tensors of a wrong implementation are taken for right."""
    case = prepared.loaded.case
    pairs = [(tensor, expected[name]) for name, tensor in tensors.items()]
    bounded = all(target.ratios(tensor).max() <= 1 for tensor, target in pairs)
    question = Question(
        case, prepared.inputs, Reading(case.axis, parameters_dtype=case.input.dtype), prepared.reference
    )
    exact = {"no trace": (0.0, 0.0)}
    tolerances = exact | {method: by_dtype[case.input.dtype] for method, by_dtype in TOLERANCES.items()}
    return {
        "bound": bounded,
        "verdict": bounded and verdict.judge(question, tensors).verdict != "fail",
        **{method: all(target.close(t, of) for t, target in pairs) for method, of in tolerances.items()},
    }


def returned(prepared: Prepared, reference: Reference) -> Iterator[tuple[str, np.ndarray]]:
    """The tensors that an implementation returns, rounded to the case's dtype."""
    case = prepared.loaded.case
    dtype = np.dtype(case.input.dtype)
    yield "output", reference.output.output(prepared.inputs.batches[0]).astype(dtype)
    for name in STATISTICS:
        value = getattr(reference.moving, name[7:])
        yield name, value.hi.reshape(case.channels.statistic_shape).astype(dtype)


# The campaign


@dataclass
class Campaign:
    """All that was measured."""

    honest: HonestSide = field(default_factory=HonestSide)
    wrong: WrongSide = field(default_factory=WrongSide)


def measure(numbers: Sequence[int], seed: int, progress: Callable[[str], None] = lambda _: None) -> Campaign:
    """Measure the random cases of those numbers. While one is judged, the workers are busy with the next."""
    campaign = Campaign()
    started = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="calibration-") as name,
        Workers(implementations()) as workers,
        ThreadPoolExecutor(1) as ahead,
    ):

        def answered(number: int) -> tuple[Path, Prepared, list[Answer]]:
            folder = Path(name, str(number))
            folder.mkdir()
            prepared = Prepared(draw(seed, number, folder), folder / "tensors")
            return folder, prepared, workers.ask(prepared)

        waiting = ahead.submit(answered, numbers[0])
        for count, following in enumerate([*numbers[1:], None], start=1):
            folder, prepared, answers = waiting.result()
            if following is not None:
                waiting = ahead.submit(answered, following)
            judge(campaign, prepared, answers, folder)
            shutil.rmtree(folder)
            if count % 50 == 0 or following is None:
                seconds, alarms = time.monotonic() - started, len(campaign.honest.alarms)
                progress(f"{count} of {len(numbers)} cases in {seconds:.0f} s, {alarms} false alarms")
    return campaign


def judge(campaign: Campaign, prepared: Prepared, answers: Sequence[Answer], folder: Path) -> None:
    """Both sides of the bound on one case."""
    targets = Targets(prepared)
    campaign.honest.add(prepared, targets, answers)
    campaign.wrong.add(prepared, targets, SETS[0])
    default = Prepared(by_default(prepared.loaded), folder / "default")
    campaign.wrong.add(default, Targets(default), SETS[1])


# What is printed

LEGEND = """\
over: beyond the bound; max, p99.9: error over bound, of a channel's largest; void %: outputs with a
channel so ill-conditioned that it has no bound; failed: results that the verdict calls a fail;
allclose, assert_close %: outputs that these call wrong, against the reference rounded to the dtype"""


def tables(campaign: Campaign) -> str:
    parts = [
        f"Honest implementations in {mode}: what is called wrong\n{honest_table(campaign.honest, mode)}\n"
        for mode in ("inference", "training")
    ]
    parts.append(LEGEND + "\n")
    parts.append(f"Honest implementations: largest error over bound by dtype\n{dtype_table(campaign.honest)}\n")
    parts += [f"Wrong implementations that slip through, %: {s}\n{wrong_table(campaign.wrong, s)}\n" for s in SETS]
    for title, found in (("False alarms", campaign.honest.alarms), ("Known defects", known(campaign.honest))):
        parts.append(f"{title}: {len(found)}")
        parts += [listed(b) for b in found[:100]]
    parts += ["\nNo answer:", *campaign.honest.said] if campaign.honest.said else []
    return "\n".join(parts)


def known(side: HonestSide) -> list[Beyond]:
    """Of each runner and tensor the worst case."""
    worst: dict[tuple[str, str], Beyond] = {}
    for found in side.beyond:
        key = (found.runner, found.tensor)
        if found.defect and (key not in worst or worst[key].ratio < found.ratio):
            worst[key] = found
    return [worst[key] for key in sorted(worst)]


def described(beyond: Beyond) -> str:
    ratio = f" {beyond.ratio:.3g} times the bound" if beyond.ratio else ""
    return f"{beyond.runner}, {beyond.tensor}{ratio}" + (f": {beyond.defect}" if beyond.defect else "")


def listed(beyond: Beyond) -> str:
    heading = f"{beyond.case} ({beyond.dtype}, {beyond.mode}; {beyond.title})"
    indented = {"initial_indent": "  ", "subsequent_indent": "    "}
    return (
        textwrap.fill(heading, 100, **indented) + "\n" + textwrap.indent(textwrap.fill(described(beyond), 96), "    ")
    )


def share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f}" if whole else "-"


def honest_table(side: HonestSide, mode: str) -> str:
    moving = mode == "training"
    header = ["", "outputs", "over", "max", "p99.9", "void\n%"]
    header += ["moving", "over", "max"] * moving + ["failed", "all-\nclose\n%", "assert\nclose\n%"]
    rows = []
    for (runner, of), r in sorted(side.rows.items()):
        if of != mode:
            continue
        row = [runner, r.outputs, r.outputs_beyond, f"{r.ratios.largest:.3f}", f"{r.ratios.quantile(0.999):.3f}"]
        row.append(share(r.void, r.outputs))
        if moving:
            row += [r.statistics, r.statistics_beyond, f"{r.statistics_ratios.largest:.3f}"]
        rows.append([*row, r.failed, *(share(n, r.outputs) for n in r.called_wrong.values())])
    return table(rows, header)


def dtype_table(side: HonestSide) -> str:
    columns = [(kind, dtype) for kind in ("output", "moving") for dtype in DTYPES]
    rows = []
    for runner in sorted({runner for runner, _ in side.rows}):
        found = [side.largest.get((runner, *column)) for column in columns]
        rows.append([runner, *("-" if ratio is None else f"{ratio:.3f}" for ratio in found)])
    return table(rows, ["", *(f"{kind}\n{dtype}" for kind, dtype in columns)])


def wrong_table(side: WrongSide, data: str) -> str:
    found = [(name, side.rows[data, name]) for name in WRONG]
    rows = [[name, r.cases, *(share(n, r.cases) for n in r.through.values())] for name, r in found if r.cases]
    return table(rows, ["", "cases", *Slipped().through])


def table(rows: Sequence[Sequence[Any]], header: Sequence[str]) -> str:
    align = ("left", *["right"] * (len(header) - 1))
    return tabulate([header, *rows], tablefmt="plain", disable_numparse=True, colalign=align)


def as_json(campaign: Campaign, cases: int, seed: int) -> dict[str, Any]:
    honest = [
        {
            "runner": runner,
            "mode": mode,
            "outputs": r.outputs,
            "outputs_beyond": r.outputs_beyond,
            "void": r.void,
            "max": r.ratios.largest,
            "p99.9": r.ratios.quantile(0.999),
            "statistics": r.statistics,
            "statistics_beyond": r.statistics_beyond,
            "statistics_max": r.statistics_ratios.largest,
            "failed": r.failed,
            "called_wrong": r.called_wrong,
        }
        for (runner, mode), r in sorted(campaign.honest.rows.items())
    ]
    slipped = [
        {"data": data, "defect": name, "cases": r.cases, "through": r.through}
        for (data, name), r in campaign.wrong.rows.items()
    ]
    largest = [
        {"runner": runner, "tensor": kind, "dtype": dtype, "max": ratio}
        for (runner, kind, dtype), ratio in sorted(campaign.honest.largest.items())
    ]
    beyond = [vars(b) for b in campaign.honest.beyond]
    return {"cases": cases, "seed": seed, "honest": honest, "largest": largest, "wrong": slipped, "beyond": beyond}


def main() -> None:
    parser = argparse.ArgumentParser(description="Both sides of the bound, on the real frameworks.")
    parser.add_argument("--cases", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, metavar="NUMBER", help="run this one case alone")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write what was measured to a file too")
    options = parser.parse_args()
    numbers = range(options.cases) if options.only is None else [options.only]
    campaign = measure(numbers, options.seed, lambda line: print(line, file=sys.stderr, flush=True))
    print(tables(campaign))
    if options.json:
        options.json.write_text(json.dumps(as_json(campaign, len(numbers), options.seed), indent=1))


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        main()
