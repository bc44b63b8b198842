"""A badge for a README: an SVG file that needs no service, and is shown wherever the repository is."""

from __future__ import annotations

from bncheck.document import Document
from bncheck.reports import table

LABEL = "batch norm"
GREEN, RED, GREY = "#2b7a2b", "#b3261e", "#6a6a6a"
CHARACTER, MARGIN = 6.5, 7
"""The width of a character of this font, which the text is fitted to, and what is left free beside it."""


def render(document: Document) -> str:
    """How many implementations agree: those of which all that was judged is as requested, documented or expected."""
    message, colour = _said(document)
    left, right = (round(len(text) * CHARACTER) + 2 * MARGIN for text in (LABEL, message))

    def text(said: str, start: int, width: int) -> str:
        inner = width - 2 * MARGIN
        return f'<text x="{start + MARGIN}" y="14" textLength="{inner}">{said}</text>'

    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="20" role="img" aria-label="{LABEL}: {message}">
<title>{LABEL}: {message}</title>
<clipPath id="round"><rect width="{left + right}" height="20" rx="3"/></clipPath>
<g clip-path="url(#round)">
<rect width="{left}" height="20" fill="#444"/>
<rect x="{left}" width="{right}" height="20" fill="{colour}"/>
</g>
<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">
{text(LABEL, 0, left)}
{text(message, left, right)}
</g>
</svg>
"""


def _said(document: Document) -> tuple[str, str]:
    """The words, which are never those of a document, and their colour."""
    judged = {(r.runner, r.device) for r in document.results if r.verdict != "unsupported"}
    differ = {(r.runner, r.device) for r in document.results if r.verdict in ("fail", "error")}
    if document.cut_short:
        return "cut short", GREY
    if not judged:
        return "nothing judged", GREY
    stale = f", {len(document.stale)} stale" if document.stale else ""
    colour = RED if table.is_bad(document) else GREEN
    return f"{len(judged) - len(differ)} of {len(judged)} agree{stale}", colour
