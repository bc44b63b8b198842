"""A worker runs on Python 3.7 and later: here it does, on whatever older interpreters the machine has."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import OWN

from bncheck.case.load import LoadedCase, load
from bncheck.document import Result
from bncheck.environments import builder, cache, pythons
from bncheck.environments.interpreter import BadInterpreter, Environment
from bncheck.environments.wanted import Wanted
from bncheck.running import engine
from bncheck.running.events import Done
from bncheck.running.runners import select

CASES = {
    "training": "{title: t, input: {shape: [4, 3, 5], layout: NCL}, axis: 1, mode: training, steps: 2, "
    "check: [output, moving_mean, moving_variance, inference]}",
    "gradients": "{title: t, input: {shape: [4, 5, 3], layout: NLC, dtype: float64}, axis: -1, mode: training, "
    "check: [gradients]}",
    "axes": "{title: t, input: {shape: [2, 3, 4, 5], layout: NHWC, dtype: float16}, axis: [1, 3], mode: inference, "
    "repeat: 2}",
    "defaults": "{title: t, input: {shape: [6, 3], layout: NC}, axis: 1, mode: default, epsilon: default}",
    "related": "{title: t, input: {shape: [6, 3], layout: NC}, axis: 1, mode: training, relation: permuted-batch}",
    "bfloat16": "{title: t, input: {shape: [6, 3], layout: NC, dtype: bfloat16}, axis: 1, mode: training}",
}


@pytest.fixture(scope="session", params=["3.7", "3.8", "3.9"])
def old(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """NumPy on an interpreter older than any that bncheck itself runs on."""
    pytest.importorskip("findpython", reason="pip install 'bncheck[environments]' finds interpreters")
    if pythons.find(request.param) is None:
        pytest.skip(f"this machine has no Python {request.param}")
    folder = tmp_path_factory.mktemp("environments")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cache, "folder", lambda: folder)
        try:
            return builder.environment(Wanted("old", (), request.param))
        except BadInterpreter as error:
            pytest.skip(f"no NumPy was to be had for Python {request.param}: {error}")


@pytest.fixture
def cases(tmp_path: Path) -> list[LoadedCase]:
    for name, text in CASES.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    return load([tmp_path])


def run(cases: list[LoadedCase], *spellings: str, **environments: Environment) -> dict[str, dict[str, Result]]:
    results: dict[str, dict[str, Result]] = {}
    for event in engine.run(cases, select(spellings, environments)):
        if isinstance(event, Done):
            results.setdefault(event.result.runner, {})[event.result.case] = event.result
    return results


def test_built_in_runners_and_one_s_own_give_what_they_give_here(cases: list[LoadedCase], old: Environment) -> None:
    own = f"={OWN}:right"
    found = run(cases, "numpy", "numpy@old", f"right{own}", f"right@old{own}", old=old)
    for name in ("numpy", "right"):
        here, there = found[name], found[f"{name}@old"]
        assert here.pop("bfloat16").verdict == "pass"
        assert "there is no ml_dtypes in its environment" in str(there.pop("bfloat16").reason)
        assert {case: result.verdict for case, result in there.items()} == {case: r.verdict for case, r in here.items()}
        assert there["training"].verdict == there["axes"].verdict == there["related"].verdict == "pass"


def test_what_a_function_raises_is_told_as_here(cases: list[LoadedCase], old: Environment) -> None:
    (loaded,) = (case for case in cases if case.id == "training")
    result = run([loaded], f"raises@old={OWN}:raises", old=old)["raises@old"]["training"]
    assert (result.verdict, result.kinds) == ("fail", ("refused",))
    assert "ValueError: this shape is not for me" in result.causes[0].message
