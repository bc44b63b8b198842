"""TensorFlow and Keras as they were: environments of old releases, built with uv, in which a few telling cases run.

Skipped where such an environment cannot be built, for want of that Python or of an index of packages.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bncheck.case.inputs import make
from bncheck.case.load import LoadedCase, load
from bncheck.document import Implementation, Result
from bncheck.documented.tf_fused import WRAPPER
from bncheck.environments import builder, cache
from bncheck.environments.interpreter import BadInterpreter, Environment
from bncheck.environments.wanted import Wanted
from bncheck.repro.script import script
from bncheck.repro.seen import Seen
from bncheck.running import engine
from bncheck.running.events import Done
from bncheck.running.runners import select

CASES = Path(__file__).parent.parent.parent / "cases"
CASE_FILES = (
    "questions/epsilon-0",
    "questions/epsilon-0-at-a-small-variance",
    "epsilon/raised-in-training",
    "momentum/two-steps-by-hand",
    "statistics/of-images-one-two-three-four",
    "mode/frozen-in-training",
    "layout/both-orders",
    "gradients/features",
    "statistics/virtual-batches",
)


@pytest.fixture(scope="module", autouse=True)
def cached(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache of one's own."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("environments")
        patch.setattr(cache, "folder", lambda: folder)
        yield


def old(name: str, packages: list[str], python: str) -> Environment:
    """An environment of old releases; skips where it cannot be built."""
    try:
        return builder.environment(Wanted(name, tuple(packages), python))
    except BadInterpreter as error:
        pytest.skip(f"there is no environment of {', '.join(packages)} on Python {python} here: {error}")


class Ran:
    """What came of the cases on all runners of an environment."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.cases = load([CASES / f"{name}.yaml" for name in CASE_FILES])
        runners = select([f"*@{environment.name}"], {environment.name: environment})
        self.runners = {runner.name: runner for runner in runners}
        self.versions: dict[str, str | None] = {}
        self.results: dict[tuple[str, str], Result] = {}
        for event in engine.run(self.cases, runners):
            if isinstance(event, Implementation):
                assert event.available, event.reason
                self.versions[event.runner.partition("@")[0]] = event.version
            elif isinstance(event, Done):
                self.results[event.result.case, event.result.runner.partition("@")[0]] = event.result

    def verdicts(self, case: str) -> dict[str, tuple[str, ...]]:
        """The verdict of each runner, and the kinds of its causes; without runners that cannot be asked."""
        return {
            runner: (result.verdict, *sorted({cause.kind for cause in result.causes}))
            for (name, runner), result in self.results.items()
            if name == case and result.verdict != "unsupported" and runner not in ("numpy", "tf-layers:no-updates")
        }

    def case(self, identity: str) -> LoadedCase:
        return next(case for case in self.cases if case.id == identity)


@pytest.fixture(scope="module")
def first() -> Ran:
    packages = ["tensorflow==1.15.5", "keras==2.2.5", "h5py<3", "protobuf<3.21"]
    return Ran(old("first", packages, "3.7"))


@pytest.fixture(scope="module")
def second() -> Ran:
    return Ran(old("second", ["tensorflow-cpu==2.4.4", "protobuf<3.21"], "3.8"))


def test_everything_that_can_be_called_there_is(first: Ran, second: Ran) -> None:
    tensorflow = {"tf-fused", "tf-keras", "tf-layers", "tf-layers:no-updates", "tf-nn"}
    assert first.runners.keys() == {"keras", "numpy", *tensorflow}
    assert second.runners.keys() == {"numpy", *tensorflow}
    assert first.versions["keras"] == "2.2.5 (TF 1.15.5)"
    assert first.versions["tf-keras"] == "TF 1.15.5"
    assert second.versions["tf-keras"] == "TF 2.4.4"


def test_an_epsilon_of_zero_was_raised_as_the_wrapper_says(first: Ran, second: Ran) -> None:
    for ran, runners in ((first, ["keras", "tf-keras", "tf-layers", "tf-fused"]), (second, ["tf-keras", "tf-fused"])):
        for runner in runners:
            result = ran.results["questions/epsilon-0", runner]
            (cause,) = result.causes
            assert (result.verdict, cause.kind, cause.effective) == ("known", "epsilon", 1.001e-5)
            assert cause.source == str(WRAPPER)
        assert ran.verdicts("questions/epsilon-0")["tf-nn"] == ("pass",)


PUBLISHED = [0.999995, 1.99999, 2.999985, 3.99998, 4.999975, 5.99997]
PUBLISHED += [6.999965, 7.99996, 8.999955, 9.99995, 10.999945, 11.99994]


@pytest.mark.parametrize(("age", "name"), [("first", "keras"), ("second", "tf-keras")])
def test_the_original_numbers_come_out_and_a_small_variance_says_which_epsilon_it_was(
    age: str, name: str, request: pytest.FixtureRequest
) -> None:
    ran: Ran = request.getfixturevalue(age)
    (output,) = ran.results["questions/epsilon-0", name].tensors
    assert output.worst is not None
    assert len(output.worst) == 10
    for element in output.worst:
        _, row, column, _ = element.at
        assert element.actual == pytest.approx(PUBLISHED[4 * row + column], abs=1e-6)
    fitting = {}
    for case in ("questions/epsilon-0", "questions/epsilon-0-at-a-small-variance"):
        fitting[case] = ran.results[case, name].causes[0].interval
    low, high = fitting["questions/epsilon-0"]
    assert low < 1e-5 < 1.001e-5 < high
    low, high = fitting["questions/epsilon-0-at-a-small-variance"]
    assert 1.0009e-5 < low < 1.001e-5 < high < 1.0011e-5


KNOWN = "known", "moving-variance"
REFUSED = "known", "refused"
RETURNED = "known", "momentum", "moving-variance"
OWN_KIND = "known", "moving-update", "moving-variance"


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        (
            "statistics/of-images-one-two-three-four",
            {"keras": OWN_KIND, "tf-keras": KNOWN, "tf-layers": KNOWN, "tf-fused": RETURNED, "tf-nn": ("pass",)},
        ),
        (
            "momentum/two-steps-by-hand",
            {
                "keras": OWN_KIND,
                "tf-keras": ("pass",),
                "tf-layers": ("pass",),
                "tf-fused": RETURNED,
                "tf-nn": ("pass",),
            },
        ),
        (
            "layout/both-orders[axis=1,input.dtype=float32]",
            {"keras": OWN_KIND, "tf-keras": REFUSED, "tf-layers": REFUSED, "tf-fused": RETURNED, "tf-nn": ("pass",)},
        ),
        (
            "layout/both-orders[axis=-1,input.dtype=float64]",
            {"keras": REFUSED, "tf-keras": REFUSED, "tf-layers": REFUSED, "tf-nn": ("pass",)},
        ),
        (
            "mode/frozen-in-training",
            {"keras": ("known", "mode"), "tf-keras": ("known", "mode"), "tf-layers": ("known", "mode")},
        ),
        (
            "statistics/virtual-batches[input.dtype=float16]",
            {"tf-keras": ("known", "precision"), "tf-layers": ("known", "precision")},
        ),
        ("gradients/features[mode=training]", dict.fromkeys(["keras", "tf-keras", "tf-layers"], ("pass",))),
    ],
)
def test_tensorflow_1_reads_a_case_as_it_documents(first: Ran, case: str, expected: dict[str, tuple[str, ...]]) -> None:
    assert expected.items() <= first.verdicts(case).items()


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ("statistics/of-images-one-two-three-four", {"tf-keras": KNOWN, "tf-layers": KNOWN, "tf-fused": KNOWN}),
        ("layout/both-orders[axis=-1,input.dtype=float64]", {"tf-keras": ("pass",), "tf-layers": ("pass",)}),
        ("layout/both-orders[axis=1,input.dtype=float32]", {"tf-keras": KNOWN, "tf-layers": KNOWN, "tf-fused": KNOWN}),
        ("mode/frozen-in-training", {"tf-keras": ("pass",), "tf-layers": ("known", "mode")}),
        (
            "epsilon/raised-in-training[input.dtype=float32]",
            dict.fromkeys(["tf-keras", "tf-layers", "tf-fused"], ("known", "epsilon", "moving-variance")),
        ),
    ],
)
def test_tensorflow_2_4_reads_a_case_as_it_documents(
    second: Ran, case: str, expected: dict[str, tuple[str, ...]]
) -> None:
    assert expected.items() <= second.verdicts(case).items()


@pytest.mark.parametrize(("age", "name"), [("first", "keras"), ("second", "tf-keras")])
def test_a_script_makes_the_call_in_the_old_interpreter(
    age: str, name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    ran = request.getfixturevalue(age)
    runner, result = ran.runners[name], ran.results["questions/epsilon-0", name]
    loaded = ran.case("questions/epsilon-0")
    seen = Seen(loaded, runner, runner.documented(loaded.case), result, str(ran.versions[name]), "there")
    file = tmp_path / "script.py"
    file.write_text(script(seen, make(loaded.case, loaded.file.parent)), encoding="utf-8")
    ended = subprocess.run([ran.environment.python, file], capture_output=True, text=True)
    assert ended.returncode == 1, ended.stderr
    assert "6.999964714050293, expected 7.0: off by" in ended.stdout
