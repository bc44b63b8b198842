"""What parent and worker say to each other: one JSON object a line, and tensors in files of raw bytes.

Nothing is pickled: what a framework's process sends is data, and is checked. A tensor is described by
``{"path": ..., "dtype": ..., "shape": [...]}`` and its file holds its values in C order.
"""

import errno
import json
import os
import stat

import numpy as np

MAPPED = 1 << 20
"""Bytes from which a tensor is better mapped from its file than held in memory (each mapping holds a file open)."""


def dtype_of(name):
    """The NumPy dtype of that name; bfloat16 is ``ml_dtypes.bfloat16``. Raises TypeError for what is not a number's."""
    if name == "bfloat16":
        import ml_dtypes

        return np.dtype(ml_dtypes.bfloat16)
    dtype = np.dtype(name)
    if dtype.kind not in "biufc":
        raise TypeError("{} is not a dtype of numbers".format(name))
    return dtype


def open_tensor(described, mode):
    """Map a tensor's file into memory: ``r`` read only (or a copy, of little), ``c`` copy on write, ``w+`` a new file.

    Raises ValueError if it is no file of its own, or not as long as its description says.
    """
    dtype, shape = dtype_of(described["dtype"]), tuple(described["shape"])
    count = 1
    for length in shape:
        count *= length
    with open(described["path"], "w+b") if mode == "w+" else _opened(described["path"]) as file:
        length = os.fstat(file.fileno()).st_size
        if mode != "w+" and length != count * dtype.itemsize:
            text = "its file has {:,} bytes, where {:,} values of {} have {:,}"
            raise ValueError(text.format(length, count, dtype.name, count * dtype.itemsize))
        if count == 0:  # nothing can be mapped
            return np.empty(shape, dtype)
        if mode == "r" and length < MAPPED:
            held = np.fromfile(file, dtype, count).reshape(shape)
            held.flags.writeable = False
            return held
        return np.memmap(file, dtype=dtype, mode=mode, shape=shape).view(np.ndarray)


def _opened(path):
    """A file as it lies there: no link is followed, and no pipe is waited for."""
    flags = os.O_RDONLY
    for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"):  # which not every system has
        flags |= getattr(os, name, 0)
    try:
        number = os.open(path, flags)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise ValueError("its file is a link")
        raise
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise ValueError("its file is no plain file")
    return open(number, "rb", buffering=0)


def numbers(array):
    """An array of numbers, in this machine's order of bytes. Raises TypeError for an array of anything else."""
    array = np.asarray(array)
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    dtype_of(array.dtype.name)
    return array


def write_tensor(array, path):
    """Write an array of numbers to ``path`` and describe it. Raises TypeError for an array of anything else."""
    array = numbers(array)
    with open(path, "wb") as file:
        array.tofile(file)
    return {"path": path, "dtype": array.dtype.name, "shape": list(array.shape)}


def send(stream, message):
    stream.write(json.dumps(message).encode("utf-8") + b"\n")
    stream.flush()
