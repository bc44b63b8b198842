"""Scripts run where there is no bncheck: each makes the same call, and judges it the same.

They are those of all questions, and of the first and the last case of every other subject.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import NamedTuple

import pytest
from conftest import few_of_each_subject, own

from bncheck.case.inputs import make
from bncheck.case.load import LoadedCase, load
from bncheck.document import Implementation, Result
from bncheck.documented import by_default
from bncheck.repro.script import script
from bncheck.repro.seen import Seen
from bncheck.running import engine
from bncheck.running.events import Done
from bncheck.running.runners import select

CASES = Path(__file__).parent.parent.parent / "cases"
WRONG = ("epsilon_dropped", "momentum_exchanged", "wrong_axis")

RUN_ALL = """\
import contextlib
import io
import json
import sys
from pathlib import Path


class NoBncheck:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "bncheck":
            raise ImportError("bncheck is not installed here")


sys.meta_path.insert(0, NoBncheck())
ended = {}
for file, places in json.loads(sys.argv[1]).items():
    names = {"__name__": "__main__"}
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            exec(compile(Path(file).read_text(encoding="utf-8"), file, "exec"), names)
    except SystemExit as exit_:
        code = int(exit_.code)
    except Exception as error:
        code = 1
        print(repr(error), file=printed)
    values = {name: float(names["result"][name][tuple(at)]) for name, at in places.items()}
    ended[file] = [code, values, printed.getvalue()]
assert "bncheck" not in sys.modules
print(json.dumps(ended))
"""
"""Runs scripts one after the other in one process, since TensorFlow takes seconds to import. Says how each ended, and
what its call returned at some place of each tensor."""


class Ended(NamedTuple):
    result: Result
    text: str
    code: int
    values: dict[str, float]
    printed: str


def chosen() -> list[LoadedCase]:
    shipped = load([CASES])
    few = few_of_each_subject(shipped)
    return [case for case in shipped if case in few or case.id.startswith("questions/")]


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> list[Ended]:
    """The scripts of the cases on the default runners and on wrong functions."""
    folder = tmp_path_factory.mktemp("scripts")
    (folder / "run_all.py").write_text(RUN_ALL)
    cases = {case.id: case for case in chosen()}
    runners = {r.spelling: r for r in select([*by_default(), *map(own, WRONG)])}
    events = list(engine.run(list(cases.values()), list(runners.values())))
    implementations = {e.runner: e for e in events if isinstance(e, Implementation)}
    assert all(i.available for i in implementations.values()), "these tests need TensorFlow and PyTorch"
    results: dict[str, Result] = {}
    families: dict[str, dict[str, dict[str, list[int]]]] = defaultdict(dict)
    for result in (e.result for e in events if isinstance(e, Done) and e.result.verdict != "unsupported"):
        loaded, runner = cases[result.case], runners[result.runner]
        version = implementations[result.runner].version
        seen = Seen(loaded, runner, runner.documented(loaded.case), result, version, "here")
        file = folder / f"{len(results)}.py"
        file.write_text(script(seen, make(loaded.case, loaded.file.parent)), encoding="utf-8")
        results[str(file)] = result
        families[runner.family][str(file)] = {t.name: t.at for t in result.tensors if t.at is not None}
    processes = [
        subprocess.Popen(
            [sys.executable, "-I", str(folder / "run_all.py"), json.dumps(places)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        for places in families.values()
    ]
    said = [json.loads(process.communicate()[0].splitlines()[-1]) for process in processes]
    return [Ended(results[file], Path(file).read_text(), *how) for each in said for file, how in each.items()]


def test_there_is_a_script_of_each_result(ended: list[Ended]) -> None:
    count = Counter(e.result.runner for e in ended)
    assert set(count) == {*by_default(), *WRONG}
    assert min(count.values()) >= 0.7 * len(chosen())


def test_a_script_ends_with_1_where_what_was_requested_did_not_come_out(ended: list[Ended]) -> None:
    verdicts = Counter(e.result.verdict for e in ended)
    assert min(verdicts["pass"], verdicts["known"], verdicts["fail"]) > 40
    disagreeing = {
        f"{e.result.case} {e.result.runner}": (e.result.verdict, e.code, e.printed)
        for e in ended
        if e.code != (e.result.verdict != "pass") and not is_below_every_bound(e.result)
    }
    assert disagreeing == {}


def is_below_every_bound(result: Result) -> bool:
    """Whether a result fails by all of a channel together, by no number for itself."""
    return result.verdict == "fail" and max((t.bound_ratio for t in result.tensors), default=2) <= 1


def test_a_script_says_where_it_cannot_show_a_failure(ended: list[Ended]) -> None:
    below = [e for e in ended if is_below_every_bound(e.result)]
    assert below
    for e in below:
        assert e.code == 0
        assert "- No number by itself shows it, only all of a channel together: this script ends with 0." in e.text


def test_a_script_makes_the_very_call(ended: list[Ended]) -> None:
    """To the last bit, at the element of each tensor that a result names."""
    for e in ended:
        returned = {t.name: t.actual for t in e.result.tensors if t.at is not None}
        assert repr(e.values) == repr(returned), e.result  # NaN is written alike


def test_a_script_prints_the_versions_that_it_ran_with(ended: list[Ended]) -> None:
    for e in ended:
        if e.result.runner == "keras":
            assert "\nnumpy " in f"\n{e.printed}"
            assert ", keras " in e.printed
            assert ", tensorflow " in e.printed
