"""Which values share a statistic, and that walking a tensor in blocks misses, repeats and misplaces nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bncheck import channels as module
from bncheck.channels import Channels


@st.composite
def split_tensors(draw: st.DrawFn) -> Channels:
    """Shapes of rank 1 to 5 with axes of size 0, 1 and more, and any set of kept axes: none, some, all."""
    shape = tuple(draw(st.lists(st.integers(0, 5), min_size=1, max_size=5)))
    return Channels(shape, tuple(sorted(draw(st.sets(st.integers(0, len(shape) - 1))))))


ANY = st.one_of(split_tensors(), st.just(Channels((), ())))  # a single statistic (axis: []) has rank 0
BLOCK = st.integers(1, 200)


def numbered(channels: Channels) -> np.ndarray:
    """A tensor whose values are their own places in C order."""
    return np.arange(math.prod(channels.shape)).reshape(channels.shape)


def spread_by_numpy(channels: Channels, statistic: np.ndarray) -> np.ndarray:
    """The statistic of every element, the plain way."""
    shape = [d if a in channels.kept else 1 for a, d in enumerate(channels.shape)]
    return np.broadcast_to(statistic.reshape(shape), channels.shape)


def some_statistic(channels: Channels) -> np.ndarray:
    return np.arange(float(channels.count)) + 0.5


@settings(deadline=None)
@given(channels=ANY)
def test_the_counts_are_those_of_the_kept_and_of_the_averaged_axes(channels: Channels) -> None:
    averaged = [d for a, d in enumerate(channels.shape) if a not in channels.kept]
    assert channels.statistic_shape == tuple(channels.shape[a] for a in channels.kept)
    assert channels.count == math.prod(channels.statistic_shape)
    assert channels.values == math.prod(averaged)
    assert math.prod(channels.walked) == math.prod(channels.shape)


@pytest.mark.parametrize(
    ("shape", "kept", "walked", "reduced"),
    [
        ((1024, 30, 64, 64), (1,), (1024, 30, 4096), (0, 2)),
        ((8, 5, 6, 30), (3,), (240, 30), (0,)),
        ((8, 5, 6, 30), (1, 2), (8, 30, 30), (0, 2)),
        ((4, 1, 6), (1,), (24,), (0,)),
        ((4, 1, 6), (0, 2), (24,), ()),
        ((4, 5), (), (20,), (0,)),
        ((4, 5), (0, 1), (20,), ()),
        ((7,), (0,), (7,), ()),
        ((7,), (), (7,), (0,)),
        ((1, 1), (0,), (1,), ()),
        ((), (), (1,), ()),
    ],
)
def test_neighbouring_axes_of_one_kind_are_walked_as_one(shape, kept, walked, reduced) -> None:
    channels = Channels(shape, kept)
    assert channels.walked == walked
    assert channels.reduced == reduced


@settings(deadline=None)
@given(channels=ANY)
def test_the_view_is_the_tensor_itself_in_another_shape(channels: Channels) -> None:
    tensor = numbered(channels)
    view = channels.view(tensor)
    assert view.shape == channels.walked
    np.testing.assert_array_equal(view.ravel(), tensor.ravel())
    assert tensor.size == 0 or np.shares_memory(view, tensor)


@settings(deadline=None)
@given(channels=ANY)
def test_summing_the_view_over_its_reduced_axes_sums_each_channel(channels: Channels) -> None:
    tensor = numbered(channels)
    averaged = tuple(a for a in range(tensor.ndim) if a not in channels.kept)
    np.testing.assert_array_equal(
        channels.view(tensor).sum(axis=channels.reduced).ravel(), tensor.sum(axis=averaged).ravel()
    )


@settings(deadline=None)
@given(channels=ANY)
def test_a_spread_statistic_broadcasts_to_what_numpy_would(channels: Channels) -> None:
    statistic = some_statistic(channels)
    over_view = np.broadcast_to(channels.spread(statistic), channels.walked)
    np.testing.assert_array_equal(over_view.reshape(channels.shape), spread_by_numpy(channels, statistic))


@settings(deadline=None, max_examples=300)
@given(channels=ANY, block=BLOCK)
@example(channels=Channels((3, 5, 4), (1,)), block=6)
@example(channels=Channels((0, 3), (1,)), block=1)
@example(channels=Channels((2, 3, 4, 5), ()), block=7)
def test_blocks_cover_every_element_once_in_c_order(channels: Channels, block: int) -> None:
    view = channels.view(numbered(channels))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK", block)
        pieces = [view[index] for index in channels.blocks()]
    assert all(0 < piece.size <= block for piece in pieces)
    walked = np.concatenate([piece.ravel() for piece in pieces]) if pieces else np.zeros(0)
    np.testing.assert_array_equal(walked, np.arange(view.size))


@settings(deadline=None)
@given(channels=ANY, block=BLOCK)
def test_every_block_finds_its_own_part_of_a_spread_statistic(channels: Channels, block: int) -> None:
    statistic = some_statistic(channels)
    view = channels.view(spread_by_numpy(channels, statistic))
    spread = channels.spread(statistic)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK", block)
        for index in channels.blocks():
            part = np.broadcast_to(spread[channels.of(index)], view[index].shape)
            np.testing.assert_array_equal(part, view[index])


@settings(deadline=None)
@given(channels=ANY, block=BLOCK)
def test_position_is_where_a_block_s_value_lies_in_the_tensor(channels: Channels, block: int) -> None:
    tensor = numbered(channels)
    view = channels.view(tensor)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK", block)
        for index in channels.blocks():
            for flat, value in enumerate(view[index].ravel()):
                place = channels.position(index, flat)
                assert len(place) == len(channels.shape)
                assert tensor[place] == value


def test_blocks_are_large_enough_to_be_worth_a_call_and_small_enough_for_a_cache() -> None:
    """Of a tensor whose rows do not divide the block: nearly all blocks are at least half full."""
    channels = Channels((1024, 30, 64, 64), (1,))
    sizes = [
        math.prod(len(range(*s.indices(d))) for s, d in zip(index, channels.walked, strict=True))
        for index in channels.blocks()
    ]
    assert sum(sizes) == math.prod(channels.shape)
    assert max(sizes) <= module.BLOCK
    assert np.median(sizes) > module.BLOCK / 2
