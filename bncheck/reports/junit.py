"""JUnit XML, which CI servers show as tests: a suite for each implementation, a test case for each result.

It fits the schema of Jenkins' xUnit plugin, ``junit-10.xsd``, which has no file and no line of a test case: they stand
in its text. The class of a test case is its runner, because GitLab takes two of one class and name for one test.
"""

from __future__ import annotations

import io
import re
import shlex
from collections import defaultdict

import junitparser
from junitparser import xunit2

from bncheck.document import CaseRecord, Document, Result
from bncheck.reports import reproduce, table
from bncheck.reports.result import sentences, subject, told

_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(document: Document) -> str:
    """The XML. What XML cannot hold of a text, control characters say, is written as an escape."""
    cases = {case.id: case for case in document.cases}
    results: dict[tuple[str, str], list[Result]] = defaultdict(list)
    for result in document.results:
        results[result.runner, result.device].append(result)
    versions = {(i.runner, i.device): i.version for i in document.implementations}
    whole = xunit2.JUnitXml("bncheck")
    for (runner, device), of_one in results.items():
        suite = _suite(f"{runner} on {device}", document)
        suite.add_property("device", _text(device))
        suite.add_property("version", _text(versions.get((runner, device)) or "unknown"))
        suite.add_testcases([_testcase(document, cases.get(r.case), r) for r in of_one])
        whole.append(suite)
    if document.stale:
        suite = _suite("expectations", document)
        suite.add_testcases(
            [_failing("expectations", f"{s.source} {s.entry}", "stale", s.message, s.message) for s in document.stale]
        )
        whole.append(suite)
    if document.cut_short:
        suite = _suite("run", document)
        suite.add_testcases([_failing("run", "the whole run", "cut short", table.outcome(document), "")])
        whole.append(suite)
    whole.update_statistics()
    written = io.BytesIO()
    whole.write(written)
    return written.getvalue().decode("utf-8") + "\n"


def _suite(name: str, document: Document) -> xunit2.TestSuite:
    suite = xunit2.TestSuite(_text(name))
    suite.timestamp = _text(document.started)
    suite.add_property("bncheck", _text(document.bncheck))
    return suite


def _testcase(document: Document, record: CaseRecord | None, result: Result) -> xunit2.TestCase:
    testcase = xunit2.TestCase(_text(result.case), _text(subject(result)), round(result.seconds, 3))
    if result.verdict == "fail":
        kind, message = (*result.kinds, "fail")[0], (*sentences(result.causes), "fails")[0]
        testcase.append(_answer(junitparser.Failure, kind, message, _words(document, record, result)))
    elif result.verdict == "error":
        testcase.append(_answer(junitparser.Error, "error", result.error or "error", _words(document, record, result)))
    elif result.verdict == "unsupported":
        testcase.append(_answer(junitparser.Skipped, "unsupported", result.reason or "unsupported", ""))
    elif result.verdict == "known":
        testcase.system_out = _text(_known(result))
    return testcase


def _failing(classname: str, name: str, kind: str, message: str, text: str) -> xunit2.TestCase:
    testcase = xunit2.TestCase(_text(name), classname, 0.0)
    testcase.append(_answer(junitparser.Failure, kind, message, text))
    return testcase


Answer = junitparser.Failure | junitparser.Error | junitparser.Skipped


def _answer(answer: type[Answer], kind: str, message: str, text: str) -> Answer:
    made = answer(_text(" ".join(message.split())), _text(kind))
    if text:
        made.text = _text(text)
    return made


def _words(document: Document, record: CaseRecord | None, result: Result) -> str:
    """Where the case stands, what came of it, and how to see it again."""
    parts = [f"{record.file}:{record.line}: {record.title}"] if record else []
    parts.append(told(result.tensors, result.causes, result.notes, said=result.error))
    if words := reproduce.command(document, result):
        parts.append(f"Reproduce: {shlex.join(words)}")
    return "\n\n".join(part for part in parts if part)


def _known(result: Result) -> str:
    """Why it passes although it is not as requested."""
    if (entry := result.expectation) is not None:
        return "\n".join([f"expected by {entry.source}: {entry.reason}", *([entry.link] if entry.link else [])])
    source = [f"documented: {result.documented.source}"] if result.documented else []
    return "\n".join([*source, *sentences(result.causes, named=True)])


def _text(text: str) -> str:
    return _NO_XML.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
