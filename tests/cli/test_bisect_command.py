"""``bncheck bisect`` as a user meets it: a kernel that changes from release to release, some of which cannot be run."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import wheels
from conftest import OWN, Said
from packaging.requirements import Requirement
from packaging.version import Version

from bncheck.bisection import releases
from bncheck.bisection.trial import Question, Tried
from bncheck.document import Cause, Result
from bncheck.environments import builder
from bncheck.environments.interpreter import Environment
from bncheck.environments.uv import Unbuildable
from bncheck.spelling import Spelling

pytest.importorskip("uv")

Bncheck = Callable[..., Said]

MINE = f"{sys.version_info[0]}.{sys.version_info[1]}"
CASE = """\
title: a training step
input: {shape: [4, 3, 5, 2], layout: NCHW}
axis: 1
mode: training
epsilon: 0.1
matrix: {axis: [1, 2]}
"""
FILE = f"""\
import sys
sys.path.insert(0, {str(OWN.parent)!r})
import kernel
import own_runners

def batch_norm(x, **arguments):
    return getattr(own_runners, kernel.DOES)(x, **arguments)
"""
KERNELS = {
    "1.0": "right",
    "1.1": "right",
    "1.2": "right",
    "1.3": None,
    "1.4": "exits",
    "1.5": "epsilon_dropped",
    "1.6": "epsilon_dropped",
    "1.7rc1": "raises",
    "1.7": "wrong_shape",
    "1.8": "right",
}
"""What each release does; 1.3 needs what there is not, and 1.8 what it does not say."""

VERDICTS = {"right": "pass", None: None, "exits": None}
"""What is found of each, where that is not a failure; None: it is skipped."""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a case, a file that calls the kernel, and a cache of one's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cases").mkdir()
    (tmp_path / "cases" / "a.yaml").write_text(CASE)
    (tmp_path / "bn.py").write_text(FILE)
    return tmp_path


@pytest.fixture
def index(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of packages that is all there is, for uv and for pip."""
    folder = home / "index"
    folder.mkdir()
    wheels.wheel(folder, "numpy", "1.0", files={"numpy.pth": f"{Path(np.__file__).parent.parent}\n"})
    wheels.wheel(folder, "more", "1.0")
    for release, does in KERNELS.items():
        files = {"kernel.py": f"DOES = {does!r}" + ("\nimport more" if release == "1.8" else "")}
        wheels.wheel(folder, "kernel", release, *(["nowhere"] if does is None else []), files=files)
    for name, value in {
        "UV_DEFAULT_INDEX": (home / "nothing").as_uri(),
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_FIND_LINKS": folder,
        "UV_CACHE_DIR": home / "uv",
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": folder,
    }.items():
        monkeypatch.setenv(name, str(value))
    return folder


@pytest.fixture
def told(home: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """No index and no environments: what they would tell is known. Lists the releases that are tried."""
    tried = []

    def put(self: Question, release: Version, python: str, told: object) -> Tried:
        tried.append(str(release))
        does = KERNELS[str(release)]
        found = {"release": str(release), "python": python, "seconds": 0.1}
        if (verdict := VERDICTS.get(does, "fail")) is None:
            return Tried(**found, skipped=f"it does not go: {does}")
        causes = (
            [] if verdict == "pass" else [Cause(kind="epsilon" if does == "epsilon_dropped" else "shape", message=".")]
        )
        return Tried(**found, result=Result(case="a", runner="mine", device="cpu", verdict=verdict, causes=causes))

    monkeypatch.setattr(Question, "put", put)
    monkeypatch.setattr(releases, "listing", listing)
    return tried


def listing(name: str, python: str, pre: bool) -> list[Version]:
    return [release for release in map(Version, KERNELS) if pre or not release.is_prerelease]


def never(*_: object) -> Tried:
    raise KeyboardInterrupt


def asked(good: str, bad: str, *more: str, package: str = "kernel") -> list[str]:
    """The command that bisects the kernel."""
    ends = ["--package", package, "--good", good, "--bad", bad, "--python", MINE]
    return ["bisect", "a[axis=1]", "--runner", "mine=bn.py:batch_norm", *ends, *more]


def lines(said: str) -> list[str]:
    """The releases that are told, each with what was found, and whether that was in the log."""
    split = [line.split() for line in said.splitlines() if " Python " in line]
    return [f"{release} {what}" + (" again" if last == "log" else "") for release, _, _, what, *_, last in split]


def test_the_release_is_named_with_what_is_found_before_and_after_it(index: Path, bncheck: Bncheck) -> None:
    code, answer, said = bncheck(*asked("1.5", "1.7"))
    assert code == 0
    assert lines(said) == ["1.5 fail:", "1.7 fail:", "1.6 fail:"]
    said_first, before, after = re.split(rf"\n\n(?=kernel 1\.. on Python {MINE}.*: fail\n)", answer)
    assert said_first == "a[axis=1] on mine changed in kernel 1.7."
    assert "\nepsilon: " in before
    assert "moving_variance" in before
    assert "\nshape: output has shape " in after
    assert max(map(len, answer.splitlines() + said.splitlines()[2:])) <= 100


def test_what_a_release_needs_besides_can_be_added(index: Path, bncheck: Bncheck) -> None:
    code, answer, said = bncheck(*asked("1.8", "1.7"))
    assert (code, answer) == (3, "")
    assert "kernel 1.8, an end, cannot be judged: " in said
    assert "No module named 'more'" in said
    assert lines(said) == ["1.8 skipped:"]
    code, answer, said = bncheck(*asked("1.8", "1.7", "--with", "more>=1"))
    assert (code, lines(said)) == (0, ["1.8 pass", "1.7 fail:"])
    assert "changed in kernel 1.8." in answer
    assert "Other releases beside it" not in answer


def test_after_a_kill_the_same_command_goes_on(index: Path, bncheck: Bncheck, home: Path) -> None:
    command = [*asked("1.2", "1.5"), "--log", "log.jsonl"]
    log = home / "log.jsonl"
    process = subprocess.Popen([sys.executable, "-m", "bncheck", *command], stderr=subprocess.DEVNULL)
    while process.poll() is None and (not log.exists() or log.read_text().count("\n") < 2):
        time.sleep(0.01)
    process.kill()
    process.wait()
    code, answer, said = bncheck(*command)
    assert code == 0
    assert lines(said)[:2] == ["1.2 pass again", "1.5 fail: again"]
    assert {line.removesuffix(" again") for line in lines(said)[2:]} == {"1.3 skipped:", "1.4 skipped:"}
    assert "\n\n1.3: uv: No solution found" in answer
    assert "\n1.4: " in answer


def test_the_reference_may_be_the_newer_end(told: list[str], bncheck: Bncheck) -> None:
    assert bncheck(*asked("1.7", "1.5"))[1] == bncheck(*asked("1.5", "1.7"))[1]


def test_where_only_skipped_releases_are_left_each_is_named_with_the_reason(told: list[str], bncheck: Bncheck) -> None:
    code, answer, said = bncheck(*asked("1.0", "1.6"))
    assert code == 0
    assert lines(said) == ["1.0 pass", "1.6 fail:", "1.3 skipped:", "1.4 skipped:", "1.2 pass", "1.5 fail:"]
    assert answer.startswith(
        "a[axis=1] on mine changed in kernel 1.5, or in one of those before it that had to be skipped, of\n"
        "which nothing is known.\n\n"
        "1.3: it does not go: None\n"
        "1.4: it does not go: exits\n\n"
        f"kernel 1.2 on Python {MINE}: pass\n\n"
        f"kernel 1.5 on Python {MINE}: fail\nepsilon: "
    )


def test_ends_of_the_same_outcome_are_exit_4_and_shown(told: list[str], bncheck: Bncheck) -> None:
    code, answer, said = bncheck(*asked("1.0", "1.2"))
    assert (code, lines(said)) == (4, ["1.0 pass", "1.2 pass"])
    assert answer == (
        "a[axis=1] on mine did not change: with kernel 1.0 and 1.2 it has the same verdict and causes.\n\n"
        f"kernel 1.0 on Python {MINE}: pass\n\n"
        f"kernel 1.2 on Python {MINE}: pass\n"
    )


def test_prereleases_are_tried_where_an_end_is_one(told: list[str], bncheck: Bncheck) -> None:
    assert "changed in kernel 1.7rc1." in bncheck(*asked("1.6", "1.7rc1"))[1]
    assert "changed in kernel 1.7." in bncheck(*asked("1.6", "1.7"))[1]


def test_an_end_that_cannot_be_judged_is_exit_3_and_tried_again_next_time(told: list[str], bncheck: Bncheck) -> None:
    for _ in range(2):
        code, answer, said = bncheck(*asked("1.0", "1.4"))
        assert (code, answer) == (3, "")
        assert "Error: kernel 1.4, an end, cannot be judged: it does not go: exits\nName another end, or " in said
    assert told == ["1.0", "1.4", "1.4"]


def test_what_is_in_the_log_is_not_tried_again(told: list[str], bncheck: Bncheck) -> None:
    first = bncheck(*asked("1.0", "1.6", "--log", "log.jsonl"))
    tried = list(told)
    code, answer, said = bncheck(*asked("1.0", "1.6", "--log", "log.jsonl"))
    assert (code, answer) == first[:2]
    assert told == tried
    assert lines(said) == [f"{line} again" for line in lines(first[2])]
    assert "7 releases, 6 tried before; log: log.jsonl\n" in said


@pytest.mark.parametrize(
    "change",
    [
        lambda home: (home / "bn.py").write_text(f"{FILE}\n# changed\n"),
        lambda home: (home / "cases" / "a.yaml").write_text(CASE.replace("0.1", "0.2")),
        lambda home: np.save(home / "cases" / "x.npy", np.ones((4, 3, 5, 2), np.float32)),
    ],
    ids=["the file of one's own", "the case", "the tensors of the case"],
)
def test_another_question_is_not_answered_from_the_log(
    told: list[str], bncheck: Bncheck, home: Path, change: Callable[[Path], object]
) -> None:
    np.save(home / "cases" / "x.npy", np.zeros((4, 3, 5, 2), np.float32))
    (home / "cases" / "a.yaml").write_text(CASE.replace("NCHW}", "NCHW, values: {file: x.npy}}"))
    bncheck(*asked("1.5", "1.6", "--log", "log.jsonl"))
    change(home)
    bncheck(*asked("1.5", "1.6", "--log", "log.jsonl"))
    assert told == ["1.5", "1.6"] * 2


@pytest.mark.parametrize("more", [["--with", "more"], ["--python", "3.9"], ["--runner", "numpy"]], ids=str)
def test_another_environment_is_another_question(told: list[str], bncheck: Bncheck, more: list[str]) -> None:
    bncheck(*asked("1.5", "1.6", "--log", "log.jsonl"))
    bncheck(*asked("1.5", "1.6", "--log", "log.jsonl", *more))
    assert told == ["1.5", "1.6"] * 2


def test_after_ctrl_c_the_same_command_goes_on(
    told: list[str], bncheck: Bncheck, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = Question.put
    with monkeypatch.context() as patched:
        patched.setattr(Question, "put", lambda self, r, *o: never() if str(r) == "1.6" else put(self, r, *o))
        code, answer, said = bncheck(*asked("1.5", "1.7"))
    assert (code, answer) == (130, "")
    assert said.endswith(f"ended; to go on:\n  {shlex.join(['bncheck', *asked('1.5', '1.7')])}\n")
    code, answer, said = bncheck(*asked("1.5", "1.7"))
    assert (code, lines(said)) == (0, ["1.5 fail: again", "1.7 fail: again", "1.6 fail:"])


@pytest.mark.parametrize("lasting", [True, False], ids=["not to be had", "the network fails"])
def test_only_what_is_not_to_be_had_is_held_against_a_release(
    home: Path, bncheck: Bncheck, monkeypatch: pytest.MonkeyPatch, lasting: bool
) -> None:
    def environment(*_: object) -> Environment:
        raise Unbuildable("uv: it failed", lasting=lasting)

    monkeypatch.setattr(releases, "listing", listing)
    monkeypatch.setattr(builder, "environment", environment)
    code, answer, said = bncheck(*asked("1.0", "1.5", "--log", "log.jsonl"))
    assert (code, answer) == (3, "")
    if lasting:
        assert "kernel 1.0, an end, cannot be judged: uv: it failed\n" in said
        assert (home / "log.jsonl").read_text()
    else:
        assert said.endswith("Error: kernel==1.0: uv: it failed\nThe same command goes on from here.\n")
        assert not (home / "log.jsonl").read_text()


def test_what_the_runner_needs_beside_a_release_is_asked_for_unless_the_user_names_it() -> None:
    def needed(*besides: str) -> list[str]:
        question = Question(None, Spelling("tf-keras"), "tensorflow-cpu", besides)  # type: ignore[arg-type]
        return [str(Requirement(each).name) for each in question.companions(Version("2.17.1"))]

    assert "tf-keras" in needed()
    assert "tf-keras" not in needed("TF_Keras==2.17.0")
    assert list(Question(None, Spelling("mine", own="a.py:f"), "tensorflow-cpu").companions(Version("2.17.1"))) == []  # type: ignore[arg-type]


def test_an_index_that_does_not_answer_is_exit_3(home: Path, bncheck: Bncheck, monkeypatch: pytest.MonkeyPatch) -> None:
    def unanswered(*_: object) -> list[Version]:
        raise releases.NoIndex("the index cannot be asked")

    monkeypatch.setattr(releases, "listing", unanswered)
    code, answer, said = bncheck(*asked("1.0", "1.5"))
    assert (code, answer) == (3, "")
    assert "Error: the index cannot be asked" in said


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (asked("1", "2", package="--index-url=x"), "'--index-url=x' is no name of a package"),
        (asked("1", "2", package="a b; rm"), "'a b; rm' is no name of a package"),
        (asked("1", "2", package="../x"), "'../x' is no name of a package"),
        (asked("1", "2", package="x @ file:///etc"), "'x @ file:///etc' is no name of a package"),
        (asked("--pre", "2"), "'--pre' is no release"),
        (asked("1", "2; rm"), "'2; rm' is no release"),
        (asked("1", "2", "--with", "--index-url=x"), "'--index-url=x' is no requirement"),
        (asked("1", "2", "--with", "x @ file:///etc"), "'x @ file:///etc' is an address"),
        (asked("1", "2", "--python", "--pre"), "--python '--pre' is no version; write for example 3.9"),
        (asked("1", "2", "--python", "../python"), "--python '../python' is no version"),
        (asked("1.0", "1.0.0"), "1.0 and 1.0.0 are the same release"),
        (asked("1", "2", "--runner", "numpy@old"), "--runner numpy@old: leave out @old"),
        (asked("1", "2", "--runner", "torch*"), "'torch*' are several runners; name one, such as torch"),
        (asked("1", "2", "--runner", "nympy"), "did you mean numpy?"),
        (asked("1", "2", "--log", "bn.py"), "--log: bn.py is no log of a bisection"),
        (["bisect", "b", *asked("1", "2")[2:]], "there is no case 'b'"),
        (["bisect", "a", *asked("1", "2")[2:]], "'a' are 2 cases; name one of\n"),
    ],
)
def test_what_cannot_be_asked_is_a_usage_error_before_anything_runs(
    home: Path, bncheck: Bncheck, monkeypatch: pytest.MonkeyPatch, arguments: list[str], says: str
) -> None:
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("a process was started"))
    code, answer, said = bncheck(*arguments)
    assert (code, answer) == (2, "")
    assert says in said


def test_an_end_that_there_is_not_is_a_usage_error_with_the_nearest(told: list[str], bncheck: Bncheck) -> None:
    code, answer, said = bncheck(*asked("1.4.5", "1.6"))
    assert (code, answer) == (2, "")
    assert f"the index has no release 1.4.5 of kernel for Python {MINE}; the nearest: 1.4 and 1.5" in said


def test_a_package_of_the_real_index(home: Path, bncheck: Bncheck, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_DEFAULT_TIMEOUT", "10")
    try:
        if not releases.listing("six", MINE, False):
            pytest.skip("the index that pip is set up for has no package six")
    except releases.NoIndex as error:
        pytest.skip(str(error))
    (home / "bn.py").write_text(
        "import importlib.metadata, sys\n"
        f"sys.path.insert(0, {str(OWN.parent)!r})\n"
        "import own_runners\n"
        "def batch_norm(x, **arguments):\n"
        "    release = importlib.metadata.version('six')\n"
        "    return (own_runners.right if release < '1.15' else own_runners.epsilon_dropped)(x, **arguments)\n"
    )
    code, answer, said = bncheck(*asked("1.13.0", "1.16.0", package="six"))
    assert code == 0, said
    assert "a[axis=1] on mine changed in six 1.15.0." in answer
