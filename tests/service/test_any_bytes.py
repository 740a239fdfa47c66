"""Whatever arrives at a running server is answered: never with a server's fault, never late.

The requests are the same in every run. Unsigned bytes are mutations of good ones; signed requests reach every
service, with values that do not fit.
"""

from __future__ import annotations

import json
import random
import re
import socket
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from tests.wire.sigv4.signed import Draft

from sagestead.control.operations import iam, logs, sagemaker, sts
from sagestead.domain.identity import Credential
from sagestead.s3.routes import ROUTES
from sagestead.wire.models import service_model
from sagestead.wire.shapes import Shape

BYTES, SIGNED = 1500, 1200
LONGEST = 8.0

HEADER = (
    b"Authorization: AWS4-HMAC-SHA256 Credential=AKIA/20261124/us-east-1/s3/aws4_request, "
    b"SignedHeaders=host;x-amz-date, Signature=00\r\nX-Amz-Date: 20261124T000000Z"
)
PRESIGNED = (
    b"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a%2Fb&X-Amz-Date=x&X-Amz-Expires=1"
    b"&X-Amz-SignedHeaders=host&X-Amz-Signature=zz"
)
GOOD = (
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\n",
    b"PUT /b/k?x=y HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n" + HEADER + b"\r\n\r\nabc",
    b"POST / HTTP/1.0\r\nHost: a\r\nX-Amz-Target: SageMaker.X\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\n{}",
    b"GET /?" + PRESIGNED + b" HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
    b"GET /b/k?AWSAccessKeyId=a&Expires=99999999999999999999&Signature=x HTTP/1.1\r\nHost: a\r\n\r\n",
)
PIECES = (
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b":",
    b" ",
    b"\t",
    b"%",
    b"?",
    b"#",
    b"\xff",
    b",",
    b";",
    b"=",
    b"-1",
    b"A" * 5000,
    b"0\r\n\r\n",
    b"f" * 16 + b"\r\n",
    b"HTTP/1.1",
    b"HTTP/2.0",
    b"Host: b\r\n",
    b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Connection: close\r\n",
    b"Authorization: ",
)
WORDS = (
    "",
    "0",
    "1",
    "-1",
    "9" * 25,
    "1e5",
    "abc",
    "null",
    "true",
    "a/b",
    "..",
    "url",
    "*",
    '"abc"',
    "AAAA",
    "é",
    "x" * 3000,
    "bytes=0-",
    "bytes=5-2",
    "bytes=" + "9" * 25 + "-",
    "/fuzz/k",
    "fuzz/k?versionId=null",
    "//",
    "Thu, 01 Jan 1970 00:00:00 GMT",
    "Mon, 01 Jan 0001 00:00:00 GMT",
    "Sat, 31 Feb 2026 10:00:00 GMT",
    "Tue, 24 Nov 2026 21:00:00 +9999",
    "2020-01-01T00:00:00Z",
    "REPLACE",
    "crc32",
    "SHA256",
    "COMPOSITE",
    "aws-chunked",
    "a=b&c=d",
    "a=%zz",
    "x-amz-checksum-crc32",
    "GLACIER",
    "text/csv",
)
ESCAPES = (
    "",
    "0",
    "-1",
    "9" * 25,
    "%00",
    "%FF",
    "%ED%A0%80",
    "%F0%9F%98%80",
    "%0D%0A",
    "+",
    "abc",
    "url",
    "..",
)
FIELDS = (
    "range",
    "if-match",
    "if-none-match",
    "if-modified-since",
    "if-unmodified-since",
    "if-range",
    "content-md5",
    "content-encoding",
    "content-type",
    "expires",
    "expect",
    "x-amz-copy-source",
    "x-amz-copy-source-range",
    "x-amz-copy-source-if-modified-since",
    "x-amz-metadata-directive",
    "x-amz-tagging",
    "x-amz-checksum-crc32",
    "x-amz-checksum-sha256",
    "x-amz-checksum-type",
    "x-amz-sdk-checksum-algorithm",
    "x-amz-trailer",
    "x-amz-decoded-content-length",
    "x-amz-acl",
    "x-amz-storage-class",
    "x-amz-max-parts",
    "x-amz-meta-a",
    "x-amz-part-number-marker",
    "x-amz-object-attributes",
    "x-amz-expected-bucket-owner",
    "x-amz-mp-object-size",
    "x-amz-write-offset-bytes",
    "x-amz-security-token",
    "x-amzn-sagemaker-target-variant",
    "x-amzn-sagemaker-custom-attributes",
    "x-amzn-sagemaker-inference-id",
    "accept",
)
DOCUMENTS = (
    b"",
    b"<",
    b"<a/>",
    b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>",
    b"<a>" * 20_000,
    b"\xff\xfe<\0a\0/\0>\0",
    b"<?xml version='1.0' encoding='utf-7'?><a/>",
    b"<?xml version='1.0' encoding='bogus'?><a/>",
    b"\0" * 100,
    b"<Tagging><TagSet><Tag><Key/></Tag></TagSet></Tagging>",
    b"<Delete><Object><Key></Key></Object></Delete>",
    b"<Delete><Object><Key>k</Key><Size>-1</Size></Object><Quiet>maybe</Quiet></Delete>",
    b"<CompleteMultipartUpload><Part><PartNumber>"
    + b"9" * 25
    + b"</PartNumber></Part></CompleteMultipartUpload>",
    b"<VersioningConfiguration><Status>\xff</Status></VersioningConfiguration>",
    b"<CreateBucketConfiguration><LocationConstraint>eu</LocationConstraint></CreateBucketConfiguration>",
)
CODED = (
    b"0\r\n\r\n",
    b"3\r\nabc\r\n0\r\n\r\n",
    b"zz\r\n",
    b"",
    b"3;chunk-signature=" + b"0" * 64 + b"\r\nabc\r\n",
    b"3\r\nabc\r\n0\r\nx-amz-checksum-crc32:NSRBwg==\r\n\r\n",
)
STREAMING = (
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
    "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
)
KEYS = ("", "k", "/a", "k%2F..%2Fb", "%00", "%FF", "k" * 1100, "%E6%97%A5")
PARAMETERS = sorted({name for route in ROUTES for name in route.markers | route.parameters} | {"policy", "x"})
ANYTHING: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    1e308,
    10**30,
    2**63,
    "",
    "x" * 300,
    "\ud83d",
    "\0",
    [],
    {},
    [None],
    {"Name": []},
    1.5,
)
TEXTS = (
    "m",
    "",
    "x" * 70,
    "s3://fuzz/k",
    "arn:aws:iam::123456789012:role/SagesteadExecutionRole",
    "ml.m5.large",
    "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1",
    "text/csv",
    "[",
    '{"Statement":5}',
)
TARGETS = {"sagemaker": "SageMaker", "logs": "Logs_20140328"}
TABLES: dict[str, Sequence[str]] = {
    "sagemaker": list(sagemaker.OPERATIONS),
    "logs": list(logs.OPERATIONS),
    "iam": list(iam.OPERATIONS),
    "sts": list(sts.OPERATIONS),
}


class Chance:
    """Requests by chance, the same from the same seed."""

    def __init__(self, seed: int, host: str) -> None:
        self.random = random.Random(seed)  # noqa: S311 - the same every time
        self.host = host

    def bytes_of(self) -> bytes:
        """A few good requests, changed in a few places."""
        data = bytearray(self.random.choice(GOOD))
        for _ in range(self.random.randrange(1, 6)):
            at = self.random.randrange(len(data) + 1)
            match self.random.randrange(4):
                case 0:
                    data[at:at] = self.random.choice(PIECES)
                case 1:
                    data[at : at + 1] = bytes([self.random.randrange(256)])
                case 2:
                    del data[at : at + self.random.randrange(20)]
                case _:
                    data += self.random.choice(GOOD)
        return bytes(data)

    def draft(self) -> Draft:
        """A request of any service, to be signed."""
        service = self.random.choice(["s3", "s3", "s3", "sagemaker", "logs", "iam", "sts", "runtime"])
        if service == "s3":
            return self._s3()
        if service == "runtime":
            name = self.random.choice(["e", "%00", "%zz", "a" * 300, "%E6", ""])
            path = f"/endpoints/{name}/invocations"
            return Draft("POST", path, "", (("Host", self.host), *self._fields()), b"1,2")
        return self._operation(service)

    def _fields(self) -> list[tuple[str, str]]:
        choose = self.random.choice
        return [(choose(FIELDS), choose(WORDS)) for _ in range(self.random.randrange(4))]

    def _s3(self) -> Draft:
        choose = self.random.choice
        bucket = choose(["", "fuzz", "fuzz", "FUZZ", "a..b", "fuzz2"])
        path = f"/{bucket}/{choose(KEYS)}" if bucket and self.random.random() < 0.7 else f"/{bucket}"
        query = "&".join(f"{choose(PARAMETERS)}={choose(ESCAPES)}" for _ in range(choose([0, 0, 1, 2])))
        fields = [("Host", self.host), *self._fields()]
        payload = choose([None, None, None, "UNSIGNED-PAYLOAD", "x", *STREAMING])
        body = choose(CODED if payload in STREAMING else DOCUMENTS)
        if payload in STREAMING:
            fields += [("x-amz-decoded-content-length", choose(["3", "0", "x"]))]
        method = choose(["GET", "PUT", "PUT", "POST", "DELETE", "HEAD", "PATCH", "OPTIONS"])
        return Draft(method, path, query, tuple(fields), body, service="s3", payload=payload)

    def _operation(self, service: str) -> Draft:
        operation = self.random.choice(TABLES[service])
        shape = service_model(service).operation(operation).input
        wanted = self._value(shape) if shape is not None else {}
        if service in TARGETS:
            headers = (("Host", self.host), ("X-Amz-Target", f"{TARGETS[service]}.{operation}"))
            return Draft(headers=headers, body=json.dumps(wanted).encode(), service=service)
        pairs = [("Action", operation), *self._flat(wanted, "")]
        form = "&".join(f"{name}={quote(text, safe='', errors='replace')}" for name, text in pairs)
        headers = (("Host", self.host), ("Content-Type", "application/x-www-form-urlencoded"))
        body = form.encode() + self.random.choice([b"", b"", b"&%zz", b"&a", b"&=", b"&Action=X", b"&x=%ff"])
        return Draft(headers=headers, body=body, service=service)

    def _value(self, shape: Shape, depth: int = 0) -> Any:  # noqa: PLR0911 - one for each kind
        if self.random.random() < 0.05 or depth > 8:
            return self.random.choice(ANYTHING)
        match shape.kind:
            case "structure":
                wanted = {name for name in shape.members if self.random.random() < 0.25} | shape.required
                return {name: self._value(shape.members[name], depth + 1) for name in sorted(wanted)}
            case "list":
                return [self._value(shape.element, depth + 1) for _ in range(self.random.randrange(3))]
            case "map":
                return {"a": self._value(shape.element, depth + 1)}
            case "integer" | "long" | "float" | "double":
                return self.random.choice(
                    [0, 1, -1, 2**31, 2**63, 1.5, shape.minimum or 0, shape.maximum or 5]
                )
            case "timestamp":
                return self.random.choice([0, 1e9, 1e20, -1e20, "2020-01-01T00:00:00Z", "x"])
            case "boolean":
                return True
        return self.random.choice(shape.enum or TEXTS)

    def _flat(self, value: Any, prefix: str) -> Iterator[tuple[str, str]]:
        if isinstance(value, dict):
            for name, part in value.items():
                yield from self._flat(part, f"{prefix}.{name}" if prefix else name)
        elif isinstance(value, list):
            for part in value:
                yield from self._flat(part, f"{prefix}.member.{self.random.choice([1, 2, 0, -1, 'x'])}")
        else:
            yield prefix, str(value)


def written(draft: Draft) -> bytes:
    """The signed request as bytes; the connection ends with it."""
    fields = [
        *draft.all_headers(),
        ("Authorization", draft.authorization()),
        ("Content-Length", str(len(draft.body))),
        ("Connection", "close"),
    ]
    target = draft.path + (f"?{draft.query}" if draft.query else "")
    head = f"{draft.method} {target} HTTP/1.1\r\n" + "".join(f"{name}: {text}\r\n" for name, text in fields)
    return head.encode("latin-1") + b"\r\n" + draft.body


def statuses(address: tuple[str, int], data: bytes) -> list[int]:
    """Send the bytes; return every status that is answered."""
    answer = b""
    with socket.create_connection(address, LONGEST) as client:
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        try:
            while part := client.recv(1 << 16):
                answer += part
        except ConnectionResetError:
            pass
    return [int(status) for status in re.findall(rb"^HTTP/1\.1 (\d{3}) ", answer, re.MULTILINE)]


@pytest.fixture(scope="module")
def address(environment: dict[str, str]) -> tuple[str, int]:
    parts = urlsplit(environment["AWS_ENDPOINT_URL"])
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port


def test_bytes_that_are_almost_requests_are_the_clients_fault(address: tuple[str, int]) -> None:
    chance = Chance(1, f"{address[0]}:{address[1]}")
    for number in range(BYTES):
        data = chance.bytes_of()
        assert not [status for status in statuses(address, data) if status >= 500], (number, data)


def test_signed_requests_that_do_not_fit_are_the_clients_fault(
    environment: dict[str, str], address: tuple[str, int], client: Any
) -> None:
    client("s3").create_bucket(Bucket="fuzz")
    client("s3").put_object(Bucket="fuzz", Key="k", Body=b"abc")
    key = Credential(
        environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"], "123456789012", "arn"
    )
    chance = Chance(2, f"{address[0]}:{address[1]}")
    seen: Counter[int] = Counter()
    for number in range(SIGNED):
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        draft = replace(chance.draft(), key=key, stamp=stamp)
        found = statuses(address, written(draft))
        assert found, (number, draft)
        assert found[-1] < 500, (number, draft)
        seen[found[-1]] += 1
    assert seen[200] > 10, "some requests must be carried out, or the test tests nothing"
    assert seen[400] > 100
