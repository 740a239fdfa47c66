"""When a request was signed, and whether that is near enough to now.

Rule: a time is eight digits, T, six digits, Z, or an RFC 1123 date; everything else is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache

from sagestead.wire.sigv4.faults import Breach, Fault

_FORMAT = "%Y%m%dT%H%M%SZ"
_BASIC = re.compile(rb"[0-9]{8}T[0-9]{6}Z")
_NO_DATE = "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header."
_BAD_DATE = "Date must be in ISO-8601 'basic format', for example 20150830T123600Z."
_LONGEST_DATE = 64


@lru_cache(maxsize=256)
def seconds(stamp: bytes) -> float:
    """Return seconds since the epoch of an ISO 8601 basic timestamp.

    Raises:
        Breach: it is not one, or there is no such moment.
    """
    if _BASIC.fullmatch(stamp):
        try:
            return datetime.strptime(stamp.decode(), _FORMAT).replace(tzinfo=UTC).timestamp()
        except ValueError:
            pass
    raise Breach(Fault.DATE, _BAD_DATE)


def stamp(moment: float) -> str:
    """Return a moment (seconds since the epoch) as an ISO 8601 basic timestamp."""
    return datetime.fromtimestamp(moment, UTC).strftime(_FORMAT)


def extended(moment: float) -> str:
    """Return a moment in ISO 8601 extended form, as S3 writes times in errors."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def header_stamp(fields: Mapping[bytes, bytes]) -> bytes:
    """Return the timestamp of a header-signed request: X-Amz-Date, else Date.

    Raises:
        Breach: there is none, or it is not well formed.
    """
    given = fields.get(b"x-amz-date")
    if given is not None:
        return given
    date = fields.get(b"date")
    if date is None:
        raise Breach(Fault.DATE, _NO_DATE)
    return date if _BASIC.fullmatch(date) else _from_http_date(date)


def _from_http_date(date: bytes) -> bytes:
    if len(date) > _LONGEST_DATE or not date.isascii():
        raise Breach(Fault.DATE, _BAD_DATE)
    try:
        moment = parsedate_to_datetime(date.decode("ascii"))
        return moment.astimezone(UTC).strftime(_FORMAT).encode()
    except (ValueError, TypeError, OverflowError, IndexError):
        raise Breach(Fault.DATE, _BAD_DATE) from None


def check_window(signed: bytes, now: float, skew: int) -> None:
    """Refuse a header-signed request that is more than `skew` seconds away from `now`.

    Raises:
        Breach: with AWS's sentence, which holds both times.
    """
    moment = seconds(signed)
    if moment < now - skew:
        text, minutes = signed.decode(), skew // 60
        sentence = f"Signature expired: {text} is now earlier than {stamp(now - skew)}"
        raise _skewed(f"{sentence} ({stamp(now)} - {minutes} min.)", moment, now, skew)
    if moment > now + skew:
        raise _ahead(signed, now, skew)


def check_not_ahead(signed: bytes, now: float, skew: int) -> None:
    """Refuse a request signed more than `skew` seconds in the future."""
    if seconds(signed) > now + skew:
        raise _ahead(signed, now, skew)


def check_expiry(signed: bytes, lifetime: int, now: float) -> None:
    """Refuse a presigned request whose lifetime (seconds) is over."""
    end = seconds(signed) + lifetime
    if now > end:
        details = {
            "X-Amz-Expires": str(lifetime),
            "Expires": extended(end),
            "ServerTime": extended(now),
        }
        sentence = f"Signature expired: {stamp(end)} is now earlier than {stamp(now)}"
        raise Breach(Fault.EXPIRED, sentence, details=details, in_query=True)


def _ahead(signed: bytes, now: float, skew: int) -> Breach:
    sentence = f"Signature not yet current: {signed.decode()} is still later than {stamp(now + skew)}"
    return _skewed(f"{sentence} ({stamp(now)} + {skew // 60} min.)", seconds(signed), now, skew)


def _skewed(sentence: str, moment: float, now: float, skew: int) -> Breach:
    details = {
        "RequestTime": stamp(moment),
        "ServerTime": extended(now),
        "MaxAllowedSkewMilliseconds": str(skew * 1000),
    }
    return Breach(Fault.SKEWED, sentence, details=details)
