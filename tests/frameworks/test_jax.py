"""Flax and Haiku, in their real process: what is documented of them holds, and what is wrong with them is found."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from typing import Any

import pytest
from conftest import built_in, make_case

from bncheck.case.inputs import make
from bncheck.case.load import load
from bncheck.document import Implementation, Result
from bncheck.documented.reading import Reading
from bncheck.repro.script import script
from bncheck.repro.seen import Seen
from bncheck.running import engine
from bncheck.running.events import Done
from bncheck.running.runners import select

FLAX = ("flax-linen", "flax-linen:jit", "flax-linen:slow-variance", "flax-nnx", "flax-nnx:jit")
HAIKU = ("haiku", "haiku:jit")

KINDS = """\
title: dtypes and modes
input: {shape: [6, 3, 4], layout: NCL}
axis: 1
mode: training
momentum: 0.5
matrix:
  input.dtype: [float16, float64]
  mode: [training, inference]
"""

AXES = """\
title: kept axes of any number and order
input: {shape: [6, 3, 4], layout: NCL, values: {normal: {mean: 0, std: 1}}}
axis: 1
mode: training
matrix: {axis: [[2, 1], []]}
"""

STEPS = """\
title: two steps, then inference, twice
input: {shape: [6, 3, 4], layout: NCL, values: {normal: {mean: 0, std: 1}}}
axis: -2
mode: training
momentum: 0.8
center: false
steps: 2
repeat: 2
check: [output, moving_mean, moving_variance, inference]
"""

DEFAULTS = """\
title: what an implementation does by default
input: {shape: [6, 3, 4], layout: NCL}
axis: 1
mode: default
epsilon: default
momentum: default
"""

FAR = """\
title: a variance of 1 far from zero
input: {shape: [64, 3], layout: NC, values: {normal: {mean: [1000, 3000, 10000], std: 1}}}
axis: -1
mode: training
"""

DECAY = """\
title: a momentum of 0.999 is not 1, whatever the dtype of the tensor
input: {shape: [8, 3], layout: NC, dtype: bfloat16}
axis: -1
mode: training
momentum: 0.999
"""

EXAMPLES = {"kinds": KINDS, "axes": AXES, "steps": STEPS, "defaults": DEFAULTS, "far": FAR, "decay": DECAY}

WORDS = """
import json, os
os.environ["JAX_ENABLE_X64"] = "1"
import flax.linen, flax.nnx, haiku, inspect, jax, jax.numpy as jnp

def held(dtype):
    x = jnp.ones((4, 3), dtype)
    linen = flax.linen.BatchNorm(dtype=dtype, param_dtype=dtype)
    nnx = flax.nnx.BatchNorm(3, dtype=dtype, param_dtype=dtype, rngs=flax.nnx.Rngs(0))
    layer = haiku.transform_with_state(lambda x: haiku.BatchNorm(True, True, 0.9)(x, True))
    state = layer.init(None, x)[1]
    found = {
        "flax-linen": linen.init(jax.random.key(0), x, use_running_average=True)["batch_stats"]["mean"],
        "flax-nnx": nnx.mean[...],
        "haiku": state["batch_norm/~/mean_ema"]["average"],
    }
    return {name: statistic.dtype.name for name, statistic in found.items()}

def after_one_step():
    layer = haiku.transform_with_state(lambda x: haiku.BatchNorm(False, False, 0.9)(x, True))
    x = jnp.asarray([[1.0], [3.0]])
    parameters, state = layer.init(None, x)
    return layer.apply(parameters, state, None, x)[1]["batch_norm/~/mean_ema"]["average"].tolist()

modules = {
    "flax-linen": flax.linen.BatchNorm,
    "flax-nnx": flax.nnx.BatchNorm,
    "haiku": haiku.BatchNorm,
    "average": haiku.ExponentialMovingAverage,
}
nnx = flax.nnx.BatchNorm(3, rngs=flax.nnx.Rngs(0))
print(json.dumps({
    "defaults": {
        "flax-linen": {k: getattr(flax.linen.BatchNorm(), k) for k in ("epsilon", "momentum")},
        "flax-nnx": {k: getattr(nnx, k) for k in ("epsilon", "momentum")},
        "haiku": {"epsilon": inspect.signature(haiku.BatchNorm).parameters["eps"].default},
    },
    "modes": [flax.linen.BatchNorm().use_running_average, nnx.use_running_average],
    "needed": [
        p.name
        for f in (haiku.BatchNorm.__init__, haiku.BatchNorm.__call__)
        for p in inspect.signature(f).parameters.values()
        if p.default is p.empty
    ],
    "words": {name: " ".join((m.__doc__ + (m.__init__.__doc__ or "")).split()) for name, m in modules.items()},
    "held": {dtype: held(dtype) for dtype in ("float16", "bfloat16", "float32", "float64")},
    "after one step": after_one_step(),
}))
"""

RUN_ALL = """
import contextlib, io, json, sys
for file, places in json.loads(sys.argv[1]).items():
    names = {"__name__": "__main__"}
    with open(file, encoding="utf-8") as text, contextlib.redirect_stdout(io.StringIO()):
        with contextlib.suppress(SystemExit):
            exec(compile(text.read(), file, "exec"), names)
    print(json.dumps({name: float(names["result"][name][tuple(at)]) for name, at in places.items()}))
"""


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Result], list[tuple[Result, dict[str, float]]]]:
    """All examples on all runners of the family, run once; and what the scripts of some results return."""
    folder = tmp_path_factory.mktemp("jax")
    for name, text in EXAMPLES.items():
        (folder / f"{name}.yaml").write_text(text)
    cases = {case.id: case for case in load([folder])}
    runners = {r.spelling: r for r in select([*FLAX, *HAIKU])}
    events = list(engine.run(list(cases.values()), list(runners.values())))
    versions = {e.runner: e.version for e in events if isinstance(e, Implementation) and e.available}
    assert set(versions) == set(runners), "these tests need Flax and Haiku: pip install -e '.[jax,test]'"
    results = {f"{e.result.case} {e.result.runner}": e.result for e in events if isinstance(e, Done)}
    scripted, places = [], {}
    for result in results.values():
        if result.case == "steps":
            loaded, runner = cases[result.case], runners[result.runner]
            seen = Seen(loaded, runner, runner.documented(loaded.case), result, versions[result.runner], "here")
            file = folder / f"{len(scripted)}.py"
            file.write_text(script(seen, make(loaded.case, folder)), encoding="utf-8")
            scripted.append(result)
            places[str(file)] = {t.name: t.at for t in result.tensors if t.at is not None}
    process = subprocess.run(
        [sys.executable, "-c", RUN_ALL, json.dumps(places)], stdout=subprocess.PIPE, text=True, check=True
    )
    returned = [json.loads(line) for line in process.stdout.splitlines()]
    return results, list(zip(scripted, returned, strict=True))


@pytest.fixture(scope="module")
def results(ended: tuple[dict[str, Result], Any]) -> dict[str, Result]:
    return ended[0]


def test_nothing_honest_is_called_wrong(results: dict[str, Result]) -> None:
    wrong = {name: r for name, r in results.items() if r.verdict in ("fail", "error") and r.runner in FLAX}
    assert {name: [c.message for c in r.causes] or r.error for name, r in wrong.items()} == {}


@pytest.mark.parametrize(
    ("case", "runner", "verdict", "kinds"),
    [
        ("kinds[input.dtype=float64,mode=training]", "flax-linen:slow-variance", "pass", []),
        ("kinds[input.dtype=float16,mode=training]", "flax-linen:slow-variance", "pass", []),
        ("kinds[input.dtype=float64,mode=inference]", "flax-nnx:jit", "pass", []),
        ("kinds[input.dtype=float64,mode=inference]", "haiku:jit", "pass", []),
        ("kinds[input.dtype=float16,mode=inference]", "flax-linen", "pass", []),
        ("kinds[input.dtype=float16,mode=inference]", "flax-nnx", "known", ["precision"]),
        ("kinds[input.dtype=float16,mode=inference]", "flax-nnx:jit", "known", ["precision"]),
        ("axes[axis=[2,1]]", "flax-linen", "pass", []),
        ("axes[axis=[2,1]]", "flax-nnx", "pass", []),
        ("axes[axis=[2,1]]", "haiku", "pass", []),
        ("axes[axis=[]]", "flax-linen:jit", "pass", []),
        ("axes[axis=[]]", "haiku", "pass", []),
        ("steps", "flax-linen:jit", "pass", []),
        ("steps", "flax-nnx:jit", "pass", []),
        ("steps", "haiku", "pass", []),
        ("steps", "haiku:jit", "pass", []),
        ("defaults", "flax-linen", "unsupported", []),
        ("defaults", "flax-nnx", "known", ["epsilon", "mode"]),
        ("defaults", "haiku", "unsupported", []),
        ("far", "flax-linen", "known", ["cancellation"]),
        ("far", "flax-nnx:jit", "known", ["cancellation"]),
        ("far", "flax-linen:slow-variance", "pass", []),
        ("decay", "flax-linen", "pass", []),
    ],
)
def test_documented_facts(results: dict[str, Result], case: str, runner: str, verdict: str, kinds: list[str]) -> None:
    result = results[f"{case} {runner}"]
    assert (result.verdict, sorted(c.kind for c in result.causes)) == (verdict, kinds)


@pytest.mark.parametrize("runner", HAIKU)
def test_haiku_loses_a_variance_far_from_zero_and_does_not_say_so(results: dict[str, Result], runner: str) -> None:
    """It is E[x^2] - E[x]^2, as Flax's, but may be negative; then the output is NaN."""
    assert results[f"far {runner}"].verdict == "fail"


@pytest.mark.parametrize("runner", HAIKU)
def test_haiku_rounds_a_decay_rate_to_the_dtype_of_the_tensor(results: dict[str, Result], runner: str) -> None:
    """0.999 becomes 1, and the average is divided by 1 - 1."""
    result = results[f"decay {runner}"]
    assert result.verdict == "fail"
    assert {t.name: t.actual for t in result.tensors if t.name.startswith("moving")} == {
        "moving_mean": math.inf,
        "moving_variance": math.inf,
    }


def test_a_script_makes_the_very_call(ended: tuple[Any, list[tuple[Result, dict[str, float]]]]) -> None:
    assert len(ended[1]) == len(FLAX) + len(HAIKU)
    for result, values in ended[1]:
        assert values == {t.name: t.actual for t in result.tensors if t.at is not None}, result.runner


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    """What the libraries say of themselves, in a process of their own."""
    process = subprocess.run([sys.executable, "-c", WORDS], capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    answer: dict[str, Any] = json.loads(process.stdout.splitlines()[-1])
    return answer


def of(runner: str, **case: Any) -> Reading:
    reading = built_in(runner).documented(make_case(**case))
    assert isinstance(reading, Reading)
    return reading


@pytest.mark.parametrize("runner", ["flax-linen", "flax-nnx"])
def test_defaults_of_flax_are_as_documented(found: dict[str, Any], runner: str) -> None:
    case = make_case(epsilon="default", momentum="default")
    semantics = of(runner, epsilon="default", momentum="default").semantics(case.requested)
    assert {"epsilon": semantics.epsilon, "momentum": semantics.momentum} == found["defaults"][runner]


def test_linen_has_no_default_mode_and_nnx_trains(found: dict[str, Any]) -> None:
    assert found["modes"] == [None, False]


def test_haiku_has_a_default_epsilon_and_no_other(found: dict[str, Any]) -> None:
    assert found["defaults"]["haiku"] == {"epsilon": 1e-5}
    assert {"decay_rate", "is_training"} <= set(found["needed"])


def test_flax_says_that_its_variance_is_less_stable(found: dict[str, Any]) -> None:
    for runner in ("flax-linen", "flax-nnx"):
        assert "use a faster, but less numerically stable, calculation for the variance" in found["words"][runner]
    assert "stable" not in found["words"]["haiku"]


def test_nnx_says_that_it_promotes_its_statistics(found: dict[str, Any]) -> None:
    assert "(including Variables accessed through ``self``) to the desired dtype" in found["words"]["flax-nnx"]
    assert "``(inputs, mean, var, scale, bias)``" in found["words"]["flax-nnx"]


def test_haiku_corrects_averages_that_begin_at_zero(found: dict[str, Any]) -> None:
    assert "Adam debiasing procedure" in found["words"]["average"]
    assert "Must in ``[0, 1)``" in found["words"]["average"]
    assert found["after one step"] == [[2.0]]  # the mean of the batch, whatever the decay rate


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_flax_makes_statistics_float32_and_haiku_of_the_dtype_of_x(found: dict[str, Any], dtype: str) -> None:
    for runner, held in found["held"][dtype].items():
        assert of(runner, input={"dtype": dtype}).parameters_dtype == held


def test_flax_begins_with_float32_statistics_for_float64_too(found: dict[str, Any]) -> None:
    """The runner gives it float64 ones, as a checkpoint does; it then keeps them so."""
    assert found["held"]["float64"] == {"flax-linen": "float32", "flax-nnx": "float32", "haiku": "float64"}
    assert of("flax-linen", input={"dtype": "float64"}).parameters_dtype == "float64"
