"""How a runner's spelling is taken apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bncheck.spelling import Spelling


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("torch", ("torch", None, None)),
        ("torch:view", ("torch:view", None, None)),
        ("'torch*'", ("'torch*'", None, None)),
        ("mine=k.py:f", ("mine", None, "k.py:f")),
        ("mine=a@b/k.py:f", ("mine", None, "a@b/k.py:f")),
        ("tf-keras@tf-old", ("tf-keras", "tf-old", None)),
        ("*@tf-old", ("*", "tf-old", None)),
        ("keras@tensorflow-cpu==2.15.1", ("keras", "tensorflow-cpu==2.15.1", None)),
        ("keras:graph@a>=1,<2 b!=3", ("keras:graph", "a>=1,<2 b!=3", None)),
        ("torch@./venv/bin/python", ("torch", "./venv/bin/python", None)),
        ("mine@tf-old=k.py:f", ("mine", "tf-old", "k.py:f")),
        ("mine@numpy==1.26=dir/k.py:f", ("mine", "numpy==1.26", "dir/k.py:f")),
        ("mine@numpy<=1.26=dir/k.py:f", ("mine", "numpy<=1.26", "dir/k.py:f")),
    ],
)
def test_a_spelling_has_a_name_an_environment_and_a_function(text: str, parts: tuple[str, ...]) -> None:
    spelling = Spelling.parse(text)
    assert (spelling.name, spelling.environment, spelling.own) == parts
    assert str(spelling) == text


@given(st.text(max_size=40))
def test_any_text_is_the_same_put_together_again(text: str) -> None:
    assert str(Spelling.parse(text)) == text
