"""Names that are too long for a table."""

from __future__ import annotations

import pytest

from bncheck.reports.columns import shortened_name


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("torch-functional", "torch-functional"),
        ("a-label-of-a-kernel-of-one-s-own", "a-label-of-a-kern..."),
        ("tf-keras@tf-old", "tf-keras@tf-old"),
        ("tf-nn@tensorflow-cpu==2.11.1", "tf-nn@ten...==2.11.1"),
        ("tf-nn@tensorflow-cpu==2.15.1", "tf-nn@ten...==2.15.1"),
    ],
)
def test_a_runner_is_cut_at_its_end_or_in_an_environment_before_its_release(name: str, said: str) -> None:
    assert shortened_name(name, 20) == said
