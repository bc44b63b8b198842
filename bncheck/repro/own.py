"""The calls of one's own function, step by step, as the worker makes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bncheck.case.model import Case
from bncheck.repro.call import Written
from bncheck.repro.numerals import plain, quoted

IMPORTS = ["import importlib.util", "import os", "import sys"]


def written(own: str, case: Case, arguments: dict[str, Any]) -> Written:
    """The calls of ``own``, FILE.py:FUNCTION, on ``x`` or ``batches``; ``arguments`` are those of the call."""
    file, _, name = own.rpartition(":")
    function = f"own.{name}"
    imports = [*IMPORTS]
    lines = [
        f"sys.path.insert(0, os.path.dirname(os.path.abspath({quoted(file)})))",
        f'spec = importlib.util.spec_from_file_location("own", {quoted(file)})',
        'own = sys.modules["own"] = importlib.util.module_from_spec(spec)',
        "spec.loader.exec_module(own)",
        "",
    ]
    given: dict[str, Any] = {"axis": case.channels.kept, "epsilon": arguments["epsilon"]}
    if case.momentum != "cumulative":
        given["momentum"] = arguments["momentum"]
    given["training"] = None if arguments["mode"] is None else case.requested.mode == "training"
    parameters = {"gamma": case.scale, "beta": case.center}
    left = {name: arguments["requested"][name] for name, value in given.items() if value is None}
    words = [f"{name}={value!r}" for name, value in given.items() if name not in left]
    words += [f"{name}={name if there else None}" for name, there in parameters.items()]
    words += ["mask=mask"] if case.mask is not None else []
    if case.virtual_batch_size is not None and case.requested.mode == "training":
        words.append(f"virtual_batch_size={case.virtual_batch_size}")
    lines.append(f"options = dict({', '.join(words)})")
    if left:
        imports.append("import inspect")
        lines += [
            f"for name, requested in {plain(left)}.items():",
            f"    parameter = inspect.signature({function}).parameters.get(name)",
            "    if parameter is None or parameter.default is parameter.empty:  # else its default is meant",
            "        options[name] = requested",
        ]
    statistics = "moving_mean=moving_mean, moving_variance=moving_variance"
    if case.gradients:
        imports.append("import inspect")
        lines.append(f'takes = "upstream" in inspect.signature({function}).parameters')
        lines.append('from_above = {"upstream": upstream} if takes else {}')
    if case.batches == 1 and case.momentum != "cumulative":
        above = "**from_above, " if case.gradients else ""
        lines.append(f"result = {function}(x, **options, {above}{statistics})")
    else:
        imports.append("import copy")
        lines += [f"moving = dict({statistics})", *_steps(function, case)]
    tensors = [*(name for name, there in parameters.items() if there), "moving_mean", "moving_variance"]
    tensors += ["upstream"] if case.gradients else []
    return Written(imports, ["\n".join(lines)], tensors)


def _steps(function: str, case: Case) -> Sequence[str]:
    batches = "[x]" if case.batches == 1 else f"batches[:{case.steps}]" if case.batches > case.steps else "batches"
    cumulative = case.momentum == "cumulative"
    lines = [f"for number, x in enumerate({batches}, 1):" if cumulative else f"for x in {batches}:"]
    if cumulative:
        lines.append("    options.update(momentum=1 - 1 / number)  # the plain average")
    given = "**options, **moving"
    if case.gradients:
        last = "x" if case.batches == 1 else f"batches[{case.steps - 1}]"
        given += f", **(from_above if x is {last} else {{}})"
    lines += [
        f"    result = {function}(x, **copy.deepcopy({{{given}}}))  # which it may write into",
        "    moving.update((name, result[name]) for name in moving if result.get(name) is not None)",
    ]
    if case.batches > case.steps:
        lines += [
            "options.update(training=False)",
            *(['options.pop("mask")'] if case.mask is not None else []),
            *(['options.pop("virtual_batch_size")'] if case.virtual_batch_size is not None else []),
            f'result["inference"] = {function}(batches[-1], **options, **moving)["output"]',
        ]
    return lines
