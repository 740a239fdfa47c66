"""S3 URIs in API requests: `s3://bucket/key`, or the HTTPS address of the same object in AWS's S3.

Rule: both forms name an object of this server's own store; any other address is refused, never fetched.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote

from sagestead.domain.errors import Invalid

_HOST = re.compile(
    r"https://(?P<bucket>[^/?#]+)\.s3(?:[.-](?:dualstack\.)?[a-z0-9-]+)?\.amazonaws\.com(?:\.cn)?"
    r"(?:/(?P<key>[^?#]*))?"
)
_PATH = re.compile(
    r"https://s3(?:[.-](?:dualstack\.)?[a-z0-9-]+)?\.amazonaws\.com(?:\.cn)?/(?P<bucket>[^/?#]+)"
    r"(?:/(?P<key>[^?#]*))?"
)
_S3 = re.compile(r"s3://(?P<bucket>[^/]+)(?:/(?P<key>.*))?", re.DOTALL)


class Location(NamedTuple):
    """A bucket, and a key or a prefix of keys in it (may be empty)."""

    bucket: str
    key: str

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


def locate(uri: str, field: str) -> Location:
    """Return what an S3 URI names.

    Raises:
        Invalid: it is no address in S3; the sentence names `field`.
    """
    match = _S3.fullmatch(uri)
    if match is not None:
        return Location(match["bucket"], match["key"] or "")
    match = _HOST.fullmatch(uri) or _PATH.fullmatch(uri)
    if match is not None:
        return Location(match["bucket"], unquote(match["key"] or ""))
    raise Invalid(f"{field} '{uri}' is not an S3 URI; write it as s3://bucket/key.")
