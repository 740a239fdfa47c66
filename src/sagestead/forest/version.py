"""The version of the layout of plans (`layout`), for those who must know it without loading NumPy."""

VERSION = 2
"""Another one must not walk what this one wrote. Prepared models of another version are prepared again."""
