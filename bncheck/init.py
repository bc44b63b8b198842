"""What a project starts with, as data: a few cases, a file for what is expected to fail, settings, workflows."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from importlib import resources
from pathlib import PurePosixPath

import jinja2

from bncheck import pyproject
from bncheck.case.problem import Problem
from bncheck.pyproject import BadProject, Project

_TEXTS = resources.files("bncheck") / "starting_cases"
_WORKFLOWS = resources.files("bncheck") / "workflows"

_PLACES = {
    "github": PurePosixPath(".github/workflows/bncheck.yml"),
    "github-gpu": PurePosixPath(".github/workflows/bncheck-gpu.yml"),
    "gitlab": PurePosixPath(".gitlab/bncheck.yml"),
}

GITLAB = PurePosixPath(".gitlab-ci.yml")
INCLUDE = "include: /.gitlab/bncheck.yml"
"""What GitLab reads, and what it has to say for the job to run."""

_SECTION = """\
[tool.bncheck]
# What `bncheck run`, `lint` and `power` take where the command line says nothing.
paths = ["cases"]
# A runner that is named must run: if one disappears from the environment, that is exit code 3 and
# not a quiet pass. "torch*" takes what is installed; your own is "mine=kernels/bn.py:batch_norm".
runners = {runners}
timeout = 300    # seconds for one case
"""


def files(families: Collection[str]) -> dict[PurePosixPath, bytes]:
    """Files by their paths below the project's folder: what suits everyone, and the ``families`` of runners that are
    there."""
    cases = [case for folder in ("any", *sorted(families)) for case in _cases(folder)]
    texts = [*sorted(cases), ("expectations.yaml", (_TEXTS / "expectations.yaml").read_bytes())]
    return {PurePosixPath("cases", name): text for name, text in texts}


def _cases(folder: str) -> Iterator[tuple[str, bytes]]:
    """The cases for one family of runners; there may be none."""
    place = _TEXTS / folder
    if place.is_dir():
        yield from ((case.name, case.read_bytes()) for case in place.iterdir())


def workflow(
    name: str, *, extras: Collection[str], on_gpu: Sequence[str], paths_are_set: bool
) -> dict[PurePosixPath, bytes]:
    """A workflow for CI, by its path below the project's folder. ``extras``: those that install what is to run;
    ``on_gpu``: the runners for a GPU; ``paths_are_set``: the settings say where the cases are."""
    source = (_WORKFLOWS / f"{name}.yml").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        trim_blocks=True, keep_trailing_newline=True, undefined=jinja2.StrictUndefined, autoescape=False
    )
    text = environment.from_string(source).render(
        bncheck=f"bncheck[{','.join(sorted(extras))}]" if extras else "bncheck",
        cases="" if paths_are_set else " cases",
        extras=extras,
        on_gpu=on_gpu,
    )
    also = {GITLAB: f"{INCLUDE}\n".encode()} if name == "gitlab" else {}
    return {_PLACES[name]: text.encode(), **also}


def added(project: Project, runners: Sequence[str]) -> bytes:
    """What is to follow the content of a pyproject.toml without settings, with its ends of lines.

    Raises `BadProject` if it has no room for a table.
    """
    end = "\r\n" if "\r\n" in project.text else "\n"
    section = _SECTION.format(runners=json.dumps(runners)).replace("\n", end)
    if project.text:
        section = (end if project.text.endswith("\n") else end + end) + section
    try:
        if pyproject.parse(project.file, (project.text + section).encode()).table is not None:
            return section.encode()
    except BadProject:
        pass
    message = "[tool.bncheck] cannot be added here, because `tool` is no open table; write it as [tool]"
    raise BadProject(Problem(project.file, project.text.count("\n") + 1, 1, message))
