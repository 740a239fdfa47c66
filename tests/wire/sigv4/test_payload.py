"""I and J: the payload's hash, and aws-chunked bodies."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
import tracemalloc
from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.wire.sigv4.signed import (
    CONTROL,
    EMPTY,
    KEY,
    NOW,
    RUNTIME,
    S3,
    STS,
    Draft,
    LiteralBody,
    Verdict,
    judge,
)

from sagestead.domain.errors import Refusal
from sagestead.wire.http import Request
from sagestead.wire.sigv4 import Rules, WholeBody, read_claim, verified_body

HOST = ("Host", "localhost:8750")
PUT = Draft(service="s3", method="PUT", path="/bucket/key", body=b"data", headers=(HOST,))
SIGNED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
SIGNED_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
MODES = [SIGNED, SIGNED_TRAILER, UNSIGNED_TRAILER]
CRC = ("x-amz-checksum-crc32", "NhCmhg==")


@pytest.mark.parametrize("rules", [CONTROL, RUNTIME], ids=["control", "runtime"])
def test_i1_body_changed(rules: Rules) -> None:
    assert judge(Draft().send(), rules).code == "ok"
    assert judge(Draft().send(body=b"{ }"), rules).code == "InvalidSignatureException"


def test_i2_empty_body() -> None:
    assert judge(Draft(body=b"", payload=EMPTY).send()).code == "ok"


def with_hash(value: str | None) -> Draft:
    """An S3 request whose x-amz-content-sha256 is `value`, correctly signed."""
    headers = (HOST,) if value is None else (HOST, ("x-amz-content-sha256", value))
    draft = Draft(method="PUT", path="/bucket/key", body=b"data", headers=headers, payload=value or EMPTY)
    return replace(draft, service="s3x" if value is None else "s3")


def test_i3_missing() -> None:
    rules = replace(S3, signing_names=frozenset({"s3x"}))
    verdict = judge(replace(with_hash(None), canonical_path="/bucket/key").send(), rules)
    assert (verdict.status, verdict.code) == (400, "InvalidRequest")
    assert verdict.sentence == "Missing required header for this request: x-amz-content-sha256"


@pytest.mark.parametrize(
    "value", ["", "x" * 64, "ab" * 31, EMPTY.upper(), "STREAMING-UNSIGNED-PAYLOAD", "UNSIGNED"]
)
def test_i4_j5_malformed(value: str) -> None:
    verdict = judge(replace(PUT, payload=value or " ").send(), S3)
    assert (verdict.status, verdict.code) == (400, "InvalidArgument")


def test_i5_body_differs_from_its_hash() -> None:
    verdict = judge(PUT.send(body=b"Data"), S3)
    assert (verdict.status, verdict.code) == (400, "XAmzContentSHA256Mismatch")


def test_i6_i7_unsigned_payload_needs_tls_or_the_switch() -> None:
    draft = replace(PUT, payload="UNSIGNED-PAYLOAD")
    assert judge(replace(draft, secure=True).send(), S3).body == b"data"
    verdict = judge(draft.send(), S3)
    assert (verdict.status, verdict.code) == (400, "InvalidRequest")
    assert "https only" in verdict.sentence
    assert judge(draft.send(), replace(S3, unsigned_over_http=True)).body == b"data"


@pytest.mark.parametrize("value", ["UNSIGNED-PAYLOAD", UNSIGNED_TRAILER])
@pytest.mark.parametrize("rules", [CONTROL, RUNTIME, STS], ids=["control", "runtime", "sts"])
def test_i8_unsigned_payload_elsewhere(value: str, rules: Rules) -> None:
    name = next(iter(rules.signing_names or ()))
    draft = Draft(service=name, headers=(HOST, ("x-amz-content-sha256", value)), payload=value, secure=True)
    verdict = judge(draft.send(), rules)
    assert verdict.code in {"InvalidSignatureException", "SignatureDoesNotMatch"}


def test_i9_declared_but_unsigned_hash_must_still_be_right() -> None:
    right = hashlib.sha256(b"{}").hexdigest()
    assert judge(replace(Draft(), extra=[("x-amz-content-sha256", right)]).send()).code == "ok"
    wrong = replace(Draft(), extra=[("x-amz-content-sha256", EMPTY)]).send()
    assert judge(wrong).code == "InvalidSignatureException"
    extra = replace(PUT, signed=("host", "x-amz-date"))
    assert judge(extra.send(), S3).code == "AccessDenied"


@pytest.mark.parametrize("sent", [b"dat", b"", b"datas"])
def test_i12_i13_length_differs(sent: bytes) -> None:
    request = replace(replace(PUT, payload="UNSIGNED-PAYLOAD", secure=True).send(), body=LiteralBody([sent]))
    assert judge(request, S3).code == "IncompleteBody"


class Upload:
    """An aws-chunked upload, signed as a client would; parts can be replaced before it is sent."""

    def __init__(self, mode: str, pieces: Iterable[bytes], trailer: tuple[str, str] | None = CRC) -> None:
        self.mode = mode
        self.pieces = [*pieces, b""]
        self.trailer = trailer if mode != SIGNED else None
        headers = [HOST, ("Content-Encoding", "aws-chunked")]
        self.length: str | None = str(sum(len(piece) for piece in self.pieces))
        self.announced = self.trailer[0] if self.trailer else None
        self.headers = headers
        self.previous = ""

    def draft(self) -> Draft:
        headers = list(self.headers)
        if self.length is not None:
            headers.append(("x-amz-decoded-content-length", self.length))
        if self.announced is not None:
            headers.append(("x-amz-trailer", self.announced))
        return Draft(service="s3", method="PUT", path="/b/k", headers=headers, payload=self.mode)

    def sign(self, kind: str, *parts: str) -> str:
        draft = self.draft()
        text = "\n".join([f"AWS4-HMAC-SHA256-{kind}", draft.stamp, draft.scope, self.previous, *parts])
        self.previous = hmac.digest(draft.signing_key, text.encode(), "sha256").hex()
        return self.previous

    def chunks(self) -> list[bytes]:
        """Every chunk as it goes over the wire; the last one without its final line end."""
        self.previous = self.draft().seed()
        framed = []
        for piece in self.pieces:
            head = b"%x" % len(piece)
            if self.mode != UNSIGNED_TRAILER:
                digest = hashlib.sha256(piece).hexdigest()
                head += b";chunk-signature=" + self.sign("PAYLOAD", EMPTY, digest).encode()
            framed.append(head + b"\r\n" + (piece + b"\r\n" if piece else b""))
        return framed

    def end(self) -> bytes:
        """The trailer and the final line end; call it after `chunks`."""
        lines = b""
        if self.trailer:
            lines = f"{self.trailer[0]}:{self.trailer[1]}\r\n".encode()
        if self.mode == SIGNED_TRAILER:
            digest = hashlib.sha256(lines.replace(b"\r\n", b"\n")).hexdigest()
            lines += f"x-amz-trailer-signature:{self.sign('TRAILER', digest)}\r\n".encode()
        return lines + b"\r\n"

    def request(self, body: Iterable[bytes] | None = None, *, authorization: str | None = None) -> Request:
        pieces = [*self.chunks(), self.end()] if body is None else list(body)
        request = self.draft().send(authorization=authorization)
        return replace(request, body=LiteralBody(pieces), content_length=None)

    def judge(self, body: Iterable[bytes] | None = None) -> Verdict:
        return judge(self.request(body), S3)


SIZES = {"one": [b"hello"], "many": [b"a" * 9, b"b", b"c" * 700], "64-kib": [b"x" * 65536], "empty": []}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", SIZES)
def test_j1_j2_j3_good(mode: str, size: str) -> None:
    verdict = Upload(mode, SIZES[size]).judge()
    assert (verdict.code, verdict.body) == ("ok", b"".join(SIZES[size]))
    assert verdict.trailers == ({} if mode == SIGNED else dict([CRC]))


def test_j3_what_botocore_sends() -> None:
    body = b"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n"
    verdict = Upload(UNSIGNED_TRAILER, [b"hello"]).judge([body])
    assert (verdict.body, verdict.trailers) == (b"hello", {"x-amz-checksum-crc32": "NhCmhg=="})


@pytest.mark.parametrize("mode", MODES)
@given(
    pieces=st.lists(st.binary(min_size=1, max_size=40), max_size=4),
    cuts=st.lists(st.integers(1, 30), min_size=1, max_size=8),
)
def test_j_any_arrival_decodes_alike(mode: str, pieces: list[bytes], cuts: list[int]) -> None:
    upload = Upload(mode, pieces)
    wire = b"".join([*upload.chunks(), upload.end()])
    arrivals: list[bytes] = []
    at = 0
    while at < len(wire):
        step = cuts[len(arrivals) % len(cuts)]
        arrivals.append(wire[at : at + step])
        at += step
    assert upload.judge(arrivals).body == b"".join(pieces)


@pytest.mark.parametrize("mode", MODES)
@given(st.data())
def test_j_no_cut_or_changed_byte_goes_unnoticed_where_it_is_signed(mode: str, data: st.DataObject) -> None:
    upload = Upload(mode, [b"first chunk", b"second"])
    wire = bytearray(b"".join([*upload.chunks(), upload.end()]))
    at = data.draw(st.integers(0, len(wire) - 3))
    assert upload.judge([bytes(wire[:at])]).code != "ok"
    wire[at] ^= data.draw(st.integers(1, 255))
    verdict = upload.judge([bytes(wire)])
    assert verdict.status < 500
    if verdict.code == "ok" and mode != UNSIGNED_TRAILER:
        assert verdict.body == b"first chunksecond"


@pytest.mark.parametrize("trailer", ["", "-TRAILER"])
def test_j4_ecdsa_is_named(trailer: str) -> None:
    draft = replace(PUT, payload=f"STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD{trailer}")
    verdict = judge(draft.send(), S3)
    assert (verdict.status, verdict.code) == (400, "InvalidRequest")
    assert "ECDSA" in verdict.sentence


def test_j6_made_up_signature_over_unsigned_chunks() -> None:
    upload = Upload(UNSIGNED_TRAILER, [b"hello"])
    made_up = upload.draft().authorization()[:-64] + "0" * 64
    request = upload.request(authorization=made_up)
    assert judge(request, S3).code == "SignatureDoesNotMatch"
    assert isinstance(request.body, LiteralBody)
    assert request.body.taken == 0


def test_j9_j10_wrong_chunk_signatures() -> None:
    upload = Upload(SIGNED, [b"first", b"second"])
    for index in (0, 1):
        chunks = [*upload.chunks(), b"\r\n"]
        at = chunks[index].index(b"=") + 1
        chunks[index] = chunks[index][:at] + b"0" * 64 + chunks[index][at + 64 :]
        verdict = upload.judge(chunks)
        assert (verdict.status, verdict.code) == (403, "SignatureDoesNotMatch")


def test_j10_nothing_completes_before_the_last_signature() -> None:
    upload = Upload(SIGNED, [b"first", b"second"])
    first, second, last = upload.chunks()
    request = upload.request([first, second.replace(b"second", b"sEcond"), last, b"\r\n"])
    claim = read_claim(request, S3, NOW)
    body, length = verified_body(request, claim, KEY)
    assert length == len(b"firstsecond")

    async def read() -> list[bytes]:
        seen: list[bytes] = []
        with pytest.raises(Refusal, match="signature we calculated does not match"):
            seen.extend([piece async for piece in body.chunks()])
        return seen

    assert asyncio.run(read()) == []


def faults() -> dict[str, tuple[Upload, list[bytes]]]:
    signed = Upload(SIGNED, [b"first", b"second"])
    one, two, end = signed.chunks()
    plain = Upload(UNSIGNED_TRAILER, [b"hello"])
    head, last = plain.chunks()
    tail = plain.end()
    trailer = Upload(SIGNED_TRAILER, [b"hello"])
    signed_chunks = trailer.chunks()
    signed_tail = trailer.end()
    crc = b"x-amz-checksum-crc32:NhCmhg==\r\n"
    sizes = [b"0x5", b"+5", b" 5", b"5 ", b"5" * 17, b"-5", b"", b"five", b"5;", b"5;x=y"]
    cases = {
        "J11-swapped": (signed, [two, one, end, b"\r\n"]),
        "J12-replayed": (signed, [one, one, end, b"\r\n"]),
        "J13-last-chunk-missing": (signed, [one, two]),
        "J13-last-chunk-missing-unsigned": (plain, [head]),
        "J14-last-signature-missing": (signed, [one, two, b"0\r\n\r\n"]),
        "J15-signature-on-unsigned": (
            plain,
            [b"5;chunk-signature=" + b"0" * 64 + b"\r\nhello\r\n", last, tail],
        ),
        "J15-no-signature-on-signed": (signed, [b"5\r\nfirst\r\n", two, end, b"\r\n"]),
        "J15-signature-in-upper-case": (
            signed,
            [one.replace(one[18:82], one[18:82].upper()), two, end, b"\r\n"],
        ),
        "J17-long-extension": (plain, [b"5;x=" + b"x" * (1 << 20)]),
        "J18-lf-in-head": (plain, [b"5\nhello\n", b"0\n\n"]),
        "J18-lf-after-data": (plain, [b"5\r\nhello\n", last, tail]),
        "J18-lf-in-trailer": (plain, [head, last, b"x-amz-checksum-crc32:NhCmhg==\n\n"]),
        "J18-other-bytes-after-data": (plain, [b"5\r\nhelloXX", last, tail]),
        "J19-bytes-after-the-end": (plain, [head, last, tail, b"more"]),
        "J19-second-body-after-the-end": (plain, [head, last, tail + head]),
        "J21-trailer-not-sent": (plain, [head, last, b"\r\n"]),
        "J22-trailer-not-announced": (plain, [head, last, crc, b"x-amz-meta-a:b\r\n\r\n"]),
        "J22-trailer-twice": (plain, [head, last, crc, crc, b"\r\n"]),
        "J24-trailer-signature-wrong": (trailer, [*signed_chunks, crc, b"x-amz-trailer-signature:0\r\n\r\n"]),
        "J24-trailer-signature-missing": (trailer, [*signed_chunks, crc, b"\r\n"]),
        "J24-trailer-changed": (trailer, [*signed_chunks, signed_tail.replace(b"NhC", b"NhD")]),
        "J24-trailer-signature-on-unsigned": (plain, [head, last, crc, b"x-amz-trailer-signature:0\r\n\r\n"]),
        "J24-trailer-after-its-signature": (trailer, [*signed_chunks, signed_tail[31:-2] + crc, b"\r\n"]),
        "J25-trailer-of-1-mib": (plain, [head, last, b"x-amz-checksum-crc32:" + b"A" * (1 << 20)]),
        "J25-trailer-of-1-mib-in-lines": (plain, [head, last, b"x-amz-checksum-crc32:A\r\n" * 50_000]),
        "J-blank-lines-before-the-trailer": (plain, [head, last, b"\r\n\r\n", tail]),
        "J-trailer-cut": (plain, [head, last, crc[:-2]]),
        "J-trailer-without-colon": (plain, [head, last, b"x-amz-checksum-crc32\r\n\r\n"]),
        "J-trailer-control-character": (plain, [head, last, b"x-amz-checksum-crc32:a\x00\r\n\r\n"]),
        "J-data-cut": (plain, [b"5\r\nhel"]),
        "J-nothing": (plain, []),
    }
    cases |= {f"J16-size-{text!r}": (plain, [text + b"\r\nhello\r\n", last, tail]) for text in sizes}
    return cases


FAULTS = faults()


@pytest.mark.parametrize("case", FAULTS)
def test_j_fault(case: str) -> None:
    upload, pieces = FAULTS[case]
    verdict = upload.judge(pieces)
    assert verdict.code in {
        "IncompleteBody",
        "InvalidRequest",
        "MalformedTrailerError",
        "SignatureDoesNotMatch",
    }
    assert verdict.status in {400, 403}


ENDLESS = {
    "J17-extension": ("5", b"5;x=", b"x"),
    "J20-more-than-announced": ("5", b"100000\r\n", b"x"),
    "J25-trailer": ("5", b"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:", b"A"),
    "J25-blank-lines": ("5", b"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:A\r\n\r\n", b"\r\n"),
}


@pytest.mark.parametrize("case", ENDLESS)
def test_j_what_cannot_be_right_is_refused_before_the_rest_is_read(case: str) -> None:
    length, start, more = ENDLESS[case]
    upload = Upload(UNSIGNED_TRAILER, [])
    upload.length = length
    request = upload.request([start, *[more * 32768] * 32])
    assert judge(request, S3).status == 400
    assert isinstance(request.body, LiteralBody)
    assert request.body.taken < 70_000


def test_j16_upper_case_size_is_plain_hexadecimal() -> None:
    verdict = Upload(UNSIGNED_TRAILER, [b"0123456789"]).judge(
        [b"A\r\n0123456789\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n"]
    )
    assert verdict.body == b"0123456789"


@pytest.mark.parametrize(
    ("length", "code"),
    [
        (None, "MissingContentLength"),
        ("five", "MissingContentLength"),
        ("-5", "MissingContentLength"),
        ("9" * 30, "MissingContentLength"),
        ("4", "IncompleteBody"),
        ("6", "IncompleteBody"),
    ],
)
def test_j20_decoded_length(length: str | None, code: str) -> None:
    upload = Upload(UNSIGNED_TRAILER, [b"hello"])
    upload.length = length
    assert upload.judge().code == code


def test_j21_modes_and_announcements_must_agree() -> None:
    upload = Upload(UNSIGNED_TRAILER, [b"hello"])
    upload.announced = None
    assert upload.judge().code == "InvalidRequest"
    signed = Upload(SIGNED, [b"hello"])
    signed.announced = "x-amz-checksum-crc32"
    assert signed.judge().code == "InvalidRequest"


@pytest.mark.parametrize("before", [b"", b"\r\n"], ids=["at-once", "after-a-blank-line"])
@pytest.mark.parametrize("after", [b"\r\n", b"\n\r\n"], ids=["cr-lf", "lf-cr-lf"])
def test_j_trailers_as_various_clients_write_them(before: bytes, after: bytes) -> None:
    upload = Upload(SIGNED_TRAILER, [b"hello"])
    chunks, end = upload.chunks(), upload.end()
    first, rest = end.split(b"\r\n", 1)
    verdict = upload.judge([*chunks, before + first + after + rest])
    assert (verdict.code, verdict.trailers) == ("ok", dict([CRC]))


def test_j26_content_encoding_is_left_to_the_object_store() -> None:
    upload = Upload(SIGNED, [b"hello"])
    upload.headers = [HOST, ("Content-Encoding", "aws-chunked,gzip")]
    assert upload.judge().body == b"hello"


def test_j27_content_length_or_chunked_transfer() -> None:
    upload = Upload(SIGNED, [b"hello"])
    wire = b"".join([*upload.chunks(), upload.end()])
    request = upload.request([wire])
    assert judge(request, S3).body == b"hello"
    assert judge(replace(upload.request([wire]), content_length=len(wire)), S3).body == b"hello"


def drain(upload: Upload, pieces: list[bytes]) -> int:
    """Read a body piece by piece, keeping none; returns its length."""
    request = upload.request(pieces)
    body, _ = verified_body(request, read_claim(request, S3, NOW), KEY)

    async def read() -> int:
        size = 0
        async for piece in body.chunks():
            size += len(piece)
        return size

    return asyncio.run(read())


def test_j28_one_byte_chunks_cost_bounded_memory_and_time() -> None:
    upload = Upload(UNSIGNED_TRAILER, [])
    upload.length = "100000"
    wire = b"1\r\nx\r\n" * 100_000 + b"0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n"
    pieces = [wire[at : at + 65536] for at in range(0, len(wire), 65536)]
    start = time.process_time()
    assert drain(upload, pieces) == 100_000
    assert time.process_time() - start < 5


def test_j28_signed_one_byte_chunks_in_one_read() -> None:
    upload = Upload(SIGNED, [b"x"] * 2000)
    wire = b"".join([*upload.chunks(), b"\r\n"])
    assert drain(upload, [wire]) == 2000


def test_j28_a_large_chunk_is_not_held() -> None:
    size = 16 << 20
    upload = Upload(UNSIGNED_TRAILER, [])
    upload.length = str(size)
    piece = bytes(65536)
    pieces = [b"%x\r\n" % size, *[piece] * (size // len(piece)), b"\r\n0\r\n", upload.end()]
    tracemalloc.start()
    assert drain(upload, pieces) == size
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 << 20


def test_a_verified_body_is_read_up_to_its_limit() -> None:
    request = PUT.send()
    body, length = verified_body(request, read_claim(request, S3, NOW), KEY)
    assert length == 4
    with pytest.raises(Refusal) as caught:
        asyncio.run(body.read(3))
    assert caught.value.status == 413
    with pytest.raises(Refusal) as caught:
        asyncio.run(WholeBody(b"data").read(3))
    assert caught.value.status == 413
