"""``bncheck schema``"""

from __future__ import annotations

import json

import click


@click.command("schema")
@click.argument("kind", type=click.Choice(["case", "results"]))
def command(kind: str) -> None:
    """Print the JSON Schema of case files or of the results document.

    \b
    Example, for an editor with a YAML language server:
      bncheck schema case > case.schema.json
    """
    from pydantic.json_schema import model_json_schema

    from bncheck.case.model import Case
    from bncheck.document import Document

    if kind == "case":
        schema = model_json_schema(Case, mode="validation")
    else:
        schema = model_json_schema(Document, mode="serialization")
    click.echo(json.dumps(schema, indent=2))
