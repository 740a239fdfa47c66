"""How the service's processes log: one line an event, in the data folder; warnings also on standard error.

Rule: secrets are never passed to a logger; request bodies are never logged; logging never raises.
"""

from __future__ import annotations

import logging
import sys
import time
from contextlib import suppress
from logging.handlers import WatchedFileHandler
from pathlib import Path
from types import TracebackType


def start_logging(process: str, file: Path) -> None:
    """Log to the file from INFO on, and to standard error from WARNING on."""
    line = logging.Formatter(
        f"%(asctime)s.%(msecs)03dZ %(levelname)s {process} %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S"
    )
    line.converter = _utc
    to_file = _ToFile(file, delay=True)
    to_file.setFormatter(line)
    to_terminal = logging.StreamHandler(sys.stderr)
    to_terminal.setLevel(logging.WARNING)
    to_terminal.setFormatter(_OneLine(line))
    root = logging.getLogger()
    root.handlers[:] = [to_file, to_terminal]
    root.setLevel(logging.INFO)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    sys.excepthook = _record_end


class _ToFile(WatchedFileHandler):
    """Writes to the log file; on a full disk the terminal alone is told, and whoever logs goes on."""

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError):  # the file could not be opened again
            super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name is logging's
        """Say nothing: the terminal's handler gets the same record."""


class _OneLine(logging.Formatter):
    """The same line without the stack of an exception, which is in the file."""

    def __init__(self, line: logging.Formatter) -> None:
        super().__init__()
        self._line = line

    def format(self, record: logging.LogRecord) -> str:
        brief = logging.makeLogRecord({**record.__dict__, "exc_info": None, "exc_text": None})
        cause = record.exc_info[1] if record.exc_info else None
        return self._line.format(brief) + (f" ({cause!r})" if cause is not None else "")


def _record_end(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Log the exception that ends the process."""
    logging.getLogger(__name__).critical("the process ends", exc_info=(kind, error, trace))


def _utc(seconds: float | None) -> time.struct_time:
    return time.gmtime(seconds)
