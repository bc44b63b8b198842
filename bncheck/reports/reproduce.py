"""The command that makes a script of a result: what a report names beside each failure."""

from __future__ import annotations

import re
import shlex
from pathlib import PurePath

from bncheck.case.corpus import corpus
from bncheck.document import CaseRecord, Document, Result
from bncheck.reports.columns import WIDTH

OWN = re.compile(r".+\.py:\w+")
"""What stands for a version of one's own function: FILE.py:FUNCTION."""


def command(document: Document, result: Result) -> list[str] | None:
    """The words of the command, from where the run was started; None if the runner did not run there at all."""
    runners = [i for i in document.implementations if (i.runner, i.device) == (result.runner, result.device)]
    if not any(i.available for i in runners):
        return None
    version = runners[0].version or ""
    runner = f"{result.runner}={version}" if OWN.fullmatch(version) else result.runner
    words = ["bncheck", "repro", result.case, runner]
    if result.device != "cpu":
        words += ["--device", result.device]
    record = next((c for c in document.cases if c.id == result.case), None)
    where = _where(record) if record is not None else None
    return words if where is None else [*words, "--cases", where]


def _where(record: CaseRecord) -> str | None:
    """What is to be told of where a case is: None if that is where cases are looked for anyway."""
    file = PurePath(record.file)
    parts = (*file.parts[:-1], file.stem)
    for depth in range(1, len(parts) + 1):
        name = "/".join(parts[-depth:])
        if record.id == name or record.id.startswith(f"{name}["):
            root = PurePath(*parts[:-depth])
            if root in (PurePath("cases"), PurePath(corpus())) or root.parts[-2:] == ("bncheck", "cases"):
                return None
            return str(file if depth == 1 or root.name == "cases" else root)
    return str(file)  # found from inside a folder named cases


def written(words: list[str], indent: str) -> str:
    """The command as it is pasted into a shell, on several lines if one is too short."""
    lines = [f"{indent}Reproduce:"]
    for word in map(shlex.quote, words):
        if len(lines[-1]) + 1 + len(word) > WIDTH - len(" \\"):
            lines[-1] += " \\"
            lines.append(f"{indent}   ")
        lines[-1] += f" {word}"
    return "\n".join(lines)
