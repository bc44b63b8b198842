"""``tf.compat.v1.nn.fused_batch_norm``, the operation under the legacy layer's fused path."""

from . import _tensorflow
from ._kept import kept
from ._tensorflow import differentiated, gpu  # noqa: F401


def load():
    return _tensorflow.version()


def run(case):
    import numpy as np
    import tensorflow as tf

    def compiled():
        return tf.function(tf.compat.v1.nn.fused_batch_norm, jit_compile=True)

    def apply(x, mean, variance, **options):
        layouts = {(4, 1): "NCHW", (4, 3): "NHWC", (5, 1): "NCDHW", (5, 4): "NDHWC"}
        options.update(case.given(epsilon="epsilon"))
        function = kept(case, compiled) if case.variant == "xla" else tf.compat.v1.nn.fused_batch_norm
        return function(x, scale, offset, mean, variance, data_format=layouts[x.ndim, case.kept[0]], **options)

    def step(x):
        if case.mode == "inference":
            return apply(x, moving_mean, moving_variance, **options)
        if case.momentum is None or 1 - case.momentum == 1:  # then the operation takes no old statistics
            return apply(x, None, None, **options)
        factor = 1 - case.momentum  # it weighs the new batch
        return apply(x, moving_mean, moving_variance, exponential_avg_factor=factor, **options)

    with tf.device("/GPU:0" if case.device == "gpu" else "/CPU:0"):
        inside = np.float32  # of parameters and statistics, whatever x has
        moving_mean, moving_variance = case.moving_mean.astype(inside), case.moving_variance.astype(inside)
        scale = np.ones_like(moving_mean) if case.gamma is None else case.gamma.astype(inside)
        offset = np.zeros_like(moving_mean) if case.beta is None else case.beta.astype(inside)
        options = {} if case.mode is None else {"is_training": case.mode == "training"}
        if case.upstream is not None:
            scale, offset = tf.convert_to_tensor(scale), tf.convert_to_tensor(offset)
            weights = {"gamma": scale if case.gamma is not None else None}
            weights["beta"] = offset if case.beta is not None else None
        for x in case.steps:
            if case.upstream is None:
                output, *statistics = step(x)
            else:
                x = tf.convert_to_tensor(x)
                (output, *statistics), gradients = differentiated(step, x, weights, case.upstream)
            if case.mode != "inference":
                moving_mean, moving_variance = statistics
        result = {"output": output.numpy()}
        result["moving_mean"], result["moving_variance"] = np.asarray(moving_mean), np.asarray(moving_variance)
        if case.upstream is not None:
            result.update((name, gradient.numpy()) for name, gradient in gradients.items())
        if case.extra is not None:
            result["inference"] = apply(case.extra, moving_mean, moving_variance, is_training=False)[0].numpy()
        return result
