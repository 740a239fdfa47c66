"""Single values of a request: numbers, times and bytes, the same for every protocol.

Rule: a value that is returned fits its member's type and can be stored and written again; any other raises
`Misfit`, whose text is the sentence for the client. Times are seconds since the epoch.
"""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime

from sagestead.wire.shapes import INTEGERS, Shape

EARLIEST, LATEST = -62135596800, 253402300799  # years 1 and 9999


class Misfit(ValueError):  # noqa: N818 - a fact about a value, not a defect
    """A value of the wrong type or outside of its type's range."""


def read_number(shape: Shape, value: float, path: str) -> float:
    """Return a finite number as the member's type; raise `Misfit` outside of its range."""
    limit = INTEGERS.get(shape.kind)
    if limit is not None:
        if value != int(value):
            raise Misfit(f"{value} at '{path}' is not a whole number; send one.")
        if not -limit <= value < limit:
            raise Misfit(f"The number at '{path}' does not fit into {shape.kind}; send a smaller one.")
        return int(value)
    if shape.kind == "timestamp":
        if not EARLIEST <= value <= LATEST:
            raise Misfit(f"The time at '{path}' is not between the years 1 and 9999; send seconds.")
        return float(value)
    try:
        return float(value)
    except OverflowError:
        raise Misfit(f"The number at '{path}' is too large; send a finite number.") from None


def read_time(text: str, path: str) -> float:
    """Return an ISO 8601 time (UTC unless it names an offset) as seconds since the epoch."""
    try:
        moment = datetime.fromisoformat(text)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return moment.timestamp()
    except (ValueError, OverflowError):
        raise Misfit(f"'{text[:40]}' at '{path}' is not a time; send ISO 8601 or seconds.") from None


def read_blob(text: str, path: str) -> bytes:
    """Return the bytes of a base64 text."""
    try:
        return base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        raise Misfit(f"The value at '{path}' is not base64; encode the bytes as base64.") from None
