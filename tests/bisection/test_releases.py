"""Which releases lie between two, and on which Python each of them is tried."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping

import pytest
from packaging.version import Version

from bncheck.bisection import releases
from bncheck.bisection.releases import NoIndex, NoRelease, between, distribution

THERE = {
    "3.11": ["2.12.0", "2.13.0rc0", "2.13.0"],
    "3.10": ["2.8.0", "2.9.0", "2.12.0", "2.13.0rc0", "2.13.0"],
    "3.8": ["2.4.0", "2.8.0", "2.9.0", "2.12.0"],
}


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> None:
    """An index that has `THERE`."""

    def listing(name: str, python: str, pre: bool) -> list[Version]:
        found = map(Version, THERE.get(python, []) if name == "framework" else [])
        return [version for version in found if pre or not version.is_prerelease]

    monkeypatch.setattr(releases, "listing", listing)


def found(first: str, last: str, pythons: Mapping[str, object] = THERE) -> tuple[list[str], set[str]]:
    """The releases, and the Pythons that they are tried on."""
    there, on = between("framework", first, last, pythons)
    assert set(on) == set(there)
    return list(map(str, there)), set(on.values())


@pytest.mark.usefixtures("index")
def test_releases_are_in_order_from_one_end_to_the_other_either_way() -> None:
    assert found("2.8", "2.12.0")[0] == ["2.8.0", "2.9.0", "2.12.0"]
    assert found("2.12.0", "2.8")[0] == ["2.12.0", "2.9.0", "2.8.0"]


@pytest.mark.usefixtures("index")
def test_one_python_is_taken_for_as_many_as_can_be_and_another_for_the_rest() -> None:
    assert found("2.8.0", "2.13.0")[1] == {"3.10"}
    there, on = between("framework", "2.4.0", "2.13.0", THERE)
    assert {str(each): on[each] for each in there} == {
        "2.4.0": "3.8",
        "2.8.0": "3.10",
        "2.9.0": "3.10",
        "2.12.0": "3.10",
        "2.13.0": "3.10",
    }


@pytest.mark.usefixtures("index")
def test_of_pythons_that_can_use_equally_many_the_first_is_taken() -> None:
    assert found("2.12.0", "2.13.0")[1] == {"3.11"}
    assert found("2.12.0", "2.13.0", ["3.10", "3.11"])[1] == {"3.10"}


@pytest.mark.usefixtures("index")
def test_prereleases_count_only_where_an_end_is_one() -> None:
    assert found("2.9.0", "2.13.0")[0] == ["2.9.0", "2.12.0", "2.13.0"]
    assert found("2.13.0rc0", "2.9.0")[0] == ["2.13.0rc0", "2.12.0", "2.9.0"]


@pytest.mark.parametrize(
    ("name", "first", "last", "says"),
    [
        (
            "framework",
            "2.8.1",
            "2.12.0",
            "no release 2.8.1 of framework for Python 3.11, 3.10, 3.8; the nearest: 2.8.0 and 2.9",
        ),
        ("framework", "2.8.0", "99", "no release 99 of framework for Python 3.11, 3.10, 3.8; the nearest: 2.13.0"),
        ("framework", "1", "2.8.0", "the nearest: 2.4.0"),
        ("framework", "2.8", "2.8.0", "the same release"),
        ("framework", "1; rm -r .", "2.8.0", "'1; rm -r .' is no release"),
        ("framework", "2.8.0", "--pre", "'--pre' is no release"),
        ("nothing", "1", "2", "no release of nothing for Python 3.11, 3.10, 3.8"),
    ],
)
@pytest.mark.usefixtures("index")
def test_ends_between_which_nothing_can_be_searched_are_refused(name: str, first: str, last: str, says: str) -> None:
    with pytest.raises(NoRelease) as refused:
        between(name, first, last, THERE)
    assert says in str(refused.value)


@pytest.mark.parametrize(
    "text", ["--index-url=x", "-r", "a b; rm", "../x", "x @ file:///etc", "x[y]", "x==1", "x;y", " x", "x\n", ""]
)
def test_what_is_not_just_a_name_is_no_package(text: str) -> None:
    with pytest.raises(ValueError, match="is no name of a package"):
        distribution(text)


def test_a_name_is_known_by_its_canonical_form() -> None:
    assert distribution("TensorFlow_CPU") == "tensorflow-cpu"


@pytest.mark.parametrize(
    ("code", "answer", "said", "what"),
    [
        (0, '{"name": "a", "versions": ["1.1", "not one", "1.0"]}', "", ["1.1", "1.0"]),
        (1, "", "ERROR: No matching distribution found for a\n", []),
        (1, "", "WARNING: Retrying (Retry(total=0))\nERROR: No matching distribution found for a\n", "Retrying"),
        (2, "", "no such option: --json\x1b[31m\n", "no such option: --json [31m"),
        (0, "Available versions: 1.1", "", "pip answered b'Available"),
        (0, '["1.1"]', "", "pip answered"),
        (0, '{"versions": [1.1]}', "", "pip answered"),
        (0, "[" * 100_000, "", "pip answered"),
    ],
)
def test_what_pip_answers_is_checked(
    monkeypatch: pytest.MonkeyPatch, code: int, answer: str, said: str, what: list[str] | str
) -> None:
    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[bytes]:
        assert command[-2:] == ["--", "a"]
        return subprocess.CompletedProcess(command, code, answer.encode(), said.encode())

    monkeypatch.setattr(subprocess, "run", run)
    if isinstance(what, list):
        assert list(map(str, releases.listing("a", "3.9", False))) == what
    else:
        with pytest.raises(NoIndex) as refused:
            releases.listing("a", "3.9", False)
        assert what in str(refused.value)


@pytest.mark.parametrize("there", [None, "24.0"])
def test_without_a_pip_that_lists_releases_it_is_said_how_to_get_one(
    monkeypatch: pytest.MonkeyPatch, there: str | None
) -> None:
    def version(_: str) -> str:
        if there is None:
            raise releases.importlib.metadata.PackageNotFoundError
        return there

    monkeypatch.setattr(releases.importlib.metadata, "version", version)
    with pytest.raises(NoIndex, match=r"pip 25.1 or newer, .*; pip install 'bncheck\[environments\]'"):
        releases.listing("a", "3.9", False)
