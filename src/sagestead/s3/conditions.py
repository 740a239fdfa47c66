"""Conditional requests and ranges, by RFC 9110 and S3's additions.

Rule: pure; headers and a version come in, a verdict comes out.
"""

from __future__ import annotations

import re
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import Enum

from sagestead.domain.errors import Refusal
from sagestead.objects.model import Condition, Version
from sagestead.objects.refusals import PreconditionFailed
from sagestead.s3.request import S3Request, argument

_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


class Verdict(Enum):
    """What the conditions of a read say."""

    SEND = "send"
    NOT_MODIFIED = "not modified"


def entity_tags(header: str) -> frozenset[str]:
    """Return the tags of If-Match or If-None-Match, without quotes; `*` stands for itself."""
    return frozenset(tag.strip().removeprefix("W/").strip('"') for tag in header.split(","))


def write_condition(request: S3Request) -> Condition:
    """Return what a write demands of the current object."""
    match, none = request.header("if-match"), request.header("if-none-match")
    return Condition(
        None if match is None else entity_tags(match),
        None if none is None else entity_tags(none),
    )


def delete_condition(request: S3Request) -> Condition:
    """Return what DeleteObject demands of the current object."""
    match = request.header("if-match")
    size = request.header("x-amz-if-match-size")
    modified = request.header("x-amz-if-match-last-modified-time")
    if size is not None and not re.fullmatch("[0-9]{1,18}", size):
        raise argument("x-amz-if-match-size", size, "a number of bytes")
    seconds = None if modified is None else http_seconds(modified)
    if modified is not None and seconds is None:
        raise argument("x-amz-if-match-last-modified-time", modified, "an HTTP date")
    return Condition(
        if_match=None if match is None else entity_tags(match),
        size=None if size is None else int(size),
        modified_at=seconds,
    )


def read_verdict(request: S3Request, version: Version) -> Verdict:
    """Decide a GET or HEAD; raise `PreconditionFailed`."""
    failed, unmodified = _evaluate(request, version, "")
    if failed:
        raise PreconditionFailed(
            f"At least one of the preconditions you specified did not hold: {failed}.",
            details={"Condition": failed},
        )
    return Verdict.NOT_MODIFIED if unmodified else Verdict.SEND


def check_copy_source(request: S3Request, version: Version) -> None:
    """Decide the `x-amz-copy-source-if-*` conditions of a copy."""
    failed, unmodified = _evaluate(request, version, "x-amz-copy-source-")
    if failed or unmodified:
        raise PreconditionFailed(
            f"At least one of the preconditions you specified did not hold: {failed or unmodified}.",
            details={"Condition": failed or unmodified},
        )


def _evaluate(request: S3Request, version: Version, prefix: str) -> tuple[str, str]:
    """Return the names of the condition that failed and of the one that says "unmodified", if any."""
    match, none = request.header(f"{prefix}if-match"), request.header(f"{prefix}if-none-match")
    since = http_seconds(request.header(f"{prefix}if-modified-since"))
    until = http_seconds(request.header(f"{prefix}if-unmodified-since"))
    modified = int(version.modified_at)
    failed = unmodified = ""
    if match is not None:
        failed = "" if entity_tags(match) & {"*", version.etag} else "If-Match"
    elif until is not None and modified > until:
        failed = "If-Unmodified-Since"
    if none is not None:
        unmodified = "If-None-Match" if entity_tags(none) & {"*", version.etag} else ""
    elif since is not None and modified <= since:
        unmodified = "If-Modified-Since"
    return failed, unmodified


def http_seconds(text: str | None) -> int | None:
    """Return an HTTP date in seconds since the epoch; None for what is no date (which RFC 9110 ignores)."""
    if text is None:
        return None
    try:
        moment = parsedate_to_datetime(text)
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def requested_range(request: S3Request, version: Version) -> tuple[int, int] | None:
    """Return (start, stop) of the Range header; None: the whole object (also for forms that S3 ignores)."""
    header = request.header("range")
    match = _RANGE.fullmatch((header or "").strip())
    if match is None or not _if_range_holds(request, version):
        return None
    first, last = match.groups()
    size = version.size
    if not first:
        start, stop = (max(0, size - int(last)), size) if last else (0, 0)
        if not last:
            return None
    else:
        if last and int(last) < int(first):
            return None
        start, stop = int(first), min(int(last) + 1, size) if last else size
    if start >= stop:
        raise Refusal(
            f"The requested range {header!r} is not satisfiable: the object has {size} bytes.",
            code="InvalidRange",
            status=416,
            details={"RangeRequested": header or "", "ActualObjectSize": str(size)},
            headers={"Content-Range": f"bytes */{size}"},
        )
    return start, stop


def _if_range_holds(request: S3Request, version: Version) -> bool:
    condition = request.header("if-range")
    if condition is None:
        return True
    return condition.strip('"') == version.etag or http_seconds(condition) == int(version.modified_at)
