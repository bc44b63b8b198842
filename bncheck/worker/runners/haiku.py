"""``haiku.BatchNorm``, with the state that it has after many steps: then its averages are corrected no more."""

import numpy as np

from . import _jax
from ._jax import gpu  # noqa: F401
from ._kept import kept


def load():
    import haiku

    return "{} ({})".format(haiku.__version__, _jax.version())


def run(case):
    import haiku
    import jax

    def batch_norm(x, is_training):
        layer = haiku.BatchNorm(
            create_scale=case.gamma is not None,
            create_offset=case.beta is not None,
            decay_rate=case.momentum,
            axis=case.reduced,
            **case.given(eps="epsilon"),
        )
        return layer(x, is_training)

    def call(x, parameters):
        return apply(parameters, state, None, x, case.mode == "training")

    def compiled():
        return jax.jit(transformed.apply, static_argnums=4)

    def average(statistic):
        value = case.broadcast(statistic)
        # An average is divided by 1 - decay_rate**counter, so that it may begin at 0; ours begins elsewhere.
        return {"counter": np.int32(2**30), "hidden": value, "average": value}

    def statistic(name):
        return np.asarray(state["batch_norm/~/" + name]["average"]).reshape(case.moving_mean.shape)

    with jax.default_device(jax.devices(case.device)[0]):
        transformed = haiku.transform_with_state(batch_norm)
        apply = kept(case, compiled) if case.variant == "jit" else transformed.apply
        parameters = case.given(scale="gamma", offset="beta")
        parameters = {"batch_norm": {name: case.broadcast(value) for name, value in parameters.items()}}
        state = {
            "batch_norm/~/mean_ema": average(case.moving_mean),
            "batch_norm/~/var_ema": average(case.moving_variance),
        }
        for x in case.steps:
            if case.upstream is None:
                output, state = call(x, parameters)
            else:
                output, back, state = jax.vjp(call, x, parameters, has_aux=True)
        result = {
            "output": np.asarray(output),
            "moving_mean": statistic("mean_ema"),
            "moving_variance": statistic("var_ema"),
        }
        if case.upstream is not None:
            gradient_x, gradients = back(case.upstream)
            names = {"gradient_gamma": "scale", "gradient_beta": "offset"}
            result["gradient_x"] = np.asarray(gradient_x)
            for name, of in names.items():
                if of in gradients["batch_norm"]:
                    result[name] = np.asarray(gradients["batch_norm"][of]).reshape(case.moving_mean.shape)
        if case.extra is not None:
            output, _ = apply(parameters, state, None, case.extra, False)
            result["inference"] = np.asarray(output)
        return result


run = _jax.bounded(run)
