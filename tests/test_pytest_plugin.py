"""``pytest --bncheck``, as an outside project uses it: with cases and a wrong kernel of its own."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest
from conftest import OWN

import bncheck.api  # noqa: F401  (stays imported from one run to the next)
from bncheck.running import runners

KERNEL = """
import os
import numpy as np

def batch_norm(x, *, axis, epsilon, momentum, training, gamma, beta, moving_mean, moving_variance):
    with open("processes", "a") as file:
        print(os.getpid(), file=file)
    shape = [n if a in axis else 1 for a, n in enumerate(x.shape)]
    mean, variance = moving_mean.reshape(shape), moving_variance.reshape(shape)
    y = (x - mean) / np.sqrt(variance + np.float32(1e-5))  # not epsilon
    return {"output": y * gamma.reshape(shape) + beta.reshape(shape)}

def falls_on_rank_2(x, **arguments):
    if x.ndim == 2:
        os.abort()
    return batch_norm(x, **arguments)
"""

EPSILON = """\
title: A large epsilon is used as it is given
input: {shape: [4, 3, 5, 2], layout: NCHW}
axis: 1
mode: inference
epsilon: 0.01
"""

AXES = """\
title: Any axis
input: {shape: [4, 3], layout: NC}
axis: 1
mode: inference
epsilon: 0.00001
matrix: {axis: [0, -1]}
"""

MINE = "--bncheck-runner=mine=kernel.py:batch_norm"
NUMPY = "--bncheck-runner=numpy"


@pytest.fixture
def outside(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A folder of its own, without the plugin of hypothesis, which would take most of the time."""
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p no:hypothesispytest")
    return pytester


@pytest.fixture
def project(outside: pytest.Pytester) -> pytest.Pytester:
    """An outside project: a kernel of its own, whose epsilon is fixed, and cases in two folders."""
    files = {
        "kernel.py": KERNEL,
        "cases/epsilon.yaml": EPSILON,
        "cases/deep/axes.yaml": AXES,
        "cases/expectations.yaml": "[]",
        "cases/_draft.yaml": "not a case",
        "cases/_drafts/one.yaml": "not a case",
        "test_own.py": "def test_of_its_own():\n    pass\n",
    }
    for name, text in files.items():
        file = outside.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return outside


def collected(project: pytest.Pytester, *arguments: str) -> list[str]:
    result = project.runpytest_inprocess("--bncheck", "--collect-only", "-q", *arguments)
    return [line for line in result.outlines if "::" in line]


def test_each_case_on_each_runner_is_a_test(project: pytest.Pytester) -> None:
    result = project.runpytest_inprocess("--bncheck", "cases", "test_own.py", MINE, NUMPY, "-v")
    result.assert_outcomes(passed=6, failed=1)
    result.stdout.fnmatch_lines(
        [
            "bncheck: mine, numpy on cpu",
            "cases/deep/axes.yaml::mine[[]axis=0] PASSED*",
            "cases/deep/axes.yaml::numpy[[]axis=0] PASSED*",
            "cases/deep/axes.yaml::mine[[]axis=-1] PASSED*",
            "cases/deep/axes.yaml::numpy[[]axis=-1] PASSED*",
            "cases/epsilon.yaml::mine FAILED*",
            "cases/epsilon.yaml::numpy PASSED*",
            "test_own.py::test_of_its_own PASSED*",
        ],
        consecutive=False,
    )


def test_a_failure_is_the_diagnosis_and_nothing_else(project: pytest.Pytester) -> None:
    result = project.runpytest_inprocess("--bncheck", "cases/epsilon.yaml", MINE)
    result.stdout.fnmatch_lines(
        [
            "*___ epsilon on mine ___*",
            "epsilon: 1e-05 used (*), 0.01 requested: PyTorch's default.",
            "",
            "tensor    error   x bound  at  *  is  *  should be",
            "output  2.4e+00  * [[]2, 2, 2, 0[]]  *",
            "",
            "The case: A large epsilon is used as it is given",
            "=*",
            "FAILED cases/epsilon.yaml::mine - epsilon: 1e-05 used *",
        ],
        consecutive=True,
    )


@pytest.mark.parametrize(
    ("arguments", "tests"),
    [
        (["cases", "-k", "numpy and not axes"], ["cases/epsilon.yaml::numpy"]),
        (["cases", "-k", "epsilon"], ["cases/epsilon.yaml::mine", "cases/epsilon.yaml::numpy"]),
        (["cases", "-k", "mine and deep and not 0"], ["cases/deep/axes.yaml::mine[axis=-1]"]),
        (["cases/deep/axes.yaml::mine[axis=0]"], ["cases/deep/axes.yaml::mine[axis=0]"]),
        (
            ["cases/deep/axes.yaml::mine"],
            ["cases/deep/axes.yaml::mine[axis=0]", "cases/deep/axes.yaml::mine[axis=-1]"],
        ),
    ],
    ids=str,
)
def test_tests_are_selected_as_any_others(project: pytest.Pytester, arguments: list[str], tests: list[str]) -> None:
    assert collected(project, *arguments, MINE, NUMPY) == tests


def test_a_file_that_is_named_is_taken_whatever_its_name_begins_with(project: pytest.Pytester) -> None:
    (project.path / "cases" / "_draft.yaml").write_text(EPSILON)
    assert collected(project, "cases/_draft.yaml", NUMPY) == ["cases/_draft.yaml::numpy"]


def test_what_failed_last_is_run_alone(project: pytest.Pytester) -> None:
    project.runpytest_inprocess("--bncheck", "cases", MINE, NUMPY)
    project.runpytest_inprocess("--bncheck", "cases", MINE, NUMPY, "--lf").assert_outcomes(failed=1)


def test_junit_has_the_diagnosis_the_verdict_and_the_error(project: pytest.Pytester) -> None:
    project.runpytest_inprocess("--bncheck", "cases/epsilon.yaml", MINE, NUMPY, "--junitxml=junit.xml")
    mine, numpy = ElementTree.parse(project.path / "junit.xml").iter("testcase")
    assert (mine.get("classname"), mine.get("name")) == ("cases.epsilon.yaml", "mine")
    properties = [{p.get("name"): p.get("value") for p in case.iter("property")} for case in (mine, numpy)]
    assert [p["bncheck_verdict"] for p in properties] == ["fail", "pass"]
    assert float(str(properties[0]["bncheck_x_bound"])) > 1000 > 1 > float(str(properties[1]["bncheck_x_bound"]))
    assert str(mine.findtext("failure")).startswith("epsilon: 1e-05 used (")


def test_it_runs_in_parallel(project: pytest.Pytester) -> None:
    result = project.runpytest_subprocess("--bncheck", "cases", MINE, NUMPY, "-n2", "--junitxml=junit.xml")
    result.assert_outcomes(passed=5, failed=1)
    verdicts = [p.get("value") for p in ElementTree.parse(project.path / "junit.xml").iter("property")]
    assert verdicts.count("fail") == 1
    assert len(set((project.path / "processes").read_text().split())) == 2


def test_all_tests_share_one_worker_for_a_file(project: pytest.Pytester) -> None:
    project.runpytest_inprocess("--bncheck", "cases", MINE)
    processes = (project.path / "processes").read_text().split()
    assert len(processes) == 3
    assert len(set(processes)) == 1


def test_no_worker_starts_before_a_test_needs_it(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bncheck.pytest_plugin.Cases.result", None)  # would fail if it were called
    assert len(collected(project, "cases")) % 3 == 0


def test_a_crash_costs_one_test(project: pytest.Pytester) -> None:
    falls = "--bncheck-runner=falls=kernel.py:falls_on_rank_2"
    (project.path / "cases" / "last.yaml").write_text(EPSILON.replace("0.01", "0.00001"))
    (project.path / "cases" / "deep" / "axes.yaml").write_text(AXES.replace("[0, -1]", "[-1]"))
    result = project.runpytest_inprocess("--bncheck", "cases/deep", "cases/last.yaml", falls)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        ["*___ deep/axes[[]axis=-1[]] on falls ___*", "killed by SIGABRT*", "The case: Any axis"]
    )


def test_a_case_that_takes_too_long_fails(project: pytest.Pytester) -> None:
    hangs = f"--bncheck-runner=hangs={OWN}:hangs"
    result = project.runpytest_inprocess("--bncheck", "cases/epsilon.yaml", hangs, "--bncheck-timeout=0.5")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["no answer after 0.5 s"])


def test_what_is_unsupported_is_skipped_with_the_reason(project: pytest.Pytester) -> None:
    (project.path / "cases" / "epsilon.yaml").write_text(EPSILON.replace("epsilon: 0.01", "epsilon: default"))
    result = project.runpytest_inprocess("--bncheck", "cases/epsilon.yaml", NUMPY, "-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED * a formula has no default epsilon"])


def test_what_differs_as_documented_passes(project: pytest.Pytester) -> None:
    (project.path / "cases" / "epsilon.yaml").write_text(EPSILON.replace("inference", "training"))
    arguments = ["--bncheck", "cases/epsilon.yaml", "--bncheck-runner=torch", "--junitxml=junit.xml"]
    project.runpytest_inprocess(*arguments).assert_outcomes(passed=1)
    assert "known" in [p.get("value") for p in ElementTree.parse(project.path / "junit.xml").iter("property")]


def test_bad_cases_are_errors_of_collection_with_their_places(project: pytest.Pytester) -> None:
    (project.path / "cases" / "bad.yaml").write_text(EPSILON.replace("NCHW", "NCH").replace("mode", "mod"))
    (project.path / "cases" / "wrong.yaml").write_text(
        "title: t\ninput: {shape: [1, 2], layout: NC, values: [[0, 3]]}\naxis: [0, 1]\nmode: inference\n"
        "parameters: {gamma: 1, beta: 0, moving_mean: 0, moving_variance: 1}\nepsilon: 0\n"
        "expected: {output: [0, 4]}\n"
    )
    result = project.runpytest_inprocess("--bncheck", "cases", NUMPY)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(
        [
            "*___ ERROR collecting cases/bad.yaml ___*",
            "cases/bad.yaml:1:1: `mode` is missing; *",
            "cases/bad.yaml:2:*: layout 'NCH' names 3 axes, *",
            "cases/bad.yaml:4:1: unknown key `mod`; did you mean `mode`?",
            "*___ ERROR collecting cases/wrong.yaml ___*",
            "cases/wrong.yaml:7:24: output[[]0, 1] is 3 by the reference, not 4; *",
            "*= short test summary info =*",
        ],
        consecutive=True,
    )


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("--bncheck-runner=nummpy", "--bncheck-runner: there is no runner 'nummpy'; did you mean numpy?"),
        ("--bncheck-runner=mine=gone.py:f", "--bncheck-runner: 'mine=gone.py:f': there is no file gone.py"),
        ("--bncheck-timeout=0", "--bncheck-timeout is 0; give a number of seconds above 0"),
    ],
)
def test_an_option_that_cannot_be_is_a_usage_error(project: pytest.Pytester, option: str, words: str) -> None:
    result = project.runpytest_inprocess("--bncheck", "cases", option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {words}"])


def test_a_runner_that_is_not_installed_is_a_usage_error_only_if_it_was_named(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runners, "version_of", lambda distribution, _: "2" if distribution == "numpy" else None)
    result = project.runpytest_inprocess("--bncheck", "cases", "--bncheck-runner=torch")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: bncheck: torch: torch not installed; pip install 'bncheck[[]torch[]]'"])
    result = project.runpytest_inprocess("--bncheck", "cases")
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["bncheck: numpy on cpu", "bncheck: not installed: keras, *, torch-functional"])


def test_a_gpu_that_is_asked_for_must_be_there(project: pytest.Pytester) -> None:
    result = project.runpytest_inprocess("--bncheck", "cases", NUMPY, "--bncheck-device=gpu")
    result.assert_outcomes(failed=3)
    result.stdout.fnmatch_lines(["no GPU that it could use was found"])
    result = project.runpytest_inprocess("--bncheck", "cases", "--bncheck-runner=n*", "--bncheck-device=gpu", "-rs")
    result.assert_outcomes(skipped=3)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["bncheck: no runner found a GPU, which --bncheck-device asks for"])


def test_cases_are_named_as_the_command_line_names_them(outside: pytest.Pytester) -> None:
    folder = outside.mkdir("checks")
    for name in ("deep", ".hidden"):
        (folder / name).mkdir()
        (folder / name / "epsilon.yaml").write_text(EPSILON)
    outside.makepyfile(kernel=KERNEL)
    for argument, name in (("checks", "deep/epsilon"), (".", "checks/deep/epsilon"), ("checks/deep", "epsilon")):
        result = outside.runpytest_inprocess("--bncheck", argument, MINE)
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines([f"*___ {name} on mine ___*"])


def test_without_the_option_nothing_is_collected(project: pytest.Pytester) -> None:
    result = project.runpytest_inprocess("cases", "test_own.py")
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("bncheck: *")


EXPECTED = """
- case: epsilon
  runner: mine
  cause: epsilon
  error: 5.0
  reason: the kernel's epsilon is fixed until version 2
"""


def test_what_is_expected_to_fail_is_an_expected_failure(project: pytest.Pytester) -> None:
    (project.path / "cases" / "expectations.yaml").write_text(EXPECTED)
    result = project.runpytest_inprocess("--bncheck", "cases", MINE, "-rx")
    result.assert_outcomes(passed=2, xfailed=1)
    result.stdout.fnmatch_lines(
        ["XFAIL cases/epsilon.yaml::mine - the kernel's epsilon is fixed until version 2 *:2:3)"]
    )


@pytest.mark.parametrize(
    ("was", "written", "says"),
    [
        ("epsilon\n  runner: mine", "epsilon\n  runner: numpy", "expected `epsilon`, now passes; remove the entry"),
        ("5.0", "0.001", "expected `epsilon` up to 0.001, but it is off by"),
        ("cause: epsilon", "cause: momentum", "expected `momentum`, but it fails by `epsilon`"),
    ],
)
def test_a_stale_expectation_fails_the_test_that_it_is_about(
    project: pytest.Pytester, was: str, written: str, says: str
) -> None:
    (project.path / "cases" / "expectations.yaml").write_text(EXPECTED.replace(was, written))
    result = project.runpytest_inprocess("--bncheck", "cases/epsilon.yaml", MINE, NUMPY)
    result.stdout.fnmatch_lines([f"Stale expectation: cases/expectations.yaml:2:3: {says}*"])
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_bad_expectations_are_an_error_of_collection(project: pytest.Pytester) -> None:
    (project.path / "cases" / "expectations.yaml").write_text(EXPECTED.replace("reason", "#"))
    result = project.runpytest_inprocess("--bncheck", "cases", MINE)
    result.stdout.fnmatch_lines(["cases/expectations.yaml:2:3: the entry has no reason; *"])
    result.assert_outcomes(errors=1)


def test_the_settings_stand_in_for_options(project: pytest.Pytester) -> None:
    project.makepyprojecttoml("[tool.bncheck]\nrunners = ['mine=kernel.py:batch_norm']\n")
    project.runpytest_inprocess("--bncheck", "cases").assert_outcomes(passed=2, failed=1)
    project.runpytest_inprocess("--bncheck", "cases", NUMPY).assert_outcomes(passed=3)


def test_bad_settings_are_a_usage_error(project: pytest.Pytester) -> None:
    project.makepyprojecttoml("[tool.bncheck]\nrunner = ['numpy']\n")
    result = project.runpytest_inprocess("--bncheck", "cases")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: pyproject.toml:2:1: unknown setting `runner`; did you mean `runners`?"])
