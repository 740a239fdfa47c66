"""Runs as processes of this machine, forked from a warm zygote."""
