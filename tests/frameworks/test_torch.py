"""PyTorch in the other ways to call it: compiled, exported, in other memory, in mixed precision."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bncheck import documented
from bncheck.case.inputs import make
from bncheck.case.load import load
from bncheck.document import Implementation, Result
from bncheck.repro.script import script
from bncheck.repro.seen import Seen
from bncheck.running import engine
from bncheck.running.events import Done
from bncheck.running.runners import select

STEP = """\
title: a small case
input: {shape: [4, 3, 5, 2], layout: NCHW}
axis: 1
mode: training
momentum: 0.1
"""

STEPS = STEP + "steps: 2\ncheck: [output, moving_mean, moving_variance, inference]\n"

EXAMPLES = {
    "steps": STEPS,
    "brain": STEPS.replace("NCHW", "NCHW, dtype: bfloat16"),
    "half": STEP.replace("NCHW", "NCHW, dtype: float16").replace("training", "inference"),
    "rows": STEP.replace("[4, 3, 5, 2], layout: NCHW", "[6, 3], layout: NC"),
    "cumulative": STEPS.replace("0.1", "cumulative"),
    "one": STEP.replace("[4, 3, 5, 2]", "[1, 3, 1, 1]"),
    "empty": STEP.replace("[4, 3, 5, 2]", "[0, 3, 5, 2]"),
}

RUNNERS = [s for s in documented.spellings() if s.startswith(("torch:", "torch-functional:"))]

RUN_ALL = """\
import json, runpy, sys
for file in sys.argv[1:]:
    try:
        runpy.run_path(file, run_name="__main__")
    except SystemExit as ended:
        print("ended", json.dumps([file, ended.code]))
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[tuple[str, str], Result], dict[str, str]]:
    """The results by case and runner, and the scripts of those of two steps by runner."""
    folder = tmp_path_factory.mktemp("torch")
    for name, text in EXAMPLES.items():
        (folder / f"{name}.yaml").write_text(text)
    cases, runners = {case.id: case for case in load([folder])}, {r.spelling: r for r in select(RUNNERS)}
    events = list(engine.run(list(cases.values()), list(runners.values())))
    versions = {e.runner: e.version for e in events if isinstance(e, Implementation) and e.available}
    assert {*versions} == {*RUNNERS}, "these tests need PyTorch: pip install -e '.[torch,test]'"
    results = {(e.result.case, e.result.runner): e.result for e in events if isinstance(e, Done)}
    scripts = {}
    for (name, spelling), result in results.items():
        if name == ("half" if spelling == "torch:folded" else "brain"):  # what trains is not folded
            case, runner = cases[name], runners[spelling]
            seen = Seen(case, runner, runner.documented(case.case), result, versions[spelling], "here")
            scripts[spelling] = script(seen, make(case.case))
    return results, scripts


@pytest.fixture(scope="module")
def results(ran: tuple[dict[tuple[str, str], Result], dict[str, str]]) -> dict[tuple[str, str], Result]:
    return ran[0]


UNBIASED = ("known", ["moving-variance"])
NARROW = ("known", ["moving-variance", "precision"])
REFUSED = ("known", ["refused"])
NOT_UPDATED = ("known", ["moving-update"])
RIGHT = ("pass", [])
UNSUPPORTED = ("unsupported", [])


@pytest.mark.parametrize(
    ("runner", "expected"),
    [
        ("torch:autocast", [UNBIASED, UNBIASED, RIGHT, UNBIASED, UNBIASED, REFUSED, NOT_UPDATED]),
        ("torch:channels-last", [UNBIASED, NARROW, RIGHT, UNSUPPORTED, UNBIASED, REFUSED, NOT_UPDATED]),
        ("torch:compile", [UNBIASED, UNBIASED, RIGHT, UNBIASED, UNBIASED, REFUSED, NOT_UPDATED]),
        ("torch:export", [UNBIASED, NARROW, RIGHT, UNBIASED, UNSUPPORTED, REFUSED, NOT_UPDATED]),
        ("torch:folded", [UNSUPPORTED, UNSUPPORTED, ("known", ["precision"]), *[UNSUPPORTED] * 4]),
        ("torch:mixed", [UNSUPPORTED, UNBIASED, RIGHT, *[UNSUPPORTED] * 4]),
    ],
)
def test_what_each_variant_documents_is_what_it_does(
    runner: str, expected: list[tuple[str, list[str]]], results: dict[tuple[str, str], Result]
) -> None:
    found = {name: results[name, runner] for name in EXAMPLES}
    said = {name: (r.verdict, sorted({c.kind for c in r.causes})) for name, r in found.items()}
    assert said == dict(zip(EXAMPLES, expected, strict=True))


@pytest.mark.parametrize("runner", ["torch:view", "torch-functional:view"])
def test_a_view_is_read_as_what_it_shows(runner: str, results: dict[tuple[str, str], Result]) -> None:
    judged = {name: results[name, runner].verdict for name in EXAMPLES if name != "half"}
    assert set(judged.values()) <= {"known", "unsupported"}
    assert judged["steps"] == judged["brain"] == judged["rows"] == "known"


@pytest.mark.parametrize("runner", ["torch:view", "torch-functional:view"])
def test_the_16_bit_arithmetic_of_inference_on_a_view_is_found(
    runner: str, results: dict[tuple[str, str], Result]
) -> None:
    """A tensor of the same numbers in contiguous memory is normalized in float32."""
    found = results["half", runner]
    assert (found.verdict, {c.kind for c in found.causes}) == ("fail", {"precision"})


def test_scripts_make_the_calls_without_bncheck(
    ran: tuple[dict[tuple[str, str], Result], dict[str, str]], tmp_path: Path
) -> None:
    scripts = dict(ran[1])
    assert "torch.compile(layer, dynamic=False)" in scripts.pop("torch:compile")  # it takes long to compile anew
    assert "fuse_conv_bn_eval(before.eval(), layer)" in scripts.pop("torch:folded")  # it is as requested
    files = {}
    for spelling, text in scripts.items():
        assert "case.variant" not in text
        files[spelling] = tmp_path / f"{spelling.replace(':', '_')}.py"
        files[spelling].write_text(text)
    run = subprocess.run(
        [sys.executable, "-I", "-c", RUN_ALL, *map(str, files.values())], capture_output=True, text=True, check=True
    )
    ended = [json.loads(line.removeprefix("ended ")) for line in run.stdout.splitlines() if line.startswith("ended ")]
    assert ended == [[str(file), True] for file in files.values()]  # none is as requested: the variance is unbiased
