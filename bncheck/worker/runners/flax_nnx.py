"""``flax.nnx.BatchNorm``, an object that holds its own statistics."""

from . import _jax
from ._jax import gpu  # noqa: F401
from ._kept import kept


def load():
    import flax.nnx

    return "{} ({})".format(flax.__version__, _jax.version())


def run(case):
    import flax.nnx
    import jax
    import numpy as np

    def compiled():
        return flax.nnx.jit(lambda layer, x, **options: layer(x, **options))

    def apply(x, **options):
        if case.variant == "jit":
            return np.asarray(kept(case, compiled)(layer, x, **options))
        return np.asarray(layer(x, **options))

    def call(x, parameters):
        merged = flax.nnx.merge(graph, parameters, others, copy=True)
        output = kept(case, compiled)(merged, x) if case.variant == "jit" else merged(x)
        return output, flax.nnx.state(merged, flax.nnx.BatchStat)

    with jax.default_device(jax.devices(case.device)[0]):
        inside = np.result_type(np.float32, case.moving_mean.dtype)  # of parameters and statistics: float32 at least
        layer = flax.nnx.BatchNorm(
            case.moving_mean.size,
            axis=case.axis,
            use_bias=case.beta is not None,
            use_scale=case.gamma is not None,
            dtype=case.dtype,
            param_dtype=inside,
            rngs=flax.nnx.Rngs(0),
            **case.given(epsilon="epsilon", momentum="momentum"),
        )
        layer.mean = flax.nnx.BatchStat(jax.numpy.asarray(case.moving_mean, inside))
        layer.var = flax.nnx.BatchStat(jax.numpy.asarray(case.moving_variance, inside))
        if case.gamma is not None:
            layer.scale = flax.nnx.Param(jax.numpy.asarray(case.gamma, inside))
        if case.beta is not None:
            layer.bias = flax.nnx.Param(jax.numpy.asarray(case.beta, inside))
        if case.mode == "training":
            layer.train()
        elif case.mode == "inference":
            layer.eval()
        masked = {} if case.mask is None else {"mask": np.expand_dims(case.mask, case.kept)}
        for x in case.steps:
            if case.upstream is None:
                output = apply(x, **masked)
            else:
                graph, parameters, others = flax.nnx.split(layer, flax.nnx.Param, ...)
                output, back, updated = jax.vjp(call, x, parameters, has_aux=True)
                flax.nnx.update(layer, updated)
        output = np.asarray(output)
        result = {
            "output": output,
            "moving_mean": np.asarray(layer.mean[...]),
            "moving_variance": np.asarray(layer.var[...]),
        }
        if case.upstream is not None:
            gradient_x, gradients = back(case.upstream)
            names = {"gradient_gamma": "scale", "gradient_beta": "bias"}
            result["gradient_x"] = np.asarray(gradient_x)
            result.update((name, np.asarray(gradients[of][...])) for name, of in names.items() if of in gradients)
        if case.extra is not None:
            layer.eval()
            result["inference"] = apply(case.extra)
        return result


run = _jax.bounded(run)
