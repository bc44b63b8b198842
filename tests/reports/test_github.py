"""GitHub's annotations."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pytest
from documents import cause, document, result, tensor
from hostile import documents, large
from hypothesis import given, settings

from bncheck.document import Document, Stale
from bncheck.reports import github

COMMAND = re.compile(r"::(error|warning|notice) (\S[^:]*)::([^\r\n]*)")


class Annotation(NamedTuple):
    command: str
    properties: dict[str, str]
    message: str


def annotations(found: Document) -> list[Annotation]:
    """What GitHub's runner reads, which takes any line that it does not understand for output."""
    lines = github.render(found).removesuffix("\n").split("\n")
    read = []
    for line in lines:
        command = COMMAND.fullmatch(line)
        assert command is not None, line
        properties = dict(part.split("=", 1) for part in command[2].split(","))
        read.append(Annotation(command[1], {k: unescaped(v) for k, v in properties.items()}, unescaped(command[3])))
    return read


def unescaped(text: str) -> str:
    for code, character in (("%2C", ","), ("%3A", ":"), ("%0A", "\n"), ("%0D", "\r"), ("%25", "%")):
        text = text.replace(code, character)
    return text


def placed(found: Document, **files: tuple[str, int]) -> Document:
    """A document whose cases stand in files, on lines."""
    cases = [
        case.model_copy(update=dict(zip(("file", "line"), files.get(case.id, ("cases/c.yaml", 1)), strict=True)))
        for case in found.cases
    ]
    return found.model_copy(update={"cases": cases})


def test_a_failure_is_an_error_on_the_line_of_its_case() -> None:
    failing = result("fail", causes=[cause("epsilon", "1e-05 used, 0 requested: 100 % off.")], tensors=[tensor()])
    error, _ = annotations(placed(document(failing), a=("cases/a.yaml", 7)))
    assert error == Annotation(
        "error",
        {"file": "cases/a.yaml", "line": "7", "title": "epsilon: a on torch"},
        "1e-05 used, 0 requested: 100 % off.\noutput is off by 6.0e-05, 20 x the bound.\n"
        "Reproduce: bncheck repro a torch",
    )


def test_commands_are_escaped_as_github_reads_them() -> None:
    failing = result("fail", causes=[cause("epsilon", "50 %")], case="a[axis=-1,b=c:d]")
    text = github.render(placed(document(failing, versions={"torch": "k.py:f"})))
    assert text.startswith("::error file=cases/c.yaml,line=1,title=epsilon%3A a[axis=-1%2Cb=c%3Ad] on torch::50 %25%0A")


def test_what_fails_alike_in_one_file_is_one_annotation_on_the_line_of_the_worst() -> None:
    cells = [
        result("fail", "epsilon", case=f"a[{n}]", runner=runner, tensors=[tensor(times=n + 2.0)])
        for n in range(4)
        for runner in ("keras", "torch")
    ]
    found = placed(document(*cells), **{f"a[{n}]": ("cases/a.yaml", 10 + n) for n in range(4)})
    error, _ = annotations(found)
    assert error.properties == {"file": "cases/a.yaml", "line": "13", "title": "epsilon: a[3] on keras"}
    assert "Likewise: a[3] on torch, a[2] on keras, a[2] on torch, a[1] on keras, a[1] on torch and 2 more." in (
        error.message
    )


def test_an_error_of_a_runner_is_one_annotation_whatever_files_it_is_in() -> None:
    found = document(*[result("error", error=f"killed after {n} s", case=f"c{n}") for n in range(5)])
    error, _ = annotations(placed(found, **{f"c{n}": (f"cases/{n}.yaml", 1) for n in range(5)}))
    assert error.properties["title"] == "error: c0 on torch"
    assert error.message.startswith("killed after 0 s\nLikewise: c1 on torch, ")


def test_the_most_telling_come_first() -> None:
    found = document(
        result("fail", "unexplained", case="u"),
        *[result("fail", "epsilon", case=f"e{n}") for n in range(3)],
        *[result("fail", "mode", case=f"m{n}") for n in range(2)],
        result("error", error="killed", case="x"),
    )
    files = {case.id: (f"cases/{case.id[0]}.yaml" if case.id != "e2" else "cases/z.yaml", 1) for case in found.cases}
    titles = [a.properties["title"] for a in annotations(placed(found, **files)) if a.command == "error"]
    assert titles == [
        "error: x on torch",
        "epsilon: e0 on torch",
        "mode: m0 on torch",
        "unexplained: u on torch",
        "epsilon: e2 on torch",
    ]


def test_ten_errors_and_ten_warnings_are_given_and_the_rest_is_counted_in_the_notice() -> None:
    stale = [Stale(source=f"e.yaml:{n}:1", entry="torch, a", message="now passes") for n in range(1, 13)]
    found = document(*[result("fail", "mode", case=f"c{n:02}") for n in range(13)], stale=stale)
    given = annotations(placed(found, **{f"c{n:02}": (f"cases/{n}.yaml", 1) for n in range(13)}))
    assert [a.command for a in given] == ["error"] * 10 + ["warning"] * 10 + ["notice"]
    assert given[-1].message.splitlines() == [
        "13 cases x 1 runner on cpu: 13 results; 13 discrepancies, 12 stale expectations",
        "Without an annotation: 3 more results that fail",
        "Without an annotation: 2 more stale expectations",
    ]


def test_a_stale_expectation_is_a_warning_on_its_line() -> None:
    found = document(stale=[Stale(source="cases/e.yaml:3:1", entry="torch, a", message="now passes; remove it")])
    warning, _ = annotations(found)
    assert warning == Annotation(
        "warning",
        {"file": "cases/e.yaml", "line": "3", "title": "Stale expectation"},
        "torch, a: now passes; remove it",
    )


def test_what_is_known_is_counted_and_not_annotated() -> None:
    (notice,) = annotations(document(result("known", "mode"), result(case="b")))
    assert notice == Annotation(
        "notice",
        {"title": "bncheck"},
        "2 cases x 1 runner on cpu: 2 results; no discrepancies: 1 as requested, 1 as documented",
    )


def test_files_are_named_from_the_root_of_the_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    below = tmp_path / "repository" / "sub"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path / "repository"))
    found = document(result("fail", "mode"))
    for file, named in [
        ("cases/a.yaml", "sub/cases/a.yaml"),
        (str(below / "a.yaml"), "sub/a.yaml"),
        ("../../elsewhere/a.yaml", None),
    ]:
        assert annotations(placed(found, a=(file, 1)))[0].properties.get("file") == named


def test_an_annotation_of_a_file_elsewhere_has_no_place() -> None:
    error, _ = annotations(placed(document(result("fail", "mode")), a=("/usr/lib/bncheck/cases/a.yaml", 3)))
    assert error.properties == {"title": "mode: a on torch"}


@settings(max_examples=50, deadline=None)
@given(documents())
def test_whatever_a_document_says_it_gives_no_other_commands(found: Document) -> None:
    given = [a.command for a in annotations(found)]
    assert given == sorted(given, key=["error", "warning", "notice"].index)
    assert given.count("warning") == len(found.stale)
    assert (given.count("error") > 0) == any(r.verdict in ("fail", "error") for r in found.results)


def test_of_very_many_failures_ten_are_annotated() -> None:
    *errors, notice = annotations(large())
    assert len(errors) == 10
    assert [e.properties["title"].split(":")[0] for e in errors[:4]] == ["error", "epsilon", "mode", "axis"]
    assert "2,000" not in errors[0].message
    assert "more results that fail" in notice.message


def test_an_empty_document_gives_a_notice() -> None:
    (notice,) = annotations(document())
    assert notice.message == "0 cases x 0 runners on cpu: 0 results; nothing was judged"
