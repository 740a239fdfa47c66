"""Operations of multipart uploads."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import quote

from sagestead.domain.errors import Refusal
from sagestead.objects.blobs import Written
from sagestead.objects.digests import ALGORITHMS, COMBINABLE, is_value
from sagestead.objects.model import ChecksumType, Part, Upload, Version
from sagestead.objects.uploads import Completion, Named
from sagestead.s3.attributes import STORAGE_CLASS, encryption_headers, read_attributes, written_headers
from sagestead.s3.checksums import PREFIX, algorithm_of, declared, elements_of, headers_of
from sagestead.s3.conditions import write_condition
from sagestead.s3.desk import Desk, Intake
from sagestead.s3.markup import Markup, answer, flag, leaf, malformed, node, number_of, parse
from sagestead.s3.names import owner, quoted, xml_time
from sagestead.s3.refused import check_headers
from sagestead.s3.request import S3Request, argument, whole_number
from sagestead.s3.writing import open_source
from sagestead.wire.http import Response

MOST_PARTS = 10_000
_PAGE = 1000
_TYPES: Mapping[str, ChecksumType] = MappingProxyType(
    {"COMPOSITE": "COMPOSITE", "FULL_OBJECT": "FULL_OBJECT"}
)
_RANGE = re.compile(r"bytes=([0-9]{1,18})-([0-9]{1,18})")


def create_upload(desk: Desk, request: S3Request) -> Response:
    """CreateMultipartUpload."""
    bucket = desk.bucket(request)
    attributes = read_attributes(request)
    algorithm, checksum_type = _chosen_checksum(request)
    upload = desk.store.uploads.begin(bucket, request.key, attributes, algorithm, checksum_type)
    headers = encryption_headers(attributes)
    if algorithm:
        headers += [
            ("x-amz-checksum-algorithm", algorithm.upper()),
            ("x-amz-checksum-type", checksum_type),
        ]
    return answer(
        "InitiateMultipartUploadResult",
        leaf("Bucket", bucket.name),
        leaf("Key", upload.key),
        leaf("UploadId", upload.id),
        headers=headers,
    )


def upload_part(desk: Desk, request: S3Request) -> Intake:
    """UploadPart: checked before the body is read, kept after."""
    bucket, upload, number = desk.bucket(request), _upload(desk, request), _part_number(request)
    check_headers(request)
    named = declared(request)
    if upload.algorithm and named.algorithms and upload.algorithm not in named.algorithms:
        raise Refusal(
            f"Checksum type mismatch occurred, expected checksum type: {upload.algorithm}, actual checksum "
            f"type: {', '.join(sorted(named.algorithms))}.",
            code="InvalidRequest",
        )

    def finish(written: Written) -> Response:
        part = desk.store.uploads.put_part(bucket, upload, number, written)
        headers = [*headers_of(part.segment.checksums, ""), *encryption_headers(upload.attributes)]
        return Response(200, [("ETag", quoted(part.etag)), *headers])

    return Intake(named, named.algorithms | frozenset({upload.algorithm} - {""}), finish)


def upload_part_copy(desk: Desk, request: S3Request) -> Response:
    """UploadPartCopy."""
    bucket, upload, number = desk.bucket(request), _upload(desk, request), _part_number(request)
    check_headers(request)
    source_bucket, source, snapshot = open_source(desk, request)
    with snapshot, desk.store.blobs.writer([upload.algorithm] if upload.algorithm else []) as writer:
        for chunk in snapshot.read(*_copied_range(request, source)):
            writer.write(chunk)
        written = writer.finish()
    part = desk.store.uploads.put_part(bucket, upload, number, written)
    headers = encryption_headers(upload.attributes)
    if source_bucket.versioning:
        headers.append(("x-amz-copy-source-version-id", source.version_id))
    return answer(
        "CopyPartResult",
        leaf("ETag", quoted(part.etag)),
        leaf("LastModified", xml_time(part.modified_at)),
        elements_of(part.segment.checksums),
        headers=headers,
    )


def complete_upload(desk: Desk, request: S3Request, document: bytes) -> Response:
    """CompleteMultipartUpload; of a part that is named twice, the last naming counts."""
    bucket = desk.bucket(request)
    check_headers(request)
    parts = [_named(element) for element in parse(document, "CompleteMultipartUpload").iter("Part")]
    if not parts:
        raise malformed("no Part is named")
    numbers = [part.number for part in parts]
    if numbers != sorted(numbers):
        raise Refusal(
            "The list of parts was not in ascending order. The parts list must be specified in order by part "
            "number.",
            code="InvalidPartOrder",
        )
    last = list({part.number: part for part in parts}.values())
    completion = Completion(last, write_condition(request), _whole_checksum(request), _whole_size(request))
    upload_id = request.query["uploadId"]
    version = desk.store.uploads.complete(bucket, request.key, upload_id, completion)
    host = request.header("host") or "localhost"
    return answer(
        "CompleteMultipartUploadResult",
        leaf("Location", f"http://{host}/{bucket.name}/{quote(version.key)}"),
        leaf("Bucket", bucket.name),
        leaf("Key", version.key),
        leaf("ETag", quoted(version.etag)),
        elements_of(version.checksums, version.checksum_type),
        headers=[*encryption_headers(version.attributes), *written_headers(bucket, version)],
    )


def abort_upload(desk: Desk, request: S3Request) -> Response:
    """AbortMultipartUpload."""
    desk.store.uploads.abort(desk.bucket(request), request.key, request.query["uploadId"])
    return Response(204)


def list_parts(desk: Desk, request: S3Request) -> Response:
    """ListParts."""
    bucket, upload = desk.bucket(request), _upload(desk, request)
    limit = request.number("max-parts", _PAGE, 0, _PAGE)
    after = request.number("part-number-marker", 0, 0, 1 << 31)
    found = desk.store.uploads.parts(upload, after, limit + 1)
    shown = found[:limit]
    return answer(
        "ListPartsResult",
        leaf("Bucket", bucket.name),
        leaf("Key", upload.key),
        leaf("UploadId", upload.id),
        owner(request.account, "Initiator"),
        owner(request.account),
        leaf("StorageClass", upload.attributes.headers.get(STORAGE_CLASS, "STANDARD")),
        leaf("PartNumberMarker", after),
        leaf("NextPartNumberMarker", shown[-1].number if shown else after),
        leaf("MaxParts", limit),
        flag("IsTruncated", bool(shown) and len(found) > limit),
        leaf("ChecksumAlgorithm", upload.algorithm.upper() or None),
        leaf("ChecksumType", upload.checksum_type or None),
        *[_part(part) for part in shown],
    )


def _upload(desk: Desk, request: S3Request) -> Upload:
    return desk.store.uploads.get(desk.bucket(request), request.key, request.query["uploadId"])


def _part_number(request: S3Request) -> int:
    text = request.query["partNumber"]
    number = whole_number("partNumber", text, 0, 1, MOST_PARTS)
    if int(text) > MOST_PARTS:
        raise argument("partNumber", text, f"a whole number from 1 to {MOST_PARTS}")
    return number


def _chosen_checksum(request: S3Request) -> tuple[str, ChecksumType]:
    """Return the algorithm (empty: none) and the type that an upload is begun with."""
    name, wanted = request.header("x-amz-checksum-algorithm"), request.header("x-amz-checksum-type")
    if name is None:
        if wanted is not None:
            raise Refusal(
                "x-amz-checksum-type needs x-amz-checksum-algorithm beside it.", code="InvalidRequest"
            )
        return "", ""
    algorithm = algorithm_of(name)
    usual = "FULL_OBJECT" if algorithm == "crc64nvme" else "COMPOSITE"
    checksum_type = _TYPES.get((wanted or usual).upper())
    fits = algorithm in COMBINABLE if checksum_type == "FULL_OBJECT" else algorithm != "crc64nvme"
    if checksum_type is None or not fits:
        raise Refusal(
            f"The {wanted} checksum type cannot be used with the {algorithm} checksum algorithm.",
            code="InvalidRequest",
        )
    return algorithm, checksum_type


def _copied_range(request: S3Request, source: Version) -> tuple[int, int]:
    header = request.header("x-amz-copy-source-range")
    if header is None:
        return 0, source.size
    match = _RANGE.fullmatch(header)
    if match is None or int(match[1]) > int(match[2]):
        raise argument("x-amz-copy-source-range", header, "bytes=FIRST-LAST")
    if int(match[2]) >= source.size:
        raise Refusal(
            f"The range {header!r} is not within the source, which has {source.size} bytes.",
            code="InvalidRange",
            status=416,
        )
    return int(match[1]), int(match[2]) + 1


def _named(element: ET.Element) -> Named:
    number = number_of(element, "PartNumber")
    etag = (element.findtext("ETag") or "").strip().strip('"')
    if number is None or not etag:
        raise malformed("a Part needs PartNumber and ETag")
    found = {algorithm: element.findtext(f"Checksum{algorithm.upper()}") for algorithm in ALGORITHMS}
    return Named(number, etag, {algorithm: value.strip() for algorithm, value in found.items() if value})


def _whole_checksum(request: S3Request) -> str | None:
    for algorithm in ALGORITHMS:
        value = request.header(PREFIX + algorithm)
        if value is not None:
            if not is_value(algorithm, value.partition("-")[0]):
                raise Refusal(
                    f"Value for {PREFIX}{algorithm} header is invalid: {value!r} is not its base64.",
                    code="InvalidRequest",
                )
            return value
    return None


def _whole_size(request: S3Request) -> int | None:
    text = request.header("x-amz-mp-object-size")
    if text is not None and not re.fullmatch("[0-9]{1,18}", text):
        raise argument("x-amz-mp-object-size", text, "a number of bytes")
    return None if text is None else int(text)


def _part(part: Part) -> Markup:
    return node(
        "Part",
        leaf("PartNumber", part.number),
        leaf("LastModified", xml_time(part.modified_at)),
        leaf("ETag", quoted(part.etag)),
        leaf("Size", part.segment.size),
        elements_of(part.segment.checksums),
    )
