"""How a worker hands over the gradient from above, and in which axes gradients come back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bncheck.worker import serve, wire
from bncheck.worker.call import Arranged, Call

SHAPE, STATISTIC = (2, 3, 4), (2, 4)
ARRANGEMENT = {"groups": [[1], [0, 2]], "shape": list(SHAPE), "statistic": list(STATISTIC)}
"""The last and the first axis are kept, and merged into one behind the other."""


def arguments(**changes: Any) -> dict[str, Any]:
    return {
        "dtype": "float32",
        "parameters_dtype": "float32",
        "device": "cpu",
        "variant": None,
        "axis": 1,
        "mode": "training",
        "trainable": True,
        "virtual_batch_size": None,
        "epsilon": 1e-3,
        "momentum": 0.9,
        "requested": {"epsilon": 1e-3, "momentum": 0.9, "training": True},
        "center": True,
        "scale": True,
        "masked": False,
        "batches": 1,
        "inference": False,
        "gradients": True,
        **changes,
    }


@pytest.fixture
def tensors() -> dict[str, Any]:
    random = np.random.default_rng(1)
    made = {name: random.normal(size=SHAPE).astype("float32") for name in ("x0", "upstream")}
    return {**made, **dict.fromkeys(("gamma", "beta", "moving_mean", "moving_variance"), np.ones(STATISTIC, "float32"))}


def test_the_gradient_from_above_is_arranged_as_x_is(tensors: dict[str, Any]) -> None:
    call = Call(arguments(), tensors, Arranged(ARRANGEMENT))
    assert np.array_equal(call.upstream, tensors["upstream"].transpose(1, 0, 2).reshape(3, 8))


def test_where_no_gradients_are_asked_for_there_is_none(tensors: dict[str, Any]) -> None:
    del tensors["upstream"]
    assert Call(arguments(gradients=False), tensors, Arranged(ARRANGEMENT)).upstream is None


def test_gradients_come_back_in_the_axes_of_the_case(tensors: dict[str, Any], tmp_path: Any) -> None:
    assert "version" in serve.load({"load": "numpy"})
    returned = serve.once(
        {
            "call": "numpy",
            "tensors": {name: wire.write_tensor(t, str(tmp_path / name)) for name, t in tensors.items()},
            "arrangement": ARRANGEMENT,
            "arguments": arguments(),
        }
    )
    assert {name: array.shape for name, array in returned.items()} == {
        "output": SHAPE,
        "moving_mean": STATISTIC,
        "moving_variance": STATISTIC,
        "gradient_x": SHAPE,
        "gradient_gamma": STATISTIC,
        "gradient_beta": STATISTIC,
    }
    assert returned["gradient_beta"] == pytest.approx(tensors["upstream"].sum(axis=1), abs=1e-5)
    assert returned["gradient_x"].sum(axis=1) == pytest.approx(0, abs=1e-4)  # a shift of x changes nothing
