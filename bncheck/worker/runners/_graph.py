"""The layer of Keras 2.2 and 2.3, and ``tf.keras``, on TensorFlow 1, in a graph; its updates are run by hand."""

from ._kept import kept


def run(case):
    import tensorflow as tf

    if case.runner == "_keras_in_graph":
        import keras
    else:
        from tensorflow import keras

    def built():
        graph = tf.Graph()
        with graph.as_default():
            layer = keras.layers.BatchNormalization(
                axis=case.axis,
                center=case.beta is not None,
                scale=case.gamma is not None,
                dtype=case.dtype,
                **case.given(epsilon="epsilon", momentum="momentum", virtual_batch_size="virtual_batch_size"),
            )
            layer.trainable = case.trainable
            x = tf.compat.v1.placeholder(case.dtype, case.steps[0].shape)
            output = layer(x, **({} if case.mode is None else {"training": case.mode == "training"}))
            updates = list(layer.updates) if case.mode == "training" else []  # as a model runs them in training
            inference = None if case.extra is None else layer(x, training=False)
            gradients = []
            if case.upstream is not None:
                upstream = tf.compat.v1.placeholder(case.dtype, case.upstream.shape, "upstream")
                gradients = tf.gradients(output, [x] + layer.trainable_weights, upstream)
            # Keras 2 cannot read a device that is set by tf.device.
            devices = tf.compat.v1.ConfigProto(device_count={"GPU": 1 if case.device == "gpu" else 0})
            session = tf.compat.v1.Session(graph=graph, config=devices)
            start = tf.compat.v1.global_variables_initializer()
        return layer, x, output, updates, inference, gradients, session, start

    layer, x, output, updates, inference, gradients, session, start = kept(case, built)
    weights = [w for w in (case.gamma, case.beta, case.moving_mean, case.moving_variance) if w is not None]
    with session.graph.as_default():
        session.run(start)  # the averages' own variables too
        for variable, value in zip(layer.weights, weights):
            session.run(variable.initializer, {variable.initializer.inputs[1]: value.reshape(variable.shape.as_list())})
        for batch in case.steps:
            given = {x: batch} if case.upstream is None else {x: batch, "upstream:0": case.upstream}
            y, _, found = session.run([output, updates, gradients], given)
        result = {"output": y}
        statistics = session.run([layer.moving_mean, layer.moving_variance])
        for name, statistic in zip(["moving_mean", "moving_variance"], statistics):
            result[name] = statistic.reshape(case.moving_mean.shape)
        if case.upstream is not None:
            result["gradient_x"] = found[0]
            names = [name for name, there in (("gamma", case.gamma), ("beta", case.beta)) if there is not None]
            for name, gradient in zip(names, found[1:]):
                result["gradient_" + name] = gradient.reshape(case.moving_mean.shape)
        if case.extra is not None:
            result["inference"] = session.run(inference, {x: case.extra})
    return result
