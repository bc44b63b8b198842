"""What code scanning reads as alerts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import jsonschema
import pytest
from documents import cause, document, result, tensor
from hostile import documents, large
from hypothesis import given, settings

from bncheck.causes import CauseKind
from bncheck.document import Document, Expectation, Stale
from bncheck.reports import sarif

SCHEMA = jsonschema.Draft4Validator(
    json.loads((Path(__file__).parent / "schemas" / "sarif-2.1.0-rtm.5.json").read_text(encoding="utf-8"))
)


def run_of(found: Document, *, validate: bool = True) -> dict[str, Any]:
    """The one run of the log, which must fit the schema of SARIF 2.1.0."""

    def refused(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    log = json.loads(sarif.render(found), parse_constant=refused)
    if validate:
        SCHEMA.validate(log)
    (run,) = log["runs"]
    return dict(run)


def results_of(found: Document) -> list[dict[str, Any]]:
    return list(run_of(found)["results"])


def place_of(result: dict[str, Any]) -> tuple[str, str | None, int]:
    place = result["locations"][0]["physicalLocation"]
    artifact = place["artifactLocation"]
    return artifact["uri"], artifact.get("uriBaseId"), place["region"]["startLine"]


def standing(found: Document, file: str, line: int = 1) -> Document:
    """A document whose cases stand in a file, on a line."""
    return found.model_copy(
        update={"cases": [case.model_copy(update={"file": file, "line": line}) for case in found.cases]}
    )


def test_every_kind_of_cause_is_a_rule_that_says_what_it_is() -> None:
    driver = run_of(document())["tool"]["driver"]
    assert (driver["name"], driver["version"]) == ("bncheck", "0.1.0")
    assert {rule["id"] for rule in driver["rules"]} == {*get_args(CauseKind), "fail", "error", "stale-expectation"}
    for rule in driver["rules"]:
        assert rule["help"]["text"].startswith(rule["fullDescription"]["text"])
        assert rule["shortDescription"]["text"].endswith(".")


def test_a_failure_is_an_error_of_its_first_cause_on_the_line_of_its_case() -> None:
    causes = [cause("epsilon", "1e-05 used, 0 requested."), cause("mode", "The batch's.")]
    run = run_of(standing(document(result("fail", causes=causes, tensors=[tensor()])), "cases/a b.yaml", 7))
    (found,) = run["results"]
    assert (found["ruleId"], found["level"]) == ("epsilon", "error")
    assert run["tool"]["driver"]["rules"][found["ruleIndex"]]["id"] == "epsilon"
    assert place_of(found) == ("cases/a%20b.yaml", "%SRCROOT%", 7)
    assert found["message"]["text"].splitlines() == [
        "a on torch: epsilon: 1e-05 used, 0 requested. mode: The batch's.",
        "output is off by 20 x the bound.",
        "Reproduce: bncheck repro a torch --cases 'cases/a b.yaml'",
    ]
    assert found["properties"] == {
        "case": "a",
        "runner": "torch",
        "device": "cpu",
        "causes": ["epsilon", "mode"],
        "boundRatio": 20.0,
    }


def test_an_error_is_an_error() -> None:
    (found,) = results_of(document(result("error", error="killed by SIGSEGV")))
    assert (found["ruleId"], found["level"]) == ("error", "error")
    assert found["message"]["text"].startswith("a on torch: killed by SIGSEGV\n")


def test_a_stale_expectation_is_a_warning_on_its_line() -> None:
    (found,) = results_of(document(stale=[Stale(source="cases/e.yaml:3:1", entry="torch, a", message="now passes")]))
    assert (found["ruleId"], found["level"], place_of(found)) == (
        "stale-expectation",
        "warning",
        ("cases/e.yaml", "%SRCROOT%", 3),
    )


def test_a_green_run_raises_no_alert_and_counts_what_is_known() -> None:
    entry = Expectation(source="e.yaml:3:1", reason="it is so")
    run = run_of(
        document(result(), result("known", "mode", case="b"), result("known", "mode", case="c", expectation=entry))
    )
    assert run["results"] == []
    assert run["properties"] == {"pass": 1, "known": 2, "fail": 0, "unsupported": 0, "error": 0}


def test_a_result_keeps_its_fingerprint_while_its_words_numbers_and_line_change() -> None:
    def fingerprints(*results: Any, line: int = 1) -> list[dict[str, str]]:
        return [found["partialFingerprints"] for found in results_of(standing(document(*results), "c.yaml", line))]

    before = fingerprints(result("fail", "epsilon", tensors=[tensor(times=5.0)]))
    assert fingerprints(result("fail", causes=[cause("epsilon", "Else.")]), line=9) == before
    others = [
        result("fail", "epsilon", case="b"),
        result("fail", "epsilon", runner="keras"),
        result("fail", "epsilon", device="gpu"),
        result("fail", "mode"),
        result("error", error="killed"),
    ]
    assert all(fingerprints(other) != before for other in others)


def test_a_file_elsewhere_is_named_in_full() -> None:
    (found,) = results_of(standing(document(result("fail", "mode")), "/usr/lib/bncheck/cases/a.yaml"))
    assert place_of(found) == ("file:///usr/lib/bncheck/cases/a.yaml", None, 1)


@pytest.mark.parametrize("times", [float("inf"), float("nan")])
def test_numbers_that_are_not_finite_are_written_as_strings(times: float) -> None:
    (found,) = results_of(document(result("fail", "mode", tensors=[tensor(times=times)])))
    assert found["properties"]["boundRatio"] == str(times)


def test_a_run_that_was_cut_short_says_that_it_was_not_successful() -> None:
    (invocation,) = run_of(document(result(), cut_short=True))["invocations"]
    assert invocation["executionSuccessful"] is False
    assert [n["message"]["text"] for n in invocation["toolExecutionNotifications"]] == ["cut short after 1 result"]
    (invocation,) = run_of(document(result()))["invocations"]
    assert invocation == {"executionSuccessful": True, "toolExecutionNotifications": []}


@settings(max_examples=50, deadline=None)
@given(documents())
def test_whatever_a_document_says_it_fits_the_schema(found: Document) -> None:
    failed = [r for r in found.results if r.verdict in ("fail", "error")]
    assert len(results_of(found)) == len(failed) + len(found.stale)


def test_very_many_failures_are_all_there() -> None:
    assert len(run_of(large(), validate=False)["results"]) == 2000
