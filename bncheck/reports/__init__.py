"""One module a format; each has ``render(document, ...) -> str`` and sees nothing but the results document."""
