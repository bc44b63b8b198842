"""Workers that are none of ours: whatever an interpreter says costs one result each, with a sentence, and no more."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from conftest import make_case
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bncheck.case.load import LoadedCase, load
from bncheck.case.text import Text
from bncheck.document import Implementation, Result
from bncheck.environments import interpreter
from bncheck.environments.interpreter import BadInterpreter, Environment, inspect
from bncheck.running import answers, engine, line
from bncheck.running.connection import Connection, WorkerDied
from bncheck.running.events import Done, Options
from bncheck.running.runners import select

CASES = """\
title: a training step
input: {shape: [4, 3, 5, 2], layout: NCHW}
axis: 1
mode: training
matrix: {epsilon: [0.25, 0.5]}
"""

WORKER = """\
import json, os, signal, subprocess, sys, time

def say(answer, number=None):
    print(json.dumps(dict(answer, number=number or question["number"])), flush=True)

def returned(**changes):
    answer = {"tensors": {"output": {"dtype": "float32", "shape": [2, 3], "path": "/etc/passwd"}}}
    return dict(answer, **dict({"seconds": 0.1, "unlike": []}, **changes))

def described(**changes):
    return returned(tensors={"output": dict({"dtype": "float32", "shape": [2, 3], "path": ""}, **changes)})

def loaded():
    say({"version": "1.0", "gpu": None})

def called():
    pass

__BODY__

for asked in sys.stdin:
    question = json.loads(asked)
    if "load" in question:
        loaded()
    elif question["arguments"]["epsilon"] == 0.25:
        folder = question["answer"]
        file = os.path.join(folder, "output")
        called()
    else:
        say({"unsupported": "the run goes on"})
"""

Interpreter = Callable[..., Path]


@pytest.fixture
def executable(tmp_path: Path) -> Callable[[str], Path]:
    """A script for a shell, that can be named where an interpreter is asked for."""

    def write(text: str) -> Path:
        file = tmp_path / "python"
        file.write_text(f"#!/bin/sh\n{text}\n")
        file.chmod(0o755)
        return file

    return write


@pytest.fixture
def python(executable: Callable[[str], Path], tmp_path: Path) -> Interpreter:
    """An interpreter that runs a worker of ``WORKER``'s instead of ours, with functions that a test gives."""

    def write(**bodies: str) -> Path:
        text = "".join(f"def {name}():\n" + "".join(f"    {s}\n" for s in b.split("\n")) for name, b in bodies.items())
        file = tmp_path / "worker.py"
        file.write_text(WORKER.replace("__BODY__", text))
        return executable(f"exec '{sys.executable}' -I -S '{file}'")

    return write


@pytest.fixture
def cases(write_case: Callable[[str], Path]) -> list[LoadedCase]:
    return load([write_case(CASES)])


def run(cases: list[LoadedCase], python: Path, **options: float) -> tuple[list[Result], list[Implementation]]:
    there = Environment("there", python, "3.11.0", {"numpy": "2.0.0"})
    events = list(engine.run(cases, select(["numpy@there"], {"there": there}), Options(**options)))
    results = {e.result.case: e.result for e in events if isinstance(e, Done)}
    return [results[case.id] for case in cases], [e for e in events if isinstance(e, Implementation)]


NOT_AN_ANSWER = "answered with something that is not an answer"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("print('good morning', flush=True)", NOT_AN_ANSWER),
        ("print('[' * 200_000, flush=True)", NOT_AN_ANSWER),
        ("print('{\"number\": ' + '9' * 5000 + '}', flush=True)", NOT_AN_ANSWER),
        ("print('[1, 2]', flush=True)", NOT_AN_ANSWER),
        ("print('{}', flush=True)", NOT_AN_ANSWER),
        ("os.write(1, bytes(range(128, 256)) + b'\\n')", NOT_AN_ANSWER),
        ("while True: os.write(1, b'x' * 65536)", NOT_AN_ANSWER),
        ("while True: os.write(1, b'x\\n' * 4096)", NOT_AN_ANSWER),
        ("say({'refused': 'x'}, number=77)", "answered another question than it was asked"),
        ("os.kill(os.getpid(), 40)", "killed by signal 40"),
        ("say({})", "answered nonsense: it has none of error, unsupported, refused, tensors"),
        ("say({'version': '1', 'gpu': None})", "it has none of error"),
        ("say({'error': 3})", "error: Input should be a valid string"),
        ("say({'refused': ['x']})", "refused: Input should be a valid string"),
        ("say({'unsupported': None})", "unsupported: Input should be a valid string"),
        ("say(returned(error='x'))", "Extra inputs are not permitted"),
        ("say(returned(tensors=[]))", "tensors: Input should be a valid dictionary"),
        ("say(returned(tensors={}))", "there is no output"),
        ("say(returned(tensors={'output': None}))", "tensors.output: Input should be"),
        ("say(returned(tensors={'../../x': {}}))", "'../../x' is no tensor that a call returns"),
        ("say(returned(seconds=-1.0))", "seconds: Input should be greater than or equal to 0"),
        ("say(returned(seconds=float('nan')))", "seconds: Input should be a finite number"),
        ("say(returned(seconds=True))", "seconds: Input should be a valid number"),
        ("say(returned(unlike=[3]))", "unlike.0: Input should be"),
        ("say(returned(unlike=[{'name': 'output', 'count': -1}]))", "unlike.0.count: Input should be greater"),
        ("say(described(dtype='V8'))", "'V8' is no dtype of numbers"),
        ("say(described(dtype='O'))", "'O' is no dtype of numbers"),
        ("say(described(dtype='>f4'))", "'>f4' is no dtype of numbers"),
        ("say(described(dtype='complex512'))", "'complex512' is no dtype of numbers"),
        ("say(described(dtype='f4,' * 99))", "is no dtype of numbers"),
        ("say(described(dtype=[]))", "tensors.output.dtype: Input should be a valid string"),
        ("say(described(shape=[-1, 3]))", "shape.0: Input should be greater than or equal to 0"),
        ("say(described(shape=[2.0, 3]))", "shape.0: Input should be a valid integer"),
        ("say(described(shape=[True, 6]))", "shape.0: Input should be a valid integer"),
        ("say(described(shape=[10 ** 30]))", "shape.0: Input should be less than"),
        ("say(described(shape=[1] * 99))", "shape: List should have at most 32 items"),
        ("say(described(shape='23'))", "shape: Input should be a valid list"),
        ("say(described(shape=[0, 2 ** 40, 2 ** 40]))", "output: "),
        ("say(described())", "output: there is no file of it"),
        ("open(file, 'wb').write(bytes(23))\nsay(described())", "output: its file has 23 bytes, where 6 values"),
        ("open(file, 'wb').write(bytes(25))\nsay(described())", "output: its file has 25 bytes, where 6 values"),
        ("os.mkfifo(file)\nsay(described())", "output: its file is no plain file"),
        ("os.mkdir(file)\nsay(described())", "output: its file is no plain file"),
        ("os.symlink('/dev/zero', file)\nsay(described())", "output: its file is a link"),
        ("os.rmdir(folder)\nos.symlink('/tmp', folder)\nsay(described())", "the folder of its tensors is a link"),
    ],
)
def test_an_answer_that_is_none_costs_one_result(
    cases: list[LoadedCase], python: Interpreter, body: str, words: str
) -> None:
    (result, other), _ = run(cases, python(called=body))
    assert result.verdict == "error"
    assert words in str(result.error)
    assert (other.verdict, other.reason) == ("unsupported", "the run goes on")


def test_a_second_answer_is_none_to_the_next_question(cases: list[LoadedCase], python: Interpreter) -> None:
    (result, other), _ = run(cases, python(called="say({'unsupported': 'x'})\nsay({'unsupported': 'x'})"))
    assert result.verdict == "unsupported"
    assert other.error == "answered another question than it was asked"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("say({'version': 3, 'gpu': None})", "version: Input should be a valid string"),
        ("say({'version': ['1'], 'gpu': None})", "version: Input should be a valid string"),
        ("say({'version': '1', 'gpu': 'yes'})", "gpu: Input should be a valid dictionary"),
        ("say({'version': '1', 'gpu': {'name': []}})", "gpu.name"),
        ("say({'version': '1'})", "gpu: Field required"),
        ("say({})", "it has none of error, version"),
        ("say({'error': {}})", "error: Input should be a valid string"),
        ("print('[' * 200_000, flush=True)", NOT_AN_ANSWER),
    ],
)
def test_a_runner_whose_worker_talks_nonsense_is_not_there(
    cases: list[LoadedCase], python: Interpreter, body: str, words: str
) -> None:
    results, (implementation,) = run(cases, python(loaded=body))
    assert not implementation.available
    assert words in str(implementation.reason)
    assert {result.verdict for result in results} == {"error"}
    assert all(words in str(result.error) for result in results)


@pytest.mark.parametrize("key", ["error", "refused", "unsupported"])
def test_what_a_worker_says_cannot_move_the_cursor(cases: list[LoadedCase], python: Interpreter, key: str) -> None:
    body = f"say({{{key!r}: '\\x1b[2J\\r\\u202ered\\ud800\\x07' + 'x' * 100_000}})"
    (result, _), _ = run(cases, python(called=body))
    said = " ".join([result.error or "", result.reason or "", *(cause.message for cause in result.causes)])
    assert r"\x1b[2J\r\u202ered\ud800\x07" in said
    assert said.isprintable()
    assert len(said) < 1000


def test_neither_can_its_last_words(cases: list[LoadedCase], python: Interpreter) -> None:
    (result, _), _ = run(cases, python(called="os.write(2, b'\\x1b[2Jgone\\xff')\nos._exit(3)"))
    assert result.error == 'exited with code 3; last words: "\\x1b[2Jgone�"'


def test_an_interpreter_that_cannot_be_run_costs_its_results(cases: list[LoadedCase], tmp_path: Path) -> None:
    results, (implementation,) = run(cases, tmp_path / "python")
    assert "python cannot be run: No such file or directory" in str(implementation.reason)
    assert {result.verdict for result in results} == {"error"}


LEAVES = """\
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        open({pid!r}, "w").write(str(os.getpid()))
        os.execve({sleep!r}, ["sleep", "1000"], {{}})
    os._exit(0)
os.wait()
while not os.path.exists({pid!r}) or not open({pid!r}).read():
    time.sleep(0.01)
os._exit(3)"""


@pytest.fixture
def escaped(tmp_path: Path) -> Iterator[Path]:
    """The file where a process that escapes its worker writes its number; it is ended after the test."""
    file = tmp_path / "pid"
    yield file
    with contextlib.suppress(OSError, ValueError):
        os.kill(int(file.read_text()), signal.SIGKILL)


def test_what_escapes_a_worker_with_its_pipes_does_not_hold_up_the_run(
    cases: list[LoadedCase], python: Interpreter, escaped: Path
) -> None:
    sleep = next(str(p) for p in (Path("/bin/sleep"), Path("/usr/bin/sleep")) if p.exists())
    (result, other), _ = run(cases, python(called=LEAVES.format(pid=str(escaped), sleep=sleep)))
    assert result.error == "exited with code 3"
    assert other.reason == "the run goes on"


def test_a_worker_that_does_not_listen_is_waited_for_no_longer_than_one_that_does_not_answer(
    executable: Callable[[str], Path],
) -> None:
    connection = Connection(python=executable("exec sleep 1000"))
    connection.send({"much": "x" * (1 << 20)})
    with pytest.raises(WorkerDied, match=r"no answer after 0\.3 s"):
        connection.receive(0.3)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("exec cat /dev/zero", "said more than 1,048,576 bytes"),
        ("exec cat /dev/zero >&2", "said more than 1,048,576 bytes"),
        ("exec sleep 1000", "did not end within 0.5 s"),
        ("exec >&- 2>&-; exec sleep 1000", "did not end within 0.5 s"),
        ("head -c 200000 /dev/zero | tr '\\0' '['", 'is no Python interpreter: it answered "[[[['),
        ("echo '[[3, 11, 1e999], []]'", "is no Python interpreter: it answered"),
        ("echo '[[3, true, 0], []]'", "is no Python interpreter: it answered"),
        ("echo '[[3, 11, 99999999999999999999], []]'", "is no Python interpreter: it answered"),
        ("echo '[[3, 11, 0], [3]]'", "is no Python interpreter: it answered"),
        ("printf '\\033[2J'", 'it answered "\\x1b[2J"'),
        ("printf '\\033[2J' >&2; exit 1", 'is no Python interpreter: "\\x1b[2J"'),
        ("exit 0", "is no Python interpreter"),
        ("echo '[[3, 6, 15], []]'", "is Python 3.6.15; a worker needs 3.7 or newer"),
        ('echo \'[[3, 11, 0], ["a\\u0000b", "", ".", "/dev/null"]]\'', "has no NumPy"),
    ],
)
def test_an_executable_that_is_no_interpreter_is_heard_out_within_bounds(
    executable: Callable[[str], Path], text: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interpreter, "SECONDS", 0.5)
    file = executable(text)
    with pytest.raises(BadInterpreter) as said:
        inspect("there", file)
    assert words in str(said.value)
    assert str(said.value).isprintable()
    assert len(str(said.value)) < len(str(file)) + 300


def test_what_an_executable_starts_is_neither_waited_for_nor_left(
    executable: Callable[[str], Path], escaped: Path
) -> None:
    file = executable(f"sleep 1000 &\necho $! > '{escaped}'\necho '[[3, 11, 0], []]'")
    with pytest.raises(BadInterpreter, match="has no NumPy"):
        inspect("there", file)
    left = int(escaped.read_text())
    assert not psutil.pid_exists(left) or psutil.Process(left).status() == psutil.STATUS_ZOMBIE


def test_a_distribution_whose_metadata_is_no_text_is_left_out(
    executable: Callable[[str], Path], tmp_path: Path
) -> None:
    for name, metadata in {
        "numpy-2": b"Name: numpy\nVersion: 2.0\n",
        "a-1": b"Name: \xff\n",
        "b-1": b"Name: b\n",
    }.items():
        folder = tmp_path / "site" / f"{name}.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_bytes(metadata)
    file = executable(f"echo '{json.dumps([[3, 11, 0], [str(tmp_path / 'site')]])}'")
    assert inspect("there", file).distributions == {"numpy": "2.0"}


NAMES = sorted(answers.NAMES)
text = st.text(st.characters(), max_size=8)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.just(10**400) | st.floats() | text,
    lambda parts: st.lists(parts, max_size=3) | st.dictionaries(text, parts, max_size=3),
    max_leaves=6,
)


def mostly(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(strategy, strategy, strategy, anything)


axes = st.sampled_from([[4, 3, 2], [3]]) | st.lists(st.integers(0, 4), max_size=4)
dtypes = st.sampled_from(["float32", *sorted(answers.DTYPES)])
tensors = mostly(st.fixed_dictionaries({"dtype": mostly(dtypes), "shape": mostly(axes), "path": mostly(text)}))
again = mostly(
    st.fixed_dictionaries(
        {
            "name": mostly(st.sampled_from(NAMES)),
            "count": mostly(st.integers(0, 9)),
            "size": mostly(st.integers(0, 9)),
            "at": mostly(axes),
            "first": mostly(st.floats()),
            "again": mostly(st.floats()),
        }
    )
)
whole = st.fixed_dictionaries(dict.fromkeys(NAMES, tensors))
some = st.dictionaries(mostly(st.sampled_from(NAMES)).filter(lambda n: isinstance(n, str)), tensors, max_size=4)
to_calls = st.one_of(
    st.fixed_dictionaries({"tensors": mostly(whole | some), "seconds": mostly(st.floats()), "unlike": st.lists(again)}),
    st.fixed_dictionaries({"refused": anything}) | st.fixed_dictionaries({"error": anything}),
    st.dictionaries(text, anything),
)
to_loads = st.one_of(
    st.just({"version": "1", "gpu": None}),
    st.just({"version": "1", "gpu": None}),
    st.fixed_dictionaries({"version": anything, "gpu": anything}),
    st.fixed_dictionaries({"error": anything}),
)


class Saying:
    """Says what a test wants, and writes the files that would belong to it."""

    to_load: dict[str, Any]
    to_call: dict[str, Any]
    fill: bytes

    def __init__(self, **options: object) -> None:
        self.asked: dict[str, Any] = {}

    def send(self, message: dict[str, Any]) -> None:
        self.asked = message

    def receive(self, timeout: float) -> dict[str, Any]:
        if "load" in self.asked:
            return dict(self.to_load)
        for name in NAMES:
            with contextlib.suppress(Exception):
                told = self.to_call["tensors"][name]
                size = 2 if told["dtype"] == "bfloat16" else answers.np.dtype(told["dtype"]).itemsize
                count = size * int(answers.np.prod(told["shape"]))
                if count < 1 << 16:
                    (Path(self.asked["answer"]) / name).write_bytes((self.fill * count)[:count])
        return dict(self.to_call)

    def close(self) -> None:
        pass


def loaded(name: str, **changes: Any) -> LoadedCase:
    case = make_case(input={"shape": [4, 3, 2], "layout": "NCL"}, **changes)
    return LoadedCase(name, case, {}, Text(Path("case.yaml")))


KINDS = [
    loaded("gradients", check=["output", "moving_mean", "moving_variance", "inference", "gradients"]),
    loaded("repeated", repeat=2, mode="inference"),
    loaded("related", relation="permuted-batch"),
    loaded("never", relation="never-applied", check=["moving_mean", "moving_variance"]),
]


@pytest.mark.parametrize("case", KINDS, ids=lambda case: case.id)
@settings(deadline=None, max_examples=60)
@given(to_load=to_loads, to_call=to_calls, fill=st.binary(min_size=1, max_size=4))
@example(
    to_load={"version": "1", "gpu": {"name": 1e400}},
    to_call={"tensors": {"output": {"dtype": "float32", "shape": [0, 1 << 47, 1 << 47], "path": ""}}, "seconds": 0},
    fill=b"\0",
)
def test_whatever_is_answered_becomes_a_result(
    case: LoadedCase, to_load: dict[str, Any], to_call: dict[str, Any], fill: bytes
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(line, "Connection", type("As", (Saying,), {"to_load": to_load, "to_call": to_call, "fill": fill}))
        events = list(engine.run([case], select(["numpy"]), Options(jobs=1)))
    (result,) = (event.result for event in events if isinstance(event, Done))
    assert Result.model_validate_json(result.model_dump_json()).verdict == result.verdict
    assert all(t.isprintable() for t in (result.error, result.reason, *(c.message for c in result.causes)) if t)


@settings(deadline=None, max_examples=200)
@given(said=st.binary(max_size=40) | anything.map(lambda value: json.dumps(value).encode()))
def test_any_line_is_an_answer_or_the_end_of_its_worker(said: bytes) -> None:
    connection = Connection.__new__(Connection)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Connection, "_next_line", lambda *_: said)
        patch.setattr(Connection, "close", lambda *_: None)
        connection._asked, connection._talk = 1, []
        try:
            answered, how = connection.receive(1.0), ""
        except WorkerDied as death:
            answered, how = {}, str(death)
    assert isinstance(answered, dict)
    assert how.isprintable()
