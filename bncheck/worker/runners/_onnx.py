"""A model of one ``BatchNormalization`` node, as exporters write it."""


def model(opset, x, parameters, training, attributes, inputs=False, outputs=None, convolution=False):
    """``parameters``: scale, B, mean and variance, by the names that they get; initialisers unless ``inputs``.

    ``training`` is None where nothing is said of the mode. ``outputs`` of the node are outputs of the graph, all unless
    that is given. ``convolution``: behind one that changes nothing, into which an optimizer folds the node.
    """
    import numpy as np
    import onnx

    said = {name: float(value) for name, value in attributes.items()}
    if opset >= 14 and training is not None:
        said["training_mode"] = int(training)
    of_node = ["Y"]
    if training:
        of_node += ["running_mean", "running_var"]
        if opset < 14:  # the number of outputs is what says the mode
            of_node += ["saved_mean", "saved_var"]
    node = onnx.helper.make_node("BatchNormalization", ["X", *parameters], of_node, **said)

    def described(name, array):
        dtype = onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
        return onnx.helper.make_tensor_value_info(name, dtype, array.shape)

    statistic = next(iter(parameters.values()))
    of_graph = [described(name, statistic if name != "Y" else x) for name in of_node[:3][:outputs]]
    given = [described("X", x)]
    initializers = []
    if inputs:
        given += [described(name, array) for name, array in parameters.items()]
    else:
        initializers = [onnx.numpy_helper.from_array(array, name) for name, array in parameters.items()]
    nodes = [node]
    if convolution:
        channels = x.shape[1]
        kernel = np.ones([channels] + [1] * (x.ndim - 1), x.dtype)
        initializers.append(onnx.numpy_helper.from_array(kernel, "W"))
        node.input[0] = "convolved"
        nodes = [onnx.helper.make_node("Conv", ["X", "W"], ["convolved"], group=channels), node]
    graph = onnx.helper.make_graph(nodes, "batch_normalization", given, of_graph, initializers)
    return onnx.helper.make_model_gen_version(graph, opset_imports=[onnx.helper.make_opsetid("", opset)])
