"""The random numbers are the same everywhere and for ever: results of two machines are compared number by number."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np
import pytest

from bncheck.case.random_words import Stream

UNIFORM = {
    "x/0": [5798241373733423, 825627104575722, 1484605185356783, 8825512594910712],
    "x/1": [209831692650950, 2474107449208938, 2164127931586883, 4671065883241128],
}
"""In units of 2^-53."""

NORMAL = {
    "x/0": [-5268654781, -4935713864, 10073208005, 1083656458],
    "x/1": [-6512768699, 2132504894, -3868748391, 1209384213],
}
"""In units of 2^-32."""


@pytest.mark.parametrize("name", UNIFORM)
def test_the_first_uniform_numbers_are_these(name: str) -> None:
    assert Stream(name).uniform(4).tolist() == [n * 2.0**-53 for n in UNIFORM[name]]


@pytest.mark.parametrize("name", NORMAL)
def test_the_first_normal_numbers_are_these(name: str) -> None:
    assert Stream(name).normal(4).tolist() == [n * 2.0**-32 for n in NORMAL[name]]


def philox_4x64_10(counter: list[int], key: list[int]) -> list[int]:
    """Four words, as Salmon et al. define them."""
    mask = (1 << 64) - 1
    for number in range(10):
        first, second = 0xD2E7470EE14C6C93 * counter[0], 0xCA5A826395121157 * counter[2]
        round_key = [
            (k + number * weyl) & mask for k, weyl in zip(key, (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B), strict=True)
        ]
        counter = [
            (second >> 64) ^ counter[1] ^ round_key[0],
            second & mask,
            (first >> 64) ^ counter[3] ^ round_key[1],
            first & mask,
        ]
    return counter


def test_the_words_are_those_of_the_published_generator() -> None:
    """A second implementation, which gives its authors' known answer, gives our numbers."""
    known = [0x16554D9ECA36314C, 0xDB20FE9D672D0FDC, 0xD7E772CEE186176B, 0x7E68B68AEC7BA23B]
    assert philox_4x64_10([0, 0, 0, 0], [0, 0]) == known
    digest = hashlib.sha256(b"some name").digest()
    key = [int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:16], "little")]
    words = [word for block in range(1, 7) for word in philox_4x64_10([block, 0, 0, 0], key)]
    assert Stream("some name").uniform(24).tolist() == [(w >> 11) * 2.0**-53 for w in words]
    sums = [sum((w >> 32) + (w & 0xFFFFFFFF) for w in words[i : i + 6]) for i in range(0, 24, 6)]
    assert Stream("some name").normal(4).tolist() == [(s - 6 * 2**32) * 2.0**-32 for s in sums]


@pytest.mark.parametrize("draw", [Stream.uniform, Stream.normal])
def test_numbers_do_not_depend_on_how_many_are_drawn_at_once(draw: Callable[[Stream, int], np.ndarray]) -> None:
    whole, parts = Stream("x"), Stream("x")
    together = draw(whole, 1000)
    assert np.array_equal(together, np.concatenate([draw(parts, n) for n in (1, 0, 2, 4, 993)]))


def test_other_names_are_other_numbers() -> None:
    drawn = [tuple(Stream(name).uniform(3)) for name in ("x/0", "x/1", "x/00", "X/0", "", "é")]
    assert len(set(drawn)) == len(drawn)


def test_uniform_numbers_fill_the_unit_interval() -> None:
    u = Stream("moments").uniform(100_000)
    assert ((u >= 0) & (u < 1)).all()
    assert u.mean() == pytest.approx(1 / 2, abs=0.005)
    assert u.var() == pytest.approx(1 / 12, abs=0.002)
    assert np.histogram(u, bins=10, range=(0, 1))[0] == pytest.approx(np.full(10, 10_000), rel=0.05)


def test_normal_numbers_have_mean_0_variance_1_and_no_skew() -> None:
    """Twelve uniform numbers have a kurtosis of 2.9, not 3."""
    z = Stream("moments").normal(100_000)
    assert np.abs(z).max() <= 6
    assert z.mean() == pytest.approx(0, abs=0.015)
    assert z.var() == pytest.approx(1, abs=0.02)
    assert (z**3).mean() == pytest.approx(0, abs=0.05)
    assert (z**4).mean() == pytest.approx(2.9, abs=0.1)
    assert np.corrcoef(z[:-1], z[1:])[0, 1] == pytest.approx(0, abs=0.015)
