"""Statistics for every set of kept axes at once are those that are found one by one."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bncheck.channels import Channels
from bncheck.kept_sets import KeptSets
from bncheck.reference import Tensor, batch_statistics

DTYPES = ("float16", "float32", "float64")


def subsets(rank: int) -> list[tuple[int, ...]]:
    return [kept for size in range(rank + 1) for kept in itertools.combinations(range(rank), size)]


def alike(tensor: Tensor, order: list[tuple[int, ...]]) -> None:
    """``order``: that in which sets are asked for."""
    sets = KeptSets(tensor)
    for kept in order:
        channels = Channels(tensor.shape, kept)
        found, right = sets(channels), batch_statistics(tensor, channels)
        scale = np.abs(tensor.astype(np.float64)).max(initial=0.0)
        np.testing.assert_allclose(found.mean.hi, right.mean.hi, rtol=1e-12, atol=1e-14 * scale, err_msg=str(kept))
        np.testing.assert_allclose(
            found.variance.hi, right.variance.hi, rtol=1e-10, atol=1e-13 * scale**2, err_msg=str(kept)
        )
        assert found.mean.hi.shape == (channels.count,)


@settings(max_examples=60, deadline=None)
@given(
    shape=st.lists(st.integers(1, 6), min_size=1, max_size=5),
    dtype=st.sampled_from(DTYPES),
    offset=st.sampled_from([0.0, 3.0, 100.0]),
    seed=st.integers(0, 2**32 - 1),
    data=st.data(),
)
def test_every_set_in_any_order(shape: list[int], dtype: str, offset: float, seed: int, data: st.DataObject) -> None:
    tensor = (np.random.default_rng(seed).standard_normal(shape) + offset).astype(dtype)
    alike(tensor, data.draw(st.permutations(subsets(len(shape)))))


@pytest.mark.parametrize("shape", [(300, 7, 90), (3, 500, 100), (5, 40, 30, 40)])
def test_a_tensor_of_several_blocks(shape: tuple[int, ...]) -> None:
    tensor = (np.random.default_rng(1).standard_normal(shape) * 3 + 20).astype(np.float32)
    alike(tensor, subsets(len(shape)))


@pytest.mark.parametrize("shape", [(0,), (0, 3), (2, 0, 3)])
def test_an_empty_tensor(shape: tuple[int, ...]) -> None:
    tensor = np.zeros(shape, np.float32)
    for kept in subsets(len(shape)):
        channels = Channels(shape, kept)
        with np.errstate(all="ignore"):
            found, right = KeptSets(tensor)(channels), batch_statistics(tensor, channels)
        np.testing.assert_array_equal(found.mean.hi, right.mean.hi)


def test_memory_read_in_another_order() -> None:
    tensor = np.random.default_rng(1).standard_normal((4, 3, 5)).astype(np.float32)
    channels = Channels((4, 5, 3), (2,))
    found, right = KeptSets(tensor)(channels), batch_statistics(tensor.reshape(4, 5, 3), channels)
    np.testing.assert_allclose(found.mean.hi, right.mean.hi, rtol=1e-12)
    np.testing.assert_allclose(found.variance.hi, right.variance.hi, rtol=1e-12)


def test_what_is_not_finite_spoils_its_own_channels_alone() -> None:
    tensor = np.ones((4, 3, 5), np.float32)
    tensor[1, 2, 3] = np.nan
    found = KeptSets(tensor)(Channels(tensor.shape, (1,)))
    np.testing.assert_array_equal(np.isnan(found.mean.hi), [False, False, True])
