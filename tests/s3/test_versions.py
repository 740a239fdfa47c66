"""Versioning: currency, delete markers, null versions, listings of versions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.s3.conftest import Client

ENABLED = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
SUSPENDED = b"<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>"


@pytest.fixture
def versioned(s3: Client, bucket: str) -> str:
    s3("PUT", f"{bucket}?versioning", ENABLED)
    return bucket


def put(s3: Client, target: str, body: bytes) -> str:
    return s3("PUT", target, body).headers.get("x-amz-version-id", "")


def test_every_version_can_be_read(s3: Client, versioned: str) -> None:
    ids = [put(s3, f"{versioned}/k", body) for body in (b"one", b"two")]
    assert s3("GET", f"{versioned}/k").body == b"two"
    assert s3("GET", f"{versioned}/k?versionId={ids[0]}").body == b"one"
    assert s3("GET", f"{versioned}?versioning").texts("Status") == ["Enabled"]
    assert s3.code("GET", f"{versioned}/k?versionId={'0' * 32}") == (404, "NoSuchVersion")
    assert s3.code("GET", f"{versioned}/k?versionId=nonsense") == (400, "InvalidArgument")


def test_delete_leaves_a_marker_and_the_marker_can_go(s3: Client, versioned: str) -> None:
    put(s3, f"{versioned}/k", b"one")
    marker = s3("DELETE", f"{versioned}/k").headers
    assert marker["x-amz-delete-marker"] == "true"
    refusal = s3.refusal("GET", f"{versioned}/k")
    assert (refusal.code, refusal.headers["x-amz-delete-marker"]) == ("NoSuchKey", "true")
    target = f"{versioned}/k?versionId={marker['x-amz-version-id']}"
    assert s3.code("GET", target) == (405, "MethodNotAllowed")
    assert s3("DELETE", target).headers["x-amz-delete-marker"] == "true"
    assert s3("GET", f"{versioned}/k").body == b"one"


def test_deleting_the_current_version_brings_back_the_one_before(s3: Client, versioned: str) -> None:
    ids = [put(s3, f"{versioned}/k", body) for body in (b"one", b"two")]
    s3("DELETE", f"{versioned}/k?versionId={ids[1]}")
    assert s3("GET", f"{versioned}/k").body == b"one"


def test_suspended_writes_replace_the_null_version_only(s3: Client, bucket: str) -> None:
    s3("PUT", f"{bucket}/k", b"before")
    s3("PUT", f"{bucket}?versioning", ENABLED)
    kept = put(s3, f"{bucket}/k", b"kept")
    s3("PUT", f"{bucket}?versioning", SUSPENDED)
    assert put(s3, f"{bucket}/k", b"after") == ""
    assert s3("HEAD", f"{bucket}/k").headers["x-amz-version-id"] == "null"
    listed = s3("GET", f"{bucket}?versions")
    assert listed.texts("Version/VersionId") == ["null", kept]
    assert listed.texts("Version/IsLatest") == ["true", "false"]
    assert s3("DELETE", f"{bucket}/k").headers["x-amz-version-id"] == "null"
    listed = s3("GET", f"{bucket}?versions")
    assert listed.texts("DeleteMarker/VersionId") == ["null"]
    assert listed.texts("Version/VersionId") == [kept]


def test_versions_are_paged_even_while_they_are_deleted(s3: Client, versioned: str) -> None:
    ids = {key: [put(s3, f"{versioned}/{key}", b"x") for _ in range(3)] for key in ("a", "b")}
    seen: list[tuple[str, str]] = []
    markers = ""
    while True:
        page = s3("GET", f"{versioned}?versions&max-keys=2{markers}")
        found = list(zip(page.texts("Version/Key"), page.texts("Version/VersionId"), strict=True))
        seen += found
        for key, version in found:
            s3("DELETE", f"{versioned}/{key}?versionId={version}")
        if page.texts("IsTruncated") == ["false"]:
            break
        key, version = page.texts("NextKeyMarker")[0], page.texts("NextVersionIdMarker")[0]
        markers = f"&key-marker={key}&version-id-marker={version}"
    assert seen == [(key, version) for key, of_key in ids.items() for version in reversed(of_key)]
    assert s3("DELETE", versioned).status == 204


def test_copies_name_the_versions(s3: Client, versioned: str) -> None:
    first = put(s3, f"{versioned}/k", b"one")
    put(s3, f"{versioned}/k", b"two")
    restored = s3("PUT", f"{versioned}/k", x_amz_copy_source=f"bucket/k?versionId={first}")
    assert restored.headers["x-amz-copy-source-version-id"] == first
    assert s3("GET", f"{versioned}/k").body == b"one"
    assert s3("HEAD", f"{versioned}/k").headers["x-amz-version-id"] == restored.headers["x-amz-version-id"]


def test_many_are_deleted_with_markers_and_by_version(s3: Client, versioned: str) -> None:
    version = put(s3, f"{versioned}/a", b"")
    put(s3, f"{versioned}/b", b"")
    document = (
        f"<Delete><Object><Key>a</Key><VersionId>{version}</VersionId></Object>"
        "<Object><Key>b</Key></Object></Delete>"
    )
    done = s3("POST", f"{versioned}?delete", document.encode())
    assert done.texts("Deleted/Key") == ["a", "b"]
    assert done.texts("Deleted/DeleteMarker") == ["true"]
    assert s3("GET", f"{versioned}?versions").texts("DeleteMarker/Key") == ["b"]
