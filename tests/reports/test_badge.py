"""The badge for a README."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from documents import document, result
from hostile import documents, large
from hypothesis import given, settings

from bncheck.document import Document, Stale
from bncheck.reports import badge

STALE = [Stale(source="e.yaml:3:1", entry="torch, a", message="now passes")]


def words(found: Document) -> tuple[str, str]:
    """What the badge says, and in what colour."""
    svg = ET.fromstring(badge.render(found))
    texts = [text.text or "" for text in svg.iter("{http://www.w3.org/2000/svg}text")]
    fill = [rect.attrib["fill"] for rect in svg.iter("{http://www.w3.org/2000/svg}rect") if "fill" in rect.attrib][-1]
    assert svg.attrib["aria-label"] == ": ".join(texts)
    return texts[1], {badge.GREEN: "green", badge.RED: "red", badge.GREY: "grey"}[fill]


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (document(result(), result("known", "mode", runner="keras")), ("2 of 2 agree", "green")),
        (document(result(), result("fail", "mode", runner="keras")), ("1 of 2 agree", "red")),
        (document(result("error", error="x"), result("fail", "mode", case="b")), ("0 of 1 agree", "red")),
        (document(result(), result("unsupported", runner="keras")), ("1 of 1 agree", "green")),
        (document(result(), result("fail", "mode", device="gpu")), ("1 of 2 agree", "red")),
        (document(result(), stale=STALE), ("1 of 1 agree, 1 stale", "red")),
        (document(result(), cut_short=True), ("cut short", "grey")),
        (document(result("unsupported")), ("nothing judged", "grey")),
        (document(), ("nothing judged", "grey")),
        (large(), ("1 of 3 agree", "red")),
    ],
)
def test_it_says_how_many_implementations_agree(found: Document, said: tuple[str, str]) -> None:
    assert words(found) == said


@settings(max_examples=25, deadline=None)
@given(documents())
def test_it_says_nothing_that_a_document_says(found: Document) -> None:
    assert words(found)[0].replace(" ", "").replace(",", "").isalnum()
