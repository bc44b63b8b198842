"""``tf.compat.v1.nn.fused_batch_norm`` until TensorFlow 2.2, in a graph: it returns a batch's own statistics."""

from . import _tensorflow
from ._tensorflow import gpu  # noqa: F401


def load():
    return _tensorflow.version()


def run(case):
    import numpy as np
    import tensorflow as tf

    def apply(x, **options):
        options.update(case.given(epsilon="epsilon"))
        layout = "NHWC" if case.kept == (3,) else "NCHW"
        return tf.compat.v1.nn.fused_batch_norm(x, scale, offset, data_format=layout, **options)

    device = tf.device("/GPU:0" if case.device == "gpu" else "/CPU:0")
    with tf.Graph().as_default(), tf.compat.v1.Session() as session, device:
        inside = np.float32  # of parameters and statistics, whatever x has
        mean, variance = tf.constant(case.moving_mean.astype(inside)), tf.constant(case.moving_variance.astype(inside))
        scale = tf.ones_like(mean) if case.gamma is None else tf.constant(case.gamma.astype(inside))
        offset = tf.zeros_like(mean) if case.beta is None else tf.constant(case.beta.astype(inside))
        x = tf.constant(case.steps[-1])  # nothing is left of the batches before
        if case.mode == "inference":
            output, _, _ = apply(x, mean=mean, variance=variance, is_training=False)
        else:
            output, mean, variance = apply(x, **({} if case.mode is None else {"is_training": True}))
        result = {"output": output, "moving_mean": mean, "moving_variance": variance}
        if case.upstream is not None:
            of = {"gradient_x": x}
            if case.gamma is not None:
                of["gradient_gamma"] = scale
            if case.beta is not None:
                of["gradient_beta"] = offset
            result.update(zip(of, tf.gradients(output, list(of.values()), tf.constant(case.upstream))))
        if case.extra is not None:
            result["inference"], _, _ = apply(tf.constant(case.extra), mean=mean, variance=variance, is_training=False)
        return session.run(result)
