"""Predictions to answers, in the shape that belongs to the image tag (spec: xgboost-builtin.md 6.2, 6.3).

Rule: a float32 is widened to double and printed with the fewest digits that give it back (`repr`, whose text
the kernel `written` has too, to the letter). Below 1.2-2 the rows of a request stand in one line, joined by
commas; from 1.2-2 on each has its own line.
"""

from __future__ import annotations

import json

import numpy as np
from numpy.typing import NDArray

from sagestead.domain.images import BuiltInImage
from sagestead.forest.compiling import kernels

CSV = "text/csv"
JSON = "application/json"
JSON_LINES = "application/jsonlines"
RECORDIO = "application/x-recordio-protobuf"
ACCEPTED = (JSON, JSON_LINES, RECORDIO, CSV)
PAGE = "<!doctype html>\n<html lang=en>\n<title>{0} {1}</title>\n<h1>{1}</h1>\n<p>{2}</p>\n"
_FAILED = PAGE.format(
    500,
    "Internal Server Error",
    "The server encountered an internal error and was unable to complete your request. Either the server is "
    "overloaded or there is an error in the application.",
)

_FEW = 4
"""So many numbers are printed sooner than a kernel is called."""

Predictions = NDArray[np.float32]


class NotAcceptable(Exception):  # noqa: N818 - it is the text of an answer
    """The Accept type is not supported; the text is the container's answer."""

    status = 406


class NoEncoder(Exception):  # noqa: N818 - the container fails here as well
    """The container has no encoder for this Accept type; the text is its server's page."""

    status = 500


def accept_of(header: str | None, default: str) -> str:
    """Return the answer's media type; the default (of the environment) is not checked.

    Raises:
        NotAcceptable: the header names another type.
    """
    media = (header or "").partition(";")[0].strip()
    if media in ("", "*/*"):
        return default
    if media.lower() not in ACCEPTED:
        raise NotAcceptable(
            f"Accept type {media} is not supported. Please use supported accept types: {list(ACCEPTED)}."
        )
    return media.lower()


def reads_accept(image: BuiltInImage) -> bool:
    """True for images that look at Accept and answer one row a line."""
    return image.at_least("1.2-2")


def encode(predictions: Predictions, accept: str, image: BuiltInImage, *, batch: bool) -> bytes:
    """Return the body for predictions of one number a row, or several; raise `NoEncoder`."""
    several = predictions.ndim > 1
    rows = predictions.reshape(len(predictions), -1)
    if batch:
        return _lines(rows, "[", ", ", "]\n") if several else _lines(rows, "", "", "\n")
    if not reads_accept(image):
        return (_lines(rows, "[", ", ", "],") if several else _lines(rows, "", "", ","))[:-1]
    if accept == CSV:
        return _lines(rows, "", ",", "\n")
    if accept != JSON:
        raise NoEncoder(_FAILED)
    if not np.isfinite(rows).all():  # JSON has other names for what is no number
        return json.dumps({"predictions": [{"score": value} for value in predictions.tolist()]}).encode()
    lines = _lines(rows, '{"score": [', ", ", "]}, ") if several else _lines(rows, '{"score": ', "", "}, ")
    return b'{"predictions": [' + lines[:-2] + b"]}"


def _lines(rows: Predictions, before: str, between: str, after: str) -> bytes:
    """Return the text of rows: of each `before`, its numbers with `between` between them, and `after`."""
    ready = kernels()
    if ready is not None and rows.size > _FEW:
        exact = np.ascontiguousarray(rows, np.float32)
        return ready.written(exact, before.encode(), between.encode(), after.encode()).tobytes()
    lines = (f"{before}{between.join(map(repr, row.tolist()))}{after}" for row in rows)
    return "".join(lines).encode()


def content_type(media: str) -> str:
    """Return the Content-Type header that the container's framework makes of a media type."""
    return f"{media}; charset=utf-8" if media.startswith("text/") else media
