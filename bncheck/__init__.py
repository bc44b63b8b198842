"""bncheck: which frameworks agree about batch normalization, and why the others do not."""

__version__ = "0.1.0"
