"""What is expected to fail: which failures an entry makes known, and when it no longer holds."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bncheck.case.problem import BadCases
from bncheck.case.text import parse
from bncheck.document import Cause, Implementation, Result, Tensor
from bncheck.expectations.book import Book, books, parsed
from bncheck.expectations.entry import Entry, matches
from bncheck.expectations.gate import Gate
from bncheck.expectations.rewrite import NotRewritten, rewritten

TODAY = datetime.date(2026, 11, 21)
IDS = frozenset({"epsilon/zero", "epsilon/small", "axis[axis=-1]", "axis[axis=0]"})
ENTRY = """\
- case: epsilon/zero
  runner: torch
  cause: epsilon
  error: 1.0e-3
  reason: it is raised to a minimum
"""


def book(text: str, *, whole: bool = True, ids: frozenset[str] = IDS) -> Book:
    file = Path("cases/expectations.yaml")
    read = parse(file, text)
    entries, problems = parsed(read)
    assert problems == []
    return Book(file, entries, read, ids, whole)


def result(case: str = "epsilon/zero", runner: str = "torch", *kinds: str, **changes: Any) -> Result:
    """A result that fails by ``kinds`` (epsilon), or passes if there are none and ``verdict`` says so."""
    error, ratio = changes.pop("error", 1.0e-3), changes.pop("ratio", 100.0)
    tensor = Tensor(name="output", dtype="float32", shape=[2], max_abs=error, bound_ratio=ratio)
    causes = [Cause.model_validate({"kind": kind, "message": kind}) for kind in kinds or ("epsilon",)]
    told = {"device": "cpu", "verdict": "fail", "tensors": [tensor], "causes": causes, **changes}
    return Result(case=case, runner=runner, **told)


def passing(case: str = "epsilon/zero", runner: str = "torch", verdict: str = "pass") -> Result:
    return result(case, runner, error=1e-9, ratio=0.1).model_copy(update={"verdict": verdict, "causes": []})


def gate(text: str | Book, *results: Result, idle: Sequence[str] = (), version: str = "2.13.0+cpu") -> Gate:
    """A gate that has seen ``results``, of runners of one version."""
    made = Gate([text if isinstance(text, Book) else book(text)], TODAY, idle=idle, known=["torch", "keras"])
    for runner, device in {(r.runner, r.device): None for r in results}:
        made.take(Implementation(runner=runner, device=device, version=version, available=True))
    made.taken = [made.judge(r) for r in results]  # type: ignore[attr-defined]
    return made


def verdicts(text: str, *results: Result, **options: Any) -> list[str]:
    return [r.verdict for r in gate(text, *results, **options).taken]  # type: ignore[attr-defined]


def stale(text: str | Book, *results: Result, cut_short: bool = False, **options: Any) -> list[str]:
    return [s.message for s in gate(text, *results, **options).stale(cut_short=cut_short)]


def entry(**changes: Any) -> str:
    """`ENTRY` with other values, as YAML."""
    lines = dict(line[2:].split(": ", 1) for line in ENTRY.splitlines())
    lines.update({key: str(value) for key, value in changes.items()})
    return "- " + "\n  ".join(f"{key}: {value}" for key, value in lines.items() if value != "None") + "\n"


def test_a_failure_that_is_expected_is_known_by_its_entry() -> None:
    seen = gate(ENTRY + "  link: https://example.org/1\n", result())
    (known,) = seen.taken  # type: ignore[attr-defined]
    assert known.verdict == "known"
    assert known.expectation.source == "cases/expectations.yaml:1:3"
    assert known.expectation.reason == "it is raised to a minimum"
    assert known.expectation.link == "https://example.org/1"
    assert known.causes == result().causes
    assert seen.stale() == []


@pytest.mark.parametrize(
    ("changes", "covered"),
    [
        ({"case": "epsilon/*"}, True),
        ({"case": "epsilon/zer?"}, True),
        ({"case": "epsilon"}, False),
        ({"case": "epsilon/small"}, False),
        ({"runner": "torch*"}, True),
        ({"runner": "'*'"}, True),
        ({"runner": "torch-functional"}, False),
        ({"device": "cpu"}, True),
        ({"device": "gpu"}, False),
        ({"version": '">=2.10"'}, True),
        ({"version": '">=2.10,<2.13"'}, False),
        ({"version": '"==2.13.0"'}, True),
        ({"cause": "momentum"}, False),
        ({"cause": "[momentum, epsilon]"}, True),
        ({"error": "9.9e-4"}, True),  # within rounding of what was written down
        ({"error": "9.8e-4"}, False),
        ({"error": ".inf"}, True),
        ({"expires": "2026-11-21"}, True),
        ({"expires": "2026-11-20"}, False),
    ],
    ids=str,
)
def test_an_entry_covers_only_what_it_says(changes: dict[str, Any], covered: bool) -> None:
    assert verdicts(entry(**changes), result()) == ["known" if covered else "fail"]


def test_brackets_of_an_id_stand_for_themselves() -> None:
    assert matches("axis[axis=-1]", "axis[axis=-1]")
    assert matches("axis[*]", "axis[axis=0]")
    assert not matches("axis[axis=-1]", "axisa")
    assert not matches("epsilon.zero", "epsilon/zero")


@pytest.mark.parametrize(
    ("version", "tells"), [("2.12.0.dev20260101", False), ("3.15.1 (TF 2.21.0)", True), ("kernel.py:f", False)]
)
def test_a_version_is_read_from_what_the_runner_tells(version: str, tells: bool) -> None:
    assert verdicts(entry(version='">=2.13"'), result(), version=version) == ["known" if tells else "fail"]


def test_all_kinds_of_a_failure_must_be_expected() -> None:
    both = result("epsilon/zero", "torch", "epsilon", "momentum")
    assert verdicts(ENTRY, both) == ["fail"]
    assert verdicts(entry(cause="[epsilon, momentum]"), both) == ["known"]


def test_what_only_informs_is_no_kind_of_a_failure() -> None:
    assert verdicts(ENTRY, result("epsilon/zero", "torch", "epsilon", "accumulation")) == ["known"]


def test_one_of_several_equal_explanations_is_enough() -> None:
    other = Cause(kind="momentum", message="momentum", alternative=True)
    failure = result().model_copy(update={"causes": [*result().causes, other]})
    assert verdicts(entry(cause="momentum"), failure) == ["known"]
    assert stale(entry(cause="momentum"), failure) == []


def test_an_error_is_known_only_by_an_entry_that_says_error() -> None:
    crash = result(verdict="error", causes=[], tensors=[])
    assert verdicts(entry(cause="error", error=None), crash) == ["known"]
    assert verdicts(ENTRY, crash) == ["error"]
    assert stale(ENTRY, crash) == ["expected `epsilon`, but it fails by `error`"]


@pytest.mark.parametrize(
    ("changes", "results", "says"),
    [
        ({}, [passing()], "expected `epsilon`, now passes"),
        ({}, [passing(verdict="known")], "now passes"),
        ({}, [passing(verdict="unsupported")], "now unsupported"),
        ({}, [result("epsilon/zero", "torch", "momentum")], "expected `epsilon`, but it fails by `momentum`"),
        ({}, [result(error=2e-3)], "expected `epsilon` up to 0.001, but it is off by 0.002"),
        ({}, [result(error=float("inf"), ratio=float("inf"))], "is off by inf"),
        ({}, [result(error=float("nan"), ratio=float("inf"))], "is off by inf"),
        ({"expires": "2026-11-20"}, [result()], "held until 2026-11-20; look at it again"),
        ({"expires": "2026-11-20"}, [passing()], "held until 2026-11-20"),
        ({"case": "epsilon/nought"}, [result()], "matches no case"),
        ({"case": "nothing/*"}, [result()], "matches no case"),
        ({"runner": "torhc"}, [result()], "matches no runner"),
        ({"cause": "[epsilon, momentum]"}, [result()], "but `momentum` is seen no more"),
        (
            {"case": "epsilon/*", "runner": "'*'"},
            [result(), result("epsilon/small", "keras", "axis")],
            "but epsilon/small on keras fails by `axis`",
        ),
    ],
)
def test_an_entry_that_no_longer_holds_is_stale(changes: dict[str, Any], results: list[Result], says: str) -> None:
    (message,) = stale(entry(**changes), *results)
    assert says in message


def test_a_stale_entry_says_where_it_stands_and_what_it_is_about() -> None:
    (told,) = gate(f"# first\n\n{ENTRY}", passing()).stale()
    assert (told.source, told.entry) == ("cases/expectations.yaml:3:3", "torch, epsilon/zero")


@pytest.mark.parametrize(
    ("changes", "results", "options"),
    [
        ({"runner": "keras"}, [result()], {}),
        ({"device": "gpu"}, [passing()], {}),
        ({"version": '"<2.13"'}, [passing()], {}),
        ({"case": "epsilon/small"}, [passing()], {}),
        ({"case": "epsilon/*"}, [passing()], {}),  # the other case was not chosen
        ({"runner": "torch*"}, [passing()], {"idle": ["torch-functional"]}),
    ],
    ids=str,
)
def test_of_what_did_not_run_nothing_is_said(
    changes: dict[str, Any], results: list[Result], options: dict[str, Any]
) -> None:
    assert stale(entry(**changes), *results, **options) == []


def test_a_part_of_a_folder_says_nothing_of_entries_about_the_rest() -> None:
    part = book(entry(case="elsewhere/x") + entry(case="e*"), whole=False, ids=frozenset({"epsilon/zero"}))
    assert stale(part, passing()) == []
    assert gate(part, passing()).unjudged() == 1


def test_a_run_that_was_cut_short_says_only_what_it_saw() -> None:
    assert stale(ENTRY, passing(), cut_short=True) == []
    assert len(stale(ENTRY, result(error=2.0), cut_short=True)) == 1


def test_a_pattern_may_cover_cases_that_pass() -> None:
    assert stale(entry(case="epsilon/*"), result(), passing("epsilon/small")) == []


def test_what_is_expected_here_is_expected_in_an_environment_where_it_may_be_otherwise_too() -> None:
    elsewhere = result(runner="torch@old")
    assert verdicts(ENTRY, elsewhere) == ["known"]
    assert verdicts(entry(runner="torch*"), elsewhere) == ["known"]
    assert verdicts(entry(runner="torch@old"), elsewhere) == ["known"]
    assert verdicts(entry(runner="keras"), elsewhere) == ["fail"]
    assert verdicts(ENTRY, result("epsilon/zero", "torch@old", "axis")) == ["fail"]
    for there in (passing(runner="torch@old"), result("epsilon/zero", "torch@old", "axis")):
        assert stale(ENTRY, there) == []  # what is said of the one here is judged by the one here
        assert stale(entry(runner="torch*"), there) == []
        assert stale(entry(runner="torch@old"), there) != []
    assert stale(ENTRY, result(), passing(runner="torch@old")) == []


def test_what_is_expected_of_another_version_is_not_said_to_be_unjudged() -> None:
    other = [passing("epsilon/small")]
    assert gate(ENTRY, *other).unjudged() == 1
    assert gate(entry(version='"<2"'), *other).unjudged() == 0
    assert gate(ENTRY, passing("epsilon/small", "torch@old")).unjudged() == 0


def test_two_entries_may_cover_one_failure() -> None:
    assert stale(ENTRY + entry(case="epsilon/*"), result(), passing("epsilon/small")) == []


def test_an_entry_beside_one_that_explains_is_not_said_to_pass() -> None:
    (message,) = stale(ENTRY + entry(cause="momentum"), result())
    assert "`momentum` is seen no more" in message


def test_an_entry_is_about_cases_of_its_own_folder_only() -> None:
    other = book(entry(case="'*'"), ids=frozenset({"other/case"}))
    assert [r.verdict for r in gate(other, result()).taken] == ["fail"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("text", "place", "says"),
    [
        ("case: a\n", "1:1", "should be a list of entries"),
        ("- a\n", "1:3", "should be a mapping with case, runner"),
        (entry(case=None), "1:3", "`case` is missing"),
        (entry(runner=None), "1:3", "`runner` is missing"),
        (entry(cause=None), "1:3", "`cause` is missing"),
        (entry(error=None), "1:3", "`error` is missing; add the largest error that is expected"),
        (entry(cause="epsilom"), "3:10", "should be `epsilon`"),
        (entry(cause="[]"), "3:10", "at least 1"),
        (entry(error="-1"), "4:10", "should be at least 0"),
        (entry(error="large"), "4:10", "should be a number"),
        (entry(error=".nan"), "4:10", "should be at least 0"),
        (entry(device="tpu"), "6:11", "should be `cpu` or `gpu`"),
        (entry(version="2.13"), "6:12", "should be text"),
        (entry(version='"2.13"'), "6:12", "is no range of versions; write for example"),
        (entry(expires="tomorrow"), "6:12", "is no date; write for example 2027-06-30"),
        (entry(expires="20270630"), "6:12", "should be text"),
        (entry(causes="epsilon"), "6:3", "unknown key `causes`; did you mean `cause`?"),
        (ENTRY + "  case: b\n", "6:3", "`case` is already given"),
        (entry(reason=""), "5:3", "has no reason"),
        (entry(reason="' '"), "5:11", "has no reason"),
        (entry(reason=None), "1:3", "has no reason"),
        ("- case: [\n", "2:1", "not valid YAML"),
    ],
)
def test_a_bad_file_is_refused_at_its_place(tmp_path: Path, text: str, place: str, says: str) -> None:
    file = tmp_path / "expectations.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(BadCases) as bad:
        books([], [], file)
    (problem,) = bad.value.problems
    assert f"{problem.line}:{problem.column}" == place
    assert says in problem.message


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "[]\n"])
def test_a_file_may_be_empty(tmp_path: Path, text: str) -> None:
    file = tmp_path / "expectations.yaml"
    file.write_text(text, encoding="utf-8")
    assert books([], [], file)[0].entries == []


# Rewriting

COMMENTED = """\
# Our expectations.

# cuDNN's minimum
- case: epsilon/zero  # the first
  runner: torch
  cause: epsilon
  error: 1.0e-3  # measured by hand
  reason: |
    it is raised
    # to a minimum

# about axes
- runner: keras
  case: axis[axis=-1]
  cause: [axis, momentum]
  error: 0.5
  reason: another axis
# the end
"""


def rewrite(text: str | Book, *results: Result) -> str:
    made = text if isinstance(text, Book) else book(text)
    seen = gate(made, *results)
    return rewritten(made, seen, seen.taken).text  # type: ignore[attr-defined]


AXIS = result("axis[axis=-1]", "keras", "axis", "momentum", error=0.5)


def test_what_holds_is_left_as_it_is() -> None:
    assert rewrite(COMMENTED, result(), AXIS) == COMMENTED


def test_a_new_failure_gets_an_entry_with_its_reason_left_to_fill_in() -> None:
    new = result("axis[axis=0]", "torch", "momentum", "axis", error=0.0123)
    text = rewrite(COMMENTED, result(), AXIS, new)
    assert text == COMMENTED + (
        "- case: axis[axis=0]\n  runner: torch\n  cause: [axis, momentum]\n  error: 0.013\n  reason: ''\n"
    )
    assert verdicts(text, result(), AXIS, new) == ["known"] * 3


def test_a_stale_entry_goes_and_all_comments_stay() -> None:
    first, second = COMMENTED.index("- case"), COMMENTED.index("\n# about axes")
    assert rewrite(COMMENTED, passing(), AXIS) == COMMENTED[:first] + COMMENTED[second:]
    third = COMMENTED.index("- runner: keras")
    assert rewrite(COMMENTED, result(), passing("axis[axis=-1]", "keras")) == COMMENTED[:third] + "# the end\n"


def test_a_larger_error_is_written_into_its_entry() -> None:
    assert rewrite(COMMENTED, result(error=0.0023), AXIS) == COMMENTED.replace("1.0e-3  #", "0.0023  #")


def test_another_cause_needs_another_reason() -> None:
    text = rewrite(ENTRY, result("epsilon/zero", "torch", "momentum"))
    assert text == "- case: epsilon/zero\n  runner: torch\n  cause: momentum\n  error: 0.001\n  reason: ''\n"


def test_a_kind_that_is_seen_no_more_leaves_its_entry() -> None:
    axis = result("axis[axis=-1]", "keras", "axis", error=0.5)
    assert rewrite(COMMENTED, result(), axis) == COMMENTED.replace("cause: [axis, momentum]", 'cause: "axis"')


def test_a_failure_that_a_pattern_does_not_explain_gets_an_entry_beside_it() -> None:
    pattern = entry(case="epsilon/*")
    other = result("epsilon/small", "torch", "axis")
    text = rewrite(pattern, result(), other)
    assert text.startswith(pattern)
    assert stale(text, result(), other) == []


def test_an_expired_entry_is_written_anew_without_its_reason() -> None:
    text = rewrite(entry(expires="2026-01-01"), result())
    assert text == "- case: epsilon/zero\n  runner: torch\n  cause: epsilon\n  error: 0.001\n  reason: ''\n"


def test_a_file_that_is_not_there_is_begun_with_a_word_on_what_it_is() -> None:
    missing = Book(Path("expectations.yaml"), [], None, IDS, whole=True)
    text = rewrite(missing, result())
    assert text.startswith("# What is known to fail, and why.")
    assert verdicts(text, result()) == ["known"]


def test_an_empty_list_becomes_one_with_entries() -> None:
    assert rewrite("# none\n[]\n", result()).startswith("# none\n- case: epsilon/zero\n")


def test_a_failure_without_a_size_has_no_error() -> None:
    text = rewrite("", result("epsilon/zero", "torch", "refused", tensors=[]))
    assert "error" not in text
    assert verdicts(text, result("epsilon/zero", "torch", "refused", tensors=[])) == ["known"]


def test_nan_and_infinity_are_written_as_any_size() -> None:
    failure = result("epsilon/zero", "torch", "nonfinite", error=float("nan"), ratio=float("inf"))
    text = rewrite("", failure)
    assert "error: .inf" in text
    assert verdicts(text, failure) == ["known"]


def test_on_several_devices_an_entry_says_which() -> None:
    on_gpu = result(device="gpu")
    assert "device: gpu" in rewrite("", on_gpu)
    assert "device: cpu" in rewrite("", result(), passing().model_copy(update={"device": "gpu"}))
    assert "device" not in rewrite("", result())


def test_errors_are_never_written() -> None:
    assert rewrite("", result(verdict="error", causes=[], tensors=[])) == ""


@pytest.mark.parametrize(
    "text",
    [
        "[{case: epsilon/zero, runner: torch, cause: refused}, {case: axis*, runner: torch, cause: refused}]\n",
        "-\n" + ENTRY.replace("- ", "  "),
    ],
)
def test_a_file_in_another_style_is_left_alone_with_a_word(text: str) -> None:
    assert isinstance(parsed(parse(Path("e.yaml"), text))[0][0], Entry)
    with pytest.raises(NotRewritten, match="write it as a plain list"):
        rewrite(text, passing())


ENTRIES = st.builds(
    entry,
    case=st.sampled_from(["epsilon/zero", "epsilon/*", "axis[axis=-1]", "axis*", "gone", "'*'"]),
    runner=st.sampled_from(["torch", "keras", "t*", "nobody"]),
    cause=st.sampled_from(["epsilon", "momentum", "[epsilon, momentum]", "refused"]),
    error=st.sampled_from(["1.0e-3", "0.5", ".inf"]),
    device=st.sampled_from([None, "cpu", "gpu"]),
    version=st.sampled_from([None, "'>=2'", "'<2'"]),
    expires=st.sampled_from([None, "2026-01-01", "2027-01-01"]),
)
RESULTS = st.fixed_dictionaries(
    {
        (case, runner): st.one_of(
            st.just(passing(case, runner)),
            st.builds(
                lambda kinds, error, case=case, runner=runner: result(case, runner, *kinds, error=error),
                st.lists(st.sampled_from(["epsilon", "momentum", "axis"]), min_size=1, max_size=2, unique=True),
                st.sampled_from([1e-3, 0.5, 7.123e5, float("inf")]),
            ),
        )
        for case in sorted(IDS)
        for runner in ("torch", "keras")
    }
)


@given(st.lists(ENTRIES, max_size=5), RESULTS)
def test_what_was_brought_up_to_date_holds(entries: list[str], found: dict[Any, Result]) -> None:
    results = list(found.values())
    text = rewrite("# first\n" + "\n# between\n".join(entries), *results)
    again = gate(text, *results)
    assert [r.verdict for r in again.taken if r.verdict not in ("pass", "known")] == []  # type: ignore[attr-defined]
    assert again.stale() == []
    assert rewrite(text, *results) == text
    assert text.count("# between") == max(len(entries) - 1, 0)
