"""Builds everything, introduces it, starts it, stops it.

`supervisor.py` owns the data folder and the children; `control.py` and `front.py` are what the children run;
`adapters.py` opens the outside, and `wiring.py` lists what is served.
"""
