"""``pytest --bncheck``: each case on each runner is a test.

It is loaded wherever pytest runs and bncheck is installed, so it imports nothing of ours before it is asked for.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from bncheck.case.load import LoadedCase
    from bncheck.document import Result, Stale
    from bncheck.expectations.gate import Gate
    from bncheck.running.runners import Runner
    from bncheck.running.session import Session

VERDICT = "bncheck_verdict"
"""The property of a test's report that holds the verdict; ``absent`` where the runner has no such device."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("bncheck")
    group.addoption(
        "--bncheck",
        action="store_true",
        help="Collect the case files (.yaml) of all paths; each case on each runner is a test.",
    )
    group.addoption(
        "--bncheck-runner",
        action="append",
        default=[],
        metavar="RUNNER",
        help="A runner by name, a pattern such as 'torch*', or one's own as LABEL=FILE.py:FUNCTION. Repeatable; "
        "without it, those in the settings, or every implementation that is installed. A runner that is named must be "
        "there.",
    )
    group.addoption(
        "--bncheck-device",
        choices=["cpu", "gpu"],
        help="Where to run (default: cpu). A device that is named must be there.",
    )
    group.addoption(
        "--bncheck-timeout",
        type=float,
        metavar="SECONDS",
        help="End a worker that takes longer for one case (default: 300).",
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("bncheck"):
        config.pluginmanager.register(Cases(config), "bncheck-cases")


class Cases:
    """All cases of one pytest session: where they are, on what they run, and the workers that they share."""

    def __init__(self, config: pytest.Config) -> None:
        from bncheck.pyproject import BadProject
        from bncheck.running.events import CASE_SECONDS, Options
        from bncheck.running.placed import placed
        from bncheck.running.runners import BadRunner
        from bncheck.settings import read

        try:
            self._settings = settings = read(config.invocation_params.dir)
        except BadProject as error:
            raise pytest.UsageError(str(error)) from None
        timeout = config.getoption("bncheck_timeout")
        if timeout is not None and not timeout > 0:
            raise pytest.UsageError(f"--bncheck-timeout is {timeout:g}; give a number of seconds above 0")
        self._device = config.getoption("bncheck_device") or (settings.device if settings.device == "gpu" else "cpu")
        spellings = config.getoption("bncheck_runner")
        try:
            runners = placed(spellings or settings.runners, settings.environments)
        except BadRunner as error:
            if not spellings:
                raise pytest.UsageError(str(settings.bad("runners", str(error)))) from None
            raise pytest.UsageError(f"--bncheck-runner: {error}") from None
        self._missing = [runner for runner in runners if runner.missing]
        if named := [f"{runner.spelling}: {runner.missing}" for runner in self._missing if runner.named]:
            raise pytest.UsageError(f"bncheck: {'; '.join(named)}")
        self.runners = [runner for runner in runners if not runner.missing]
        self._options = Options(
            devices=(self._device,),
            timeout=timeout or settings.timeout or CASE_SECONDS,
            max_memory=settings.max_memory,
        )
        folder = config.invocation_params.dir
        paths = [os.path.abspath(folder / argument.partition("::")[0]) for argument in config.args]  # noqa: PTH100
        self._arguments = [Path(path) for path in paths]
        self._session: Session | None = None
        self._loaded: dict[Path, list[LoadedCase]] = {}
        self._gates: dict[Path, Gate] = {}
        self._verdicts: set[str] = set()

    def pytest_report_header(self) -> list[str]:
        lines = [f"bncheck: {', '.join(runner.spelling for runner in self.runners)} on {self._device}"]
        if self._missing:
            lines.append(f"bncheck: not installed: {', '.join(runner.spelling for runner in self._missing)}")
        return lines

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> CaseFile | None:
        from bncheck.case.load import SUFFIXES, is_case

        found = [path for path in self._arguments if path == file_path or path in file_path.parents]
        argument = found[0] if found else file_path
        named = argument == file_path  # then it is taken whatever its name begins with
        if not (file_path.name.endswith(SUFFIXES) if named else is_case(file_path.relative_to(argument))):
            return None
        return CaseFile.from_parent(parent, path=file_path, argument=argument, cases=self)

    def collected(self, cases: Sequence[LoadedCase]) -> None:
        """Take the cases of one file. Raises `BadCases` for the expectations beside it, once for each folder."""
        from bncheck.expectations.book import books

        root = cases[0].root
        is_first = root not in self._loaded
        self._loaded.setdefault(root, []).extend(cases)
        if is_first:
            books([], cases, self._settings.expectations)

    def result(self, loaded: LoadedCase, runner: Runner) -> tuple[Result, list[Stale]]:
        """Run a case, on the workers that all tests share, and judge it by what is expected; with the expectations
        that it shows to be stale. Raises `bncheck.running.session.Absent`."""
        from bncheck.running.session import Session

        if self._session is None:
            self._session = Session(self.runners, self._options)
        result = self._session.result(loaded, runner, self._device)
        gate = self._gate(loaded.root)
        for implementation in self._session.implementations.values():
            gate.take(implementation)
        result = gate.judge(result)
        return result, gate.stale_by(result)

    def _gate(self, root: Path) -> Gate:
        from bncheck.expectations.book import books
        from bncheck.running.expecting import gate

        if root not in self._gates:
            expected = books([], self._loaded[root], self._settings.expectations)
            self._gates[root] = gate(expected, time.time(), self.runners, self._settings.runners)
        return self._gates[root]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._verdicts.update(str(value) for name, value in report.user_properties if name == VERDICT)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self._session is not None:
            self._session.close()
        if self._verdicts == {"absent"} and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._verdicts == {"absent"}:
            terminalreporter.write_line("bncheck: no runner found a GPU, which --bncheck-device asks for", red=True)


class CaseFile(pytest.File):
    def __init__(self, *, argument: Path, cases: Cases, **given: Any) -> None:
        super().__init__(**given)
        self._argument, self._cases = argument, cases

    def collect(self) -> Iterator[CaseItem]:
        from bncheck.case.load import name_of
        from bncheck.case.problem import BadCases
        from bncheck.case.sound import load_sound_file

        try:
            cases = load_sound_file(self.path, self._argument)
            self._cases.collected(cases)
        except BadCases as bad:
            told = [replace(problem, file=Path(os.path.relpath(problem.file))) for problem in bad.problems]
            raise self.CollectError("\n".join(map(str, told))) from None
        name = name_of(self.path, self._argument)
        for loaded in cases:
            for runner in self._cases.runners:
                test = f"{runner.spelling}{loaded.id.removeprefix(name)}"
                yield CaseItem.from_parent(self, name=test, loaded=loaded, runner=runner, cases=self._cases)


class CaseItem(pytest.Item):
    """One case on one runner; its name is that of a parametrized test, ``torch[axis=-1]``, for pytest to select by."""

    def __init__(self, *, loaded: LoadedCase, runner: Runner, cases: Cases, **given: Any) -> None:
        super().__init__(**given)
        self._loaded, self._runner, self._cases = loaded, runner, cases

    def runtest(self) -> None:
        from bncheck.running.session import Absent

        try:
            result, stale = self._cases.result(self._loaded, self._runner)
        except Absent as absent:
            self.user_properties.append((VERDICT, "absent"))
            if self._runner.named:
                raise _Failed(str(absent)) from None
            pytest.skip(str(absent))
        ratios = [tensor.bound_ratio for tensor in result.tensors if tensor.bound_ratio is not None]
        self.user_properties.append((VERDICT, result.verdict))
        if ratios:
            self.user_properties.append(("bncheck_x_bound", f"{max(ratios):.3g}"))
        if result.verdict == "unsupported":
            pytest.skip(str(result.reason))
        if stale or result.verdict in ("fail", "error"):
            raise _Failed(self._told(result, stale))
        if result.expectation is not None:
            pytest.xfail(f"{result.expectation.reason} ({result.expectation.source})")

    def _told(self, result: Result, stale: Sequence[Stale]) -> str:
        from bncheck.reports.result import told

        parts = [f"Stale expectation: {entry.source}: {entry.message}" for entry in stale]
        if result.verdict in ("fail", "error"):
            parts.append(told(result.tensors, result.causes, result.notes, said=result.error))
        return "\n\n".join([*parts, f"The case: {self._loaded.case.title}"])

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        return str(excinfo.value) if isinstance(excinfo.value, _Failed) else super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, self._loaded.line - 1, f"{self._loaded.id} on {self._runner.spelling}"


class _Failed(Exception):
    """A case fails; the message is all that is to be said."""
