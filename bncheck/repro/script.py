"""One result as a script that runs without bncheck: what went in, the very call, what should have come out, and how far
it is from there."""

from __future__ import annotations

import itertools
import re
import sys
from collections.abc import Sequence

from bncheck.case.inputs import Inputs
from bncheck.case.related import second_case
from bncheck.documented.reading import Unsupported
from bncheck.judge import relations
from bncheck.judge.question import Question
from bncheck.judge.references import References
from bncheck.repro import builtin, own, relation
from bncheck.repro.call import Written
from bncheck.repro.comparison import comparisons
from bncheck.repro.numbers import numbers
from bncheck.repro.seen import Seen
from bncheck.repro.tensors import tensors
from bncheck.repro.words import docstring
from bncheck.running.line import call_arguments


def script(seen: Seen, inputs: Inputs) -> str:
    """The text of the script; ``inputs`` are the case's tensors."""
    case, reading, runner = seen.loaded.case, seen.reading, seen.runner
    question = Question(case, inputs, reading, References(inputs, case.steps), documents=runner.own is None)
    if case.relation is not None:
        return _of_relation(seen, question)
    wanted = numbers(question, seen.result)
    arguments = call_arguments(case, reading, seen.result.device, runner.variant)
    if runner.own is not None:
        written = own.written(runner.own, case, arguments)
    else:
        written = builtin.written(runner.load, case, reading, inputs, arguments, [n.name for n in wanted])
    made = tensors(seen.loaded, inputs, [name for name in written.tensors if name in inputs.parameters])
    of_random = ": random numbers, the same with every NumPy and on every machine" if made.draws else ""
    parts = [
        docstring(seen),
        *_imports([*written.imports, *made.imports], written.environment),
        _titled(f"What goes in{of_random}", *made.definitions, "\n".join(made.statements)),
        _titled("The call", *written.parts),
        _titled("What should come out", *comparisons(wanted, tolerated=case.tolerance is not None)),
        _end(written),
    ]
    return "\n\n".join(parts) + "\n"


def _of_relation(seen: Seen, question: Question) -> str:
    """The two calls of a relation."""
    reading = seen.runner.documented(second_case(question.case), seen.result.device)
    assert not isinstance(reading, Unsupported)  # then the case is
    written, blocks = relation.calls(seen, question, relations.second(question, reading))
    imports = [*written.imports, *(["import ml_dtypes"] if "bfloat16" in question.case.input.dtype else [])]
    text = [_titled(title, *parts) for title, *parts in blocks]
    return "\n\n".join([docstring(seen), *_imports(imports, written.environment), *text, _end(written)]) + "\n"


def _imports(needed: Sequence[str], environment: Sequence[str]) -> list[str]:
    """Blocks of imports: the standard library, NumPy, and the framework behind what it reads at import."""
    lines = {"import platform", "import sys", "import numpy as np", *needed, *(["import os"] if environment else [])}
    ordered = sorted(lines, key=lambda line: (line.startswith("from"), line))
    standard = [line for line in ordered if _module(line) in sys.stdlib_module_names]
    numeric = [line for line in ordered if _module(line) in ("numpy", "ml_dtypes")]
    frameworks = [line for line in ordered if line not in standard and line not in numeric]
    blocks = [standard, numeric, environment, frameworks] if environment else [standard, [*numeric, *frameworks]]
    return ["\n".join(block) for block in blocks if block]


def _module(line: str) -> str:
    return line.split()[1].partition(".")[0]


def _titled(title: str, *parts: str) -> str:
    """Parts below a title: constants close together, functions and classes apart."""
    text = f"# {title}."
    for before, part in itertools.pairwise((text, *parts)):
        apart = any(p.startswith(("def ", "class ")) for p in (before, part))
        close = all(re.fullmatch(r"[A-Z_]+ = .*", p) for p in (before, part))
        text += ("\n\n\n" if apart else "\n" if close else "\n\n") + part
    return text


def _end(written: Written) -> str:
    """What prints the versions, and ends with the exit code."""
    modules = {"numpy": "np"}
    for line in written.imports:
        name, _, alias = line.removeprefix("import ").partition(" as ")
        if line.startswith("import") and _module(line) not in sys.stdlib_module_names:
            package = name.partition(".")[0]  # a module of it has no version
            modules[package] = alias or package
    versions = ", ".join(f"{name} {{{module}.__version__}}" for name, module in modules.items())
    return (
        f'print(f"{versions}")\n'
        'print(f"Python {platform.python_version()}, {platform.platform()}")\n'
        "sys.exit(any(wrong))"
    )
