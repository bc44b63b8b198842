"""TensorFlow as all runners of its family need it: one process serves Keras 3, the legacy layers and the raw ops."""

import os

# Both are read at import. The first keeps `tf.compat.v1.layers` working, which is built on the legacy Keras.
os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")

import tensorflow


def version():
    return "TF " + tensorflow.__version__
