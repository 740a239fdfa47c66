"""What runs in a runtime: by any Python from 3.7 on, with its standard library and what the runtime holds.

Rules: nothing of ours outside of this folder is imported. `laid.py` copies the folder to where the programs
of runs can read it, and it is the last on their path.
"""
