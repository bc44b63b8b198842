"""Which release changed what is found of a case: the search, the releases, what each try found, and its log."""
