"""Builds everything, introduces it, starts it, stops it.

`supervisor.py` owns the data folder and the children; `control.py` and `front.py` are what the children run;
`wiring.py` is the one place where adapters meet the code that uses them.
"""
