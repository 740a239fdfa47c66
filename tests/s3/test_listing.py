"""Listings of objects, and requests that are malformed."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sagestead.objects.rolling import after_key, common_prefix, roll_up, start_after

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.s3.conftest import Answer, Client


def fill(s3: Client, bucket: str, keys: list[str]) -> None:
    for key in keys:
        s3("PUT", f"{bucket}/{quote(key)}", b"")


def pages(s3: Client, target: str) -> Iterator[Answer]:
    token = ""
    while True:
        page = s3("GET", f"{target}&list-type=2{token}")
        yield page
        if page.texts("IsTruncated") == ["false"]:
            return
        token = f"&continuation-token={page.texts('NextContinuationToken')[0]}"


def test_the_first_version_pages_by_key_and_common_prefix(s3: Client, bucket: str) -> None:
    fill(s3, bucket, ["asdf", "boo/bar", "boo/baz/xyzzy", "cquux/thud", "cquux/bla"])
    marker, seen = "", []
    for _ in range(3):
        page = s3("GET", f"{bucket}?delimiter=/&max-keys=1&marker={quote(marker)}")
        seen += page.texts("Contents/Key") + page.texts("CommonPrefixes/Prefix")
        marker = next(iter(page.texts("NextMarker")), "")
    assert seen == ["asdf", "boo/", "cquux/"]
    assert marker == ""
    below = s3("GET", f"{bucket}?delimiter=/&prefix=boo/")
    assert (below.texts("Contents/Key"), below.texts("CommonPrefixes/Prefix")) == (["boo/bar"], ["boo/baz/"])


def test_the_second_version_counts_and_continues(s3: Client, bucket: str) -> None:
    fill(s3, bucket, [f"k{number}" for number in range(5)] + ["p/1", "p/2"])
    found = list(pages(s3, f"{bucket}?max-keys=3&delimiter=/"))
    assert [page.texts("KeyCount") for page in found] == [["3"], ["3"]]
    assert found[1].texts("CommonPrefixes/Prefix") == ["p/"]
    started = s3("GET", f"{bucket}?list-type=2&start-after=k3&fetch-owner=true")
    assert started.texts("Contents/Key") == ["k4", "p/1", "p/2"]
    assert len(started.texts("Contents/Owner/ID")[0]) == 64
    again = s3("GET", f"{bucket}?list-type=2&continuation-token=&prefix=p%25&encoding-type=url")
    assert (again.texts("ContinuationToken"), again.texts("Prefix")) == ([""], ["p%25"])
    none = s3("GET", f"{bucket}?list-type=2&max-keys=0")
    assert (none.texts("KeyCount"), none.texts("IsTruncated")) == (["0"], ["false"])


def test_odd_keys_survive_url_encoding(s3: Client, bucket: str) -> None:
    keys = ["a\x01b", "new\nline", "pl+us", "sp ace", "q?&=", "é/ü", "a//b", "../x", "\U0001f600"]
    fill(s3, bucket, keys)
    listed = s3("GET", f"{bucket}?list-type=2&encoding-type=url")
    assert [unquote(key) for key in listed.texts("Contents/Key")] == sorted(keys, key=str.encode)
    raw = s3("GET", f"{bucket}?list-type=2").body
    assert b"a&#x1;b" in raw


@pytest.mark.parametrize(
    ("target", "code"),
    [
        (b"/bucket?max-keys=-1", "InvalidArgument"),
        (b"/bucket?max-keys=many", "InvalidArgument"),
        (b"/bucket?max-keys=99999999999999999999999", "InvalidArgument"),
        (b"/bucket?encoding-type=base64", "InvalidArgument"),
        (b"/bucket?list-type=3", "InvalidArgument"),
        (b"/bucket?list-type=2&continuation-token=%ff", "InvalidURI"),
        (b"/bucket?list-type=2&continuation-token=AAA", "InvalidArgument"),
        (b"/bucket?prefix=a&prefix=b", "InvalidArgument"),
        (b"/bucket?versions&version-id-marker=x", "InvalidArgument"),
        (b"/bucket?versions&key-marker=a&version-id-marker=x", "InvalidArgument"),
        (b"/bucket?uploads&max-uploads=x", "InvalidArgument"),
        (b"/bucket/%zz", "InvalidURI"),
        (b"/bucket/%ff", "InvalidURI"),
        (b"/bucket/" + b"k" * 1025, "KeyTooLongError"),
        (b"/bucket/k?partNumber=0", "InvalidArgument"),
    ],
)
def test_malformed_requests_are_refused(s3: Client, bucket: str, target: bytes, code: str) -> None:
    s3("PUT", f"{bucket}/k", b"")
    assert s3.code("GET", target) == (400, code)


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"<",
        b"<Delete>",
        b"<Delete/>",
        b"<Delete><Object/></Delete>",
        b"<Delete><Object><Key>k</Key><Size>x</Size></Object></Delete>",
        b"<Delete><Object><Key>k</Key><LastModifiedTime>x</LastModifiedTime></Object></Delete>",
        b'<!DOCTYPE a [<!ENTITY b "c">]><Delete><Object><Key>&b;</Key></Object></Delete>',
        '<?xml version="1.0" encoding="utf-16"?><!DOCTYPE Delete><Delete/>'.encode("utf-16"),
        b'<?xml version="1.0" encoding="klingon"?><Delete/>',
        b"\xff\xfe\x00",
        b"<Delete>" + b"<Object><Key>k</Key></Object>" * 1001 + b"</Delete>",
    ],
)
def test_malformed_documents_are_refused(s3: Client, bucket: str, document: bytes) -> None:
    assert s3.code("POST", f"{bucket}?delete", document) == (400, "MalformedXML")


KEYS = st.lists(st.text("ab/", min_size=1, max_size=6).map(str.encode), unique=True, max_size=12).map(sorted)


@given(
    KEYS, st.text("ab/", max_size=2).map(str.encode), st.sampled_from([b"", b"/", b"b"]), st.integers(1, 4)
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_pages_hold_every_entry_once(keys: list[bytes], prefix: bytes, delimiter: bytes, limit: int) -> None:
    def seek(low: bytes) -> Iterator[tuple[bytes, str]]:
        return ((key, key.decode()) for key in keys if key >= low)

    expected: list[bytes] = []
    for key in keys:
        entry = common_prefix(key, prefix, delimiter) or key
        if key.startswith(prefix) and entry not in expected:
            expected.append(entry)
    seen: list[bytes] = []
    after = b""
    while True:
        page = roll_up(seek, start_after(after, prefix, delimiter), prefix, delimiter, limit)
        seen += [entry if isinstance(entry, bytes) else entry.encode() for entry in page.entries]
        if not page.truncated:
            break
        assert len(page.entries) == limit
        after = seen[-1]
    assert seen == expected


def test_the_key_after_a_key_is_the_least_one() -> None:
    assert after_key(b"a") == b"a\0"
