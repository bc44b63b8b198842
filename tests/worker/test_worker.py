"""The worker as a process: what it is started with, what it answers, what it does not let through."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from conftest import own

import bncheck
from bncheck.worker import wire
from bncheck.worker.call import Arranged

WORKER = Path(bncheck.__file__).parent / "worker" / "__main__.py"


def talk(*messages: dict[str, Any], folder: Path | None = None) -> list[dict[str, Any]]:
    """What a worker started in ``folder`` answers to each message."""
    text = "".join(json.dumps(message) + "\n" for message in messages)
    process = subprocess.run(
        [sys.executable, str(WORKER)], input=text, capture_output=True, text=True, check=True, cwd=folder
    )
    answers = [json.loads(line) for line in process.stdout.splitlines()]
    assert [answer.pop("number") for answer in answers] == [message.get("number") for message in messages]
    return answers


def test_loading_answers_the_version() -> None:
    assert talk({"load": "numpy"}) == [{"version": np.__version__, "gpu": None}]


def test_no_file_of_ours_nor_of_the_working_folder_shadows_a_framework(tmp_path: Path) -> None:
    for name in ("numpy.py", "torch.py", "json.py", "wire.py"):
        (tmp_path / name).write_text("raise SystemExit('shadowed')\n")
    assert talk({"load": "numpy"}, folder=tmp_path) == [{"version": np.__version__, "gpu": None}]


def test_what_cannot_be_loaded_is_answered_with_the_reason() -> None:
    answers = talk({"load": "no-such-runner"}, {"load": "numpy"})
    assert "no_such_runner" in answers[0]["error"]
    assert "version" in answers[1]


def test_it_ends_when_its_parent_is_gone() -> None:
    process = subprocess.Popen([sys.executable, str(WORKER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(timeout=20) == 0
    assert process.stdout is not None
    process.stdout.close()


def test_a_call_reads_and_writes_files_of_raw_values(tmp_path: Path) -> None:
    arrays = {
        "x0": np.arange(6, dtype=np.float32).reshape(3, 2),
        **{name: np.ones(2, np.float32) for name in ("gamma", "beta", "moving_mean", "moving_variance")},
    }
    message = {
        "call": own("right").split("=", 1)[1].join(["own:", ""]),
        "answer": str(tmp_path / "answer"),
        "tensors": {name: wire.write_tensor(a, str(tmp_path / name)) for name, a in arrays.items()},
        "arrangement": None,
        "repeat": 1,
        "arguments": {
            "dtype": "float32",
            "parameters_dtype": "float32",
            "device": "cpu",
            "variant": None,
            "axis": 1,
            "mode": "inference",
            "trainable": True,
            "virtual_batch_size": None,
            "masked": False,
            "epsilon": 0.0,
            "momentum": 0.9,
            "requested": {"epsilon": 0.0, "momentum": 0.9, "training": False},
            "center": True,
            "scale": True,
            "batches": 1,
            "inference": False,
            "gradients": False,
        },
    }
    (tmp_path / "answer").mkdir()
    _, answer = talk({"load": message["call"]}, message)
    described = answer["tensors"]["output"]
    assert (described["dtype"], described["shape"]) == ("float32", [3, 2])
    assert np.array_equal(wire.open_tensor(described, "r"), arrays["x0"])  # (x - 1)/sqrt(1) + 1


@pytest.mark.parametrize("shape", [(), (0, 3), (2, 3), (1,)])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64", "int64", "bool"])
def test_tensors_come_back_as_they_were(tmp_path: Path, dtype: str, shape: tuple[int, ...]) -> None:
    values = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    described = wire.write_tensor(values.T.copy().T, str(tmp_path / "t"))
    back = wire.open_tensor(described, "r")
    assert (back.dtype, back.shape) == (values.dtype, shape)
    assert np.array_equal(back, values)


def test_bfloat16_is_that_of_ml_dtypes() -> None:
    assert wire.dtype_of("bfloat16") == np.dtype(ml_dtypes.bfloat16)


@pytest.mark.parametrize("dtype", ["object", "U3", "datetime64[s]", "V8", "no such dtype"])
def test_only_numbers_cross(dtype: str) -> None:
    with pytest.raises(TypeError):
        wire.dtype_of(dtype)


def test_a_file_of_another_length_is_refused(tmp_path: Path) -> None:
    described = wire.write_tensor(np.ones(3), str(tmp_path / "t"))
    with pytest.raises(ValueError, match="24 bytes, where 4 values of float64 have 32"):
        wire.open_tensor({**described, "shape": [4]}, "r")


def test_what_is_written_to_a_tensor_stays_with_the_writer(tmp_path: Path) -> None:
    described = wire.write_tensor(np.ones(3), str(tmp_path / "t"))
    wire.open_tensor(described, "c")[:] = 7
    assert np.array_equal(wire.open_tensor(described, "r"), np.ones(3))


@pytest.mark.parametrize("groups", [[[0], [2, 3], [], [1]], [[3, 2, 1, 0]], [[], [1], [0, 2, 3]], [[0], [1], [2], [3]]])
def test_an_arrangement_is_undone(groups: list[list[int]]) -> None:
    x = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    arranged = Arranged({"groups": groups, "shape": list(x.shape), "statistic": [3, 4]})
    there = arranged.tensor(x)
    assert there.ndim == len(groups)
    assert there.flags.c_contiguous
    assert np.array_equal(arranged.restore_tensor(there), x)
    assert arranged.restore_statistic(np.arange(12)).shape == (3, 4)
    assert arranged.restore_tensor(there.reshape(-1)[:7]).shape == (7,)  # of another size: left to be reported
