"""Whatever arrives is answered or refused: nothing but a `Refusal` leaves the handler; memory is bounded."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sagestead.domain.errors import Refusal
from sagestead.domain.identity import Principal
from sagestead.s3.routes import ROUTES
from sagestead.wire.http import Call, Headers, Request, Stream

if TYPE_CHECKING:
    from tests.s3.conftest import Client

PARAMETERS = sorted({name for route in ROUTES for name in route.markers | route.parameters} | {"policy"})
HEADERS = [
    "content-encoding",
    "content-md5",
    "content-type",
    "expires",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "range",
    "x-amz-acl",
    "x-amz-checksum-algorithm",
    "x-amz-checksum-crc32",
    "x-amz-checksum-mode",
    "x-amz-checksum-sha256",
    "x-amz-checksum-type",
    "x-amz-copy-source",
    "x-amz-copy-source-if-modified-since",
    "x-amz-copy-source-range",
    "x-amz-expected-bucket-owner",
    "x-amz-if-match-last-modified-time",
    "x-amz-if-match-size",
    "x-amz-max-parts",
    "x-amz-meta-a",
    "x-amz-metadata-directive",
    "x-amz-mp-object-size",
    "x-amz-object-attributes",
    "x-amz-part-number-marker",
    "x-amz-sdk-checksum-algorithm",
    "x-amz-server-side-encryption",
    "x-amz-storage-class",
    "x-amz-tagging",
    "x-amz-tagging-directive",
    "x-amz-trailer",
]
DOCUMENTS = [
    "Delete",
    "Object",
    "Key",
    "Tagging",
    "TagSet",
    "Tag",
    "Value",
    "VersioningConfiguration",
    "Status",
    "CompleteMultipartUpload",
    "Part",
    "PartNumber",
    "ETag",
    "CreateBucketConfiguration",
    "LocationConstraint",
]
VALUES = st.one_of(
    st.sampled_from(
        [
            "",
            "*",
            "0",
            "-1",
            "1",
            "2",
            "99999999999999999999",
            "bytes=0-",
            "bytes=-1",
            "bucket/k",
            "COPY",
            "SHA1",
            "Sun, 99 Nov 2023 99:99:99 GMT",
            "Thu, 01 Jan 99999 00:00:00 GMT",
            "null",
            "AAAAAA==",
            "Enabled",
        ]
    ),
    st.text(st.characters(max_codepoint=255, blacklist_characters="\r\n"), max_size=12),
)
RAW = st.binary(max_size=10)


@st.composite
def documents(draw: st.DrawFn) -> bytes:
    names = draw(st.lists(st.sampled_from(DOCUMENTS), max_size=4))
    content = draw(st.sampled_from(["", "k", "1", "\u00e9", "&lt;", "&undefined;", "&#0;", "<"]))
    return ("".join(f"<{name}>" for name in names) + content).encode() + "".join(
        f"</{name}>" for name in reversed(names)
    ).encode()


@st.composite
def targets(draw: st.DrawFn) -> bytes:
    path = draw(st.sampled_from([b"/", b"/bucket", b"/bucket/k", b"/absent/k", b"/bucket/"])) + draw(RAW)
    names = draw(st.lists(st.sampled_from(PARAMETERS), max_size=3))
    values = [
        draw(st.one_of(st.just(b""), RAW, st.sampled_from([b"1", b"2", b"null", b"%ff"]))) for _ in names
    ]
    query = b"&".join(name.encode() + b"=" + value for name, value in zip(names, values, strict=True))
    return path.replace(b"?", b"") + b"?" + query


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, bytes, bytes, dict[str, str]]:
    method = draw(st.sampled_from(["GET", "HEAD", "PUT", "POST", "DELETE"]))
    headers = draw(st.dictionaries(st.sampled_from(HEADERS), VALUES, max_size=4))
    return method, draw(targets()), draw(st.one_of(documents(), RAW)), headers


@given(requests())
@settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_any_request_is_answered_or_refused(
    s3: Client, bucket: str, request_: tuple[str, bytes, bytes, dict[str, str]]
) -> None:
    method, target, body, headers = request_
    try:
        s3("PUT", bucket)
        s3("PUT", f"{bucket}/k", b"hello")
        s3(method, target, body, **headers)
    except Refusal as refusal:
        status = refusal.status
    else:
        status = 200
    assert status in {200, 400, 403, 404, 405, 409, 411, 412, 413, 416}


class Endless:
    """A body of `count` chunks that are made as they are asked for."""

    def __init__(self, count: int) -> None:
        self._count = count
        self.trailers: dict[str, str] = {}

    async def chunks(self) -> AsyncIterator[bytes]:
        for _ in range(self._count):
            yield bytes(1 << 16)

    async def read(self, limit: int) -> bytes:
        raise AssertionError(limit)

    def whole(self) -> None:
        raise AssertionError


@pytest.mark.usefixtures("bucket")
def test_memory_does_not_grow_with_the_object(s3: Client) -> None:
    size = 48 << 20

    async def there_and_back() -> int:
        principal = Principal(s3.account, "arn", "AKIA", s3.region, "s3")
        answered = 0
        for method, body in (("PUT", Endless(size >> 16)), ("GET", Endless(0))):
            request = Request(
                method=method,
                raw_path=b"/bucket/big",
                raw_query=b"",
                headers=Headers([]),
                body=body,
                content_length=size,
                secure=False,
                request_id="r",
            )
            response = await s3.handler(Call(request, principal, body, size))
            if isinstance(response.body, Stream):
                async for chunk in response.body.chunks:
                    answered += len(chunk)
        return answered

    tracemalloc.start()
    try:
        assert asyncio.run(there_and_back()) == size
        assert tracemalloc.get_traced_memory()[1] < 10 << 20
    finally:
        tracemalloc.stop()
