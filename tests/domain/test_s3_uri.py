"""Addresses in S3, in each of the forms that clients write."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagestead.domain.errors import Invalid
from sagestead.domain.s3_uri import Location, locate


@pytest.mark.parametrize(
    "uri",
    [
        "s3://my.bucket/a/b c.csv",
        "https://my.bucket.s3.amazonaws.com/a/b%20c.csv",
        "https://my.bucket.s3.eu-west-1.amazonaws.com/a/b%20c.csv",
        "https://my.bucket.s3-eu-west-1.amazonaws.com/a/b%20c.csv",
        "https://my.bucket.s3.dualstack.eu-west-1.amazonaws.com/a/b%20c.csv",
        "https://my.bucket.s3.cn-north-1.amazonaws.com.cn/a/b%20c.csv",
        "https://s3.amazonaws.com/my.bucket/a/b%20c.csv",
        "https://s3.eu-west-1.amazonaws.com/my.bucket/a/b%20c.csv",
        "https://s3-eu-west-1.amazonaws.com/my.bucket/a/b%20c.csv",
    ],
)
def test_every_form_names_the_same_object(uri: str) -> None:
    place = locate(uri, "S3Uri")
    assert place == Location("my.bucket", "a/b c.csv")
    assert str(place) == "s3://my.bucket/a/b c.csv"


@pytest.mark.parametrize(
    "uri", ["s3://b", "s3://b/", "https://b.s3.amazonaws.com", "https://s3.amazonaws.com/b"]
)
def test_a_bucket_alone_has_an_empty_key(uri: str) -> None:
    assert locate(uri, "S3Uri") == Location("b", "")


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "s3://",
        "s3:///key",
        "b/key",
        "http://b.s3.amazonaws.com/key",
        "https://example.com/b/key",
        "https://b.s3.amazonaws.com.example.com/key",
        "https://b.s3.amazonaws.com/key?versionId=1",
        "file:///etc/passwd",
    ],
)
def test_any_other_address_is_refused_and_the_field_named(uri: str) -> None:
    with pytest.raises(Invalid) as refused:
        locate(uri, "ModelDataUrl")
    assert refused.value.sentence == f"ModelDataUrl '{uri}' is not an S3 URI; write it as s3://bucket/key."


@given(st.text("abc.-", min_size=1), st.text())
def test_what_is_written_is_read(bucket: str, key: str) -> None:
    assert locate(str(Location(bucket, key)), "S3Uri") == Location(bucket, key)
