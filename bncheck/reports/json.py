"""The results document itself."""

from __future__ import annotations

from bncheck.document import Document


def render(document: Document) -> str:
    return document.model_dump_json(by_alias=True, indent=1) + "\n"
