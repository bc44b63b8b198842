"""One call as a runner receives it, and the arrangement of axes around it."""

import numpy as np

TENSORS = ("output", "inference", "gradient_x")
"""What a call returns in x's shape; all else is in that of a statistic."""


class Nonsense(Exception):
    """What a function returned cannot be judged at all."""


class Lacking(Exception):
    """A function cannot be asked this; the message says what it lacks."""


class Arranged:
    """Tensors in the axes that an implementation wants, and what it returns back in the case's.

    ``described`` is None (nothing to do) or ``{"groups": [[axes that are merged], ...], "shape": the case's shape,
    "statistic": the case's statistic shape}``.
    """

    def __init__(self, described):
        self._described = described

    def tensor(self, array):
        if self._described is None:
            return array
        groups = self._described["groups"]
        order = [axis for group in groups for axis in group]
        sizes = [int(np.prod([array.shape[a] for a in group], dtype=np.int64)) for group in groups]
        return np.ascontiguousarray(array.transpose(order).reshape(sizes))

    def mask(self, array, kept):
        """A mask over the axes that are averaged over: all but the ``kept`` one of those that are handed over."""
        if self._described is None:
            return array
        shape = self._described["shape"]
        groups = [group for place, group in enumerate(self._described["groups"]) if place != kept]
        order = [axis for group in groups for axis in group]
        sizes = [int(np.prod([shape[a] for a in group], dtype=np.int64)) for group in groups]
        return array.transpose(np.argsort(np.argsort(order))).reshape(sizes)

    def statistic(self, array):
        return array if self._described is None else array.reshape(-1)

    def restore_tensor(self, array):
        """Back to the case's axes; an array of another size is left as it is, to be reported."""
        array = np.asarray(array)
        if self._described is None:
            return array
        shape = self._described["shape"]
        order = [axis for group in self._described["groups"] for axis in group]
        if array.size != int(np.prod(shape, dtype=np.int64)):
            return array
        return array.reshape([shape[a] for a in order]).transpose(np.argsort(order))

    def restore_statistic(self, array):
        array = np.asarray(array)
        if self._described is None or array.size != int(np.prod(self._described["statistic"], dtype=np.int64)):
            return array
        return array.reshape(self._described["statistic"])


class Call:
    """What a runner is asked for.

    ``steps``: one batch a training step (in inference, the one batch). ``extra``: one more batch, for inference with
    what accumulated, or None. ``device``: ``cpu`` or ``gpu``. ``variant``: which other way to call, or None. ``axis``:
    as the case writes it, or as arranged; ``kept``: the same as a sorted tuple of non-negative axes; ``reduced``: the
    others. ``mode``: ``training``, ``inference`` or None; ``epsilon``, ``momentum`` (the weight of the old statistic,
    or ``cumulative``): None says that no argument is to be passed, and ``requested`` is then what the case expects of
    that. ``gamma``, ``beta``: None where the case has none. ``dtype`` is x's, ``parameters_dtype`` that of parameters
    and statistics as they are given. ``trainable``: False where the layer is to be frozen. ``mask``: which positions
    over the axes that are not kept enter the statistics of each batch, or None. ``virtual_batch_size``: the rows of a
    virtual batch, or None. ``upstream``: the gradient with respect
    to the last step's output, from which those with respect to x, gamma and beta are asked for, or None. ``runner``:
    the name under which the runner was loaded, for those that share a call but for what they import.
    """

    def __init__(self, arguments, tensors, arranged, runner=None):
        self.runner = runner
        batches = [arranged.tensor(tensors["x%d" % i]) for i in range(arguments["batches"])]
        self.extra = batches.pop() if arguments["inference"] else None
        self.steps = batches
        self.dtype = arguments["dtype"]
        self.parameters_dtype = arguments["parameters_dtype"]
        self.device = arguments["device"]
        self.variant = arguments["variant"]
        self.axis = arguments["axis"]
        axes = [self.axis] if isinstance(self.axis, int) else self.axis
        rank = batches[0].ndim
        self.kept = tuple(sorted(a % rank for a in axes))
        self.reduced = tuple(a for a in range(rank) if a not in self.kept)
        self.mode = arguments["mode"]
        self.trainable = arguments["trainable"]
        self.virtual_batch_size = arguments["virtual_batch_size"]
        self.epsilon = arguments["epsilon"]
        self.momentum = arguments["momentum"]
        self.requested = arguments["requested"]
        self.gamma = arranged.statistic(tensors["gamma"]) if arguments["scale"] else None
        self.beta = arranged.statistic(tensors["beta"]) if arguments["center"] else None
        self.moving_mean = arranged.statistic(tensors["moving_mean"])
        self.moving_variance = arranged.statistic(tensors["moving_variance"])
        self.mask = arranged.mask(tensors["mask"], self.axis) if arguments["masked"] else None
        self.upstream = arranged.tensor(tensors["upstream"]) if arguments["gradients"] else None

    def given(self, **names):
        """Keyword arguments for what is to be passed: ``given(eps="epsilon")`` is ``{"eps": ...}`` or ``{}``."""
        values = {argument: getattr(self, name) for argument, name in names.items()}
        return {argument: value for argument, value in values.items() if value is not None}

    def broadcast(self, statistic):
        """A statistic or parameter with axes of length 1 where x's are averaged over; None stays None."""
        if statistic is None:
            return None
        x = self.steps[0]
        return statistic.reshape([x.shape[a] if a in self.kept else 1 for a in range(x.ndim)])
