"""What a client says of an object in headers, and how it is said back."""

from __future__ import annotations

from urllib.parse import unquote_plus

from sagestead.domain.errors import Refusal
from sagestead.objects.model import NULL_VERSION, Attributes, Bucket, Text, Version
from sagestead.objects.store import DEFAULT_CONTENT_TYPE
from sagestead.s3.names import http_time, quoted
from sagestead.s3.refused import check_headers, not_here
from sagestead.s3.request import S3Request, argument

CONTENT_HEADERS = (
    "content-type",
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "expires",
    "x-amz-website-redirect-location",
)
STORAGE_CLASS = "x-amz-storage-class"
ENCRYPTION = "x-amz-server-side-encryption"
_ENCRYPTION_FAMILY = (
    ENCRYPTION,
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-server-side-encryption-bucket-key-enabled",
)
_STORAGE_CLASSES = frozenset(
    {"STANDARD", "REDUCED_REDUNDANCY", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR"}
)
_META = "x-amz-meta-"
_METADATA_BYTES = 2048
OBJECT_TAGS = 10
_TAG_KEY = 128
_TAG_VALUE = 256


def read_attributes(request: S3Request) -> Attributes:
    """Return what the headers of a request say of the object."""
    check_headers(request)
    return Attributes(
        headers={**content_headers(request), **keeping_headers(request)},
        metadata=read_metadata(request),
        tags=header_tags(request),
    )


def content_headers(request: S3Request) -> Text:
    """Return the headers that describe the content, without the transfer's `aws-chunked`."""
    headers = {name: value for name in CONTENT_HEADERS if (value := request.header(name))}
    codings = [coding.strip() for coding in headers.pop("content-encoding", "").split(",")]
    kept = ",".join(coding for coding in codings if coding and coding.lower() != "aws-chunked")
    return {**headers, "content-encoding": kept} if kept else headers


def keeping_headers(request: S3Request) -> Text:
    """Return the headers that say how the object is kept: storage class and encryption."""
    headers = {}
    storage_class = request.header(STORAGE_CLASS)
    if storage_class is not None:
        if storage_class not in _STORAGE_CLASSES:
            raise Refusal(
                f"The storage class {storage_class!r} is not valid; use one of {sorted(_STORAGE_CLASSES)}.",
                code="InvalidStorageClass",
            )
        headers[STORAGE_CLASS] = storage_class
    encryption = request.header(ENCRYPTION)
    if encryption not in (None, "AES256", "aws:kms"):
        raise argument(ENCRYPTION, encryption or "", "AES256 or aws:kms")
    if request.header(f"{ENCRYPTION}-context") is not None:
        raise not_here(f"The header {ENCRYPTION}-context")
    if encryption != "aws:kms" and request.header(_ENCRYPTION_FAMILY[1]) is not None:
        raise argument(
            _ENCRYPTION_FAMILY[1], request.header(_ENCRYPTION_FAMILY[1]) or "", "given with aws:kms"
        )
    headers.update({name: value for name in _ENCRYPTION_FAMILY if (value := request.header(name))})
    return headers


def read_metadata(request: S3Request) -> Text:
    """Return the user's metadata, byte for byte (as Latin-1 text)."""
    metadata = {name.removeprefix(_META): value for name, value in request.headers(_META)}
    size = sum(len(name) + len(value) for name, value in metadata.items())
    if size > _METADATA_BYTES:
        raise Refusal(
            f"Your metadata headers exceed the maximum allowed size: {size} of {_METADATA_BYTES} bytes.",
            code="MetadataTooLarge",
        )
    return metadata


def header_tags(request: S3Request) -> Text:
    """Return the tags of the x-amz-tagging header."""
    pairs = [pair.partition("=") for pair in (request.header("x-amz-tagging") or "").split("&") if pair]
    return check_tags([(unquote_plus(key), unquote_plus(value)) for key, _, value in pairs], OBJECT_TAGS)


def check_tags(tags: list[tuple[str, str]], most: int) -> Text:
    """Return the tags, or refuse them."""
    if len(tags) > most:
        raise Refusal(f"There are {len(tags)} tags; at most {most} are allowed.", code="InvalidTag")
    for key, value in tags:
        if not 0 < len(key) <= _TAG_KEY or len(value) > _TAG_VALUE or key.lower().startswith("aws:"):
            raise Refusal(
                f"The tag {key!r} is not valid: a key has 1 to {_TAG_KEY} characters and does not begin with "
                f"'aws:', a value has at most {_TAG_VALUE}.",
                code="InvalidTag",
            )
    if len(dict(tags)) != len(tags):
        raise Refusal("Cannot provide multiple tags with the same key.", code="InvalidTag")
    return dict(tags)


def written_headers(bucket: Bucket, version: Version) -> list[tuple[str, str]]:
    """Return the header that names a new version; a null version is not named to who writes it."""
    return [] if version.version_id == NULL_VERSION else version_headers(bucket, version)


def version_headers(bucket: Bucket, version: Version) -> list[tuple[str, str]]:
    """Return the header that names a version, where the bucket has versions."""
    return [("x-amz-version-id", version.version_id)] if bucket.versioning else []


def encryption_headers(attributes: Attributes) -> list[tuple[str, str]]:
    """Return the headers that say how the object is encrypted, as the client chose."""
    return [(name, attributes.headers[name]) for name in _ENCRYPTION_FAMILY if name in attributes.headers]


def object_headers(bucket: Bucket, version: Version) -> list[tuple[str, str]]:
    """Return everything that GetObject and HeadObject say of a version, but checksums and lengths."""
    attributes = version.attributes
    stored = {"content-type": DEFAULT_CONTENT_TYPE, **attributes.headers}
    if stored.get(STORAGE_CLASS) == "STANDARD":
        del stored[STORAGE_CLASS]
    headers = [
        ("ETag", quoted(version.etag)),
        ("Last-Modified", http_time(version.modified_at)),
        ("Accept-Ranges", "bytes"),
        *stored.items(),
        *((_META + name, value) for name, value in attributes.metadata.items()),
        *version_headers(bucket, version),
    ]
    if attributes.tags:
        headers.append(("x-amz-tagging-count", str(len(attributes.tags))))
    return headers
