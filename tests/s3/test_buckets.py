"""Buckets: names, owners, regions, versioning, tags, what is refused by name."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.s3.conftest import Client

OTHER = "999999999999"


def test_buckets_are_made_listed_and_deleted(s3: Client) -> None:
    for name in ("beta", "alpha", "alpine"):
        assert s3("PUT", f"/{name}").headers["location"] == f"/{name}"
    listed = s3("GET", "/")
    assert listed.texts("Buckets/Bucket/Name") == ["alpha", "alpine", "beta"]
    assert listed.texts("Buckets/Bucket/CreationDate")[2] == "2023-11-14T22:13:20.001Z"
    assert s3("GET", "/?prefix=alp").texts("Buckets/Bucket/Name") == ["alpha", "alpine"]
    first = s3("GET", "/?max-buckets=2")
    token = first.texts("ContinuationToken")[0]
    rest = s3("GET", f"/?max-buckets=2&continuation-token={token}")
    assert (rest.texts("Buckets/Bucket/Name"), rest.texts("ContinuationToken")) == (["beta"], [])
    assert s3("DELETE", "/beta").status == 204
    assert s3.code("HEAD", "/beta") == (404, "NoSuchBucket")
    assert s3.code("DELETE", "/beta") == (404, "NoSuchBucket")


def test_a_bucket_with_objects_stays(s3: Client, bucket: str) -> None:
    s3("PUT", f"{bucket}/k", b"")
    assert s3.code("DELETE", bucket) == (409, "BucketNotEmpty")
    s3("DELETE", f"{bucket}/k")
    s3("POST", f"{bucket}/k?uploads")
    assert s3("DELETE", bucket).status == 204


@pytest.mark.parametrize(
    "name",
    [
        "ab",
        "A-b",
        "a_b",
        "-ab",
        "ab-",
        "a..b",
        "a.-b",
        "192.168.0.1",
        "a" * 64,
        "xn--a",
        "a-s3alias",
        "%C3%A9aa",
    ],
)
def test_names_that_are_refused(s3: Client, name: str) -> None:
    assert s3.code("PUT", f"/{name}") == (400, "InvalidBucketName")


def test_a_bucket_has_the_region_that_made_it(s3: Client) -> None:
    european = replace(s3, region="eu-west-1")
    european("PUT", "/mine")
    assert european("GET", "/mine?location").xml.text == "eu-west-1"
    assert s3("HEAD", "/mine").headers["x-amz-bucket-region"] == "eu-west-1"
    assert european.code("PUT", "/mine") == (409, "BucketAlreadyOwnedByYou")
    s3("PUT", "/first")
    assert s3("PUT", "/first").status == 200
    assert not s3("GET", "/first?location").xml.text
    constraint = (
        "<CreateBucketConfiguration><LocationConstraint>{}</LocationConstraint></CreateBucketConfiguration>"
    )
    s3("PUT", "/second", constraint.format("ap-south-1").encode())
    assert s3("GET", "/second?location").xml.text == "ap-south-1"
    wrong = constraint.format("us-west-2").encode()
    assert european.code("PUT", "/third", wrong) == (400, "IllegalLocationConstraintException")
    assert s3.code("PUT", "/third", constraint.format("moon").encode()) == (400, "InvalidLocationConstraint")


def test_another_account_meets_nothing(s3: Client, bucket: str) -> None:
    s3("PUT", f"{bucket}/k", b"mine")
    stranger = replace(s3, account=OTHER)
    assert stranger.code("GET", f"{bucket}/k") == (404, "NoSuchBucket")
    assert stranger("GET", "/").texts("Buckets/Bucket/Name") == []
    stranger("PUT", bucket)
    stranger("PUT", f"{bucket}/k", b"theirs")
    assert s3("GET", f"{bucket}/k").body == b"mine"
    assert stranger.code("PUT", f"{bucket}/c", x_amz_copy_source="bucket/absent") == (404, "NoSuchKey")


def test_the_expected_owner(s3: Client, bucket: str) -> None:
    assert s3("HEAD", bucket, x_amz_expected_bucket_owner=s3.account).status == 200
    assert s3.code("HEAD", bucket, x_amz_expected_bucket_owner=OTHER) == (403, "AccessDenied")
    assert s3.code("PUT", f"{bucket}/k", b"", x_amz_expected_bucket_owner=OTHER) == (403, "AccessDenied")
    assert s3.code("HEAD", "/absent", x_amz_expected_bucket_owner=OTHER) == (404, "NoSuchBucket")


def test_tags(s3: Client, bucket: str) -> None:
    assert s3.code("GET", f"{bucket}?tagging") == (404, "NoSuchTagSet")
    one = b"<Tagging><TagSet><Tag><Key>a</Key><Value>&lt;1&gt;</Value></Tag></TagSet></Tagging>"
    assert s3("PUT", f"{bucket}?tagging", one).status == 204
    assert s3("GET", f"{bucket}?tagging").texts("TagSet/Tag/Value") == ["<1>"]
    assert s3("DELETE", f"{bucket}?tagging").status == 204
    s3("PUT", f"{bucket}/k", b"")
    assert s3("PUT", f"{bucket}/k?tagging", one).status == 200
    assert s3("GET", f"{bucket}/k?tagging").texts("TagSet/Tag/Key") == ["a"]
    assert s3("DELETE", f"{bucket}/k?tagging").status == 204
    assert s3("GET", f"{bucket}/k?tagging").texts("TagSet/Tag/Key") == []
    tag = "<Tag><Key>{}</Key><Value>{}</Value></Tag>"
    for tags in (
        "".join(tag.format(number, 1) for number in range(11)),
        tag.format("a", 1) * 2,
        tag.format("", 1),
        tag.format("k" * 129, 1),
        tag.format("k", "v" * 257),
        tag.format("aws:k", 1),
    ):
        document = f"<Tagging><TagSet>{tags}</TagSet></Tagging>".encode()
        assert s3.code("PUT", f"{bucket}/k?tagging", document) == (400, "InvalidTag")


@pytest.mark.parametrize(
    ("method", "target", "status", "code"),
    [
        ("GET", "/bucket?policy", 404, "NoSuchBucketPolicy"),
        ("GET", "/bucket?cors", 404, "NoSuchCORSConfiguration"),
        ("GET", "/bucket?lifecycle", 404, "NoSuchLifecycleConfiguration"),
        ("GET", "/bucket?encryption", 404, "ServerSideEncryptionConfigurationNotFoundError"),
        ("GET", "/bucket?object-lock", 404, "ObjectLockConfigurationNotFoundError"),
        ("GET", "/absent?cors", 404, "NoSuchBucket"),
        ("PUT", "/bucket?policy", 400, "NotImplemented"),
        ("PUT", "/bucket?acl", 400, "NotImplemented"),
        ("PUT", "/bucket/k?acl", 400, "NotImplemented"),
        ("PUT", "/bucket/k?legal-hold", 400, "NotImplemented"),
        ("DELETE", "/bucket?lifecycle", 400, "NotImplemented"),
        ("GET", "/bucket/k?torrent", 400, "NotImplemented"),
        ("GET", "/bucket?session", 400, "NotImplemented"),
        ("POST", "/bucket/k?select&select-type=2", 400, "NotImplemented"),
        ("POST", "/bucket", 400, "NotImplemented"),
        ("PATCH", "/bucket/k", 405, "MethodNotAllowed"),
        ("PUT", "/", 405, "MethodNotAllowed"),
    ],
)
@pytest.mark.usefixtures("bucket")
def test_what_is_not_done_is_named(s3: Client, method: str, target: str, status: int, code: str) -> None:
    assert s3.code(method, target) == (status, code)


@pytest.mark.parametrize(
    "header",
    [
        {"x-amz-acl": "public-read"},
        {"x-amz-grant-read": "id=1"},
        {"x-amz-server-side-encryption-customer-algorithm": "AES256"},
        {"x-amz-object-lock-mode": "GOVERNANCE"},
        {"x-amz-checksum-md5": "x"},
    ],
)
def test_headers_that_are_not_obeyed_are_named(s3: Client, bucket: str, header: dict[str, str]) -> None:
    refusal = s3.refusal("PUT", f"{bucket}/k", b"", **header)
    assert (refusal.status, refusal.code) == (400, "NotImplemented")
    assert next(iter(header)).rpartition("-")[2] in refusal.sentence


def test_a_customers_key_fits_no_object(s3: Client, bucket: str) -> None:
    s3("PUT", f"{bucket}/k", b"x")
    header = {"x-amz-server-side-encryption-customer-algorithm": "AES256"}
    refusal = s3.refusal("GET", f"{bucket}/k", b"", **header)
    assert (refusal.status, refusal.code) == (400, "InvalidRequest")
    assert "customer-algorithm" in refusal.sentence
    assert s3.code("HEAD", f"{bucket}/k", b"", **header) == (400, "InvalidRequest")


def test_defaults_that_can_be_read(s3: Client, bucket: str) -> None:
    assert s3("GET", f"{bucket}?acl").texts("AccessControlList/Grant/Permission") == ["FULL_CONTROL"]
    assert s3("GET", f"{bucket}?versioning").texts("Status") == []
    assert s3("GET", f"{bucket}?logging").xml.tag == "BucketLoggingStatus"
    assert s3("GET", f"{bucket}?requestPayment").texts("Payer") == ["BucketOwner"]
