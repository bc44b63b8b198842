"""``flax.linen.BatchNorm``: statistics go in with the variables, and come back as new ones."""

from . import _jax
from ._jax import gpu  # noqa: F401
from ._kept import kept


def load():
    import flax

    return "{} ({})".format(flax.__version__, _jax.version())


def run(case):
    import flax
    import jax
    import numpy as np

    def call(x, parameters):
        given = dict(variables, params=parameters)
        masked = {} if case.mask is None else {"mask": np.expand_dims(case.mask, case.kept)}
        return apply(given, x, use_running_average=case.mode == "inference", mutable="batch_stats", **masked)

    def compiled():
        return jax.jit(layer.apply, static_argnames=("use_running_average", "mutable"))

    with jax.default_device(jax.devices(case.device)[0]):
        options = case.given(epsilon="epsilon", momentum="momentum")
        inside = np.result_type(np.float32, case.moving_mean.dtype)  # of parameters and statistics: float32 at least
        if case.variant == "slow-variance":
            options["use_fast_variance"] = False
        layer = flax.linen.BatchNorm(
            axis=case.axis if isinstance(case.axis, int) else tuple(case.axis),
            use_bias=case.beta is not None,
            use_scale=case.gamma is not None,
            dtype=case.dtype,
            param_dtype=inside,
            **options,
        )
        apply = kept(case, compiled) if case.variant == "jit" else layer.apply
        statistics = {"mean": case.moving_mean.astype(inside), "var": case.moving_variance.astype(inside)}
        parameters = {name: p.astype(inside) for name, p in case.given(bias="beta", scale="gamma").items()}
        variables = {"params": parameters, "batch_stats": statistics}
        for x in case.steps:
            if case.upstream is None:
                output, updated = call(x, variables["params"])
            else:
                output, back, updated = jax.vjp(call, x, variables["params"], has_aux=True)
            variables["batch_stats"] = updated["batch_stats"]
        result = {
            "output": np.asarray(output),
            "moving_mean": np.asarray(variables["batch_stats"]["mean"]),
            "moving_variance": np.asarray(variables["batch_stats"]["var"]),
        }
        if case.upstream is not None:
            gradient_x, gradients = back(case.upstream)
            names = {"gradient_gamma": "scale", "gradient_beta": "bias"}
            result["gradient_x"] = np.asarray(gradient_x)
            result.update((name, np.asarray(gradients[of])) for name, of in names.items() if of in gradients)
        if case.extra is not None:
            output, _ = apply(variables, case.extra, use_running_average=True, mutable="batch_stats")
            result["inference"] = np.asarray(output)
        return result


run = _jax.bounded(run)
