"""Environments are built once, whole or not at all, whoever builds them and however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import wheels

from bncheck.environments import builder, cache, interpreter
from bncheck.environments.interpreter import BadInterpreter, Environment
from bncheck.environments.wanted import AT_RELEASE, Wanted

MINE = f"{sys.version_info[0]}.{sys.version_info[1]}"


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of packages that is all there is, and a cache of one's own."""
    folder = tmp_path / "index"
    folder.mkdir()
    wheels.wheel(folder, "numpy", "1.0")
    wheels.wheel(folder, "framework", "1.0", "helper")
    wheels.wheel(folder, "framework", "2.0", "helper>=2")
    wheels.wheel(folder, "helper", "1.0")
    monkeypatch.setenv("UV_DEFAULT_INDEX", (tmp_path / "nothing").as_uri())
    monkeypatch.setenv("UV_FIND_LINKS", str(folder))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    monkeypatch.setenv("UV_PYTHON_DOWNLOADS", "never")
    place = tmp_path / "cache"
    monkeypatch.setattr(cache, "folder", lambda: place)
    return folder


def left() -> set[str]:
    """What is in the cache, but for locks."""
    return {path.name for path in cache.folder().iterdir() if path.suffix != ".lock"}


def outcomes(*wanted: Wanted) -> dict[str, Environment | BadInterpreter]:
    return {event.name: event.outcome for event in builder.build(wanted) if isinstance(event, builder.Ended)}


def test_an_environment_holds_the_packages_what_they_need_and_numpy(index: Path) -> None:
    built = builder.environment(Wanted("old", ("framework==1.0",), MINE))
    assert built.distributions == {"framework": "1.0", "helper": "1.0", "numpy": "1.0"}
    assert built.python_version.startswith(MINE)
    assert left() == {cache.key(Wanted("old", ("framework==1.0",), MINE))}


def test_what_is_built_is_used_again_under_any_name_without_uv(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = builder.environment(Wanted("old", ("framework==1.0",)))
    monkeypatch.setattr(builder.uv, "find", lambda: pytest.fail("uv was called"))
    again = builder.environment(Wanted("older", ("framework==1.0",)))
    assert (again.name, again.python) == ("older", first.python)


def test_several_are_built_side_by_side_and_one_that_cannot_be_harms_no_other(index: Path) -> None:
    found = outcomes(Wanted("a", ("framework==1.0",)), Wanted("b", ("framework==2.0",), MINE), Wanted("c", ("helper",)))
    assert isinstance(found["a"], Environment)
    assert isinstance(found["c"], Environment)
    said = str(found["b"])
    assert said.startswith("uv: No solution found")
    assert "helper>=2" in said
    assert len(left()) == 2


def test_uv_says_which_package_there_is_not_and_the_pythons_that_were_tried(
    index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = Path(getattr(sys, "_base_executable", sys.executable))
    monkeypatch.setattr(builder.pythons, "newest", lambda: iter([("3.99", ours), ("3.98", ours)]))
    found = outcomes(Wanted("a", ("nowhere==1.0",)))["a"]
    assert isinstance(found, builder.Unbuildable)
    assert "nowhere" in str(found)
    assert "(nor on Python 3.98)" in str(found)
    assert found.lasting
    assert left() == set()


def test_a_python_that_is_not_to_be_had_is_said_in_uv_s_words(index: Path) -> None:
    found = outcomes(Wanted("a", ("helper",), "3.99"))["a"]
    assert str(found).startswith("uv: ")
    assert "3.99" in str(found)
    assert left() == set()


def test_the_usual_build_is_left_out_beside_another_one(index: Path) -> None:
    wheels.wheel(index, "tensorflow", "2.0")
    wheels.wheel(index, "tensorflow_cpu", "2.0")
    wheels.wheel(index, "tf_keras", "2.0", "tensorflow")
    built = builder.environment(Wanted("a", ("tensorflow-cpu==2.0", "tf-keras"), MINE))
    assert set(built.distributions) == {"tensorflow-cpu", "tf-keras", "numpy"}


def test_what_was_not_to_be_had_when_it_was_released_is_built_as_it_is_today(
    index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, days = builder.Uv.run, []

    def without_the_past(self: builder.Uv, *arguments: str, folder: Path) -> None:
        if "--exclude-newer" in arguments:
            days.append(arguments[arguments.index("--exclude-newer") + 1])
            raise builder.Unbuildable("uv: No solution found", lasting=True)
        run(self, *arguments, folder=folder)

    monkeypatch.setattr(builder.dates, "of_release", lambda *_: "1999-01-01")
    monkeypatch.setattr(builder.Uv, "run", without_the_past)
    assert builder.environment(Wanted("a", ("helper==1.0",), MINE, AT_RELEASE)).distributions["helper"] == "1.0"
    assert isinstance(outcomes(Wanted("b", ("helper==1.0",), MINE, "1998-01-01"))["b"], builder.Unbuildable)
    assert days == ["1999-01-01", "1998-01-01"]


def test_where_the_index_knows_no_dates_a_release_is_built_as_of_today(index: Path) -> None:
    assert builder.environment(Wanted("a", ("helper==1.0",), MINE, AT_RELEASE)).distributions["helper"] == "1.0"


def test_what_the_network_withholds_is_no_lasting_failure(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.delenv("UV_DEFAULT_INDEX")
    found = outcomes(Wanted("a", ("nowhere==1.0",), MINE))["a"]
    assert "network was disabled" in str(found)
    assert isinstance(found, builder.Unbuildable)
    assert not found.lasting


def test_packages_that_no_marker_asks_for_have_no_day(index: Path) -> None:
    wanted = Wanted("a", ("helper; python_version<'3'",), MINE, AT_RELEASE)
    assert builder.environment(wanted).distributions == {"numpy": "1.0"}


def test_an_interpreter_that_hangs_is_not_handed_to_uv(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hangs = tmp_path / "python"
    hangs.write_text("#!/bin/sh\nsleep 600\n")
    hangs.chmod(0o755)
    monkeypatch.setattr(interpreter, "SECONDS", 0.5)
    assert "did not end within" in str(outcomes(Wanted("a", ("helper",), str(hangs)))["a"])


def test_without_uv_it_is_said_how_to_get_it(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uv", None)
    found = outcomes(Wanted("a", ("helper",)))["a"]
    assert str(found) == "uv, which builds environments, is not installed; pip install 'bncheck[environments]'"


def test_one_whose_interpreter_is_gone_is_built_anew(index: Path) -> None:
    built = builder.environment(Wanted("a", ("helper",)))
    built.python.unlink()
    assert builder.environment(Wanted("a", ("helper",))).python.exists()


BUILD = """
import sys
from pathlib import Path
from bncheck.environments import builder, cache
from bncheck.environments.wanted import AT_RELEASE, Wanted
cache.folder = lambda: Path(sys.argv[1])
print(builder.environment(Wanted("a", tuple(sys.argv[2:]))).python)
"""


def start(*packages: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", BUILD, str(cache.folder()), *packages]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.05)


def test_two_runs_that_build_the_same_at_once_end_with_one(index: Path) -> None:
    both = [start("framework==1.0"), start("framework==1.0")]
    said = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert said[0][0] == said[1][0]
    assert left() == {cache.key(Wanted("a", ("framework==1.0",)))}


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL], ids=["interrupted", "killed"])
def test_a_run_that_is_ended_leaves_nothing_half_built(index: Path, tmp_path: Path, end: signal.Signals) -> None:
    marker = tmp_path / "marker"
    wheels.never_built(index, "never", marker)
    process = start("never==1.0")
    until(marker.exists)
    process.send_signal(end)
    process.communicate(timeout=60)
    if end == signal.SIGINT:
        assert left() == set()
    wheels.wheel(index, "never", "1.0")  # now it can be had
    assert builder.environment(Wanted("a", ("never==1.0",))).distributions["never"] == "1.0"
    assert left() == {cache.key(Wanted("a", ("never==1.0",)))}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with the one that started it")
def test_uv_ends_with_the_run_that_is_killed(index: Path, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    wheels.never_built(index, "never", marker)
    process = start("never==1.0")
    until(marker.exists)
    import psutil

    uvs = [child for child in psutil.Process(process.pid).children(recursive=True) if child.name() == "uv"]
    assert uvs
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    until(lambda: not any(each.is_running() and each.status() != psutil.STATUS_ZOMBIE for each in uvs))


def test_closing_the_generator_ends_what_is_being_built(index: Path, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    wheels.never_built(index, "never", marker)
    events = builder.build([Wanted("a", ("never==1.0",))])
    assert isinstance(next(events), builder.Begun)
    next(events)
    until(marker.exists)
    events.close()
    assert left() == set()


def test_removing_frees_the_place(index: Path) -> None:
    builder.environment(Wanted("a", ("helper",)))
    (built,) = cache.built()
    assert (built.said, built.size > 0) == ("helper", True)
    cache.remove(built)
    assert left() == set()
    assert cache.built() == []
