"""Objects: put, get, head, copy, delete, conditions, ranges, checksums."""

from __future__ import annotations

import base64
import hashlib
import zlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sagestead.objects.digests import new_digest
from sagestead.objects.refusals import Corrupt

if TYPE_CHECKING:
    from tests.s3.conftest import Client

MD5_OF_HELLO = "5d41402abc4b2a76b9719d911017c592"


def crc32(data: bytes) -> str:
    return base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()


def test_a_put_object_is_read_back_with_what_was_said_of_it(s3: Client, bucket: str) -> None:
    put = s3(
        "PUT",
        f"{bucket}/k%20+%C3%A9",
        b"hello",
        content_type="text/plain",
        content_encoding="gzip, aws-chunked",
        cache_control="no-store",
        x_amz_meta_Colour="bl\xe9u",
        x_amz_storage_class="STANDARD_IA",
        x_amz_server_side_encryption="aws:kms",
        x_amz_server_side_encryption_aws_kms_key_id="key-1",
        x_amz_tagging="a=1&b=%20",
        x_amz_checksum_crc32=crc32(b"hello"),
    )
    assert put.status == 200
    assert put.headers == {
        "etag": f'"{MD5_OF_HELLO}"',
        "x-amz-checksum-crc32": crc32(b"hello"),
        "x-amz-checksum-type": "FULL_OBJECT",
        "x-amz-server-side-encryption": "aws:kms",
        "x-amz-server-side-encryption-aws-kms-key-id": "key-1",
    }
    got = s3("GET", f"{bucket}/k%20%2B%C3%A9", x_amz_checksum_mode="ENABLED")
    assert (got.status, got.body) == (200, b"hello")
    assert got.headers == {
        "etag": f'"{MD5_OF_HELLO}"',
        "last-modified": "Tue, 14 Nov 2023 22:13:20 GMT",
        "accept-ranges": "bytes",
        "content-type": "text/plain",
        "content-encoding": "gzip",
        "cache-control": "no-store",
        "x-amz-meta-colour": "bl\xe9u",
        "x-amz-storage-class": "STANDARD_IA",
        "x-amz-server-side-encryption": "aws:kms",
        "x-amz-server-side-encryption-aws-kms-key-id": "key-1",
        "x-amz-tagging-count": "2",
        "x-amz-checksum-crc32": crc32(b"hello"),
        "x-amz-checksum-type": "FULL_OBJECT",
    }
    head = s3("HEAD", f"{bucket}/k%20%2B%C3%A9")
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", "5")
    assert "x-amz-checksum-crc32" not in head.headers


def test_a_large_object_streams_both_ways(s3: Client, bucket: str) -> None:
    content = bytes(range(256)) * 16384
    assert replace(s3, chunk=10_007)("PUT", f"{bucket}/large", content).headers["etag"] == (
        f'"{hashlib.md5(content).hexdigest()}"'  # noqa: S324 - S3's ETag is an MD5
    )
    assert s3("GET", f"{bucket}/large").body == content
    part = s3("GET", f"{bucket}/large", range="bytes=1048570-3145735")
    assert (part.status, part.body) == (206, content[1048570:3145736])
    assert part.headers["content-range"] == f"bytes 1048570-3145735/{len(content)}"


def test_corrupt_bytes_are_never_sent_to_their_end(s3: Client, bucket: str, tmp_path: Path) -> None:
    content = b"x" * (3 << 20)
    s3("PUT", f"{bucket}/k", content)
    (blob,) = (tmp_path / "objects" / "blobs").glob("??/*")
    blob.chmod(0o600)
    blob.write_bytes(content[:-1] + b"y")
    with pytest.raises(Corrupt):
        s3("GET", f"{bucket}/k")


@pytest.mark.parametrize("algorithm", ["crc32", "crc32c", "crc64nvme", "sha1", "sha256"])
def test_every_checksum_is_verified_in_header_and_trailer(s3: Client, bucket: str, algorithm: str) -> None:
    digest = new_digest(algorithm)
    digest.update(b"hello")
    right = base64.b64encode(digest.digest()).decode()
    wrong = base64.b64encode(bytes(len(digest.digest()))).decode()
    name = f"x-amz-checksum-{algorithm}"
    assert s3("PUT", f"{bucket}/k", b"hello", **{name: right}).headers[name] == right
    assert s3.code("PUT", f"{bucket}/no", b"hello", **{name: wrong}) == (400, "BadDigest")
    assert s3.code("PUT", f"{bucket}/no", b"hello", **{name: "?"}) == (400, "InvalidRequest")
    s3.trailers[name] = right
    assert s3("PUT", f"{bucket}/k", b"hello", x_amz_trailer=name).headers[name] == right
    s3.trailers[name] = wrong
    assert s3.code("PUT", f"{bucket}/no", b"hello", x_amz_trailer=name) == (400, "BadDigest")
    s3.trailers.clear()
    assert s3.code("PUT", f"{bucket}/no", b"hello", x_amz_trailer=name) == (400, "BadDigest")
    assert s3.code("GET", f"{bucket}/no") == (404, "NoSuchKey")


def test_what_arrives_is_what_was_announced(s3: Client, bucket: str) -> None:
    assert s3.code("PUT", f"{bucket}/k", b"hello", content_md5="AAAA") == (400, "InvalidDigest")
    wrong = base64.b64encode(bytes(16)).decode()
    assert s3.code("PUT", f"{bucket}/k", b"hello", content_md5=wrong) == (400, "BadDigest")
    for length, code in ((6, "IncompleteBody"), (None, "MissingContentLength"), (6 << 30, "EntityTooLarge")):
        assert replace(s3, length=length).refusal("PUT", f"{bucket}/k", b"hello").code == code
    assert s3.code("GET", f"{bucket}/k") == (404, "NoSuchKey")


def test_nothing_is_left_of_a_refused_upload(s3: Client, bucket: str, tmp_path: Path) -> None:
    s3.code("PUT", f"{bucket}/k", b"hello", x_amz_checksum_crc32=crc32(b"other"))
    s3.code("PUT", f"{bucket}/k", b"hello", if_match='"absent"')
    s3.handler.close()
    assert list((tmp_path / "objects" / "blobs").glob("??/*")) == []


def test_conditions_of_writes(s3: Client, bucket: str) -> None:
    assert s3.code("PUT", f"{bucket}/k", b"a", if_match="*") == (404, "NoSuchKey")
    assert s3("PUT", f"{bucket}/k", b"a", if_none_match="*").status == 200
    assert s3.code("PUT", f"{bucket}/k", b"b", if_none_match="*") == (412, "PreconditionFailed")
    assert s3.code("PUT", f"{bucket}/k", b"b", if_match='"0"') == (412, "PreconditionFailed")
    etag = s3("HEAD", f"{bucket}/k").headers["etag"]
    assert s3("PUT", f"{bucket}/k", b"b", if_match=etag).status == 200
    assert s3.code("DELETE", f"{bucket}/k", if_match=etag) == (412, "PreconditionFailed")
    assert s3("GET", f"{bucket}/k").body == b"b"


def test_conditions_of_reads(s3: Client, bucket: str) -> None:
    s3("PUT", f"{bucket}/k", b"hello")
    etag, date = f'"{MD5_OF_HELLO}"', "Tue, 14 Nov 2023 22:13:20 GMT"
    assert s3("GET", f"{bucket}/k", if_match=etag).status == 200
    assert s3.code("GET", f"{bucket}/k", if_match='"x"') == (412, "PreconditionFailed")
    unchanged = s3("GET", f"{bucket}/k", if_none_match=f'"x", W/{etag}')
    assert (unchanged.status, unchanged.body, unchanged.headers["etag"]) == (304, b"", etag)
    assert s3("HEAD", f"{bucket}/k", if_modified_since=date).status == 304
    assert s3("GET", f"{bucket}/k", if_modified_since="Tue, 14 Nov 2023 22:13:19 GMT").status == 200
    assert s3("GET", f"{bucket}/k", if_modified_since="no date at all").status == 200
    early = "Tue, 14 Nov 2023 22:13:19 GMT"
    assert s3.code("GET", f"{bucket}/k", if_unmodified_since=early) == (412, "PreconditionFailed")
    assert s3("GET", f"{bucket}/k", if_match=etag, if_unmodified_since=early).status == 200


@pytest.mark.parametrize(
    ("header", "status", "body"),
    [
        ("bytes=0-0", 206, b"h"),
        ("bytes=1-", 206, b"ello"),
        ("bytes=-2", 206, b"lo"),
        ("bytes=-99", 206, b"hello"),
        ("bytes=3-99", 206, b"lo"),
        ("bytes=3-2", 200, b"hello"),
        ("bytes=-", 200, b"hello"),
        ("bytes=0-1,3-4", 200, b"hello"),
        ("lines=0-1", 200, b"hello"),
    ],
)
def test_ranges(s3: Client, bucket: str, header: str, status: int, body: bytes) -> None:
    s3("PUT", f"{bucket}/k", b"hello")
    got = s3("GET", f"{bucket}/k", range=header)
    assert (got.status, got.body) == (status, body)


def test_ranges_that_cannot_be(s3: Client, bucket: str) -> None:
    s3("PUT", f"{bucket}/k", b"hello")
    s3("PUT", f"{bucket}/empty", b"")
    for key, header in (("k", "bytes=5-"), ("k", "bytes=-0"), ("empty", "bytes=0-1"), ("empty", "bytes=-1")):
        assert s3.code("GET", f"{bucket}/{key}", range=header) == (416, "InvalidRange")


def test_overrides_of_answer_headers(s3: Client, bucket: str) -> None:
    s3("PUT", f"{bucket}/k", b"hello", content_type="text/plain")
    got = s3("GET", f"{bucket}/k?response-content-type=text%2Fcsv&response-expires=soon&x-id=GetObject")
    assert (got.headers["content-type"], got.headers["expires"]) == ("text/csv", "soon")


def test_copy(s3: Client, bucket: str) -> None:
    s3("PUT", f"{bucket}/a%20b", b"hello", content_type="text/plain", x_amz_meta_m="1", x_amz_tagging="t=1")
    copied = s3("PUT", f"{bucket}/copy", x_amz_copy_source="bucket/a%20b")
    assert copied.texts("ETag") == [f'"{MD5_OF_HELLO}"']
    got = s3("GET", f"{bucket}/copy")
    assert (got.body, got.headers["content-type"], got.headers["x-amz-meta-m"]) == (
        b"hello",
        "text/plain",
        "1",
    )
    s3(
        "PUT",
        f"{bucket}/replaced",
        x_amz_copy_source="/bucket/a%20b",
        x_amz_metadata_directive="REPLACE",
        x_amz_tagging_directive="REPLACE",
        content_type="text/csv",
        x_amz_checksum_algorithm="SHA256",
    )
    got = s3("GET", f"{bucket}/replaced", x_amz_checksum_mode="ENABLED")
    assert got.headers["content-type"] == "text/csv"
    assert "x-amz-meta-m" not in got.headers
    assert "x-amz-tagging-count" not in got.headers
    assert base64.b64decode(got.headers["x-amz-checksum-sha256"]) == hashlib.sha256(b"hello").digest()
    s3("DELETE", f"{bucket}/a%20b")
    assert s3("GET", f"{bucket}/copy").body == b"hello"


def test_copies_that_cannot_be(s3: Client, bucket: str) -> None:
    s3("PUT", f"{bucket}/k", b"hello")
    assert s3.code("PUT", f"{bucket}/k", x_amz_copy_source="bucket/k") == (400, "InvalidRequest")
    assert s3.code("PUT", f"{bucket}/c", x_amz_copy_source="bucket/absent") == (404, "NoSuchKey")
    assert s3.code("PUT", f"{bucket}/c", x_amz_copy_source="absent/k") == (404, "NoSuchBucket")
    assert s3.code("PUT", f"{bucket}/c", x_amz_copy_source="nothing") == (400, "InvalidArgument")
    assert s3.code("PUT", f"{bucket}/c", x_amz_copy_source="bucket/%ff") == (400, "InvalidArgument")
    for name, value in (("if-match", '"x"'), ("if-none-match", f'"{MD5_OF_HELLO}"')):
        headers = {f"x-amz-copy-source-{name}": value}
        code = s3.code("PUT", f"{bucket}/c", b"", x_amz_copy_source="bucket/k", **headers)
        assert code == (412, "PreconditionFailed")


def test_delete_is_idempotent_and_deletes_many(s3: Client, bucket: str) -> None:
    s3("PUT", f"{bucket}/a", b"")
    assert s3("DELETE", f"{bucket}/a").status == 204
    assert s3("DELETE", f"{bucket}/a").status == 204
    s3("PUT", f"{bucket}/b", b"")
    document = b"<Delete><Object><Key>b</Key></Object><Object><Key>c</Key><ETag>x</ETag></Object></Delete>"
    done = s3("POST", f"{bucket}?delete", document)
    assert done.texts("Deleted/Key") == ["b"]
    assert done.texts("Error/Code") == ["NoSuchKey"]


def test_attributes(s3: Client, bucket: str) -> None:
    s3("PUT", f"{bucket}/k", b"hello", x_amz_checksum_crc32=crc32(b"hello"))
    got = s3("GET", f"{bucket}/k?attributes", x_amz_object_attributes="ETag,Checksum,ObjectSize,StorageClass")
    assert got.texts("ETag") == [MD5_OF_HELLO]
    assert got.texts("Checksum/ChecksumCRC32") == [crc32(b"hello")]
    assert got.texts("ObjectSize") == ["5"]
    assert s3.code("GET", f"{bucket}/k?attributes", x_amz_object_attributes="Nose") == (
        400,
        "InvalidArgument",
    )
