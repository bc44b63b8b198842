"""The rules of the house: who may import whom, what stays light, what an old Python must still read."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import bncheck
from bncheck import documented

PACKAGE = Path(bncheck.__file__).parent

MATHEMATICS = {
    "semantics",
    "causes",
    "gradients",
    "gradient_bounds",
    "doubledouble",
    "channels",
    "formats",
    "placement",
    "kept_sets",
    "masks",
    "reference",
    "bounds",
}

MAY_IMPORT = {
    **dict.fromkeys(MATHEMATICS, MATHEMATICS),
    "case": MATHEMATICS,
    "document": {"causes"},
    "distributions": set(),
    "documented": MATHEMATICS | {"case", "distributions"},
    "explain": MATHEMATICS | {"case", "documented"},
    "judge": MATHEMATICS | {"case", "documented", "document"},
    "power": MATHEMATICS | {"case", "judge"},
    "growth": {"document"},
    "moved": {"document", "spelling"},
    "diff": {"causes", "document", "growth", "moved"},
    "expectations": {"causes", "case", "document", "growth", "spelling"},
    "worker": set(),
    "processes": set(),
    "spelling": set(),
    "environments": {"distributions", "processes"},
    "running": MATHEMATICS
    | {"case", "documented", "document", "environments", "expectations", "judge", "processes", "spelling", "worker"},
    "reports": {"causes", "case", "document", "diff"},
    "repro": MATHEMATICS | {"case", "documented", "document", "judge", "reports", "running", "worker"},
    "bisection": {"case", "documented", "document", "environments", "reports", "running", "spelling"},
    "pyproject": {"case", "processes"},
    "settings": {"case", "environments", "pyproject", "spelling"},
    "init": {"case", "pyproject"},
    "cli": MATHEMATICS
    | {"case", "documented", "document", "explain", "judge", "power", "running", "reports"}
    | {"bisection", "diff", "environments", "expectations", "init", "pyproject", "repro", "settings", "spelling"},
    "api": {"case", "document", "environments", "expectations", "judge", "pyproject"}
    | {"reports", "running", "settings", "spelling"},
    "pytest_plugin": {"case", "document", "expectations", "pyproject", "reports", "running", "settings"},
    "__main__": {"cli"},
    "__init__": {"api"},
}
"""Rooms import only rooms nearer to the mathematics (and themselves)."""

WORKER_MAY_IMPORT = {"numpy", "ml_dtypes"}
FRAMEWORKS = {
    "_tensorflow": {"tensorflow"},
    "_jax": {"jax"},
    "_torch": {"torch"},
    "flax_linen": {"jax", "flax"},
    "flax_nnx": {"jax", "flax"},
    "haiku": {"jax", "haiku"},
    "_keras": {"keras", "tensorflow", "torch", "jax"},
    "keras": {"tensorflow", "keras"},
    "keras_jax": {"jax", "keras"},
    "keras_torch": {"torch", "keras"},
    "tf_keras": {"tensorflow", "tf_keras"},
    "_legacy": {"tensorflow", "tf_keras", "keras"},
    "_keras_2": {"keras"},
    "_graph": {"tensorflow", "keras"},
    "_keras_in_graph": {"keras"},
    "_tf_nn_in_graph": {"tensorflow"},
    "_tf_fused_in_graph": {"tensorflow"},
    "tf_layers": {"tensorflow", "tf_keras"},
    "tf_nn": {"tensorflow"},
    "tf_fused": {"tensorflow"},
    "_onnx": {"onnx"},
    "onnx": {"onnx"},
    "onnxruntime": {"onnx", "onnxruntime"},
    "openvino": {"openvino"},
    "openvino_onnx": {"onnx", "openvino"},
    "torch": {"torch"},
    "torch_functional": {"torch"},
}


def modules(folder: Path = PACKAGE) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def room(file: Path) -> str:
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(file: Path) -> Iterator[str]:
    """The absolute names of the modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("file", modules(), ids=lambda f: str(f.relative_to(PACKAGE)))
def test_rooms_import_only_rooms_nearer_to_the_mathematics(file: Path) -> None:
    here = room(file)
    ours = {name.split(".")[1] for name in imported(file) if name.startswith("bncheck.")}
    rooms = {name for name in ours if (PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").exists()}
    assert rooms - {here} <= MAY_IMPORT[here]


@pytest.mark.parametrize("file", modules(PACKAGE / "worker"), ids=lambda f: f.stem)
def test_a_worker_imports_the_standard_library_numpy_and_its_framework(file: Path) -> None:
    roots = {name.split(".")[0] for name in imported(file)} - set(sys.stdlib_module_names) - {"bncheck_worker"}
    allowed = WORKER_MAY_IMPORT | (FRAMEWORKS.get(file.stem, set()) if file.parent.name == "runners" else set())
    assert roots <= allowed


@pytest.mark.parametrize("file", [PACKAGE / "__init__.py", *modules(PACKAGE / "worker")], ids=lambda f: f.stem)
def test_python_3_7_can_read_it(file: Path) -> None:
    ast.parse(file.read_text(encoding="utf-8"), feature_version=(3, 7))


def test_every_runner_is_two_files_of_one_name() -> None:
    calls = {f.stem for f in (PACKAGE / "worker" / "runners").glob("*.py") if not f.stem.startswith("_")}
    says = {name.replace("-", "_") for name in documented.built_in()}
    assert calls == says


@pytest.mark.parametrize(
    "command",
    [
        ["-c", "import bncheck"],
        ["-c", "import bncheck.pytest_plugin"],
        ["-m", "bncheck", "--help"],
        ["-m", "bncheck", "--version"],
    ],
    ids=str,
)
def test_neither_the_package_nor_help_imports_numpy_or_a_framework(command: list[str]) -> None:
    process = subprocess.run([sys.executable, "-X", "importtime", *command], capture_output=True, text=True, check=True)
    names = {line.rpartition("|")[2].strip().split(".")[0] for line in process.stderr.splitlines()}
    assert "bncheck" in names
    assert not names & {"numpy", "tensorflow", "keras", "tf_keras", "torch", "pydantic", "ruamel", "ml_dtypes"}


def test_no_room_hides_what_the_package_offers() -> None:
    assert not {room(file) for file in modules()} & set(bncheck.__all__)


def test_no_module_is_named_for_being_useful() -> None:
    assert not {f.stem for f in modules()} & {"utils", "util", "helpers", "common", "manager", "misc"}
