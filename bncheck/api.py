"""The public functions, as `bncheck` offers them."""

from __future__ import annotations

import contextlib
import os
import textwrap
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bncheck import settings
from bncheck.case.corpus import corpus
from bncheck.case.load import LoadedCase
from bncheck.case.problem import BadCases
from bncheck.case.select import chosen
from bncheck.case.sound import load_sound
from bncheck.document import Cause, Document, Findings, Result, Tensor, Verdict
from bncheck.environments.wanted import Wanted
from bncheck.expectations.book import books
from bncheck.judge.given import array, call
from bncheck.judge.verdict import judge
from bncheck.pyproject import BadProject
from bncheck.reports.columns import WIDTH
from bncheck.reports.result import told
from bncheck.running import engine, inprocess
from bncheck.running.beginning import begin
from bncheck.running.events import CASE_SECONDS, DEVICES, Options, found
from bncheck.running.expecting import gate
from bncheck.running.placed import placed
from bncheck.running.runners import BadRunner
from bncheck.spelling import Spelling

__all__ = ["BadCases", "BadRunner", "Diagnosis", "Discrepancy", "Document", "check", "diagnose", "run"]

Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]
"""A case file, a folder of them, or several."""

IN_FULL = 3
"""Cases of which the message of a `Discrepancy` tells everything."""


def run(
    paths: Paths | None = None,
    *,
    runners: str | Iterable[str] = (),
    expression: str | None = None,
    device: str = "cpu",
    timeout: float = CASE_SECONDS,
    max_memory: int | None = None,
    expectations: str | os.PathLike[str] | None = None,
    jobs: int | None = None,
) -> Document:
    """Run cases on implementations, each in a worker process, and judge every result: ``bncheck run``.

    ``paths``: the cases (None: those that come with bncheck), ``expression``: only those whose ids match, as after
    ``-k``. ``runners``: names, patterns, or one's own as ``LABEL=FILE.py:FUNCTION``; without any, all that are
    installed; with ``@ENVIRONMENT`` behind a name, in an environment of the pyproject.toml that holds here or one that
    is written out, which is built if need be. ``device``: ``cpu``, ``gpu`` or ``all``. ``timeout``: seconds for a case;
    ``max_memory``: bytes for a worker; ``expectations``: what is known to fail (None: ``expectations.yaml`` beside the
    cases); ``jobs``: workers at a time.

    Returns the results document. A runner that could not run is among its ``implementations``, as not available, with
    the reason; expectations that no longer hold are ``stale``. Raises `BadCases` for case files and expectations,
    `BadRunner`, `FileNotFoundError` for expectations, and `ValueError` where no case matches.

    >>> document = bncheck.run(runners="numpy", expression="epsilon-1e-2")
    >>> [(result.case, result.runner, result.verdict) for result in document.results]
    [('questions/epsilon-1e-2', 'numpy', 'pass')]
    """
    if device not in (*DEVICES, "all"):
        raise ValueError(f"there is no device {device!r}; there are {', '.join(DEVICES)} and all")
    spellings = [runners] if isinstance(runners, str) else list(runners)
    selected = placed(spellings, _environments(spellings))
    loaded = load_sound(_paths(paths))
    cases = chosen(loaded, expression)
    file = Path(expectations).resolve(strict=True) if expectations is not None else None
    expected = books(_paths(paths), loaded, file)
    devices = DEVICES if device == "all" else (device,)
    options = Options(devices=devices, timeout=timeout, max_memory=max_memory, jobs=jobs)
    started = time.time()
    judging = gate(expected, started, selected)
    findings = Findings()
    with contextlib.closing(engine.run(cases, selected, options)) as events:
        for event in events:
            if (news := found(event)) is not None:
                findings.add(judging.take(news))
    return findings.document(begin(started, cases), stale=judging.stale())


class Discrepancy(AssertionError):
    """A function is not what the cases ask for; the message says of each case what is off and why.

    ``results``: those of all cases.
    """

    def __init__(self, message: str, results: Sequence[Result]) -> None:
        super().__init__(message)
        self.results = list(results)


def check(function: Callable[..., Any], cases: Paths | None = None, *, expression: str | None = None) -> list[Result]:
    """Run one's own function on cases, in this process, and raise `Discrepancy` where it is wrong.

    ``function`` is called as a runner of one's own: once a step, with x, axis, epsilon, momentum, training, gamma,
    beta, moving_mean and moving_variance, and returns a dict of output and, in training, both moving statistics. What
    it raises is a failure of that case, and the first such exception the cause of the `Discrepancy`. ``cases``,
    ``expression``: as for `run`.

    Returns the results, if none fails and at least one is judged. Raises `BadCases`, and `ValueError` where no case
    matches.

    >>> def batch_norm(x, *, axis, epsilon, momentum, training, gamma, beta, moving_mean, moving_variance):
    ...     shape = [n if a in axis else 1 for a, n in enumerate(x.shape)]
    ...     y = (x - moving_mean.reshape(shape)) / np.sqrt(moving_variance.reshape(shape) + np.float32(1e-5))
    ...     return {"output": gamma.reshape(shape) * y + beta.reshape(shape)}
    >>> bncheck.check(batch_norm, expression="epsilon-1e-2")
    Traceback (most recent call last):
        ...
    bncheck.api.Discrepancy: batch_norm fails 1 of 1 case
    <BLANKLINE>
    questions/epsilon-1e-2: An epsilon of 1e-2 is used as it is given
      epsilon: 1e-05 used (8.8e-06 to 1.12e-05 fit), 0.01 requested. PyTorch's default 1e-05 and
      TensorFlow's old minimum 1.001e-05 both fit; float32 cannot tell them apart in this case.
    <BLANKLINE>
      tensor    error   x bound  at            is        should be
      output  5.9e-02  8.36e+03  [0, 1, 0, 0]  4.999975  4.975186
    """
    __tracebackhide__ = True  # pytest then shows the line that called
    if not callable(function):
        raise TypeError(f"{function!r} cannot be called; to check a function by its file, see bncheck.run")
    loaded = chosen(load_sound(_paths(cases)), expression)
    label = getattr(function, "__name__", type(function).__name__)
    results, raised = zip(*(inprocess.result(function, label, each) for each in loaded), strict=True)
    failed = [result for result in results if result.verdict in ("fail", "error")]
    if failed:
        first = next((error for error in raised if error is not None), None)
        raise Discrepancy(_message(label, loaded, failed), results) from first
    if not any(result.verdict == "pass" for result in results):
        reasons = "; ".join(dict.fromkeys(str(result.reason) for result in results))
        raise Discrepancy(f"nothing that {label} returns was judged: {reasons}", results)
    return list(results)


def _message(label: str, loaded: Sequence[LoadedCase], failed: Sequence[Result]) -> str:
    """One case of each kind of failure, in full; the others are counted."""
    titles = {each.id: each.case.title for each in loaded}
    first: dict[str, Result] = {}
    for result in failed:
        first.setdefault(_kind(result), result)
    in_full = list(first.values())[:IN_FULL]
    parts = [f"{label} fails {len(failed)} of {len(titles)} case{'' if len(titles) == 1 else 's'}"]
    for result in in_full:
        head = textwrap.fill(f"{result.case}: {titles[result.case]}", WIDTH, break_on_hyphens=False)
        text = told(result.tensors, result.causes, result.notes, said=result.error, width=WIDTH - 2)
        parts.append(f"{head}\n{textwrap.indent(text, '  ')}")
    if rest := Counter(_kind(result) for result in failed if result not in in_full):
        counts = ", ".join(f"{kind} ({count})" for kind, count in rest.most_common())
        parts.append(textwrap.fill(f"and {rest.total()} more: {counts}", WIDTH, break_on_hyphens=False))
    return "\n\n".join(parts)


def _kind(result: Result) -> str:
    return " and ".join(result.kinds) or result.verdict


@dataclass(frozen=True)
class Diagnosis:
    """What is to be said of tensors: ``verdict`` (pass or fail), ``causes``, ``notes`` and, by tensor, the errors.

    As text, all of it.
    """

    verdict: Verdict
    causes: tuple[Cause, ...]
    notes: tuple[str, ...]
    tensors: tuple[Tensor, ...]

    def __str__(self) -> str:
        return f"{self.verdict}\n\n{told(self.tensors, self.causes, self.notes)}"


def diagnose(
    x: Any,
    y: Any,
    *,
    axis: int | Sequence[int],
    epsilon: float = 1e-3,
    momentum: float = 0.99,
    training: bool = False,
    gamma: Any = None,
    beta: Any = None,
    moving_mean: Any = None,
    moving_variance: Any = None,
    updated_moving_mean: Any = None,
    updated_moving_variance: Any = None,
    layout: str | None = None,
) -> Diagnosis:
    """Say whether ``y`` is the batch normalization of ``x``, and if not, what was done instead.

    Tensors are NumPy arrays, or what `numpy.asarray` takes, among it tensors of PyTorch and TensorFlow on a CPU. ``x``
    is float16, bfloat16, float32 or float64, and ``y`` should be as well. ``axis`` names the axes that keep their own
    statistics, ``momentum`` is the weight of the *old* moving statistic (PyTorch's 0.1 is 0.9 here).

    ``gamma``, ``beta``: None where there are none. ``moving_mean``, ``moving_variance``: what they were before the call
    (None: 0 and 1); ``updated_moving_mean``, ``updated_moving_variance``: what they are after it, to be judged too.
    Each has one value for each kept index, flat or in a shape that broadcasts to x. ``layout``: a letter for each axis,
    such as NCHW, to speak of it by.

    Raises `TypeError` and `ValueError` for what is not such an input.

    >>> x = np.random.default_rng(1).normal(size=(4, 3, 5, 5)).astype(np.float32)
    >>> mean, variance = x.mean(axis=(1, 2, 3), keepdims=True), x.var(axis=(1, 2, 3), keepdims=True)
    >>> y = (x - mean) / np.sqrt(variance + np.float32(1e-3))
    >>> print(bncheck.diagnose(x, y, axis=1, training=True, layout="NCHW"))
    fail
    <BLANKLINE>
    axis: Statistics keep N (axis 0) and average over C, H, W; requested is to keep C (axis 1). Each
    sample has statistics of its own, as in layer normalization.
    <BLANKLINE>
    tensor    error   x bound  at            is         should be
    output  6.2e-01  5.09e+04  [3, 1, 0, 1]  0.1380437  0.005269206
    >>> bncheck.diagnose(x, y, axis=0, training=True, layout="NCHW").verdict
    'pass'
    """
    given = {"gamma": gamma, "beta": beta, "moving_mean": moving_mean, "moving_variance": moving_variance}
    updated = {"moving_mean": updated_moving_mean, "moving_variance": updated_moving_variance}
    question, returned = call(
        array("x", x),
        axis=axis,
        epsilon=epsilon,
        momentum=momentum,
        training=training,
        layout=layout,
        parameters={name: array(name, value) for name, value in given.items() if value is not None},
        returned={
            "output": array("y", y),
            **{name: array(f"updated_{name}", value) for name, value in updated.items() if value is not None},
        },
    )
    judged = judge(question, returned)
    return Diagnosis(judged.verdict, tuple(judged.causes), tuple(judged.notes), tuple(judged.tensors))


def _environments(spellings: Sequence[str]) -> Mapping[str, Wanted]:
    """The environments that are set, if any is named. Raises `BadRunner`."""
    if not any(Spelling.parse(spelling).environment for spelling in spellings):
        return {}
    try:
        return settings.read(Path()).environments
    except BadProject as error:
        raise BadRunner(str(error)) from None


def _paths(paths: Paths | None) -> list[Path]:
    if paths is None:
        return [corpus()]
    return [Path(paths)] if isinstance(paths, str | os.PathLike) else [Path(path) for path in paths]
