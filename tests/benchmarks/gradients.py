"""Both sides of the bound of gradients, measured on the real frameworks over random well-posed cases.

The first table counts honest gradients that are called wrong: beyond the bound that the verdict uses, and by
``numpy.allclose`` and ``torch.testing.assert_close`` on the same data. The second counts wrong gradients that slip
through, on the same random data and on the data that a case has by default. Frameworks are called directly, each family
in a process of its own, and the cases are those of `calibration.py`.

    python tests/benchmarks/gradients.py [--cases 600] [--seed 1] [--only NUMBER] [--family torch]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from calibration import draw, log_uniform
from tabulate import tabulate

from bncheck.case import inputs
from bncheck.case.inputs import Inputs
from bncheck.case.model import Case
from bncheck.documented.reading import Reading
from bncheck.judge import compare
from bncheck.judge.question import Due, Question
from bncheck.judge.references import References
from bncheck.semantics import Semantics

Gradients = dict[str, np.ndarray]
TENSORS = ("gradient_x", "gradient_gamma", "gradient_beta")
FAMILIES = ("numpy", "torch", "tensorflow", "jax", "keras-jax")
TOLERANCES = {"float32": (1.3e-6, 1e-5), "float64": (1e-7, 1e-7), "float16": (1e-3, 1e-5), "bfloat16": (1.6e-2, 1e-5)}
"""``torch.testing.assert_close``'s, by dtype."""


def cases(seed: int, numbers: range, folder: Path) -> Iterator[tuple[str, Case, Inputs]]:
    """Random cases, each with a random gradient from above."""
    for number in numbers:
        loaded = draw(seed, number, folder)
        rng = np.random.default_rng([seed, number, 1])
        x = np.load(folder / "x.npy")
        np.save(folder / "d.npy", draw_upstream(rng, x, loaded.case))
        data = {**loaded.spec, "check": ["output", "gradients"], "upstream": {"file": "d.npy"}}
        case = Case.model_validate(data, context={"folder": folder})
        yield loaded.id, case, inputs.make(case, folder)


def draw_upstream(rng: np.random.Generator, x: np.ndarray, case: Case) -> np.ndarray:
    """Normal numbers of some scale, with an offset in each channel, a part along x, zeros, or all alike but for one."""
    channels = case.channels
    x = np.asarray(x, dtype=np.float64)
    reduced = tuple(a for a in range(x.ndim) if a not in channels.kept)
    away = x - x.mean(axis=reduced, keepdims=True)
    away /= np.maximum(away.std(axis=reduced, keepdims=True), 1e-30)
    sizes = [d if a in channels.kept else 1 for a, d in enumerate(x.shape)]
    d = rng.standard_normal(x.shape)
    if rng.random() < 0.7:
        d = d + rng.uniform(-3, 3, sizes) * log_uniform(rng, 0.1, 10)
    if rng.random() < 0.5:
        d = d + rng.uniform(-2, 2, sizes) * away
    if rng.random() < 0.2:
        d = np.where(rng.random(x.shape) < 0.5, 0.0, d)
    if rng.random() < 0.1:
        d = np.sort(d.reshape(-1)).reshape(x.shape)
    largest = {"float16": 0, "bfloat16": 3}.get(case.input.dtype, 4)
    return d * 10 ** rng.uniform(-largest, largest)


# Honest implementations: each returns the gradients that it has, or None where it cannot be called so.


def of_numpy(case: Case, made: Inputs) -> dict[str, Gradients]:
    """The closed form, as a careful user writes it, in the case's arithmetic; and as x*s + t is differentiated."""
    inside = np.float64 if case.input.dtype == "float64" else np.float32
    x, d = made.batches[0].astype(inside), made.upstream.astype(inside)
    reduced = tuple(a for a in range(x.ndim) if a not in case.channels.kept)
    shape = [n if a in case.channels.kept else 1 for a, n in enumerate(x.shape)]
    p = {k: v.astype(inside).reshape(shape) for k, v in made.parameters.items()}
    gamma = p["gamma"] if case.scale else np.ones(shape, inside)
    training = case.mode == "training"
    n = inside(case.channels.values)
    mean = x.mean(axis=reduced, keepdims=True) if training else p["moving_mean"]
    variance = np.square(x - mean).mean(axis=reduced, keepdims=True) if training else p["moving_variance"]
    inverse = 1 / np.sqrt(variance + inside(case.epsilon))
    found = {}
    for name in ("numpy", "numpy-expanded"):
        total = d.sum(axis=reduced, keepdims=True)
        if name == "numpy":
            of_gamma = (d * ((x - mean) * inverse)).sum(axis=reduced, keepdims=True)
        else:
            of_gamma = inverse * ((d * x).sum(axis=reduced, keepdims=True) - mean * total)
        of_x = d * gamma * inverse
        if training and name == "numpy":
            of_x = gamma * inverse / n * (n * d - total - (x - mean) * inverse * of_gamma)
        elif training:
            of_variance = -gamma * of_gamma * inverse * inverse / 2
            of_mean = -gamma * inverse * total - of_variance * 2 * (x - mean).mean(axis=reduced, keepdims=True)
            of_x = of_x + of_mean / n + of_variance * 2 * (x - mean) / n
        found[name] = {"gradient_x": of_x, "gradient_gamma": of_gamma, "gradient_beta": total}
    return found


def of_torch(case: Case, made: Inputs) -> dict[str, Gradients]:
    import torch

    axis = case.channels.kept[0]

    def tensor(array: np.ndarray) -> Any:
        if array.dtype.name == "bfloat16":
            return torch.from_numpy(array.view(np.int16).copy()).view(torch.bfloat16)
        return torch.from_numpy(np.ascontiguousarray(array))

    def array(value: Any) -> np.ndarray:
        if value.dtype == torch.bfloat16:
            return value.detach().contiguous().view(torch.int16).numpy().view(made.batches[0].dtype)
        return value.detach().numpy()

    parameters = {k: tensor(v) for k, v in made.parameters.items()}
    found = {}
    narrow = case.input.dtype in ("float16", "bfloat16")
    for name in ("torch", "torch-channels-last", "torch-view", *(("torch-mixed",) if narrow else ())):
        held = {k: v.float() if name == "torch-mixed" else v for k, v in parameters.items()}
        x = torch.movedim(tensor(made.batches[0]), axis, 1).contiguous()
        d = torch.movedim(tensor(made.upstream), axis, 1).contiguous()
        if name == "torch-channels-last":
            if x.ndim not in (4, 5):
                continue
            memory = torch.channels_last if x.ndim == 4 else torch.channels_last_3d
            x, d = x.to(memory_format=memory), d.to(memory_format=memory)
        if name == "torch-view":
            x = torch.cat([x, x], dim=-1)[..., : x.shape[-1]]
        leaf = x.detach().requires_grad_()
        gamma = held["gamma"].clone().requires_grad_() if case.scale else None
        beta = held["beta"].clone().requires_grad_() if case.center else None
        try:
            y = torch.nn.functional.batch_norm(
                leaf,
                held["moving_mean"].clone(),
                held["moving_variance"].clone(),
                gamma,
                beta,
                training=case.mode == "training",
                momentum=0.1,
                eps=case.epsilon,
            )
            y.backward(d)
        except (RuntimeError, ValueError):
            continue
        found[name] = {"gradient_x": array(torch.movedim(leaf.grad, 1, axis).contiguous())}
        if gamma is not None:
            found[name]["gradient_gamma"] = array(gamma.grad)
        if beta is not None:
            found[name]["gradient_beta"] = array(beta.grad)
    return found


def of_keras(case: Case, made: Inputs) -> dict[str, Gradients]:
    import keras
    import tensorflow as tf
    import tf_keras

    axis = case.channels.kept[0]
    x, d = tf.constant(made.batches[0]), tf.constant(made.upstream)
    training = case.mode == "training"
    found = {}

    def taped(name: str, apply: Callable[[Any, Any], Any], gamma: Any, beta: Any, x: Any = x, d: Any = d) -> None:
        with tf.GradientTape() as tape:
            tape.watch([t for t in (x, gamma, beta) if t is not None])
            y = apply(x, tape)
        wanted = {"gradient_x": x, "gradient_gamma": gamma, "gradient_beta": beta}
        wanted = {k: v for k, v in wanted.items() if v is not None}
        got = tape.gradient(y, list(wanted.values()), output_gradients=d)
        found[name] = {k: np.asarray(g) for k, g in zip(wanted, got, strict=True)}

    weights = [made.parameters[k] for k, has in (("gamma", case.scale), ("beta", case.center)) if has]
    weights += [made.parameters["moving_mean"], made.parameters["moving_variance"]]
    for name, library in (("keras", keras), ("tf-keras", tf_keras)):
        layer = library.layers.BatchNormalization(
            axis=axis, epsilon=case.epsilon, center=case.center, scale=case.scale, dtype=case.input.dtype
        )
        layer.build(x.shape)
        layer.set_weights([w.astype(layer.weights[0].dtype if name == "keras" else w.dtype) for w in weights])
        gamma = getattr(layer, "gamma", None) if case.scale else None
        beta = getattr(layer, "beta", None) if case.center else None
        if name == "keras":
            gamma, beta = (None if v is None else v.value for v in (gamma, beta))
        taped(name, lambda x, tape, layer=layer: layer(x, training=training), gamma, beta)
    shape = [n if a in case.channels.kept else 1 for a, n in enumerate(x.shape)]
    reduced = [a for a in range(len(x.shape)) if a not in case.channels.kept]
    p = {k: tf.reshape(tf.constant(v), shape) for k, v in made.parameters.items()}

    def low_level(x: Any, tape: Any) -> Any:
        mean, variance = p["moving_mean"], p["moving_variance"]
        if training:
            mean, variance = tf.nn.moments(x, reduced, keepdims=True)
        gamma, beta = (p[k] if has else None for k, has in (("gamma", case.scale), ("beta", case.center)))
        return tf.nn.batch_normalization(x, mean, variance, beta, gamma, case.epsilon)

    taped("tf-nn", low_level, p["gamma"] if case.scale else None, p["beta"] if case.center else None)
    if len(x.shape) == 4 and case.input.dtype != "float64" and case.scale and case.center:
        moved = tf.constant(np.ascontiguousarray(np.moveaxis(made.batches[0], axis, -1)))
        above = tf.constant(np.ascontiguousarray(np.moveaxis(made.upstream, axis, -1)))
        q = {k: tf.constant(v.astype(np.float32)) for k, v in made.parameters.items()}
        given = {} if training else {"mean": q["moving_mean"], "variance": q["moving_variance"]}

        def fused(x: Any, tape: Any) -> Any:
            return tf.compat.v1.nn.fused_batch_norm(
                x, q["gamma"], q["beta"], epsilon=case.epsilon, is_training=training, **given
            )[0]

        if case.epsilon >= 1.001e-5:
            taped("tf-fused", fused, q["gamma"], q["beta"], moved, above)
            found["tf-fused"]["gradient_x"] = np.moveaxis(found["tf-fused"]["gradient_x"], -1, axis)
    return found


def of_jax(case: Case, made: Inputs) -> dict[str, Gradients]:
    import flax.linen
    import jax

    names = [k for k, has in (("scale", case.scale), ("bias", case.center)) if has]
    ours = {"scale": "gamma", "bias": "beta"}
    found = {}
    for name, fast in (("flax", True), ("flax:slow-variance", False)):
        layer = flax.linen.BatchNorm(
            axis=case.channels.kept[0],
            epsilon=case.epsilon,
            use_scale=case.scale,
            use_bias=case.center,
            use_running_average=case.mode == "inference",
            use_fast_variance=fast,
            dtype=case.input.dtype,
        )
        wide = "float64" if case.input.dtype == "float64" else "float32"
        held = {k: v.astype(wide) for k, v in made.parameters.items()}
        stats = {"mean": held["moving_mean"], "var": held["moving_variance"]}

        def apply(x: Any, params: Any, layer: Any = layer, stats: Any = stats) -> Any:
            return layer.apply({"params": params, "batch_stats": stats}, x, mutable=["batch_stats"])[0]

        params = {k: jax.numpy.asarray(held[ours[k]]) for k in names}
        _, back = jax.vjp(apply, jax.numpy.asarray(made.batches[0]), params)
        of_x, of_params = back(jax.numpy.asarray(made.upstream))
        found[name] = {"gradient_x": np.asarray(of_x)}
        found[name].update({f"gradient_{ours[k]}": np.asarray(of_params[k]) for k in names})
    return found


def of_keras_jax(case: Case, made: Inputs) -> dict[str, Gradients]:
    import jax
    import keras

    layer = keras.layers.BatchNormalization(
        axis=case.channels.kept[0],
        epsilon=case.epsilon,
        center=case.center,
        scale=case.scale,
        dtype=case.input.dtype,
    )
    layer.build(made.batches[0].shape)
    names = [k for k, has in (("gamma", case.scale), ("beta", case.center)) if has]
    stats = [jax.numpy.asarray(made.parameters[k]) for k in ("moving_mean", "moving_variance")]

    def apply(x: Any, params: Any) -> Any:
        return layer.stateless_call(params, stats, x, training=case.mode == "training")[0]

    params = [jax.numpy.asarray(made.parameters[k]) for k in names]
    _, back = jax.vjp(apply, jax.numpy.asarray(made.batches[0]), params)
    of_x, of_params = back(jax.numpy.asarray(made.upstream))
    gradients = {"gradient_x": np.asarray(of_x)}
    gradients.update({f"gradient_{k}": np.asarray(g) for k, g in zip(names, of_params, strict=True)})
    return {"keras-jax": gradients}


IMPLEMENTATIONS = dict(zip(FAMILIES, (of_numpy, of_torch, of_keras, of_jax, of_keras_jax), strict=True))


def documented(name: str, case: Case) -> Semantics:
    """What the verdict would judge by."""
    narrow = case.input.dtype in ("float16", "bfloat16")
    training = case.mode == "training"
    semantics = case.requested
    if narrow and (name in ("tf-nn", "torch-view") or (training and name in ("torch", "torch-channels-last"))):
        semantics = replace(semantics, precision="narrow")
    if narrow and name == "tf-nn":
        semantics = replace(semantics, precision="narrow sums")
    if narrow and training and name.startswith("flax"):  # two parts of x's gradient are added in 16 bits
        semantics = replace(semantics, precision="narrow")
    if name == "keras-jax" and case.input.dtype == "float64":  # Keras makes float32 of it, as it documents
        semantics = replace(semantics, precision="float32")
    if training and name in ("flax", "keras-jax"):
        semantics = replace(semantics, batch_formula="squares")
    return semantics


@dataclass
class Tally:
    outputs: int = 0
    wrong: int = 0
    weak: int = 0
    allclose: int = 0
    assert_close: int = 0
    ratios: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))


def question_of(case: Case, made: Inputs) -> Question:
    return Question(case, made, Reading(axis=case.axis, parameters_dtype=case.input.dtype), References(made, 1))


def judge(tally: Tally, due: Due, name: str, identity: str, case: Case, returned: Gradients) -> None:
    assert due.gradients is not None
    for tensor, value in returned.items():
        expected = due.tensors[tensor]
        shape = case.channels.shape if tensor == "gradient_x" else case.channels.statistic_shape
        with np.errstate(all="ignore"):
            given = np.asarray(value).reshape(shape).astype(case.input.dtype)
        found = compare.compare(given, expected)
        tally.outputs += 1
        tally.weak += due.gradients.weak
        tally.wrong += not found.within
        tally.ratios[f"{tensor} {case.input.dtype}"].append(found.bound_ratio)
        whole = np.concatenate([expected.at(i)[0].reshape(-1) for i in expected.channels.blocks()])
        seen = np.concatenate(
            [np.asarray(expected.channels.view(given)[i], float).reshape(-1) for i in expected.channels.blocks()]
        )
        rtol, atol = TOLERANCES[case.input.dtype]
        tally.allclose += not np.allclose(seen, whole, equal_nan=True)
        tally.assert_close += not np.allclose(seen, whole, rtol=rtol, atol=atol, equal_nan=True)
        if not found.within:
            print(
                f"{name} {identity}: {tensor} {found.bound_ratio:.3g} of the bound; {case.title}, {case.mode}, "
                f"{case.input.dtype} {case.channels.shape} axis {case.axis} epsilon {case.epsilon:.2g} "
                f"{found.worst}",
                file=sys.stderr,
            )


DEFECTS = {
    "statistics are constants": {"backward": "constants"},
    "the mean is a constant": {"backward": "constant mean"},
    "the variance is a constant": {"backward": "constant variance"},
    "the training formula in inference": {"backward": "statistics"},
    "gamma is missing": {"backward_slip": "gamma"},
    "1/sqrt(v + epsilon) is missing": {"backward_slip": "deviation"},
    "1/N is missing": {"backward_slip": "count"},
    "1/sqrt(v + epsilon) is missing in gamma's": {"backward_slip": "deviation in gamma"},
    "the mean is not subtracted in gamma's": {"backward_slip": "mean in gamma"},
    "averaged, not summed": {"backward_slip": "averaged"},
}


def applies(change: dict[str, str], case: Case) -> bool:
    backward = change.get("backward")
    if backward == "statistics":
        return case.mode == "inference"
    if backward is not None or change.get("backward_slip") == "count":
        return case.mode == "training"
    slip = change["backward_slip"]
    return case.scale if "gamma" in slip else True


def noticed(case: Case, made: Inputs, due: Due, change: dict[str, str], question: Question) -> tuple[bool, bool, bool]:
    """Whether the gradients of a wrong reading, computed in float64 and rounded to the dtype, are noticed."""
    wrong = Due.of(question, replace(case.requested, **change))
    by_bound = by_allclose = by_assert = False
    rtol, atol = TOLERANCES[case.input.dtype]
    for tensor in case.checked[1:]:
        expected, other = due.tensors[tensor], wrong.tensors[tensor]
        value = np.empty(expected.channels.walked)
        whole = np.empty(expected.channels.walked)
        for i in expected.channels.blocks():
            value[i], whole[i] = other.at(i)[0], expected.at(i)[0]
        with np.errstate(all="ignore"):
            given = value.astype(case.input.dtype)
            by_bound |= not compare.compare(given, expected).within
            seen = given.astype(float)
            by_allclose |= not np.allclose(seen, whole, equal_nan=True)
            by_assert |= not np.allclose(seen, whole, rtol=rtol, atol=atol, equal_nan=True)
    return by_bound, by_allclose, by_assert


def default_cases(count: int) -> Iterator[tuple[Case, Inputs]]:
    rng = np.random.default_rng(7)
    for _ in range(count):
        shape = [int(rng.integers(2, 9)), int(rng.integers(2, 6)), int(rng.integers(2, 9)), int(rng.integers(1, 9))]
        case = Case.model_validate(
            {
                "title": "default data",
                "input": {
                    "shape": shape,
                    "layout": "NCHW",
                    "dtype": str(rng.choice(["float32", "float64", "float16"])),
                },
                "axis": 1,
                "mode": str(rng.choice(["training", "inference"])),
                "epsilon": float(10 ** rng.uniform(-6, -2)),
                "check": ["output", "gradients"],
            }
        )
        yield case, inputs.make(case)


def measure(family: str, seed: int, numbers: range) -> None:
    tallies: dict[str, Tally] = defaultdict(Tally)
    missed: dict[str, np.ndarray] = defaultdict(lambda: np.zeros(4, int))
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        for identity, case, made in cases(seed, numbers, Path(folder)):
            question = question_of(case, made)
            dues: dict[Semantics, Due] = {}
            with np.errstate(all="ignore"):
                found = IMPLEMENTATIONS[family](case, made)
            for name, returned in found.items():
                semantics = documented(name, case)
                dues.setdefault(semantics, Due.of(question, semantics))
                wanted = {t: v for t, v in returned.items() if t in case.checked}
                judge(tallies[f"{name} {case.mode}"], dues[semantics], name, identity, case, wanted)
            if family == "numpy":
                due = Due.of(question, case.requested)
                for name, change in DEFECTS.items():
                    if applies(change, case):
                        seen = noticed(case, made, due, change, question)
                        missed[name] += [1, *(not s for s in seen)]
    rows = []
    for name, tally in sorted(tallies.items()):
        largest = {
            t: max((r for k, rs in tally.ratios.items() if k.startswith(t) for r in rs), default=0.0) for t in TENSORS
        }
        rows.append(
            [
                name,
                tally.outputs,
                tally.wrong,
                *(f"{r:.2g}" for r in largest.values()),
                _part(tally.weak, tally.outputs),
                _part(tally.allclose, tally.outputs),
                _part(tally.assert_close, tally.outputs),
            ]
        )
    print(
        tabulate(
            rows, headers=["implementation", "gradients", "called wrong", *TENSORS, "weak", "allclose", "assert_close"]
        )
    )
    for name, tally in sorted(tallies.items()):
        print(name, {k: f"{max(r):.2g}/{np.median(r):.1g}" for k, r in sorted(tally.ratios.items())})
    if family == "numpy":
        shown = {name: np.zeros(4, int) for name in DEFECTS}
        for case, made in default_cases(200):
            question = question_of(case, made)
            due = Due.of(question, case.requested)
            for name, change in DEFECTS.items():
                if applies(change, case):
                    shown[name] += [1, *(not s for s in noticed(case, made, due, change, question))]
        rows = [
            [
                name,
                *(_part(n, missed[name][0]) for n in missed[name][1:]),
                *(_part(n, shown[name][0]) for n in shown[name][1:]),
            ]
            for name in DEFECTS
        ]
        print("\nSlips through: on random data by bncheck, allclose, assert_close; on default data")
        print(tabulate(rows, headers=["defect", *(["bncheck", "allclose", "assert_close"] * 2)]))
    print(f"{family}: {time.perf_counter() - started:.0f} s", file=sys.stderr)


def _part(count: int, of: int) -> str:
    return "0" if not count else f"{100 * count / max(of, 1):.2g} %"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=600)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int)
    parser.add_argument("--family", choices=FAMILIES)
    options = parser.parse_args()
    if options.family is None:
        for family in FAMILIES:
            subprocess.run([sys.executable, __file__, *sys.argv[1:], "--family", family], check=True)
        return
    numbers = range(options.cases) if options.only is None else range(options.only, options.only + 1)
    measure(options.family, options.seed, numbers)


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    if "--family" in sys.argv:
        os.environ["KERAS_BACKEND"] = "jax" if "keras-jax" in sys.argv else "tensorflow"
    os.environ["JAX_ENABLE_X64"] = "1"
    main()
