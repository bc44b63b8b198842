"""Implementations of one's own: a right one, wrong ones, and unruly ones. Run as LABEL=own_runners.py:FUNCTION."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time

import numpy as np


def right(x, *, axis, epsilon, momentum, training, gamma, beta, moving_mean, moving_variance):
    """The formula in float32, or float64 for float64."""
    inside = np.result_type(x.dtype, np.float32)
    reduced = tuple(a for a in range(x.ndim) if a not in axis)
    shape = [x.shape[a] if a in axis else 1 for a in range(x.ndim)]
    wide = x.astype(inside)
    mean, variance = moving_mean.reshape(shape).astype(inside), moving_variance.reshape(shape).astype(inside)
    result = {}
    if training:
        mean, variance = wide.mean(axis=reduced, keepdims=True), wide.var(axis=reduced, keepdims=True)
        for name, old, new in (("moving_mean", moving_mean, mean), ("moving_variance", moving_variance, variance)):
            blended = inside.type(momentum) * old.astype(inside) + inside.type(1 - momentum) * new.reshape(old.shape)
            result[name] = blended.astype(x.dtype)
    y = (wide - mean) / np.sqrt(variance + inside.type(epsilon))
    if gamma is not None:
        y = y * gamma.reshape(shape).astype(inside)
    if beta is not None:
        y = y + beta.reshape(shape).astype(inside)
    return {"output": y.astype(x.dtype), **result}


def with_defaults(x, *, epsilon=1e-3, momentum=0.99, training=False, **others):
    """Has defaults of its own, which are those that `default` requests."""
    return right(x, epsilon=epsilon, momentum=momentum, training=training, **others)


def with_another_default(x, *, epsilon=0.5, **others):
    return right(x, epsilon=epsilon, **others)


def without_statistics(x, **arguments):
    return {**right(x, **arguments), "moving_mean": None, "moving_variance": None}


def epsilon_dropped(x, *, epsilon, **others):
    return right(x, epsilon=0.0, **others)


def momentum_exchanged(x, *, momentum, **others):
    return right(x, momentum=1 - momentum, **others)


def wrong_axis(x, *, axis, gamma, beta, moving_mean, moving_variance, **others):
    axis = ((axis[0] + 1) % x.ndim,)
    return right(
        x, axis=axis, gamma=gamma, beta=beta, moving_mean=moving_mean, moving_variance=moving_variance, **others
    )


def raises(x, **arguments):
    raise ValueError("this shape is not for me")


def wrong_shape(x, **arguments):
    return {**right(x, **arguments), "output": x[0]}


def wrong_dtype(x, **arguments):
    result = right(x, **arguments)
    return {**result, "output": result["output"].astype(np.float64)}


def not_finite(x, **arguments):
    result = right(x, **arguments)
    result["output"][(0,) * x.ndim] = np.nan
    return result


def a_list(x, **arguments):
    return {"output": x.tolist(), "moving_mean": None, "moving_variance": None}


def objects(x, **arguments):
    return {**right(x, **arguments), "output": np.array([None, {}], dtype=object)}


def a_tuple(x, **arguments):
    return (x,)


def key_missing(x, **arguments):
    return {"moving_mean": x}


def writes_into_its_inputs(x, *, gamma, moving_mean, **others):
    result = right(x, gamma=gamma, moving_mean=moving_mean, **others)
    x[...] = 7
    gamma[...] = 7
    return result


def talks(x, **arguments):
    print('{"tensors": {}}')
    print("x" * 200_000)
    sys.stderr.write("y" * 200_000)
    os.write(1, b"not json\n")
    return right(x, **arguments)


def segfaults_on_rank_2(x, **arguments):
    if x.ndim == 2:
        print("about to fall")
        sys.stdout.flush()
        os.kill(os.getpid(), signal.SIGSEGV)
    return right(x, **arguments)


def exits(x, **arguments):
    os._exit(7)


def reports_its_process(x, **arguments):
    time.sleep(0.01)
    return {"output": np.full_like(x, os.getpid()), "moving_mean": None, "moving_variance": None}


def aborts(x, **arguments):
    os.abort()


def is_killed_as_for_memory(x, **arguments):
    os.kill(os.getpid(), signal.SIGKILL)


def hangs(x, **arguments):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(1000)


def takes_memory(x, **arguments):
    held = np.ones(80_000_000)  # 640 MB
    time.sleep(1000)
    return {"output": held}


def floods(x, **arguments):
    for _ in range(300):
        os.write(1, b"a flood without a line break " * 10_000)
        os.write(2, b"another\n" * 10_000)
    return right(x, **arguments)


def answers_in_its_place(x, **arguments):
    """Writes to every open pipe, among them the one that answers go to."""
    for descriptor in range(3, 64):
        with contextlib.suppress(OSError):
            if not os.isatty(descriptor):
                os.write(descriptor, b'{"tensors": {}}\n')
    return right(x, **arguments)


def changes_global_state(x, **arguments):
    result = right(x, **arguments)
    np.seterr(all="raise")
    os.chdir("/")
    os.environ.clear()
    sys.path.clear()
    np.sqrt = np.square
    return result


def leaves_children(x, **arguments):
    """One child in a session of its own, whose parent is gone; both bear a name that a test can look for."""
    command = [sys.executable, "-c", "import time; time.sleep(1000)", "left by bncheck's tests"]
    subprocess.Popen(command, start_new_session=True)
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.execv(sys.executable, command)
        os._exit(0)
    return right(x, **arguments)


def loads_slowly(x, **arguments):
    time.sleep(0.2)
    return right(x, **arguments)


def writes_into_its_parameters(x, *, gamma, beta, moving_mean, moving_variance, **others):
    statistics = {"moving_mean": moving_mean, "moving_variance": moving_variance}
    result = right(x, gamma=gamma, beta=beta, **statistics, **others)
    for array in (gamma, beta, moving_mean, moving_variance):
        array[...] = 7
    return result


def reads_standard_input(x, **arguments):
    sys.stdin.read()
    subprocess.run(["cat"], check=True)
    return right(x, **arguments)


def answers_big_endian(x, **arguments):
    return {name: array.astype(">f4") for name, array in right(x, **arguments).items()}


_calls = 0


def never_the_same(x, **arguments):
    global _calls
    _calls += 1
    result = right(x, **arguments)
    result["output"] = result["output"] + x.dtype.type(1e-6 * _calls)
    return result


_own_buffer = {}


def answers_in_one_buffer(x, **arguments):
    """Gives the same array each time, as a compiled function may; the values are the same too."""
    result = right(x, **arguments)
    buffer = _own_buffer.setdefault(x.shape, np.empty_like(result["output"]))
    buffer[...] = result["output"]
    return {**result, "output": buffer}


def with_gradients(x, *, upstream=None, **arguments):
    """Right, gradients too, by the formula that one works out by hand."""
    result = right(x, **arguments)
    return result if upstream is None else {**result, **_gradients(x, upstream, arguments["training"], **arguments)}


def gradients_of_constants(x, *, upstream=None, **arguments):
    """Takes the statistics of the batch for constants."""
    result = right(x, **arguments)
    return result if upstream is None else {**result, **_gradients(x, upstream, False, **arguments)}


def gradients_of_statistics(x, *, upstream=None, **arguments):
    """Takes given statistics for those of the batch."""
    result = right(x, **arguments)
    return result if upstream is None else {**result, **_gradients(x, upstream, True, **arguments)}


def gradient_of_gamma_averaged(x, *, upstream=None, **arguments):
    result = with_gradients(x, upstream=upstream, **arguments)
    if upstream is not None:
        result["gradient_gamma"] = result["gradient_gamma"] / np.float32(x.size // result["gradient_gamma"].size)
    return result


def needs_upstream_once(x, *, upstream=None, **arguments):
    """Raises unless it is asked for gradients in the third step, and then alone."""
    steps.append(upstream)
    if (upstream is not None) != (len(steps) == 3):
        raise ValueError(f"step {len(steps)}: upstream is {type(upstream).__name__}")
    return with_gradients(x, upstream=upstream, **arguments)


steps = []


def _gradients(x, upstream, depend, *, axis, epsilon, training, gamma, moving_mean, moving_variance, **others):
    """``depend``: whether mean and variance depend on x."""
    inside = np.result_type(x.dtype, np.float32)
    reduced = tuple(a for a in range(x.ndim) if a not in axis)
    shape = [x.shape[a] if a in axis else 1 for a in range(x.ndim)]
    wide, d = x.astype(inside), upstream.astype(inside)
    mean, variance = moving_mean.reshape(shape).astype(inside), moving_variance.reshape(shape).astype(inside)
    if training:
        mean, variance = wide.mean(axis=reduced, keepdims=True), wide.var(axis=reduced, keepdims=True)
    root = np.sqrt(variance + inside.type(epsilon))
    normalized = (wide - mean) / root
    of_x = d
    if depend:
        of_x = d - d.mean(axis=reduced, keepdims=True)
        of_x = of_x - normalized * (d * normalized).mean(axis=reduced, keepdims=True)
    if gamma is not None:
        of_x = of_x * gamma.reshape(shape).astype(inside)
    held = moving_mean.dtype
    return {
        "gradient_x": (of_x / root).astype(x.dtype),
        "gradient_gamma": (d * normalized).sum(axis=reduced).reshape(moving_mean.shape).astype(held),
        "gradient_beta": d.sum(axis=reduced).reshape(moving_mean.shape).astype(held),
    }
