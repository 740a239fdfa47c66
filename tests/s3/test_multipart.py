"""Multipart uploads: parts, completion, checksums of the whole, copies of parts, listings."""

from __future__ import annotations

import base64
import hashlib
import zlib
from typing import TYPE_CHECKING

import pytest

from sagestead.objects.digests import composite, new_digest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.s3.conftest import Client

PARTS = [b"a" * (5 << 20), b"b" * (5 << 20), b"c" * 10]
TWO = [PARTS[0], PARTS[2]]


def begin(s3: Client, target: str, **headers: str) -> str:
    return s3("POST", f"{target}?uploads", b"", **headers).texts("UploadId")[0]


def put_parts(s3: Client, target: str, upload: str, parts: list[bytes]) -> list[str]:
    return [
        s3("PUT", f"{target}?partNumber={number}&uploadId={upload}", part).headers["etag"]
        for number, part in enumerate(parts, 1)
    ]


def completion(etags: list[str]) -> bytes:
    parts = "".join(
        f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"
        for number, etag in enumerate(etags, 1)
    )
    return f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()


def test_parts_become_one_object_and_asking_again_answers_the_same(s3: Client, bucket: str) -> None:
    target = f"{bucket}/big"
    upload = begin(s3, target, content_type="text/plain", x_amz_meta_m="1")
    etags = put_parts(s3, target, upload, PARTS)
    assert s3.code("GET", target) == (404, "NoSuchKey")
    done = s3("POST", f"{target}?uploadId={upload}", completion(etags))
    digests = b"".join(hashlib.md5(part).digest() for part in PARTS)  # noqa: S324 - S3's ETag is an MD5
    etag = f'"{hashlib.md5(digests).hexdigest()}-3"'  # noqa: S324 - the same
    assert done.texts("ETag") == [etag]
    again = s3("POST", f"{target}?uploadId={upload}", completion(etags))
    assert again.texts("ETag") == [etag]
    got = s3("GET", target)
    assert (got.body, got.headers["content-type"]) == (b"".join(PARTS), "text/plain")
    part = s3("GET", f"{target}?partNumber=3")
    assert (part.status, part.body, part.headers["x-amz-mp-parts-count"]) == (206, PARTS[2], "3")
    assert s3.code("GET", f"{target}?partNumber=4") == (400, "InvalidPart")
    across = s3("GET", target, range=f"bytes={(5 << 20) - 1}-{5 << 20}")
    assert across.body == b"ab"


@pytest.mark.parametrize("algorithm", ["crc32", "crc32c", "crc64nvme", "sha1", "sha256"])
def test_the_checksum_of_the_whole(s3: Client, bucket: str, algorithm: str) -> None:
    target = f"{bucket}/sum"
    kind = "FULL_OBJECT" if algorithm.startswith("crc") else "COMPOSITE"
    upload = begin(s3, target, x_amz_checksum_algorithm=algorithm.upper(), x_amz_checksum_type=kind)
    etags = put_parts(s3, target, upload, TWO)
    s3("POST", f"{target}?uploadId={upload}", completion(etags))

    def digest(data: bytes) -> str:
        made = new_digest(algorithm)
        made.update(data)
        return base64.b64encode(made.digest()).decode()

    expected = digest(b"".join(TWO))
    if kind == "COMPOSITE":
        expected = composite(algorithm, [digest(part) for part in TWO])
    head = s3("HEAD", target, x_amz_checksum_mode="ENABLED")
    assert head.headers[f"x-amz-checksum-{algorithm}"] == expected
    assert head.headers["x-amz-checksum-type"] == kind


def test_completions_that_are_refused(s3: Client, bucket: str) -> None:
    target = f"{bucket}/no"
    upload = begin(s3, target, x_amz_checksum_algorithm="CRC32", x_amz_checksum_type="FULL_OBJECT")
    etags = put_parts(s3, target, upload, [b"small", b"last"])
    complete = f"{target}?uploadId={upload}"
    assert s3.code("POST", complete, completion(etags)) == (400, "EntityTooSmall")
    assert s3.code("POST", complete, completion(['"0"'])) == (400, "InvalidPart")
    assert s3.code("POST", complete, completion([])) == (400, "MalformedXML")
    assert s3.code("POST", complete, b"<Other/>") == (400, "MalformedXML")
    backwards = completion(etags).replace(b"<PartNumber>1", b"<PartNumber>3")
    assert s3.code("POST", complete, backwards) == (400, "InvalidPartOrder")
    one = completion(etags[:1])
    wrong = base64.b64encode(zlib.crc32(b"other").to_bytes(4, "big")).decode()
    assert s3.code("POST", complete, one, x_amz_checksum_crc32=wrong) == (400, "BadDigest")
    assert s3.code("POST", complete, one, x_amz_mp_object_size="6") == (400, "BadDigest")
    assert s3.code("POST", complete, one, if_match="*") == (404, "NoSuchKey")
    twice = one.replace(b"<Part>", b"<Part><PartNumber>1</PartNumber><ETag>old</ETag></Part><Part>")
    assert s3("POST", complete, twice, x_amz_mp_object_size="5").status == 200
    assert s3.code("POST", complete, completion(etags[1:])) == (404, "NoSuchUpload")
    assert s3.code("POST", f"{target}?uploadId=none", one) == (404, "NoSuchUpload")


def test_parts_are_replaced_listed_and_aborted(s3: Client, bucket: str, tmp_path: Path) -> None:
    target = f"{bucket}/parts"
    upload = begin(s3, target)
    put_parts(s3, target, upload, [b"old", b"two", b"three"])
    put_parts(s3, target, upload, [b"new"])
    listed = s3("GET", f"{target}?uploadId={upload}&max-parts=2")
    assert listed.texts("Part/Size") == ["3", "3"]
    assert (listed.texts("IsTruncated"), listed.texts("NextPartNumberMarker")) == (["true"], ["2"])
    rest = s3("GET", f"{target}?uploadId={upload}&part-number-marker=2")
    assert (rest.texts("Part/PartNumber"), rest.texts("IsTruncated")) == (["3"], ["false"])
    assert s3("DELETE", f"{target}?uploadId={upload}").status == 204
    assert s3.code("DELETE", f"{target}?uploadId={upload}") == (404, "NoSuchUpload")
    assert s3.code("PUT", f"{target}?partNumber=1&uploadId={upload}", b"x") == (404, "NoSuchUpload")
    assert list((tmp_path / "objects" / "blobs").glob("??/*")) == []


@pytest.mark.parametrize("number", ["0", "10001", "-1", "x", "", "99999999999999999999"])
def test_part_numbers_that_are_refused(s3: Client, bucket: str, number: str) -> None:
    upload = begin(s3, f"{bucket}/k")
    code = s3.code("PUT", f"{bucket}/k?partNumber={number}&uploadId={upload}", b"x")
    assert code == (400, "InvalidArgument")


def test_uploads_are_listed_in_pages(s3: Client, bucket: str) -> None:
    uploads = [(key, begin(s3, f"{bucket}/{key}")) for key in ("a/1", "a/2", "b", "b", "c")]
    listed = s3("GET", f"{bucket}?uploads")
    assert list(zip(listed.texts("Upload/Key"), listed.texts("Upload/UploadId"), strict=True)) == uploads
    rolled = s3("GET", f"{bucket}?uploads&delimiter=/")
    assert rolled.texts("CommonPrefixes/Prefix") == ["a/"]
    seen: list[str] = []
    markers = ""
    while True:
        page = s3("GET", f"{bucket}?uploads&max-uploads=2{markers}")
        seen += page.texts("Upload/UploadId")
        if page.texts("IsTruncated") == ["false"]:
            break
        key, upload = page.texts("NextKeyMarker")[0], page.texts("NextUploadIdMarker")[0]
        markers = f"&key-marker={key}&upload-id-marker={upload}"
    assert seen == [upload for _, upload in uploads]


def test_parts_are_copied_from_objects(s3: Client, bucket: str) -> None:
    s3("PUT", f"{bucket}/source", b"0123456789")
    target = f"{bucket}/assembled"
    upload = begin(s3, target)
    part = f"{target}?partNumber=1&uploadId={upload}"
    copied = s3("PUT", part, x_amz_copy_source="bucket/source", x_amz_copy_source_range="bytes=2-4")
    s3("POST", f"{target}?uploadId={upload}", completion(copied.texts("ETag")))
    assert s3("GET", target).body == b"234"
    for wrong, code in (("bytes=2-10", (416, "InvalidRange")), ("2-4", (400, "InvalidArgument"))):
        upload = begin(s3, target)
        part = f"{target}?partNumber=1&uploadId={upload}"
        headers = {"x-amz-copy-source": "bucket/source", "x-amz-copy-source-range": wrong}
        assert s3.code("PUT", part, b"", **headers) == code


def test_a_copy_of_many_parts_is_whole(s3: Client, bucket: str) -> None:
    target = f"{bucket}/big"
    upload = begin(s3, target)
    etags = put_parts(s3, target, upload, PARTS)
    s3("POST", f"{target}?uploadId={upload}", completion(etags))
    s3("PUT", f"{bucket}/copy", x_amz_copy_source="bucket/big")
    s3("DELETE", target)
    assert s3("GET", f"{bucket}/copy").body == b"".join(PARTS)


def test_checksum_choices_that_do_not_fit(s3: Client, bucket: str) -> None:
    for algorithm, kind in (("SHA1", "FULL_OBJECT"), ("CRC64NVME", "COMPOSITE"), ("CRC32", "OTHER")):
        headers = {"x-amz-checksum-algorithm": algorithm, "x-amz-checksum-type": kind}
        assert s3.code("POST", f"{bucket}/k?uploads", b"", **headers) == (400, "InvalidRequest")
    upload = begin(s3, f"{bucket}/k", x_amz_checksum_algorithm="SHA256")
    crc = base64.b64encode(zlib.crc32(b"x").to_bytes(4, "big")).decode()
    code = s3.code("PUT", f"{bucket}/k?partNumber=1&uploadId={upload}", b"x", x_amz_checksum_crc32=crc)
    assert code == (400, "InvalidRequest")
