"""Tree ensembles as validated flat arrays: readers for every file that XGBoost writes, and their scoring.

Rule: pure functions over bytes and arrays. Nothing that a file names is imported, called or executed, and no
native loader sees a model's bytes. `files.read` is the only way from bytes to an `Ensemble`; whoever holds
one may walk its trees without checking bounds.
"""
