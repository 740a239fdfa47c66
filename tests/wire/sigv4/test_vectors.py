"""A and B: requests with signatures that AWS published, and the same with one thing changed.

Sources: the Signature Version 4 test suite in botocore's source distribution (Apache-2.0, see
vectors/aws4_testsuite.json) and the examples of the Amazon S3 documentation.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.wire.sigv4.signed import KEY, S3, LiteralBody, arrived, judge

from sagestead.domain.identity import Credential
from sagestead.wire.http import Request
from sagestead.wire.sigv4 import Rules
from sagestead.wire.sigv4.moments import seconds

SUITE: dict[str, Any] = json.loads((Path(__file__).parent / "vectors" / "aws4_testsuite.json").read_text())
RULES = Rules("json", frozenset({SUITE["service"]}), SUITE["region"])
SUITE_NOW = seconds(SUITE["now"].encode())
BROKEN_AT_THE_SOURCE = "get-vanilla-with-session-token"
VECTORS = {v["name"]: v["signed_request"] for v in SUITE["vectors"] if v["name"] != BROKEN_AT_THE_SOURCE}

DOC_KEY = replace(
    KEY, access_key_id="AKIAIOSFODNN7EXAMPLE", secret="wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
)
DOC_NOW = seconds(b"20130524T000000Z")
DOC_SCOPE = "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request"
DOC_HOST = ("Host", "examplebucket.s3.amazonaws.com")
DOC_DATE = ("x-amz-date", "20130524T000000Z")
DOC_EMPTY = ("x-amz-content-sha256", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")


def parse(text: str) -> tuple[Request, Credential]:
    """A vector's request; the token of a vector with one belongs to the key."""
    head, _, body = text.partition("\n\n")
    line, *rest = re.sub(r"\n[ \t]+", "\n ", head).split("\n")
    method, target = line.split(" ", 1)
    target = target.rsplit(" ", 1)[0].encode().decode("latin-1")
    headers: list[tuple[str, str]] = []
    for field in rest:
        if field.startswith(" "):
            headers[-1] = (headers[-1][0], f"{headers[-1][1]}\n{field}")
        else:
            name, _, value = field.partition(":")
            headers.append((name, value.encode().decode("latin-1")))
    token = next((value for name, value in headers if name == "X-Amz-Security-Token"), None)
    request = arrived(method, target, headers, body=body.encode())
    return request, replace(KEY, session_token=token.strip() if token else None)


def changed(text: str, pattern: str, change: Callable[[str], str]) -> str:
    return re.sub(pattern, lambda match: change(match[0]), text, count=1)


def other_digit(text: str) -> str:
    return text[:-1] + ("0" if text[-1] != "0" else "1")


def test_the_suite_is_whole() -> None:
    assert len(VECTORS) == 33
    assert SUITE["license"] == "Apache-2.0"


@pytest.mark.parametrize("name", VECTORS)
def test_a_published_vector_verifies(name: str) -> None:
    request, key = parse(VECTORS[name])
    assert judge(request, RULES, keys=[key], now=SUITE_NOW).code == "ok"


@pytest.mark.parametrize("name", VECTORS)
def test_b_one_digit_of_the_signature_changed(name: str) -> None:
    text = changed(VECTORS[name], r"Signature=[0-9a-f]{64}", other_digit)
    request, key = parse(text)
    verdict = judge(request, RULES, keys=[key], now=SUITE_NOW)
    assert (verdict.status, verdict.code) == (400, "InvalidSignatureException")
    assert text not in verdict.sentence


@pytest.mark.parametrize("name", VECTORS)
def test_b_one_byte_of_the_request_changed(name: str) -> None:
    request, key = parse(VECTORS[name])
    if request.headers.get("content-length") or VECTORS[name].partition("\n\n")[2]:
        broken = replace(request, body=LiteralBody([VECTORS[name].partition("\n\n")[2].encode() + b"!"]))
    elif request.raw_query:
        broken = replace(request, raw_query=request.raw_query + b"x")
    else:
        broken = replace(request, raw_path=request.raw_path + b"/x")
    assert judge(broken, RULES, keys=[key], now=SUITE_NOW).code == "InvalidSignatureException"


@pytest.mark.parametrize("name", VECTORS)
def test_b_another_secret(name: str) -> None:
    request, key = parse(VECTORS[name])
    wrong = replace(key, secret=key.secret + "x")
    assert judge(request, RULES, keys=[wrong], now=SUITE_NOW).code == "InvalidSignatureException"


@pytest.mark.parametrize("name", VECTORS)
def test_b_another_method(name: str) -> None:
    request, key = parse(VECTORS[name])
    assert judge(replace(request, method="PUT"), RULES, keys=[key], now=SUITE_NOW).code != "ok"


def test_a_the_vector_that_does_not_verify_at_its_source_is_refused() -> None:
    text = next(v["signed_request"] for v in SUITE["vectors"] if v["name"] == BROKEN_AT_THE_SOURCE)
    request, key = parse(text)
    assert judge(request, RULES, keys=[key], now=SUITE_NOW).code == "InvalidSignatureException"


def documented(
    method: str, target: str, headers: list[tuple[str, str]], signature: str, body: bytes = b""
) -> Request:
    names = ";".join(sorted(name.lower() for name, _ in headers))
    value = f"AWS4-HMAC-SHA256 Credential={DOC_SCOPE},SignedHeaders={names},Signature={signature}"
    return arrived(method, target, [*headers, ("Authorization", value)], body=body)


GET_RANGE = documented(
    "GET",
    "/test.txt",
    [DOC_HOST, ("Range", "bytes=0-9"), DOC_EMPTY, DOC_DATE],
    "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
)
PUT_OBJECT = documented(
    "PUT",
    "/test%24file.text",
    [
        DOC_HOST,
        ("Date", "Fri, 24 May 2013 00:00:00 GMT"),
        DOC_DATE,
        ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
        ("x-amz-content-sha256", "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"),
    ],
    "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
    b"Welcome to Amazon S3.",
)
LIFECYCLE = documented(
    "GET",
    "/?lifecycle",
    [DOC_HOST, DOC_EMPTY, DOC_DATE],
    "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
)
LIST = documented(
    "GET",
    "/?max-keys=2&prefix=J",
    [DOC_HOST, DOC_EMPTY, DOC_DATE],
    "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
)
PRESIGNED = arrived(
    "GET",
    "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential="
    + DOC_SCOPE.replace("/", "%2F")
    + "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
    "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404",
    [DOC_HOST],
)
DOCUMENTED = {
    "A118-get-range": GET_RANGE,
    "A119-put": PUT_OBJECT,
    "A120-lifecycle": LIFECYCLE,
    "A121-list": LIST,
    "A122-presigned": PRESIGNED,
}

CHUNK_HEADERS = [
    ("Host", "s3.amazonaws.com"),
    DOC_DATE,
    ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
    ("Content-Encoding", "aws-chunked"),
    ("x-amz-decoded-content-length", "66560"),
]
CHUNKS = (b"a" * 65536, b"a" * 1024, b"")
CHUNK_SIGNATURES = (
    "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
    "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
    "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
)
TRAILER_CHUNK_SIGNATURES = (
    "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
    "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
    "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
)


def framed(signatures: tuple[str, ...]) -> list[bytes]:
    pairs = zip(CHUNKS, signatures, strict=True)
    return [b"%x;chunk-signature=%b\r\n%b\r\n" % (len(data), sig.encode(), data) for data, sig in pairs]


def chunked_example() -> Request:
    headers = [*CHUNK_HEADERS, ("Content-Length", "66824")]
    headers += [("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD")]
    seed = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"
    request = documented("PUT", "/examplebucket/chunkObject.txt", headers, seed)
    return replace(request, body=LiteralBody(framed(CHUNK_SIGNATURES)), content_length=66824)


def trailer_example() -> Request:
    headers = [*CHUNK_HEADERS, ("x-amz-trailer", "x-amz-checksum-crc32c")]
    headers += [("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER")]
    seed = "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e"
    request = documented("PUT", "/examplebucket/chunkObject.txt", headers, seed)
    pieces = framed(TRAILER_CHUNK_SIGNATURES)
    pieces[-1] = pieces[-1].removesuffix(b"\r\n")
    pieces += [
        b"x-amz-checksum-crc32c:sOO8/Q==\r\n",
        b"x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n",
    ]
    return replace(request, body=LiteralBody(pieces), content_length=None)


@pytest.mark.parametrize("name", DOCUMENTED)
def test_s3_documentation_example_verifies(name: str) -> None:
    assert judge(DOCUMENTED[name], S3, keys=[DOC_KEY], now=DOC_NOW).code == "ok"


@pytest.mark.parametrize("name", DOCUMENTED)
def test_s3_documentation_example_with_another_secret(name: str) -> None:
    verdict = judge(DOCUMENTED[name], S3, keys=[KEY, replace(DOC_KEY, secret="other")], now=DOC_NOW)
    assert (verdict.status, verdict.code) == (403, "SignatureDoesNotMatch")


def test_a109_to_a112_signed_chunks() -> None:
    verdict = judge(chunked_example(), S3, keys=[DOC_KEY], now=DOC_NOW)
    assert (verdict.code, verdict.body) == ("ok", b"a" * 66560)


def test_a113_to_a117_signed_chunks_and_trailer() -> None:
    verdict = judge(trailer_example(), S3, keys=[DOC_KEY], now=DOC_NOW)
    assert (verdict.code, verdict.body) == ("ok", b"a" * 66560)
    assert verdict.trailers == {"x-amz-checksum-crc32c": "sOO8/Q=="}
