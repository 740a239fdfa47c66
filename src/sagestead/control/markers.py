"""Small files in run folders by which control remembers what it did there.

Rule: a marker is there whole or not at all.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from sagestead.domain.resources import Json

T = TypeVar("T")


def read_marker(path: Path, read: Callable[[Json], T]) -> T | None:
    """Return what a marker says, or None when it is not there whole."""
    try:
        return read(json.loads(path.read_bytes()))
    except (FileNotFoundError, ValueError):  # a power cut can leave an empty file
        return None


def write_marker(path: Path, content: Json) -> None:
    """Write a small JSON file whole or not at all."""
    draft = path.with_name(f".{path.name}.{threading.get_ident()}")
    draft.write_text(json.dumps(content))
    draft.replace(path)
