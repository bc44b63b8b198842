"""What is wanted of an environment, in settings and written out, and what is said of what cannot be meant."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bncheck.environments import cache
from bncheck.environments.wanted import Wanted, named, of_table, requirement

HOME = Path("/home/project")


def test_a_table_names_a_python_and_packages() -> None:
    table = {"python": "3.8", "packages": ["tensorflow-cpu == 2.4.4", "protobuf<3.21"], "until": "2021-11-30"}
    wanted = of_table("tf-old", table, HOME)
    assert wanted == Wanted("tf-old", ("tensorflow-cpu==2.4.4", "protobuf<3.21"), "3.8", "2021-11-30")
    assert wanted.said == "tensorflow-cpu==2.4.4 protobuf<3.21 on Python 3.8 as of 2021-11-30"


def test_paths_are_seen_from_the_file_that_has_the_table() -> None:
    assert of_table("a", {"interpreter": ".venv-old"}, HOME).interpreter == HOME / ".venv-old"
    assert of_table("a", {"python": "./py/bin/python", "packages": ["six"]}, HOME).python == str(HOME / "py/bin/python")


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("3.8", "should be a table with python and packages"),
        ({}, 'packages is missing; write packages = ["tensorflow-cpu==2.4.4"], or interpreter'),
        ({"packages": []}, "packages should be a list"),
        ({"packages": "six"}, "packages should be a list"),
        (
            {"packages": ["six"], "pyhton": "3.8"},
            "unknown key `pyhton`; there are python, packages, until, interpreter",
        ),
        ({"packages": ["six"], "python": 3.8}, 'python should be a text, for example python = "3.8"'),
        ({"packages": ["six"], "python": "2.7"}, "2.7 is no version that a worker runs on"),
        ({"packages": ["six"], "python": "3.6"}, "3.6 is no version that a worker runs on"),
        ({"packages": ["six"], "python": "python3.8"}, "neither a version"),
        ({"packages": ["six"], "python": "--system"}, "neither a version"),
        ({"packages": ["six"], "until": "yesterday"}, 'until should be a day such as "2021-11-30"'),
        ({"packages": ["six"], "interpreter": ".venv"}, "nothing is installed into an interpreter that exists"),
        ({"interpreter": ""}, "interpreter should be a text"),
        ({"interpreter": "a\0b"}, "interpreter should be a text"),
    ],
)
def test_what_a_table_gets_wrong_is_said(table: Any, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        of_table("a", table, HOME)


@pytest.mark.parametrize("name", ["--all", "", "a b", "../up", "a@b", "$(x)", "-r"])
def test_a_name_is_letters_and_digits(name: str) -> None:
    with pytest.raises(ValueError, match="is no name"):
        of_table(name, {"packages": ["six"]}, HOME)


HOSTILE = [
    "--index-url=https://example.org",
    "-r/etc/passwd",
    "-e.",
    "a; rm -rf ~",
    "a && b",
    "$(id)",
    "`id`",
    "../up",
    "a\nb",
    "a b",
    "",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_what_is_no_requirement_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no requirement"):
        requirement(text)


@pytest.mark.parametrize("text", ["a @ https://example.org/a.whl", "a @ file:///etc/passwd", "a@../a"])
def test_an_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is an address|is no requirement"):
        requirement(text)


@given(st.text(max_size=30))
def test_what_is_taken_as_a_requirement_begins_with_a_letter_or_digit_and_has_no_line_end(text: str) -> None:
    try:
        taken = requirement(text)
    except ValueError:
        return
    assert taken[0].isalnum()
    assert "\n" not in taken
    assert "@" not in taken


def test_behind_the_at_stands_a_name_that_is_set_releases_or_a_path() -> None:
    tf_old = Wanted("tf-old", ("tensorflow-cpu==2.4.4",))
    assert named("tf-old", {"tf-old": tf_old}) is tf_old
    assert named("keras==3.0.0 jax<0.5", {}) == Wanted(
        "keras==3.0.0 jax<0.5", ("keras==3.0.0", "jax<0.5"), until="release"
    )
    assert named("./.venv-old", {}).interpreter == Path(".venv-old")


def test_a_name_that_is_not_set_is_no_package() -> None:
    with pytest.raises(ValueError, match=r"there is no environment 'tf-odl'; did you mean tf-old\?") as refused:
        named("tf-odl", {"tf-old": Wanted("tf-old", ("six",))})
    assert "[tool.bncheck.environments.tf-odl]" in str(refused.value)
    assert "tf-odl==RELEASE" in str(refused.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "without a name"),
        (" ", "without a name"),
        ("git+https://example.org/x", "is an address"),
        ("file:///etc/passwd", "is an address"),
        ("numpy==1.26 --index-url=https://example.org", "is an address"),
    ],
)
def test_what_names_nothing_is_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        named(text, {})


def test_environments_of_one_content_are_one_whatever_they_are_called() -> None:
    one = Wanted("a", ("six==1.0", "numpy<2"), "3.8")
    assert cache.key(one) == cache.key(Wanted("b", ("numpy<2", "six==1.0"), "3.8"))
    others = [
        Wanted("a", one.packages, "3.9"),
        Wanted("a", ("six==1.0",), "3.8"),
        Wanted("a", one.packages, "3.8", "2021-01-01"),
    ]
    assert cache.key(one) not in {cache.key(other) for other in others}
