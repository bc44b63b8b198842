"""Interpreters beside bncheck's own: what is wanted of them, what is found, and what is built, with uv."""
