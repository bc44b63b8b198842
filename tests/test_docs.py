"""What is written is true: generated parts are up to date, links lead somewhere, everything offered is documented."""

from __future__ import annotations

import inspect
import re
import shlex
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import get_args

import click
import generated_docs
import pytest

from bncheck.causes import CauseKind
from bncheck.cli.main import COMMANDS, cli
from bncheck.cli.reports import FORMATS
from bncheck.settings import Settings

TOP = Path(__file__).parent.parent
README = TOP / "README.md"
DOCS = sorted(generated_docs.DOCS.glob("*.md"))
TEXT = "\n".join(file.read_text(encoding="utf-8") for file in [README, *DOCS])


def command(name: str) -> click.Command:
    found = cli.get_command(click.Context(cli), name)
    assert found is not None
    return found


def help_of(name: str) -> str:
    return inspect.cleandoc(command(name).help or "")


def examples(name: str) -> list[str]:
    """The lines below the heading of examples in a command's help."""
    _, heading, rest = help_of(name).partition("\b\nExample")
    assert heading, f"the help of {name} has no example"
    return [line.strip() for line in rest.split("\n\n")[0].splitlines()[1:]]


def test_the_documents_are_there_and_the_readme_leads_to_each() -> None:
    names = {"cases.md", "causes.md", "ci.md", "environments.md", "judging.md", "runners.md"}
    assert {file.name for file in DOCS} == names
    text = README.read_text(encoding="utf-8")
    assert [file.name for file in DOCS if f"(bncheck/docs/{file.name}" not in text] == []


def anchors(file: Path) -> set[str]:
    """The headings of a document, as GitHub makes anchors of them."""
    headings = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("file", [README, *DOCS], ids=lambda file: file.name)
def test_links_lead_somewhere(file: Path) -> None:
    for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", file.read_text(encoding="utf-8")):
        path, _, anchor = link.partition("#")
        target = (file.parent / path).resolve() if path else file
        if file == README or target.suffix == ".md":
            assert target.exists(), link
            assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("name", sorted(generated_docs.GENERATED))
def test_what_the_program_knows_itself_is_up_to_date(name: str) -> None:
    """Else: python tests/generated_docs.py. Digits may differ: sums are taken in another order elsewhere."""
    text = (generated_docs.DOCS / name).read_text(encoding="utf-8")
    assert without_digits(text) == without_digits(generated_docs.written(name))


def without_digits(text: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"[0-9.]+(e[-+][0-9]+)?", "0", text))


def test_every_cause_is_explained_and_has_an_example() -> None:
    text = (generated_docs.DOCS / "causes.md").read_text(encoding="utf-8")
    table = "\n".join(line.split("|")[1] for line in text.splitlines() if line.startswith("|"))
    for kind in get_args(CauseKind):
        assert f"`{kind}`" in table
        assert f"\n### `{kind}`\n" in text
        assert re.search(rf"^{kind}: ", text, re.MULTILINE)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_every_command_has_examples_whose_options_there_are(name: str) -> None:
    lines = examples(name)
    assert lines
    for line in lines:
        assert line.startswith("bncheck "), line
        words = shlex.split(re.split(r" (?:\||>>?|&&) ", line)[0])[1:]
        other = command(words[0])
        other.make_parser(click.Context(other)).parse_args(words[1:])


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_how_a_shell_completes_is_documented(shell: str) -> None:
    assert f"_BNCHECK_COMPLETE={shell}_source bncheck" in TEXT


def test_every_command_is_documented() -> None:
    assert [name for name in COMMANDS if f"bncheck {name}" not in TEXT] == []


def options() -> Iterator[tuple[str, str]]:
    for name in COMMANDS:
        for parameter in command(name).params:
            if isinstance(parameter, click.Option):
                yield name, max(parameter.opts, key=len)


def test_every_option_is_documented() -> None:
    assert [found for found in options() if not re.search(rf"(?<![\w-]){found[1]}(?![\w-])", TEXT)] == []


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_is_documented(form: str) -> None:
    assert re.search(rf"--report {form}\b", TEXT)
    assert re.search(rf"^  {form} +\w", help_of("report"), re.MULTILINE)


def test_every_setting_and_every_input_of_the_action_is_documented() -> None:
    settings = [field.name.replace("_", "-") for field in fields(Settings) if field.name != "project"]
    assert [
        name for name in settings if not re.search(rf"^({name} = |\[tool\.bncheck\.{name}\.)", TEXT, re.MULTILINE)
    ] == []
    action = (TOP / ".github" / "actions" / "bncheck" / "action.yml").read_text(encoding="utf-8")
    inputs = re.findall(r"^  ([a-z]+):\n    description", action.partition("outputs:")[0], re.MULTILINE)
    assert inputs
    assert [name for name in inputs if f"`{name}`" not in TEXT] == []
