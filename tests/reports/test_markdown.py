"""The summary for a job or a pull request, as a reader of GitHub's Markdown sees it."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from documents import cause, document, result, tensor
from hostile import documents, large
from hypothesis import given, settings
from markdown_it import MarkdownIt

from bncheck.document import Document, Expectation, Implementation, Stale
from bncheck.reports import markdown

RENDERER = MarkdownIt("commonmark").enable("table").enable("strikethrough")
OURS = {
    "h2",
    "h3",
    "p",
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "ul",
    "li",
    "pre",
    "code",
    "details",
    "summary",
    "b",
}


class Page(HTMLParser):
    """What is seen of a page: its text, its elements, its tables; elements must be closed as they were opened."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.shown = ""
        self.rows: list[list[str]] = []
        self._open: list[str] = []
        self.feed(RENDERER.render(source))
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)
        self._open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.shown += data
        if "tr" in self._open and self._open[-1] in ("td", "th"):
            self.rows[-1][-1] += data


def page(found: Document) -> Page:
    return Page(markdown.render(found))


def failing(message: str, case: str = "a", runner: str = "torch") -> Document:
    return document(result("fail", causes=[cause("epsilon", message)], case=case, runner=runner, tensors=[tensor()]))


def test_it_begins_with_what_came_of_it_and_what_ran() -> None:
    lines = markdown.render(document(result(), result(runner="keras"))).splitlines()
    assert lines[0] == "## \N{WHITE HEAVY CHECK MARK} bncheck: no discrepancies: 2 as requested"
    assert lines[2] == "1 case x 2 runners on cpu: 2 results"
    assert lines[4] == "| runner | version | pass | known | fail | error | unsupported |"
    assert lines[6] == "| keras | 1.0 | 1 | 0 | 0 | 0 | 0 |"


def test_what_did_not_run_is_told() -> None:
    absent = [Implementation(runner="jax", device="cpu", available=False, reason="jax not installed")]
    assert "\nNot run: jax: jax not installed\n" in markdown.render(document(result(), absent=absent))


def test_a_failure_has_its_cause_its_errors_and_its_command_folded_below_its_name() -> None:
    text = markdown.render(failing("1e-05 used, 0 requested."))
    assert text.startswith("## \N{CROSS MARK} bncheck: 1 discrepancy\n")
    assert text[text.index("### Failed") :] == (
        "### Failed or in error: 1\n\n"
        "<details><summary><b>epsilon</b>: <code>a</code> on <code>torch</code>, 20 x the bound</summary>\n\n"
        "- 1e-05 used, 0 requested.\n\n"
        "| case | runner | tensor | error | x bound | at | is | should be |\n"
        "| --- | --- | --- | --: | --: | --- | --- | --- |\n"
        "| a | torch | output | 6.0e-05 | 20 | - | - | - |\n\n"
        "```sh\nbncheck repro a torch --cases c.yaml\n```\n\n"
        "</details>\n"
    )


def test_failures_come_before_what_is_stale_known_and_expected_which_are_grouped() -> None:
    known = [result("known", causes=[cause("mode", source="the manual")], case=f"k{n}") for n in range(3)]
    entry = Expectation(source="e.yaml:3:1", reason="it is so")
    found = document(
        *known,
        *[result("known", "epsilon", case=f"x{n}", expectation=entry) for n in range(2)],
        result("error", error="killed", case="z"),
        stale=[Stale(source="e.yaml:9:1", entry="torch, y", message="now passes")],
    )
    text = markdown.render(found)
    heads = ["### Failed or in error: 1", "### Stale expectations: 1", "Known: 3 results", "Expected: 2 results"]
    assert sorted(heads, key=text.index) == heads
    rows = page(found).rows
    assert ["torch", "mode", "3", "-", "None", "the manual"] in rows
    assert ["torch", "epsilon", "2", "e.yaml:3:1", "it is so"] in rows
    assert ["e.yaml:9:1", "torch, y", "now passes"] in rows


def test_failures_that_are_alike_are_told_once() -> None:
    found = document(*[result("error", error=f"killed after {n} s", case=f"c{n:02}") for n in range(40)])
    text = markdown.render(found)
    assert text.count("<details>") == 1
    assert "<code>c00</code> on <code>torch</code> and 39 more</summary>" in text
    assert "\nand 30 more results\n" in text


def test_text_that_is_markdown_or_html_is_shown_as_it_is() -> None:
    said = "a|b `c` *d* _e_ <b>f</b> &amp; [g](h) ~~i~~ \\| # j"
    seen = page(failing(said, case="x|<i>`*y*", runner="r|<i>"))
    assert said in seen.shown
    assert "x|<i>`*y*" in seen.shown
    assert [row[:2] for row in seen.rows if "output" in row] == [["x|<i>`*y*", "r|<i>"]]
    assert set(seen.tags) <= OURS


@settings(max_examples=100, deadline=None)
@given(documents())
def test_whatever_a_document_says_it_adds_no_markup_and_breaks_no_table(found: Document) -> None:
    seen = page(found)
    assert set(seen.tags) <= OURS
    assert {len(row) for row in seen.rows} <= {3, 5, 6, 7, 8}
    for result_ in found.results:
        if result_.error and result_.error.isprintable():
            assert " ".join(result_.error.split()) in re.sub(r"\s+", " ", seen.shown)


def test_very_many_failures_are_counted() -> None:
    found = large()
    text = markdown.render(found)
    assert len(text.encode()) < 65_536
    left = re.search(r"^and ([0-9,]+) more results, in [0-9,]+ other ways$", text, re.MULTILINE)
    assert left is not None
    assert 500 < int(left[1].replace(",", "")) < 1000
    assert page(found).tags.count("details") > 50


def test_it_stays_short_whatever_there_is() -> None:
    long = "x" * 100_000
    found = document(
        *[
            result(
                "fail", causes=[cause("epsilon", f"{long}{n}{m}") for m in range(50)], case=f"{long}{n}", runner=long
            )
            for n in range(60)
        ],
        stale=[Stale(source=long, entry=long, message=long)] * 300,
    )
    assert len(markdown.render(found).encode()) < 500_000


def test_an_empty_document_says_that_nothing_was_judged() -> None:
    assert markdown.render(document()) == (
        "## \N{WHITE CIRCLE} bncheck: nothing was judged\n\n0 cases x 0 runners on cpu: 0 results\n"
    )


def test_a_run_that_was_cut_short_says_so() -> None:
    text = markdown.render(document(result(), cut_short=True))
    assert text.startswith("## \N{CROSS MARK} bncheck: cut short after 1 result\n")
