"""The worker's loop: load a runner, make its calls one after another, answer each.

A message is ``{"load": RUNNER}`` or ``{"call": RUNNER, ...}``; the answer to a call has ``tensors``, or ``refused``
(what the call raised), or ``error`` (it answered nonsense).
"""

import contextlib
import importlib
import json
import os
import re
import signal
import sys
import time
import traceback

from . import own, wire
from .call import TENSORS, Arranged, Call, Lacking, Nonsense
from .repeat import differences


def die_with_parent():
    """On Linux, end when the process that started us does, however busy we are; elsewhere, at the next request."""
    with contextlib.suppress(Exception):
        import ctypes

        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, int(signal.SIGKILL))


def main():
    die_with_parent()
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a framework prints is talk, not an answer
    sys.stdout = os.fdopen(1, "w", 1)
    requests = os.fdopen(os.dup(0), "rb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)  # whoever reads standard input finds nothing there, not our requests
    for line in requests:
        request = json.loads(line.decode("utf-8"))
        try:
            answer = load(request) if "load" in request else call(request)
        except Nonsense as error:
            answer = {"error": str(error)}
        sys.stdout.flush()
        sys.stderr.flush()
        wire.send(answers, dict(answer, number=request.get("number")))


def runner_of(name):
    """The module of a built-in runner, or for ``FILE.py:FUNCTION`` one's own function behind the same interface."""
    if name.startswith("own:"):
        return own.Own(name[len("own:") :])
    return importlib.import_module(".runners." + name.replace("-", "_"), __package__)


_loaded = {}


def load(request):
    """Import what the runner needs; answers its version and the GPU that it can use (or None), or ``error``."""
    name = request["load"]
    try:
        runner = runner_of(name)
        version = runner.load()
        gpu = runner.gpu() if hasattr(runner, "gpu") else None
    except Exception as error:
        traceback.print_exc()
        return {"error": said(error)}
    _loaded[name] = runner
    return {"version": version, "gpu": gpu}


def call(request):
    """Make one call, again as often as is asked, and write what came back to files below ``request["answer"]``.

    ``request["related"]``: what is otherwise in a second call, whose tensors are answered as ``related_NAME``.
    """
    started = time.perf_counter()
    try:
        first = once(request)
        seconds = time.perf_counter() - started
        unlike = []
        related = request.get("related")
        if request["repeat"] > 1 or related:
            first = {name: array.copy() for name, array in first.items()}  # it may be the implementation's own
        if related:
            first.update(("related_" + name, array) for name, array in once(dict(request, **related)).items())
        if request["repeat"] > 1:
            for _ in range(request["repeat"] - 1):
                unlike += differences(first, once(request))
    except Nonsense:
        raise
    except Lacking as error:
        return {"unsupported": str(error)}
    except Exception as error:
        traceback.print_exc()
        return {"refused": said(error)}
    described = {name: wire.write_tensor(array, os.path.join(request["answer"], name)) for name, array in first.items()}
    return {"tensors": described, "seconds": seconds, "unlike": unlike}


def once(request):
    """The tensors that one call returns, by name, in the case's axes."""
    tensors = {name: wire.open_tensor(t, "c") for name, t in request["tensors"].items()}
    arranged = Arranged(request["arrangement"])
    returned = _loaded[request["call"]].run(Call(request["arguments"], tensors, arranged, request["call"]))
    found = {}
    for name, array in returned.items():
        if array is not None:
            back = arranged.restore_tensor if name in TENSORS else arranged.restore_statistic
            try:
                found[name] = wire.numbers(back(array))
            except (TypeError, ValueError) as error:
                raise Nonsense("{} is not an array of numbers: {}".format(name, error))
    return found


def said(error):
    """An exception in a line: its type and the first line that says what, the same each time it is raised."""
    text = str(error).strip().encode("utf-8", "backslashreplace").decode("utf-8")
    lines = [line for line in text.splitlines() if line and not re.match(r"Exception from \S+:\d+:$", line)]
    first = re.sub("0x[0-9a-fA-F]{6,}", "0x...", (lines or text.splitlines())[0]) if text else ""
    return "{}: {}".format(type(error).__name__, first)[:500] if first else type(error).__name__
