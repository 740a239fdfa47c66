"""How programs of users are run: their runtime, their enclosure, and the contract of AWS's framework images.

Rule: the process of the run (ours, trusted) never executes a line of theirs. It starts one of their own
beside it, in the runtime's Python, with as few rights as the machine lets us take away.
"""
