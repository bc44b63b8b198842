"""SARIF 2.1.0, which code scanning reads: a rule for each kind of cause, a result for each failure.

What differs as documented or fails as expected is left out: readers make an alert of every result, GitHub also of those
that are suppressed, and a run that is green should raise none. How many there are stands in the run's properties.
"""

from __future__ import annotations

import hashlib
import math
import shlex
from pathlib import PurePosixPath, PureWindowsPath
from urllib.parse import quote

import sarif_pydantic as sarif

from bncheck.causes import CauseKind
from bncheck.document import Document, Result, Stale
from bncheck.reports import reproduce, table
from bncheck.reports.places import below_root, place
from bncheck.reports.result import ratio, sentences, subject, worst

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
ROOT = "%SRCROOT%"

CAUSES: dict[CauseKind, tuple[str, str]] = {
    "epsilon": ("Another epsilon", "A default, a minimum or a rounded epsilon was used, not the one requested."),
    "epsilon-placement": ("Epsilon elsewhere", "Epsilon was added outside the root, or is a floor on the variance."),
    "axis": ("Other axes", "Statistics were kept along other axes, or memory was read in another order of axes."),
    "batch-variance": ("Another batch variance", "The batch was normalized by the other variance: biased or unbiased."),
    "moving-variance": ("Another moving variance", "The moving variance took the other variance: biased or unbiased."),
    "momentum": ("Another momentum", "The old and the new moving statistics have other weights, perhaps exchanged."),
    "moving-update": ("Another update", "Moving statistics were not updated, updated twice, or mixed up."),
    "mode": ("Another mode", "The batch's statistics were used for the moving ones, or the reverse."),
    "parameters": ("Other parameters", "Gamma, beta, mean or variance was ignored, altered or taken for another."),
    "precision": ("Fewer bits", "Arithmetic was done in fewer bits than was requested or documented."),
    "accumulation": ("Long sums", "Long sums drifted by more than summation in this precision explains."),
    "cancellation": ("Cancellation", "The variance was computed as E[x^2] - E[x]^2, which cancels far from zero."),
    "nonfinite": ("Not a finite number", "NaN or infinity came where a number is due."),
    "shape": ("Another shape", "A tensor came back in another shape."),
    "dtype": ("Another dtype", "A tensor came back in another dtype."),
    "gradient": ("Another gradient", "A gradient differs while what it is the gradient of does not."),
    "refused": ("Refused", "The call raised an exception, and no documentation says that it would."),
    "nondeterministic": ("Not repeatable", "Equal calls gave unequal results."),
    "documentation": ("Not as documented", "The result is as requested, but something else is documented."),
    "unexplained": ("Unexplained", "The result differs, and no reading of batch normalization explains it."),
}
OTHERS = {
    "fail": ("Failure", "The result differs from what is due."),
    "error": ("Error", "The process crashed, hung, or answered nonsense."),
    "stale-expectation": ("Stale expectation", "An entry of an expectations file no longer holds."),
}
HELP = (
    "Make it a script without bncheck: bncheck repro CASE RUNNER. What is to stay for now is written into"
    " expectations.yaml: bncheck run --update-expectations."
)
RULES = [*CAUSES, *OTHERS]


def render(document: Document) -> str:
    """The log. A result is identified by its case, runner, device and first kind of cause."""
    cases = {case.id: case for case in document.cases}
    places = {case.id: (case.file, case.line) for case in cases.values()}
    found = [
        _result(document, result, *places.get(result.case, (None, 1)))
        for result in document.results
        if result.verdict in ("fail", "error")
    ]
    log = sarif.Sarif(
        schema_uri=SCHEMA,
        runs=[
            sarif.Run(
                tool=sarif.Tool(driver=_driver(document)),
                original_uri_base_ids={ROOT: {"description": {"text": "The root of the repository."}}},
                invocations=[_invocation(document)],
                results=[*found, *map(_stale, document.stale)],
                properties=document.summary.model_dump(by_alias=True),
            )
        ],
    )
    return str(log.model_dump_json(by_alias=True, exclude_none=True, indent=1)) + "\n"


def _driver(document: Document) -> sarif.ToolDriver:
    rules = [
        sarif.ReportingDescriptor(
            id=name,
            short_description=sarif.Message(text=f"{short}."),
            full_description=sarif.Message(text=full),
            help=sarif.Message(text=f"{full} {HELP}"),
            default_configuration={"level": "warning" if name == "stale-expectation" else "error"},
        )
        for name, (short, full) in [*CAUSES.items(), *OTHERS.items()]
    ]
    return sarif.ToolDriver(name="bncheck", version=document.bncheck, rules=rules)


def _invocation(document: Document) -> dict[str, object]:
    """Whether the run came to its end."""
    said = {"level": "error", "message": {"text": table.outcome(document)}}
    notes = [said] if document.cut_short else []
    return {"executionSuccessful": not document.cut_short, "toolExecutionNotifications": notes}


def _result(document: Document, result: Result, file: str | None, line: int) -> sarif.Result:
    kind = "error" if result.verdict == "error" else (*result.kinds, "fail")[0]
    tensor = worst(result)
    times = tensor.bound_ratio if tensor else None
    said = [result.error or "error"] if result.verdict == "error" else sentences(result.causes)
    text = [f"{result.case} on {subject(result)}: {' '.join(said)}"]
    text += [f"{tensor.name} is off by {ratio(times)} x the bound."] if tensor and times is not None else []
    if words := reproduce.command(document, result):
        text.append(f"Reproduce: {shlex.join(words)}")
    about: dict[str, object] = {"case": result.case, "runner": result.runner, "device": result.device}
    if times is not None:
        about["boundRatio"] = times if math.isfinite(times) else str(times)
    if result.kinds:
        about["causes"] = list(result.kinds)
    return sarif.Result(
        rule_id=kind,
        rule_index=RULES.index(kind),
        level="error",
        message=sarif.Message(text="\n".join(text)),
        locations=[_location(file, line)] if file else None,
        partial_fingerprints={"bncheck/v1": _fingerprint(result.case, result.runner, result.device, kind)},
        properties=about,
    )


def _stale(stale: Stale) -> sarif.Result:
    rule = "stale-expectation"
    return sarif.Result(
        rule_id=rule,
        rule_index=RULES.index(rule),
        level="warning",
        message=sarif.Message(text=f"{stale.entry}: {stale.message}"),
        locations=[_location(*place(stale.source))],
        partial_fingerprints={"bncheck/v1": _fingerprint(stale.entry, rule)},
    )


def _location(file: str, line: int) -> dict[str, object]:
    """By the root of the repository, if it is below it."""
    below = below_root(file)
    artifact = {"uri": quote(below), "uriBaseId": ROOT} if below else {"uri": _absolute(file)}
    return {"physicalLocation": {"artifactLocation": artifact, "region": {"startLine": max(line, 1)}}}


def _absolute(file: str) -> str:
    windows = PureWindowsPath(file)
    return windows.as_uri() if windows.drive else PurePosixPath("/", file).as_uri()


def _fingerprint(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]
