"""What counts as a change from one run to another, and which change is a regression."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from documents import SPEC, cause, document, result, tensor
from hypothesis import given, settings
from hypothesis import strategies as st

from bncheck.diff import Change, diff
from bncheck.document import Document, Documented, Expectation, Implementation, Installed, Result, Stale
from bncheck.moved import Difference

EXPECTED = Expectation(source="cases/expectations.yaml:3:1", reason="reported")
UNIT = 3e-6
"""The bound of tensors here."""


def off(times: float, name: str = "output") -> Any:
    """A tensor that is off by so many bounds."""
    return tensor(times * UNIT, times, name)


def changed(old: Result, new: Result) -> Change | None:
    """The change of one result, if it is one."""
    found = diff(document(old), document(new))
    assert len(found.changes) + found.alike == 1
    return found.changes[0] if found.changes else None


def effect(old: Result, new: Result) -> str:
    change = changed(old, new)
    return "alike" if change is None else change.effect


ANSWERS = {
    "pass": result("pass"),
    "known": result("known", "moving-variance"),
    "expected": result("known", "epsilon", expectation=EXPECTED),
    "fail": result("fail", "epsilon"),
    "error": result("error", error="killed by SIGSEGV"),
    "unsupported": result("unsupported", reason="no such axis"),
}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("pass", "known", "other"),
        ("pass", "expected", "other"),
        ("pass", "fail", "regression"),
        ("pass", "error", "regression"),
        ("pass", "unsupported", "other"),
        ("known", "pass", "other"),
        ("known", "expected", "other"),
        ("known", "fail", "regression"),
        ("known", "error", "regression"),
        ("known", "unsupported", "other"),
        ("expected", "fail", "regression"),
        ("fail", "pass", "better"),
        ("fail", "known", "better"),
        ("fail", "expected", "other"),
        ("fail", "error", "regression"),
        ("fail", "unsupported", "other"),
        ("error", "pass", "better"),
        ("error", "fail", "better"),
        ("error", "expected", "other"),
        ("unsupported", "pass", "other"),
        ("unsupported", "fail", "other"),
        ("unsupported", "error", "other"),
    ],
)
def test_a_regression_is_that_an_answer_is_worse(old: str, new: str, expected: str) -> None:
    assert effect(ANSWERS[old], ANSWERS[new]) == expected


@pytest.mark.parametrize("verdict", ANSWERS)
def test_the_same_answer_is_alike(verdict: str) -> None:
    slower = ANSWERS[verdict].model_copy(update={"seconds": 9.0, "notes": ["NHWC to NCHW"]})
    assert effect(ANSWERS[verdict], slower) == "alike"


def test_a_failure_with_a_new_kind_of_cause_is_a_regression_and_with_one_less_is_better() -> None:
    one, two = result("fail", "epsilon"), result("fail", "epsilon", "momentum")
    change = changed(one, two)
    assert change is not None
    assert (change.effect, change.kinds) == ("regression", ("momentum",))
    assert effect(two, one) == "better"


def test_one_cause_in_another_ones_place_is_a_regression() -> None:
    assert effect(result("fail", "epsilon"), result("fail", "momentum")) == "regression"


def test_one_of_equal_explanations_is_no_new_cause_of_the_other() -> None:
    first, second = cause("epsilon"), cause("epsilon-placement")
    either = result("fail", causes=[first, second.model_copy(update={"alternative": True})])
    assert effect(either, result("fail", causes=[second])) == "other"
    assert effect(result("fail", causes=[second]), either) == "other"
    assert effect(either, result("fail", causes=[first])) == "alike"
    more = result("fail", causes=[*either.causes, cause("momentum")])
    assert effect(either, more) == effect(result("fail", causes=[second]), more) == "regression"


def test_what_only_informs_is_no_cause() -> None:
    assert effect(result("fail", "epsilon"), result("fail", "epsilon", "accumulation")) == "alike"
    assert effect(result("pass"), result("pass", "accumulation")) == "alike"


def test_to_name_the_cause_of_what_was_unexplained_is_no_regression() -> None:
    assert effect(result("fail", "unexplained"), result("fail", "epsilon")) == "better"
    assert effect(result("fail", "epsilon"), result("fail", "unexplained")) == "regression"


@pytest.mark.parametrize("kind", ["shape", "dtype", "nonfinite", "refused"])
def test_what_is_seen_at_once_was_not_there_unexplained(kind: str) -> None:
    assert effect(result("fail", "unexplained"), result("fail", kind)) == "regression"


def test_a_failure_whose_error_grew_is_a_regression_and_the_reverse_is_better() -> None:
    small = result("fail", "epsilon", tensors=[off(20, "moving_mean"), off(5)])
    large = result("fail", "epsilon", tensors=[off(20.9, "moving_mean"), off(6.1)])
    change = changed(small, large)
    assert change is not None
    assert (change.effect, change.grown, change.kinds) == ("regression", ("output",), ())
    assert effect(large, small) == "better"


def test_rounding_is_no_growth() -> None:
    assert (
        effect(result("fail", "epsilon", tensors=[off(20)]), result("fail", "epsilon", tensors=[off(20.9)])) == "alike"
    )


def test_another_shape_is_as_wrong_as_can_be() -> None:
    measured = result("fail", "shape", tensors=[off(20)])
    reshaped = result("fail", "shape", tensors=[tensor(None, None)])
    assert effect(measured, reshaped) == "regression"
    assert effect(reshaped, reshaped) == "alike"


def test_a_tensor_that_was_not_there_has_not_grown() -> None:
    old, new = result("fail", "epsilon", tensors=[]), result("fail", "epsilon", tensors=[off(20)])
    assert effect(old, new) == "alike"


def test_errors_within_the_bound_may_be_any() -> None:
    assert effect(result(tensors=[off(0.01)]), result(tensors=[off(0.99)])) == "alike"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            {"effective": 1e-5, "interval": [9e-6, 1.1e-5]},
            {"effective": 1.001e-5, "interval": [9.9e-6, 1.2e-5]},
            "alike",
        ),
        ({"effective": 1e-5, "interval": [9e-6, 1.1e-5]}, {"effective": 1e-2, "interval": [9e-3, 1.1e-2]}, "other"),
        ({"effective": "unbiased"}, {"effective": "biased"}, "other"),
        ({"effective": [0, 2]}, {"effective": [0, 1]}, "other"),
        ({"effective": 1.5}, {"effective": 1.6}, "alike"),  # measured
        ({"effective": 1e-5, "source": "s"}, {"effective": 1e-3, "source": "s"}, "other"),  # documented
    ],
)
def test_a_cause_with_another_value_is_a_change(old: dict[str, Any], new: dict[str, Any], expected: str) -> None:
    before, after = (result("fail", causes=[cause("epsilon", **each)]) for each in (old, new))
    assert effect(before, after) == expected
    change = changed(before, after)
    assert change is None or change.revalued == ("epsilon",)


def test_what_an_implementation_said_is_compared_without_numbers() -> None:
    def refused(said: str) -> Result:
        return result("fail", causes=[cause("refused", effective=said)])

    assert effect(refused("E: <object at 0x7f01>"), refused("E: <object at 0xbc55>")) == "alike"
    assert effect(refused("E: too large"), refused("E: too small")) == "other"
    one, slower, other = (result("error", error=e) for e in ("SIGSEGV after 0.3 s", "SIGSEGV after 12 s", "exited"))
    assert effect(one, slower) == "alike"
    assert effect(one, other) == "other"


def test_what_is_known_by_another_source_or_for_another_cause_is_a_change() -> None:
    def known(kind: str, source: str) -> Result:
        return result("known", kind, documented=Documented(source=source, differs=[kind]))

    first = known("epsilon", "torch <v2.12>")
    assert effect(first, known("epsilon", "torch <v2.13>")) == "other"
    assert effect(first, known("momentum", "torch <v2.12>")) == "other"
    assert effect(first, known("epsilon", "torch <v2.12>")) == "alike"


def test_what_is_expected_in_place_of_documented_is_a_change() -> None:
    assert effect(result("known", "epsilon"), ANSWERS["expected"]) == "other"


def test_an_expectation_that_moved_within_its_file_is_no_change() -> None:
    moved = EXPECTED.model_copy(update={"source": "cases/expectations.yaml:9:1"})
    assert effect(ANSWERS["expected"], result("known", "epsilon", expectation=moved)) == "alike"


def test_what_came_and_went_are_cases_and_implementations_with_their_results() -> None:
    both = result(case="both")
    gone, fresh = result(case="gone"), result("fail", "epsilon", case="fresh")
    keras, mine = result(case="both", runner="keras"), result("fail", "epsilon", case="both", runner="mine")
    found = diff(document(both, gone, keras), document(both, fresh, mine))
    assert [(c.case, c.results) for c in found.went.cases] == [("gone", (gone,))]
    assert [(c.case, c.results) for c in found.came.cases] == [("fresh", (fresh,))]
    assert [(i.runner, i.version, i.results) for i in found.went.implementations] == [("keras", "1.0", (keras,))]
    assert [(i.runner, i.results) for i in found.came.implementations] == [("mine", (mine,))]
    assert (found.alike, found.of("regression")) == (1, ())


def test_an_implementation_that_is_not_available_any_more_went_with_the_reason() -> None:
    why = Implementation(runner="keras", device="cpu", available=False, reason="keras not installed")
    old = document(result(), result(runner="keras"))
    other = Implementation(runner="jax", device="cpu", available=False, reason="jax not installed")
    (gone,) = diff(old, document(result(), absent=[other, why])).went.implementations
    assert (gone.runner, gone.reason) == ("keras", "keras not installed")
    (gone,) = diff(old, document(result())).went.implementations
    assert gone.reason is None


def test_an_implementation_that_was_never_available_neither_came_nor_went() -> None:
    why = Implementation(runner="keras", device="cpu", available=False, reason="keras not installed")
    assert diff(document(result(), absent=[why]), document(result())).is_empty


def test_a_runner_that_does_not_load_did_not_go() -> None:
    broken = Implementation(runner="mine", device="cpu", available=False, reason="cannot be loaded")
    old, new = document(result(runner="mine")), document(result("error", runner="mine", error="cannot be loaded"))
    new = new.model_copy(update={"implementations": [broken]})
    found = diff(old, new)
    assert [c.effect for c in found.changes] == ["regression"]
    assert found.versions == (Difference("mine", "1.0", None),)
    assert not found.went.implementations


def test_a_runner_on_one_device_each_time_is_compared_across_devices() -> None:
    old = document(result(), result(runner="numpy"))
    new = document(result("fail", "precision", device="gpu"), result(runner="numpy"))
    found = diff(old, new)
    assert found.devices == (Difference("torch", "cpu", "gpu"),)
    assert [(c.old.device, c.new.device, c.effect) for c in found.changes] == [("cpu", "gpu", "regression")]
    assert found.alike == 1
    assert not found.went.implementations
    assert not found.came.implementations


def test_a_runner_on_several_devices_is_compared_on_each() -> None:
    old = document(result())
    new = document(result(), result("fail", "precision", device="gpu"))
    found = diff(old, new)
    assert (found.devices, found.alike, found.changes) == ((), 1, ())
    assert [(i.runner, i.device) for i in found.came.implementations] == [("torch", "gpu")]


def test_a_runner_in_another_environment_each_time_is_compared_with_itself() -> None:
    old = document(result("known", "epsilon", runner="tf-keras@old"), result(runner="numpy"))
    new = document(result(runner="tf-keras@new"), result(runner="numpy"))
    found = diff(old, new)
    assert found.environments == (Difference("tf-keras", "old", "new"),)
    assert [(c.old.runner, c.old.verdict, c.new.verdict) for c in found.changes] == [("tf-keras@new", "known", "pass")]
    assert not found.went.implementations
    assert not found.came.implementations
    assert diff(document(result(runner="torch")), new).environments == ()


def test_another_python_in_an_environment_is_told_with_the_version() -> None:
    documents = []
    for python in ("3.8.18", "3.9.18"):
        made = document(result(runner="torch@old"), versions={"torch@old": "1.13.1"})
        there = {"environment": Installed(python=python, packages={"torch": "1.13.1"})}
        documents.append(
            made.model_copy(update={"implementations": [made.implementations[0].model_copy(update=there)]})
        )
    versions = ("1.13.1, Python 3.8.18", "1.13.1, Python 3.9.18")
    assert diff(*documents).versions == (Difference("torch@old", *versions),)


def test_bnchecks_own_environment_is_one_of_them() -> None:
    found = diff(document(result(runner="keras@keras==3.0")), document(result("fail", "axis", runner="keras")))
    assert found.environments == (Difference("keras", "keras==3.0", None),)
    assert [c.effect for c in found.changes] == ["regression"]


def test_one_that_is_here_in_both_runs_is_not_taken_for_one_in_an_environment() -> None:
    old = document(result(), result(runner="torch@old"))
    new = document(result("fail", "axis"), result(runner="torch@new"))
    found = diff(old, new)
    assert [(c.new.runner, c.effect) for c in found.changes] == [("torch", "regression")]
    assert found.alike == 1


def test_what_both_runs_have_in_one_environment_is_compared_there() -> None:
    old = document(result(runner="keras@a"), result(runner="keras"))
    new = document(result("fail", "axis", runner="keras@a"), result(runner="keras"), result(runner="keras@b"))
    found = diff(old, new)
    assert (found.environments, found.alike) == ((), 1)
    assert [c.new.runner for c in found.changes] == ["keras@a"]
    assert [i.runner for i in found.came.implementations] == ["keras@b"]


def test_ones_own_runner_is_matched_by_its_label() -> None:
    old = document(result(runner="mine"), versions={"mine": "a.py:f"})
    new = document(result("fail", "axis", runner="mine"), versions={"mine": "b.py:g"})
    found = diff(old, new)
    assert found.versions == (Difference("mine", "a.py:f", "b.py:g"),)
    assert [c.effect for c in found.changes] == ["regression"]


def test_a_case_that_asks_something_else_is_not_compared() -> None:
    spec = {**SPEC, "epsilon": 0.1, "input": {**SPEC["input"], "dtype": "float16", "layout": "NF"}}
    old, new = result(), result("fail", "epsilon")
    found = diff(document(old, result(case="b")), document(new, result(case="b"), specs={"a": spec}))
    (altered,) = found.altered
    assert (altered.case, altered.keys) == ("a", ("epsilon", "input.dtype", "input.layout"))
    assert (altered.old, altered.new) == ((old,), (new,))
    assert (found.changes, found.alike) == ((), 1)


def test_words_about_a_case_and_numbers_that_guard_the_reference_change_no_question() -> None:
    spec = {**SPEC, "title": "other words", "why": "because", "links": ["x#1"], "expected": {"output": [1.0]}}
    assert diff(document(result()), document(result(), specs={"a": spec})).is_empty


def test_what_a_run_that_was_cut_short_lacks_did_not_go() -> None:
    whole = document(result(case="a"), result(case="b"), result(case="b", runner="keras"))
    part = document(result(case="a"), specs={"b": SPEC}, cut_short=True)
    found = diff(whole, part)
    assert [(r.case, r.runner) for r in found.went.results] == [("b", "keras"), ("b", "torch")]
    assert (found.went.implementations, found.went.cases, found.alike) == ((), (), 1)
    assert [(r.case, r.runner) for r in diff(part, whole).came.results] == [("b", "keras"), ("b", "torch")]


def test_what_a_run_that_was_cut_short_could_not_have_run_went() -> None:
    why = Implementation(runner="keras", device="cpu", available=False, reason="keras not installed")
    found = diff(document(result(), result(runner="keras")), document(result(), absent=[why], cut_short=True))
    assert [i.runner for i in found.went.implementations] == ["keras"]
    assert not found.went.results


def test_what_differs_of_the_machines_is_told() -> None:
    old = document(result())
    environment = old.environment.model_copy(update={"python": "3.13.0", "cpu": "another"})
    new = document(result(), bncheck="0.2.0", environment=environment)
    assert set(diff(old, new).environment) == {
        Difference("bncheck", "0.1.0", "0.2.0"),
        Difference("python", "3.12.1", "3.13.0"),
        Difference("cpu", "a CPU", "another"),
    }


def test_a_gpu_that_came_is_told_with_its_switches_and_of_two_only_what_differs() -> None:
    none, one = document(result()), document(result(), gpu={"name": "H200", "tf32": True, "cuda": 13})
    other = document(result(), gpu={"name": "H200", "tf32": False, "cuda": 13})
    assert diff(none, one).environment == (Difference("gpu", None, "H200 (tf32 True, cuda 13)"),)
    assert diff(one, other).environment == (Difference("tf32", "True", "False"),)


def test_expectations_that_are_stale_only_now_are_told() -> None:
    def stale(entry: str, line: int) -> Stale:
        return Stale(source=f"expectations.yaml:{line}:3", entry=entry, message="now passes")

    old = document(result(), stale=[stale("torch, a", 3)])
    new = document(result(), stale=[stale("torch, a", 5), stale("torch, b", 9)])
    assert [s.entry for s in diff(old, new).stale] == ["torch, b"]


KINDS = st.sampled_from(["epsilon", "momentum", "unexplained", "accumulation", "shape", "refused"])
CAUSES = st.builds(
    cause,
    KINDS,
    effective=st.sampled_from([None, 1e-5, "unbiased"]),
    interval=st.sampled_from([None, [0.0, 1.0], [2.0, 3.0]]),
    alternative=st.booleans(),
)
ERRORS = st.sampled_from([(None, None), (0.0, 0.0), (UNIT, 1.0), (20 * UNIT, 20.0), (6.0, 2e6), (float("inf"),) * 2])
TENSORS = st.lists(
    st.builds(lambda error, name: tensor(*error, name), ERRORS, st.sampled_from(["output", "moving_mean"])),
    max_size=2,
    unique_by=lambda t: t.name,
)
WHERE = st.tuples(*map(st.sampled_from, (["a", "b", "c"], ["torch", "keras"], ["cpu", "gpu"])))


@st.composite
def results(draw: st.DrawFn, where: tuple[str, str, str]) -> Result:
    case, runner, device = where
    verdict = draw(st.sampled_from(["pass", "known", "fail", "unsupported", "error"]))
    judged = verdict in ("known", "fail")
    return result(
        verdict,
        case=case,
        runner=runner,
        device=device,
        error=draw(st.sampled_from(["killed", "exited"])) if verdict == "error" else None,
        causes=draw(st.lists(CAUSES, max_size=3)) if judged else [],
        tensors=draw(TENSORS) if judged else [],
        expectation=EXPECTED if verdict == "known" and draw(st.booleans()) else None,
    )


@st.composite
def runs(draw: st.DrawFn) -> Document:
    found = [draw(results(where)) for where in draw(st.lists(WHERE, unique=True, max_size=8))]
    specs = {case: {**SPEC, "epsilon": draw(st.sampled_from([0.1, 0.2]))} for case in {r.case for r in found}}
    missing = [
        (r, d)
        for r in ("torch", "keras")
        for d in ("cpu", "gpu")
        if not any((f.runner, f.device) == (r, d) for f in found)
    ]
    absent = [
        Implementation(runner=r, device=d, available=False, reason=f"no {r}") for r, d in missing if draw(st.booleans())
    ]
    return document(*found, specs=specs, absent=absent, cut_short=draw(st.booleans()))


@given(runs())
@settings(deadline=None)
def test_a_run_differs_in_nothing_from_itself(one: Document) -> None:
    found = diff(one, one)
    assert found.is_empty
    assert found.alike == len(one.results)


@given(runs(), runs())
@settings(deadline=None)
def test_every_result_of_either_run_is_accounted_for_once(old: Document, new: Document) -> None:
    found = diff(old, new)
    for side, lone, run in (("old", found.went, old), ("new", found.came, new)):
        told = [getattr(change, side) for change in found.changes]
        told += [r for part in (*lone.implementations, *lone.cases, lone) for r in part.results]
        told += [r for altered in found.altered for r in getattr(altered, side)]
        counts = Counter((r.case, r.runner, r.device) for r in told)
        assert set(counts.values()) <= {1}
        assert set(counts) <= {(r.case, r.runner, r.device) for r in run.results}
        assert len(told) + found.alike == len(run.results)


REVERSE = {
    "regression": {"better", "regression", "other"},  # worse both ways, as another cause; or a failure that is expected
    "better": {"regression"},
    "other": {"other", "regression"},
}


@given(runs(), runs())
@settings(max_examples=300, deadline=None)
def test_what_came_one_way_went_the_other_way_and_what_is_better_was_worse(old: Document, new: Document) -> None:
    there, back = diff(old, new), diff(new, old)
    assert (there.came, there.went, there.alike) == (back.went, back.came, back.alike)
    assert [(d.name, d.new, d.old) for d in there.devices] == [(d.name, d.old, d.new) for d in back.devices]
    backwards = {(c.new.case, c.new.runner, c.new.device): c.effect for c in back.changes}
    for change in there.changes:
        returned = backwards.pop((change.old.case, change.old.runner, change.old.device))
        assert returned in REVERSE[change.effect]
    assert not backwards
