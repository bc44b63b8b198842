"""Which values a case may give its tensor: sizes that fit, arguments that exist, files that stay beside the case."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from valid_case import instead, load_text, places, problems_of, values

FILE = values("{file: x.npy}")
X = np.arange(24.0).reshape(2, 3, 4)


def nested(array: Any) -> str:
    return str(np.asarray(array).tolist())


def two_steps(recipe: str) -> str:
    return instead("training\n", "training\nsteps: 2\n", values(recipe))


GOOD = {
    "arange": values("{arange: [0, 24]}"),
    "arange with a step": values("{arange: [1, 13, 0.5]}"),
    "arange downwards": values("{arange: [24, 0, -1]}"),
    "arange of a whole number of rounded steps": values("{arange: [0, 2.4, 0.1]}"),
    "arange over all batches": two_steps("{arange: [0, 48]}"),
    "constant": values("{constant: 1e-3}"),
    "constant for each kept index": values("{constant: [1, 2, 3]}"),
    "normal": values("{normal: {mean: [1, 2, 3], std: [0, 1, 2]}}"),
    "normal of one argument": values("{normal: {std: 2}}"),
    "normal of none": values("{normal: {}}"),
    "uniform": values("{uniform: {low: [0, -1, -2], high: 1}}"),
    "nested list": values(nested(X)),
    "nested list for each batch": two_steps(nested([X, X])),
    "nested list for every batch": two_steps(nested(X)),
    "relu": values("{relu: {normal: {mean: 0, std: 1}}}"),
    "relu of a list": values(f"{{relu: {nested(X)}}}"),
    "dropout": values("{dropout: {rate: 0.5, of: {constant: [1, 2, 3]}}}"),
    "dropout of nothing": values("{dropout: {rate: 0, of: {constant: 1}}}"),
    "relu of dropout of relu": values("{relu: {dropout: {rate: 0.5, of: {relu: {arange: [0, 24]}}}}}"),
    "single values replaced": values('{replace: {of: {arange: [0, 24]}, at: {"[0, 0, 0]": 1, "[1,2,3]": -2.5}}}'),
    "what is not finite, replaced": values(
        '{replace: {of: {normal: {}}, at: {"[0, 1, 0]": .nan, "[1, 1, 1]": -.inf}}}'
    ),
    "relu of what is replaced": values('{relu: {replace: {of: {constant: [1, 2, 3]}, at: {"[0, 0, 0]": .inf}}}}'),
    "an empty tensor": instead("[2, 3, 4]", "[0, 3, 4]", values("{arange: [0, 0]}")),
    "one statistic for everything": instead("axis: 1", "axis: []", values("{constant: [7]}")),
    "all axes kept": instead("axis: 1", "axis: [0, 1, 2]", values(f"{{constant: {nested(X.ravel())}}}")),
}


@pytest.mark.parametrize("text", GOOD.values(), ids=GOOD)
def test_are_taken(tmp_path: Path, text: str) -> None:
    assert len(load_text(tmp_path, text)) == 1


REFUSED = {
    "arange too short": (
        values("{arange: [0, 23]}"),
        "2:57",
        "arange gives 23 values, but shape [2, 3, 4] takes 24; write",
    ),
    "arange too long": (values("{arange: [0, 25]}"), "2:57", "arange gives 25 values"),
    "arange backwards": (values("{arange: [24, 0]}"), "2:57", "arange gives 0 values"),
    "arange without progress": (values("{arange: [0, 24, 0]}"), "2:57", "arange gives 0 values"),
    "arange over some batches": (two_steps("{arange: [0, 36]}"), "2:57", "takes 24, or 48 for all 2 batches"),
    "arange beyond float64": (values("{arange: [-1e308, 1e308]}"), "2:57", "arange"),
    "arange in tiny steps": (values("{arange: [0, 1e300, 1e-300]}"), "2:57", "arange"),
    "arange of one number": (values("{arange: [24]}"), "2:57", "at least 2 entries"),
    "arange of four numbers": (values("{arange: [0, 24, 1, 1]}"), "2:57", "at most 3 entries"),
    "arange of a number": (values("{arange: 24}"), "2:57", "should be a list, not 24"),
    "too few constants": (values("{constant: [1, 2]}"), "2:59", "the axis keeps 3 indices; give a number or 3 entries"),
    "too many means": (values("{normal: {mean: [1, 2, 3, 4]}}"), "2:64", "4 entries, but the axis keeps 3 indices"),
    "too few deviations": (values("{normal: {std: []}}"), "2:63", "0 entries, but the axis keeps 3 indices"),
    "too few bounds": (values("{uniform: {low: 0, high: [1]}}"), "2:73", "but the axis keeps 3 indices"),
    "nested constants": (values("{constant: [[1, 2, 3]]}"), "2:60", "should be a number, not [1, 2, 3]"),
    "negative deviation": (values("{normal: {mean: 0, std: -1}}"), "2:72", "a standard deviation cannot be negative"),
    "a negative deviation": (values("{normal: {std: [1, 2, -3]}}"), "2:63", "a standard deviation cannot be negative"),
    "negative deviation within": (values("{relu: {normal: {std: -1}}}"), "2:70", "cannot be negative"),
    "normal of a list": (values("{normal: [0, 1]}"), "2:57", "should be a mapping, not [0, 1]"),
    "certain dropout": (values("{dropout: {rate: 1, of: {constant: 1}}}"), "2:65", "should be less than 1, not 1"),
    "negative dropout": (
        values("{dropout: {rate: -0.1, of: {constant: 1}}}"),
        "2:65",
        "should be at least 0, not -0.1",
    ),
    "too few under dropout": (
        values("{dropout: {rate: 0, of: {constant: [1]}}}"),
        "2:83",
        "give a number or 3 entries",
    ),
    "too few under relu": (values("{relu: {arange: [0, 23]}}"), "2:64", "arange gives 23 values"),
    "list of another shape": (values("[1, 2, 3]"), "2:48", "the list has shape [3]; it should be [2, 3, 4]"),
    "list for some batches": (two_steps(nested([X] * 3)), "2:48", "it should be [2, 3, 4], or [2, 2, 3, 4] for all 2"),
    "ragged list": (
        values("[[1, 2], [3]]"),
        "2:48",
        "the entries of this list have different lengths; make it rectangular",
    ),
    "ragged list inside": (values("[[[1], [2, 3]], [[4], [5]]]"), "2:49", "different lengths; make it rectangular"),
    "empty list": (values("[]"), "2:48", "the list has shape [0]"),
    "mapping in a list": (values("[{}]"), "2:49", "should be a finite number, not {}"),
    "number": (values("1"), "2:48", "write for example `values: {normal: {mean: 0, std: 1}}`"),
    "text": (values("normal"), "2:48", "write for example `values: {normal: {mean: 0, std: 1}}`"),
    "replaced outside": (
        values('{replace: {of: {constant: 1}, at: {"[0, 0, 0]": 1, "[0, 1, 4]": .nan}}}'),
        "2:112",
        "'[0, 1, 4]' is not an index into x of shape [2, 3, 4]; write for example \"[0, 0, 0]\"",
    ),
    "replaced in fewer axes": (values('{replace: {of: {constant: 1}, at: {"[1, 2]": 0}}}'), "2:93", "is not an index"),
    "replaced by text": (values('{replace: {of: {constant: 1}, at: {"[0, 0, 0]": x}}}'), "2:96", "should be a number"),
    "replaced by true": (values('{replace: {of: {constant: 1}, at: {"[0, 0, 0]": true}}}'), "2:96", "should be a numb"),
    "nothing replaced": (values("{replace: {of: {constant: 1}, at: {}}}"), "2:82", "at least 1 entries"),
    "nothing to replace": (values('{replace: {at: {"[0, 0, 0]": 1}}}'), "2:58", "`of` is missing"),
    "too few under replace": (
        values('{replace: {of: {constant: [1]}, at: {"[0, 0, 0]": 1}}}'),
        "2:74",
        "give a number or 3 entries",
    ),
    "infinite elsewhere": (values("{constant: .inf}"), "2:59", "should be a finite number"),
    "not a number in a list": (values("[.nan]"), "2:49", "should be a finite number, not nan"),
    "file by number": (values("{file: 1}"), "2:55", "should be text, not 1"),
}


@pytest.mark.parametrize(("text", "place", "piece"), REFUSED.values(), ids=REFUSED)
def test_are_refused(tmp_path: Path, text: str, place: str, piece: str) -> None:
    found = problems_of(tmp_path, text)
    assert places(found) == place, [p.message for p in found]
    assert piece in found[0].message


def test_one_more_batch_is_needed_where_inference_is_checked(tmp_path: Path) -> None:
    text = instead("training\n", "training\nsteps: 2\ncheck: [inference]\n", values("{arange: [0, 72]}"))
    assert load_text(tmp_path, text)[0].case.batches == 3
    assert "or 72 for all 3 batches" in problems_of(tmp_path, instead("72", "48", text))[0].message


def npy(array: Any, **options: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, **options)
    return buffer.getvalue()


def header(text: bytes) -> bytes:
    """A .npy file with ``text`` where NumPy expects a literal mapping."""
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(192)


def npz() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, x=X)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "array",
    [X, X.astype("f2"), X.astype(">f4"), X.astype("i8"), X.astype("u1"), np.asfortranarray(X)],
    ids=["float64", "float16", "big-endian", "int64", "uint8", "Fortran order"],
)
def test_a_file_holds_numbers_of_any_real_dtype_and_order(tmp_path: Path, array: np.ndarray) -> None:
    (tmp_path / "x.npy").write_bytes(npy(array))
    assert len(load_text(tmp_path, FILE)) == 1


BAD_FILES = {
    "missing": (None, "'x.npy' does not exist beside the case; add it or mend the name"),
    "empty": (b"", "cannot be read as a .npy file"),
    "garbage": (b"\x00\x01 these are not numbers", "cannot be read as a .npy file"),
    "text": (b"1.0 2.0 3.0\n", "cannot be read as a .npy file"),
    "pickled": (pickle.dumps(X), "cannot be read as a .npy file"),
    "pickled objects": (npy(X.astype(object), allow_pickle=True), "cannot be read as a .npy file"),
    "cut short": (npy(X)[:-8], "cannot be read as a .npy file"),
    "a few bytes": (npy(X)[:7], "cannot be read as a .npy file"),
    "an archive": (npz(), "with numpy.save"),
    "a broken archive": (b"PK\x03\x04 and no more", "cannot be read as a .npy file"),
    "unfinished header": (header(b"((("), "cannot be read as a .npy file"),
    "deep header": (header(b"-" * 9000 + b"1"), "cannot be read as a .npy file"),
    "header of no literal": (header(b"{[]: 1}"), "cannot be read as a .npy file"),
    "negative shape": (
        header(b"{'descr': '<f8', 'fortran_order': False, 'shape': (-2, 3, 4), }"),
        "cannot be read as a .npy file",
    ),
    "huge shape": (
        header(b"{'descr': '<f8', 'fortran_order': False, 'shape': (4611686018427387904, 4, 4), }"),
        "cannot be read as a .npy file",
    ),
    "booleans": (npy(X > 1), "does not hold one array of real numbers; save one with numpy.save"),
    "complex": (npy(X + 0j), "does not hold one array of real numbers"),
    "words": (npy(X.astype(str)), "does not hold one array of real numbers"),
    "records": (npy(np.zeros(24, [("a", "f8")])), "does not hold one array of real numbers"),
    "another shape": (npy(X.reshape(2, 4, 3)), "'x.npy' has shape [2, 4, 3]; it should be [2, 3, 4]"),
    "flat": (npy(X.ravel()), "'x.npy' has shape [24]; it should be [2, 3, 4]"),
    "two batches": (npy(np.stack([X, X])), "'x.npy' has shape [2, 2, 3, 4]; it should be [2, 3, 4]"),
}


@pytest.mark.parametrize(("content", "piece"), BAD_FILES.values(), ids=BAD_FILES)
def test_a_file_that_does_not_hold_the_tensor_is_refused(tmp_path: Path, content: bytes | None, piece: str) -> None:
    if content is not None:
        (tmp_path / "x.npy").write_bytes(content)
    found = problems_of(tmp_path, FILE)
    assert places(found) == "2:55", [p.message for p in found]
    assert piece in found[0].message
    assert "pickle" not in found[0].message, "no message tells a user how to unpickle a stranger's file"


def test_a_folder_is_not_a_file(tmp_path: Path) -> None:
    (tmp_path / "x.npy").mkdir()
    assert places(problems_of(tmp_path, FILE)) == "2:55"


OUTSIDE = "is outside the case's folder; put the file beside the case"


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A readable tensor of the right shape, outside the case's folder, which is ``tmp_path/case``."""
    (tmp_path / "case").mkdir()
    file = tmp_path / "secret.npy"
    file.write_bytes(npy(X))
    return file


@pytest.mark.parametrize(
    "name", ["../secret.npy", "below/../../secret.npy", "{absolute}", "link.npy", "folder/secret.npy", "chain.npy"]
)
def test_a_file_outside_the_case_folder_is_refused(tmp_path: Path, secret: Path, name: str) -> None:
    folder = tmp_path / "case"
    (folder / "below").mkdir()
    (folder / "link.npy").symlink_to(secret)
    (folder / "folder").symlink_to(tmp_path)
    (folder / "chain.npy").symlink_to("link.npy")
    name = name.format(absolute=secret)
    found = problems_of(folder, values(f"{{file: {name}}}"))
    assert places(found) == "2:55"
    assert OUTSIDE in found[0].message


def test_an_absolute_path_is_refused_even_to_the_case_folder(tmp_path: Path) -> None:
    (tmp_path / "x.npy").write_bytes(npy(X))
    found = problems_of(tmp_path, values(f"{{file: {tmp_path / 'x.npy'}}}"))
    assert OUTSIDE in found[0].message


@pytest.mark.parametrize("name", ["x.npy", "./x.npy", "below/x.npy", "below/../x.npy", "link.npy"])
def test_a_file_inside_the_case_folder_is_taken(tmp_path: Path, name: str) -> None:
    (tmp_path / "below").mkdir()
    for file in (tmp_path / "x.npy", tmp_path / "below" / "x.npy"):
        file.write_bytes(npy(X))
    (tmp_path / "link.npy").symlink_to("x.npy")
    assert len(load_text(tmp_path, values(f"{{file: {name}}}"))) == 1


@pytest.mark.parametrize("name", ["loop.npy", '"a\\0b.npy"', "x" * 5000, ".", "''"])
def test_a_name_that_names_no_file_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "loop.npy").symlink_to("loop.npy")
    found = problems_of(tmp_path, values(f"{{file: {name}}}"))
    assert places(found) == "2:55", [p.message for p in found]
    assert len(found[0].message) < 300


def test_a_file_gives_one_batch_or_all(tmp_path: Path) -> None:
    text = instead("training\n", "training\nsteps: 2\n", FILE)
    for array in (X, np.stack([X, X])):
        (tmp_path / "x.npy").write_bytes(npy(array))
        assert len(load_text(tmp_path, text)) == 1
    (tmp_path / "x.npy").write_bytes(npy(np.stack([X] * 3)))
    assert "or [2, 2, 3, 4] for all 2 batches" in problems_of(tmp_path, text)[0].message
