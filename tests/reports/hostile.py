"""Documents that no run made: texts that are markup, commands and control characters, and very many results."""

from __future__ import annotations

from functools import cache

from documents import document, result, tensor
from hypothesis import strategies as st

from bncheck.document import Cause, Document, Documented, Expectation, Result, Stale

NASTY = [
    "</testcase>]]><script>alert(1)</script>",
    "a|b\\|c `code` ```\n# heading\n- item\n1. one",
    "\x00\x1b[31mred\x1b[0m\x07\ufffe",
    "::error file=x::owned\r\n::set-output name=a::b",
    "50% of a,b:c%0A",
    "</details><b>&amp;*bold*_it_ ~~gone~~ $x$ [l](http://a)",
    "2. second",
    "\u2028\u202eright to left \U0001f4a3",
    "",
]
texts = st.one_of(st.sampled_from(NASTY), st.text(max_size=30))
numbers = st.one_of(st.none(), st.floats(), st.sampled_from([0.5, 21.0]))
kinds = st.sampled_from(["epsilon", "momentum", "accumulation", "unexplained", "refused"])


@st.composite
def results(draw: st.DrawFn) -> Result:
    verdict = draw(st.sampled_from(["pass", "known", "fail", "unsupported", "error"]))
    name = st.sampled_from(["output", "moving_mean"])
    causes = st.builds(Cause, kind=kinds, message=texts, source=st.none() | texts, alternative=st.booleans())
    entry = st.builds(Expectation, source=texts, reason=texts, link=st.none() | texts)
    return result(
        verdict,
        case=draw(texts),
        runner=draw(texts),
        device=draw(st.sampled_from(["cpu", "gpu"])),
        tensors=[tensor(draw(numbers), draw(numbers), draw(name)) for _ in range(draw(st.integers(0, 2)))],
        causes=draw(st.lists(causes, max_size=2)) if verdict in ("fail", "known") else [],
        notes=draw(st.lists(texts, max_size=1)),
        documented=draw(st.none() | st.builds(Documented, source=texts, differs=st.just([]))),
        expectation=draw(st.none() | entry) if verdict == "known" else None,
        error=draw(texts) if verdict == "error" else None,
        reason=draw(texts) if verdict == "unsupported" else None,
        seconds=draw(st.floats(0, 1e4)),
    )


@st.composite
def documents(draw: st.DrawFn) -> Document:
    """A document whose every text is hostile, cut short or not."""
    made = document(
        *draw(st.lists(results(), max_size=4)),
        stale=draw(st.lists(st.builds(Stale, source=texts, entry=texts, message=texts), max_size=2)),
        cut_short=draw(st.booleans()),
    )
    file, line, title = draw(texts), draw(st.integers(-1, 9)), draw(texts)
    cases = [case.model_copy(update={"file": file, "line": line, "title": title}) for case in made.cases]
    return made.model_copy(update={"cases": cases[draw(st.integers(0, 1)) :]})


@cache
def large() -> Document:
    """3,000 results of 1,000 case files on three runners, of which two thirds fail or are in error."""
    made = document(
        *[
            result(
                *answer,
                case=f"folder/case-{n:04}",
                runner=runner,
                tensors=[tensor()],
                error=f"killed after {n} s" if answer == ("error",) else None,
            )
            for n in range(1000)
            for runner, answer in (("a", ()), ("b", ("fail", ["epsilon", "mode", "axis"][n % 3])), ("c", ("error",)))
        ]
    )
    cases = [case.model_copy(update={"file": f"cases/{case.id}.yaml"}) for case in made.cases]
    return made.model_copy(update={"cases": cases})
