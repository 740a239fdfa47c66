"""How the service's processes log: one line an event, in the data folder; warnings also on standard error.

Rule: secrets are never passed to a logger; request bodies are never logged.
"""

from __future__ import annotations

import logging
import sys
import time
from logging.handlers import WatchedFileHandler
from pathlib import Path


def start_logging(process: str, file: Path) -> None:
    """Log to the file from INFO on, and to standard error from WARNING on."""
    line = logging.Formatter(
        f"%(asctime)s.%(msecs)03dZ %(levelname)s {process} %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S"
    )
    line.converter = _utc
    to_file = WatchedFileHandler(file, delay=True)
    to_file.setFormatter(line)
    to_terminal = logging.StreamHandler(sys.stderr)
    to_terminal.setLevel(logging.WARNING)
    to_terminal.setFormatter(line)
    root = logging.getLogger()
    root.handlers[:] = [to_file, to_terminal]
    root.setLevel(logging.INFO)
    logging.getLogger("alembic").setLevel(logging.WARNING)


def _utc(seconds: float | None) -> time.struct_time:
    return time.gmtime(seconds)
