"""What CI servers read as tests."""

from __future__ import annotations

import io
from pathlib import Path
from xml.etree import ElementTree as ET

import junitparser
import pytest
import xmlschema
from documents import cause, document, result, tensor
from hostile import documents, large
from hypothesis import given, settings

from bncheck.document import Document, Documented, Expectation, Stale
from bncheck.reports import junit

SCHEMA = xmlschema.XMLSchema(Path(__file__).parent / "schemas" / "junit-10.xsd")


def suites(found: Document) -> dict[str, ET.Element]:
    """The test suites by name; the text must fit the schema of Jenkins."""
    text = junit.render(found)
    SCHEMA.validate(io.StringIO(text.partition("\n")[2]))
    return {suite.attrib["name"]: suite for suite in ET.fromstring(text.encode())}


def testcases(found: Document) -> list[ET.Element]:
    return [testcase for suite in suites(found).values() for testcase in suite.iter("testcase")]


testcases.__test__ = False  # type: ignore[attr-defined]


def test_each_implementation_is_a_suite_with_its_version_and_counts() -> None:
    found = suites(document(result(), result("fail", "epsilon", case="b"), result(runner="keras", device="gpu")))
    assert list(found) == ["keras on gpu", "torch on cpu"]
    torch = found["torch on cpu"]
    assert {p.attrib["name"]: p.attrib["value"] for p in torch.iter("property")} == {
        "bncheck": "0.1.0",
        "device": "cpu",
        "version": "1.0",
    }
    assert [torch.attrib[name] for name in ("tests", "failures", "errors", "skipped")] == ["2", "1", "0", "0"]


def test_each_result_is_a_test_case_that_no_other_shares_its_class_and_name_with() -> None:
    found = testcases(document(result(seconds=0.0123), result(runner="keras"), result(device="gpu")))
    assert [(t.attrib["classname"], t.attrib["name"]) for t in found] == [
        ("keras", "a"),
        ("torch", "a"),
        ("torch on gpu", "a"),
    ]
    assert found[1].attrib["time"] == "0.012"


def test_a_failure_has_its_cause_for_a_type_and_all_that_is_known_of_it_in_its_text() -> None:
    failing = result("fail", causes=[cause("epsilon", "1e-05 used, 0 requested."), cause("mode")], tensors=[tensor()])
    (testcase,) = testcases(document(failing))
    (failure,) = testcase.iter("failure")
    assert failure.attrib == {"type": "epsilon", "message": "epsilon: 1e-05 used, 0 requested."}
    assert failure.text is not None
    assert failure.text.splitlines() == [
        "c.yaml:1: t",
        "",
        "epsilon: 1e-05 used, 0 requested.",
        "mode: Said of it.",
        "",
        "tensor    error  x bound  at  is  should be",
        "output  6.0e-05       20  -   -   -",
        "",
        "Reproduce: bncheck repro a torch --cases c.yaml",
    ]


def test_an_error_is_an_error_and_what_is_unsupported_is_skipped_with_the_reason() -> None:
    error, skipped = testcases(
        document(result("error", error="killed\nby SIGSEGV"), result("unsupported", case="b", reason="no axis 2"))
    )
    assert [(e.attrib["type"], e.attrib["message"]) for e in error.iter("error")] == [("error", "killed by SIGSEGV")]
    assert [s.attrib["message"] for s in skipped.iter("skipped")] == ["no axis 2"]


def test_what_is_known_or_expected_passes_and_says_why() -> None:
    documented = result("known", "mode", documented=Documented(source="the manual", differs=["mode"]))
    entry = Expectation(source="e.yaml:3:1", reason="it is so", link="https://a")
    first, second = testcases(document(documented, result("known", "mode", case="b", expectation=entry)))
    assert (first.find("failure"), second.find("failure")) == (None, None)
    assert first.findtext("system-out") == "documented: the manual\nmode: Said of it."
    assert second.findtext("system-out") == "expected by e.yaml:3:1: it is so\nhttps://a"


def test_stale_expectations_fail_in_a_suite_of_their_own() -> None:
    found = suites(document(result(), stale=[Stale(source="e.yaml:3:1", entry="torch, a", message="now passes")]))
    (testcase,) = found["expectations"].iter("testcase")
    assert testcase.attrib["name"] == "e.yaml:3:1 torch, a"
    assert [f.attrib["message"] for f in testcase.iter("failure")] == ["now passes"]


def test_a_run_that_was_cut_short_fails() -> None:
    found = suites(document(result(), cut_short=True))
    assert [f.attrib["message"] for f in found["run"].iter("failure")] == ["cut short after 1 result"]


@settings(max_examples=50, deadline=None)
@given(documents())
def test_whatever_a_document_says_it_is_valid_xml(found: Document) -> None:
    assert len(testcases(found)) == len(found.results) + len(found.stale) + found.cut_short


def test_control_characters_are_written_as_escapes() -> None:
    (testcase,) = testcases(document(result("error", error="\x1b[31mred\x00\ud800")))
    assert [e.attrib["message"] for e in testcase.iter("error")] == [r"\x1b[31mred\x00\ud800"]


@pytest.mark.parametrize(("found", "count"), [(document(), 0), (large(), 3000)], ids=["empty", "large"])
def test_readers_count_what_is_there(found: Document, count: int) -> None:
    read = junitparser.JUnitXml.fromstring(junit.render(found).encode())
    assert sum(len(list(suite)) for suite in read) == read.tests == count
