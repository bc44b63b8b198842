"""One module for each implementation: ``load()`` imports it and answers its version, ``run(case)`` calls it.

``run`` is one self-contained function that calls the implementation as its users do and returns the tensors by name:
output, moving_mean, moving_variance and, where the case has an extra batch, inference.
"""
