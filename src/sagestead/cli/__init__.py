"""The commands.

Each speaks to the server through its public API, except `up` (and `keys`, which must work without a server).
"""

from __future__ import annotations

from sagestead.cli.main import app

__all__ = ["app"]
