"""Where tests keep object stores: in memory where there is room, for disks are not what they are about."""

from __future__ import annotations

import shutil
from pathlib import Path

_MEMORY = Path("/dev/shm")
_ROOM = 1 << 30


def quick_parent() -> Path | None:
    """Return a folder in memory with room for a test; None: there is none, use the usual place."""
    return _MEMORY if _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _ROOM else None
