"""JAX as all runners of its family need it: float64 where a case asks for it, on the device that a case asks for."""

import contextlib
import ctypes
import itertools
import os
import tempfile

# All are read at import. Without the first, JAX has no float64.
os.environ["JAX_ENABLE_X64"] = "1"
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # leave memory to the other workers on the GPU
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")

import jax

# What was compiled is found again in a folder of this worker when it is forgotten; nothing is taken over from before.
for _option, _value in (
    ("jax_compilation_cache_dir", os.path.join(tempfile.gettempdir(), "bncheck-jax-{}".format(os.getpid()))),
    ("jax_persistent_cache_min_compile_time_secs", 0),
    ("jax_persistent_cache_min_entry_size_bytes", -1),
):
    jax.config.update(_option, _value)

MOST = 1 << 30
"""Bytes by which the process may grow before compiled operations are forgotten."""

CALLS = 40
"""Calls after which they are, where a process cannot see how large it is."""

_calls = itertools.count(1)
_least = None


def bounded(run):
    """``run`` in bounded memory: JAX keeps each operation that it compiled, of each shape, up to 10 MiB a case."""

    def bounded_run(case):
        global _least
        size = _size()
        if _least is None:
            _least = size
        if next(_calls) % CALLS == 0 if size is None else size - _least > MOST:
            jax.clear_caches()
            with contextlib.suppress(Exception):  # what is free goes back only when glibc is told to let it go
                ctypes.CDLL(None).malloc_trim(0)
            _least = _size()
        return run(case)

    return bounded_run


def _size():
    """Bytes of memory that this process holds; None where there is no telling."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return None


def version():
    return "JAX " + jax.__version__


def gpu():
    """The GPU, with the switches that change its arithmetic; None if there is none."""
    try:
        found = jax.devices("gpu")
    except RuntimeError:  # that is how JAX says it
        return None
    return {
        "name": found[0].device_kind,
        "jax platform": found[0].client.platform_version,
        "jax matmul precision": jax.config.jax_default_matmul_precision,
        "jax xla flags": os.environ.get("XLA_FLAGS", ""),
    }
