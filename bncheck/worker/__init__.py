"""Everything that runs in a child process: standard library, NumPy and one framework, on Python 3.7 and later."""
