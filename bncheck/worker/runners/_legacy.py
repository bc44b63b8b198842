"""The legacy ``BatchNormalization`` layer of TensorFlow 2, wherever it is imported from; it chooses its fused path by
itself."""

from ._tensorflow import differentiated


def run(case):
    import tensorflow as tf

    if case.runner == "tf-keras":
        import tf_keras as keras
    elif case.runner == "_keras_2":
        import keras
    else:
        from tensorflow import keras

    with tf.device("/GPU:0" if case.device == "gpu" else "/CPU:0"):
        layer = keras.layers.BatchNormalization(
            axis=case.axis,
            center=case.beta is not None,
            scale=case.gamma is not None,
            dtype=case.dtype,
            **case.given(epsilon="epsilon", momentum="momentum", virtual_batch_size="virtual_batch_size"),
        )
        layer.build(case.steps[0].shape)
        if not case.trainable:
            layer.trainable = False
        weights = [w for w in (case.gamma, case.beta, case.moving_mean, case.moving_variance) if w is not None]
        layer.set_weights([w.reshape(own.shape) for w, own in zip(weights, layer.weights)])
        options = {} if case.mode is None else {"training": case.mode == "training"}
        if case.mask is not None:
            options["mask"] = case.mask
        for x in case.steps:
            x = tf.convert_to_tensor(x)
            if case.upstream is None:
                output = layer(x, **options)
            else:
                weights = {"gamma": layer.gamma, "beta": layer.beta} if case.trainable else {}
                output, gradients = differentiated(layer, x, weights, case.upstream, **options)
        result = {
            "output": output.numpy(),
            "moving_mean": layer.moving_mean.numpy().reshape(case.moving_mean.shape),
            "moving_variance": layer.moving_variance.numpy().reshape(case.moving_mean.shape),
        }
        if case.upstream is not None:
            result["gradient_x"] = gradients.pop("gradient_x").numpy()
            result.update((name, g.numpy().reshape(case.moving_mean.shape)) for name, g in gradients.items())
        if case.extra is not None:
            result["inference"] = layer(tf.convert_to_tensor(case.extra), training=False).numpy()
        return result
