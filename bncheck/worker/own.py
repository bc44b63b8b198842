"""One's own implementation: a plain function over NumPy arrays, called once a step."""

import importlib.util
import inspect
import os
import sys

import numpy as np

from .call import Lacking, Nonsense

GRADIENTS = ("gradient_x", "gradient_gamma", "gradient_beta")


class Own:
    def __init__(self, spelling):
        self._path, self._name = spelling.rsplit(":", 1)

    def load(self):
        """Import the file, as if it were run from its own folder, and find the function."""
        sys.path.insert(0, os.path.dirname(os.path.abspath(self._path)))
        spec = importlib.util.spec_from_file_location("bncheck_own", self._path)
        module = importlib.util.module_from_spec(spec)
        sys.modules["bncheck_own"] = module
        spec.loader.exec_module(module)
        function = getattr(module, self._name, None)
        if not callable(function):
            raise AttributeError("{} has no function {}".format(self._path, self._name))
        self._function = function

    def run(self, case):
        return applied(self._function, case)


def applied(function, case):
    """What one's own function makes of a case: it is called once a step, and the statistics are carried for it.

    Raises Nonsense if what it returns cannot be judged, Lacking if it cannot be asked.
    """
    _asked(function, case)
    training = case.mode == "training"
    moving = {"moving_mean": case.moving_mean, "moving_variance": case.moving_variance}
    result = {}
    for number, x in enumerate(case.steps, 1):
        upstream = case.upstream if number == len(case.steps) else None
        result = _step(function, case, x, training, number, moving, upstream)
        moving.update({k: v for k, v in result.items() if k in moving and v is not None})
    if case.extra is not None:
        result["inference"] = _step(function, case, case.extra, False, 1, moving)["output"]
    return result


def _step(function, case, x, training, number, moving, upstream=None):
    arguments = {
        "axis": case.kept,
        "epsilon": case.epsilon,
        "momentum": 1 - 1 / number if case.momentum == "cumulative" else case.momentum,
        "training": training if case.mode is not None else None,
        "gamma": case.gamma,
        "beta": case.beta,
    }
    arguments.update(moving)
    if upstream is not None and _takes(function, "upstream"):
        arguments["upstream"] = upstream
    if case.mask is not None and training:
        arguments["mask"] = case.mask
    if case.virtual_batch_size is not None and training:
        arguments["virtual_batch_size"] = case.virtual_batch_size
    for name, value in arguments.items():
        if isinstance(value, np.ndarray):
            arguments[name] = value.copy()  # for the function to write into
    for name, requested in case.requested.items():
        if arguments[name] is None:
            if _has_default(function, name):
                del arguments[name]
            else:
                arguments[name] = requested
    returned = function(x, **arguments)
    if not isinstance(returned, dict):
        raise Nonsense("returned {}, not a dict with output".format(type(returned).__name__))
    wanted = ("output", "moving_mean", "moving_variance") if training else ("output",)
    missing = [k for k in wanted if k not in returned]
    if missing:
        raise Nonsense("the returned dict lacks {}".format(", ".join(missing)))
    known = ("output", "moving_mean", "moving_variance") + (GRADIENTS if "upstream" in arguments else ())
    result = {k: returned.get(k) for k in known}
    for name, value in result.items():
        if not isinstance(value, (np.ndarray, np.generic)) and not (value is None and name != "output"):
            raise Nonsense("{} is {}, not a NumPy array".format(name, type(value).__name__))
    return result


def _asked(function, case):
    """Raise Lacking for what a case asks that the function does not take."""
    if case.mask is not None and not _takes(function, "mask"):
        raise Lacking("it takes no mask: the function has no parameter of that name")
    if case.virtual_batch_size is not None and not _takes(function, "virtual_batch_size"):
        raise Lacking("it has no virtual batches: the function has no parameter virtual_batch_size")
    if not case.trainable:
        raise Lacking("it is a function, and has nothing to freeze")


def _takes(function, name):
    return name in inspect.signature(function).parameters


def _has_default(function, name):
    parameter = inspect.signature(function).parameters.get(name)
    return parameter is not None and parameter.default is not parameter.empty
