"""The composite action and the workflows that `bncheck init` writes: their steps, run as GitHub and GitLab run them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from conftest import Said
from ruamel.yaml import YAML

TOP = Path(__file__).parent.parent
ACTION = TOP / ".github" / "actions" / "bncheck" / "action.yml"

CASE = """\
title: the epsilon that is asked for is used
input: {shape: [4, 3, 5, 2], layout: NCHW}
axis: 1
mode: inference
epsilon: 1.0e-3
"""
KERNEL = """\
import numpy as np

def batch_norm(x, *, axis, epsilon, momentum, training, gamma, beta, moving_mean, moving_variance):
    shape = [n if a in axis else 1 for a, n in enumerate(x.shape)]
    y = (x - moving_mean.reshape(shape)) / np.sqrt(moving_variance.reshape(shape) + np.float32(1e-5))
    return {"output": gamma.reshape(shape) * y + beta.reshape(shape)}
"""


def read(file: Path) -> Any:
    return YAML(typ="safe").load(file)


class Step(NamedTuple):
    """What a step left: its exit status, what it said, and the files of GitHub's that it wrote to."""

    status: int
    out: str
    err: str
    summary: str
    outputs: dict[str, str]


class Workplace:
    """A repository with a case and a wrong kernel, and a machine of GitHub's around it."""

    def __init__(self, folder: Path) -> None:
        self.repository, self.temporary = folder / "a repository", folder / "temporary"
        self.temporary.mkdir()
        (self.repository / "cases").mkdir(parents=True)
        (self.repository / "cases" / "epsilon.yaml").write_text(CASE)
        (self.repository / "kernel.py").write_text(KERNEL)

    def run(self, script: str, env: Mapping[str, str] | None = None) -> Step:
        """A step, by the shell that GitHub runs it with."""
        summary, outputs = self.temporary / "summary", self.temporary / "outputs"
        summary.write_text("")
        outputs.write_text("")
        here = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(self.temporary),
            "RUNNER_TEMP": str(self.temporary),
            "GITHUB_WORKSPACE": str(self.repository),
            "GITHUB_ACTION_PATH": str(ACTION.parent),
            "GITHUB_STEP_SUMMARY": str(summary),
            "GITHUB_OUTPUT": str(outputs),
        }
        process = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
            cwd=self.repository,
            env={**here, **(env or {})},
            capture_output=True,
            text=True,
            check=False,
        )
        said = dict(line.split("=", 1) for line in outputs.read_text().splitlines())
        return Step(process.returncode, process.stdout, process.stderr, summary.read_text(), said)

    def act(self, **inputs: str) -> Step:
        """The action's own step, with inputs as a workflow gives them."""
        given = {name: spec.get("default", "") for name, spec in read(ACTION)["inputs"].items()} | inputs
        (step,) = [step for step in read(ACTION)["runs"]["steps"] if step.get("id") == "run"]
        return self.run(step["run"], {name: evaluated(value, given) for name, value in step["env"].items()})


def evaluated(text: str, inputs: Mapping[str, str]) -> str:
    return re.sub(r"\$\{\{ inputs\.(\w+) \}\}", lambda found: inputs[found[1]], text)


@pytest.fixture
def workplace(tmp_path: Path) -> Workplace:
    return Workplace(tmp_path)


def test_a_wrong_kernel_fails_the_step_is_annotated_and_summed_up(workplace: Workplace) -> None:
    step = workplace.act(cases="cases\n", runners="numpy\n\n  mine=kernel.py:batch_norm\n", device="cpu")
    assert step.status == 1, step.err
    assert "1 case x 2 runners on cpu: 2 results" in step.out
    assert "\n::error file=cases/epsilon.yaml,line=1,title=epsilon%3A epsilon on mine::" in step.out
    assert step.summary.startswith("## \N{CROSS MARK} bncheck: 1 discrepancy")
    assert {file.name for file in Path(step.outputs["reports"]).iterdir()} == {
        "results.json",
        "junit.xml",
        "report.html",
    }


def test_what_is_right_passes_and_summary_and_annotations_can_be_switched_off(workplace: Workplace) -> None:
    step = workplace.act(cases="cases", runners="numpy", summary="false", annotations="false")
    assert (step.status, step.summary) == (0, ""), step.err
    assert "::" not in step.out
    assert step.out.endswith("no discrepancies: 1 as requested\n")


def test_arguments_are_handed_on_as_they_are_one_a_line(workplace: Workplace) -> None:
    step = workplace.act(
        cases="cases", runners="numpy", arguments="-k\nepsilon and not $(touch here) `touch here`\n--max-fail=1"
    )
    assert step.status == 2
    assert "expression" in step.err
    assert not (workplace.repository / "here").exists()


def test_without_inputs_the_settings_of_the_project_hold(workplace: Workplace) -> None:
    (workplace.repository / "pyproject.toml").write_text('[tool.bncheck]\npaths = ["cases"]\nrunners = ["numpy"]\n')
    step = workplace.act()
    assert step.status == 0, step.err
    assert "1 case x 1 runner on cpu" in step.out


def test_a_bad_case_file_is_told_and_its_exit_status_kept(workplace: Workplace) -> None:
    (workplace.repository / "cases" / "epsilon.yaml").write_text(CASE.replace("axis", "axes"))
    step = workplace.act(cases="cases", runners="numpy")
    assert (step.status, step.summary) == (2, "")
    assert "cases/epsilon.yaml:3:1: unknown key `axes`" in step.err


def test_the_action_installs_its_own_checkout_with_the_extras_asked_for(workplace: Workplace) -> None:
    (step,) = [step for step in read(ACTION)["runs"]["steps"] if step["name"] == "Install bncheck"]
    assert step["if"] == "inputs.extras != 'none'"
    pip = workplace.temporary / "python"
    pip.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    pip.chmod(0o755)
    path = {"PATH": f"{pip.parent}:{os.environ['PATH']}"}
    for extras, told in [("", ""), ("torch,onnx", "[torch,onnx]")]:
        *command, what = workplace.run(step["run"], {**path, "EXTRAS": extras}).out.splitlines()
        assert command == ["-m", "pip", "install"]
        folder = what.removesuffix(told)
        assert Path(folder).resolve() == TOP
        assert (Path(folder) / "pyproject.toml").is_file()


def test_reports_are_kept_whatever_came_of_the_run() -> None:
    keep = read(ACTION)["runs"]["steps"][-1]
    assert keep["if"].startswith("always() && ")
    assert keep["uses"].startswith("actions/upload-artifact@v")
    assert keep["with"]["path"] == "${{ steps.run.outputs.reports }}"


@pytest.mark.parametrize("file", [ACTION, TOP / ".github" / "workflows" / "ci.yml"], ids=lambda file: file.name)
def test_nothing_from_outside_is_pasted_into_a_script(file: Path) -> None:
    found = read(file)
    steps = found["runs"]["steps"] if "runs" in found else [s for job in found["jobs"].values() for s in job["steps"]]
    assert not [step for step in steps if "${{" in step.get("run", "")]


def test_ci_runs_what_every_checkout_runs_and_the_action_itself() -> None:
    jobs = read(TOP / ".github" / "workflows" / "ci.yml")["jobs"]
    assert jobs["test"]["steps"][-1] == {"run": ".ci/run"}
    used = jobs["action"]["steps"][-1]
    assert (TOP / used["uses"] / "action.yml").resolve() == ACTION
    assert used["with"].keys() <= read(ACTION)["inputs"].keys()


def written(bncheck: Callable[..., Said], workplace: Workplace, monkeypatch: pytest.MonkeyPatch, kind: str) -> Any:
    """The workflow that `bncheck init` writes into the repository, where the settings name what there is to run."""
    monkeypatch.chdir(workplace.repository)
    settings = '[tool.bncheck]\npaths = ["cases/epsilon.yaml"]\nrunners = ["numpy", "mine=kernel.py:batch_norm"]\n'
    (workplace.repository / "pyproject.toml").write_text(settings)
    code, out, err = bncheck("init", "--workflow", kind)
    assert (code, err) == (0, "")
    (file,) = re.findall(r"^wrote  (\S*bncheck\S*\.yml)$", out, re.MULTILINE)
    return read(workplace.repository / file)


def test_the_github_workflow_that_init_writes_runs_by_itself(
    bncheck: Callable[..., Said], workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    workflow = written(bncheck, workplace, monkeypatch, "github")
    assert workflow["permissions"] == {"contents": "read"}
    (job,) = workflow["jobs"].values()
    install, run = [step["run"] for step in job["steps"] if "run" in step]
    assert re.fullmatch(r"pip install 'bncheck(\[[a-z,]+\])?'", install)
    step = workplace.run(run)
    assert step.status == 1, step.err
    assert "::error file=cases/epsilon.yaml" in step.out
    assert "epsilon" in step.summary
    keep = job["steps"][-1]
    assert keep["if"] == "always()"
    found = {file.name for file in workplace.repository.glob(keep["with"]["path"])}
    assert found == {"bncheck.json", "bncheck.xml", "bncheck.html"}


def test_the_gitlab_job_that_init_writes_runs_by_itself(
    bncheck: Callable[..., Said], workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = written(bncheck, workplace, monkeypatch, "gitlab")["bncheck"]
    assert read(workplace.repository / ".gitlab-ci.yml") == {"include": "/.gitlab/bncheck.yml"}
    step = workplace.run(job["script"][-1])
    assert step.status == 1, step.err
    assert job["artifacts"]["when"] == "always"
    junit = (workplace.repository / job["artifacts"]["reports"]["junit"]).read_text()
    assert "<failure" in junit


def test_the_gpu_workflow_names_what_must_run_there(
    bncheck: Callable[..., Said], workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bncheck.running import runners

    monkeypatch.setattr(runners, "version_of", lambda name, _: "9" if name in ("torch", "numpy") else None)
    workflow = written(bncheck, workplace, monkeypatch, "github-gpu")
    assert "pull_request" not in workflow["on"]
    (job,) = workflow["jobs"].values()
    assert "self-hosted" in job["runs-on"]
    scripts = [step["run"] for step in job["steps"] if "run" in step]
    assert scripts[-2] == "pip install 'bncheck[torch]'"
    assert scripts[-1].startswith("bncheck run --device gpu --runner torch --runner torch-functional --report table ")
    monkeypatch.setattr(runners, "version_of", lambda name, _: "9" if name == "numpy" else None)
    code, out, err = bncheck("init", "--workflow", "github-gpu")
    assert (code, out) == (2, "")
    assert "no framework that runs on a GPU is installed here" in err


def test_settings_without_paths_run_the_folder_of_cases(
    bncheck: Callable[..., Said], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text("[tool.bncheck]\ntimeout = 60\n")
    bncheck("init", "--workflow", "github")
    assert "bncheck run cases --report" in (tmp_path / ".github" / "workflows" / "bncheck.yml").read_text()


def test_a_workflow_that_exists_is_left_and_gitlab_is_told_what_to_include(
    bncheck: Callable[..., Said], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".gitlab-ci.yml").write_text("mine: {}\n")
    _, out, _ = bncheck("init", "--workflow", "gitlab")
    assert "left   .gitlab-ci.yml: it exists; let it say include: /.gitlab/bncheck.yml\n" in out
    assert (tmp_path / ".gitlab-ci.yml").read_text() == "mine: {}\n"
    assert "In CI: " not in out


def test_init_says_that_a_workflow_can_be_had(
    bncheck: Callable[..., Said], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "\nIn CI: bncheck init --workflow, for github, github-gpu or gitlab\nNext: " in bncheck("init")[1]
