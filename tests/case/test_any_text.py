"""Whatever stands in a file, loading it gives cases or `BadCases`: no other exception, no warning, nothing half read.

Case files and the .npy files beside them come from strangers.
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from valid_case import VALID, load_text

from bncheck.case.inputs import make
from bncheck.case.load import LoadedCase
from bncheck.case.model import Case
from bncheck.case.problem import BadCases, Problem

FULL = """\
title: An epsilon of zero is honoured
why: Older cuDNN asked for at least 1e-5.
links: [tensorflow/tensorflow#37768]
input:
  shape: [2, 3, 4]
  layout: NCL
  dtype: float32
  values: {dropout: {rate: 0.5, of: {relu: {normal: {mean: [1, 2, 3], std: 1}}}}}
axis: &axis [1]
mode: training
epsilon: 0.0
momentum: 0.9
center: true
scale: false
parameters:
  gamma: 1.0
  beta: [0, 1, 2]
  moving_mean: &m [1, 2.5, 3e-3]
  moving_variance: *m
steps: 2
check: [output, moving_mean, moving_variance, inference]
tolerance: {rtol: 1.0e-5, atol: 1.0e-6}
adapt: true
matrix: {input.dtype: [float32, bfloat16], axis: [*axis, -2]}
"""

# fmt: off
ODD = [
    "", "~", "null", "true", "yes", "'", '"', "1", "-1", "0", "1e999", ".nan", "-.inf", "0x10", "0b1", "._", "0x_",
    "[]", "{}", "[[]]", "[1, [2]]", "{a: 1}", "[", "]", "{", "}", ",", ": ", "- ", "? ", "| ", "> ", "#", "---",
    "&a", "*a", "*m", "!foo", "!!int", "!!binary", "<<: *m", "=", "@", "`", "%YAML 1.1", "\t", "\r", "\0", "\x85",
    "2020-13-45", "12:30", "default", "cumulative", "float16", "NCHW", "output", "expected", "matrix", "1" * 5000,
    "\ufeff", "\u2028", "😀", '"\\ud800"', '"\\0"', "{file: x}", "{arange: [0, 24]}", "{arange: [0, 1e300]}", "9" * 400,
]
# fmt: on


def outcome(content: str | bytes) -> list[LoadedCase] | list[Problem]:
    """The cases, whose tensors can be made, or the problems, which are well formed; what else is raised, escapes."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            cases = load_text(Path(folder), content, max_elements=1000)
        except BadCases as bad:
            problems = bad.problems
        else:
            for loaded in cases:
                if loaded.case.steps <= 10:
                    assert len(make(loaded.case, Path(folder)).batches) == loaded.case.batches
            return cases
    text = content if isinstance(content, str) else content.decode("latin-1")
    lines = len(re.split(r"\r\n|[\r\n]", text))
    assert problems == sorted(problems)
    for problem in problems:
        assert 1 <= problem.line <= lines
        assert problem.column >= 1
        assert problem.message
        assert " object at 0x" not in problem.message
    return problems


def is_refused(content: str | bytes) -> bool:
    found = outcome(content)
    return bool(found) and all(isinstance(f, Problem) for f in found)


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """`FULL` after a few accidents."""
    text = FULL
    for _ in range(draw(st.integers(1, 4))):
        accident = draw(
            st.sampled_from(["delete line", "repeat line", "insert", "cut", "replace scalar", "swap lines"])
        )
        lines = text.splitlines(keepends=True) or [""]
        line = draw(st.integers(0, len(lines) - 1))
        place = draw(st.integers(0, len(text)))
        if accident == "delete line":
            del lines[line]
        elif accident == "repeat line":
            lines.insert(line, lines[line])
        elif accident == "swap lines":
            other = draw(st.integers(0, len(lines) - 1))
            lines[line], lines[other] = lines[other], lines[line]
        elif accident == "insert":
            lines = [text[:place], draw(st.sampled_from(ODD) | st.text(max_size=3)), text[place:]]
        elif accident == "cut":
            lines = [text[:place], text[place + draw(st.integers(1, 12)) :]]
        else:
            scalars = list(re.finditer(r"[^\s\[\]{},:&*]+", text)) or [re.match("", text)]
            scalar = draw(st.sampled_from(scalars))
            assert scalar is not None
            lines = [text[: scalar.start()], draw(st.sampled_from(ODD)), text[scalar.end() :]]
        text = "".join(lines)
    return text


@settings(max_examples=250, deadline=None)
@given(mutated())
@example(FULL)
@example(FULL.replace("&axis", "&m"))
@example(FULL.replace("training", "!!str &x training"))
@example(f"%YAML 1.3\n---\n{FULL}")
def test_a_spoilt_case_is_loaded_or_refused(text: str) -> None:
    outcome(text)


KEYS = [*Case.model_fields]
INNER = [
    *("shape", "layout", "dtype", "values", "arange", "constant", "normal", "uniform", "relu", "dropout", "file"),
    *("mean", "std", "low", "high", "rate", "of", "gamma", "moving_variance", "rtol", "atol", "output", "inference"),
]

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 25),
    st.integers(),
    st.floats(),
    st.sampled_from(["NCL", "training", "default", "cumulative", "float16", "output", "[0,0,0]", ".", "x.npy", "\0"]),
    st.text(max_size=4),
)
trees = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(INNER) | st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


def yaml(value: Any) -> str:
    """A tree as YAML, every character of its text escaped."""
    match value:
        case dict():
            return "{" + ", ".join(f"{yaml(k)}: {yaml(v)}" for k, v in value.items()) + "}"
        case list():
            return "[" + ", ".join(yaml(v) for v in value) + "]"
        case str():
            return '"' + "".join(f"\\U{ord(c):08x}" for c in value) + '"'
        case None | True | False:
            return {None: "null", True: "true", False: "false"}[value]
        case float():
            return str(value).replace("nan", ".nan").replace("inf", ".inf")
        case _:
            return str(value)


@settings(max_examples=250, deadline=None)
@given(st.dictionaries(st.sampled_from(KEYS), trees, min_size=1, max_size=3))
def test_any_values_under_the_keys_of_a_case_are_loaded_or_refused(changes: dict[str, Any]) -> None:
    kept = [line for line in VALID.splitlines() if line.split(":")[0] not in changes]
    outcome("\n".join([*kept, *(f"{key}: {yaml(value)}" for key, value in changes.items()), ""]))


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from([*KEYS, *(f"input.{key}" for key in INNER), *(f"parameters.{key}" for key in INNER)]),
        st.lists(trees, min_size=1, max_size=2),
        min_size=1,
        max_size=2,
    )
)
def test_any_matrix_is_loaded_or_refused(matrix: dict[str, Any]) -> None:
    outcome(f"{VALID}matrix: {yaml(matrix)}\n")


@settings(max_examples=150, deadline=None)
@given(st.text() | trees.map(yaml) | st.lists(st.sampled_from(ODD), max_size=6).map("".join))
def test_any_document_is_refused(text: str) -> None:
    """None of these has the keys that a case needs."""
    assert is_refused(text)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=64))
def test_any_bytes_are_refused(content: bytes) -> None:
    assert is_refused(content)


def saved(array: Any) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder, "x.npy"), array)
        return Path(folder, "x.npy").read_bytes()


NPY = saved(np.arange(24.0).reshape(2, 3, 4))


@settings(max_examples=250, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 127), st.sampled_from(b"()[]{}'\",:0123456789<>|fiuOVL-_ \0\xff")), max_size=4),
    st.integers(0, len(NPY)) | st.just(len(NPY)),
)
def test_any_npy_file_is_loaded_or_refused(changes: list[tuple[int, int]], length: int) -> None:
    content = bytearray(NPY)
    for place, byte in changes:
        content[place] = byte
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "x.npy").write_bytes(content[:length])
        try:
            (loaded,) = load_text(Path(folder), VALID.replace("NCL", "NCL, values: {file: x.npy}"))
        except BadCases as bad:
            refused = bad.problems
        else:
            refused = []
            assert make(loaded.case, Path(folder)).batches[0].shape == (2, 3, 4)
    assert [(p.line, p.column) for p in refused] in ([], [(2, 55)])


def test_the_full_case_is_valid() -> None:
    """So that what the accidents are done to is a case."""
    assert len(outcome(FULL)) == 4


@pytest.mark.parametrize(
    "text", ["a: &x [*x]", "&a [*a]", "? *x", "*x", "&x", "!", "&", "*", "%", "%TAG", "\ufeff", "-", "?", ":"]
)
def test_fragments_of_yaml_are_refused(text: str) -> None:
    assert is_refused(text)
