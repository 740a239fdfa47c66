"""The real client, over real sockets, through the real gate."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from tests.objects.quick_folder import quick_parent

from sagestead.domain.identity import Credential
from sagestead.frontdoor.dispatch import is_s3
from sagestead.frontdoor.gate import Gate, Service
from sagestead.frontdoor.server import FrontDoor
from sagestead.objects.store import FolderObjects
from sagestead.s3.handler import S3Handler

ACCOUNT = "123456789012"
KEY = Credential(
    "AKIAIOSFODNN7EXAMPLE", "a secret made for this test", ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root"
)
ODD_KEYS = ["a", "a/b", "a//b", "a b+c", "é/ü", "../x", "q?&=#%20", "new\nline", "\U0001f600", "~*'()!"]


class OneKey:
    """The credentials of one account."""

    def find(self, access_key_id: str) -> Credential | None:
        return KEY if access_key_id == KEY.access_key_id else None

    def add(self, credential: Credential) -> None:
        raise NotImplementedError

    def disable(self, access_key_id: str) -> bool:
        raise NotImplementedError

    def keys(self) -> list[Credential]:
        return [KEY]


class RunningServer:
    """A front door with nothing but S3 behind it, on a thread of its own."""

    def __init__(self, folder: Path) -> None:
        self.port = 0
        self._folder = folder
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(20)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        store = FolderObjects(self._folder, time.time)
        handler = S3Handler(store, "us-east-1")
        service = Service("s3", frozenset({"s3"}), "rest-xml", is_s3, handler)
        door = FrontDoor(Gate(OneKey(), [service], time.time, "us-east-1"))
        self.port = await door.start("127.0.0.1", 0)
        self._ready.set()
        await self._stop.wait()
        await door.drain(2)
        handler.close()
        store.close()


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with (
        TemporaryDirectory(dir=quick_parent()) as folder,
        RunningServer(Path(folder) / "objects") as server,
    ):
        yield server.port


def client_of(port: int, region: str = "us-east-1", **config: Any) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{port}",
        region_name=region,
        aws_access_key_id=KEY.access_key_id,
        aws_secret_access_key=KEY.secret,
        config=Config(retries={"max_attempts": 0}, max_pool_connections=20, **config),
    )


@pytest.fixture(scope="module")
def client(port: int) -> Iterator[Any]:
    made = client_of(port)
    yield made
    made.close()


@pytest.fixture
def bucket(client: Any, request: pytest.FixtureRequest) -> str:
    name = request.node.name.replace("_", "-").split("[")[0][:60].rstrip("-")
    client.create_bucket(Bucket=name)
    return str(name)


def code(error: ClientError) -> str:
    return str(error.response["Error"]["Code"])


def test_upload_and_download_of_many_parts(client: Any, bucket: str) -> None:
    content = os.urandom(20 << 20)
    client.upload_fileobj(io.BytesIO(content), bucket, "big", ExtraArgs={"Metadata": {"m": "1"}})
    head = client.head_object(Bucket=bucket, Key="big")
    assert (head["ContentLength"], head["Metadata"], head["ETag"][-3:]) == (20 << 20, {"m": "1"}, '-3"')
    taken = io.BytesIO()
    client.download_fileobj(bucket, "big", taken)
    assert hashlib.sha256(taken.getvalue()).digest() == hashlib.sha256(content).digest()


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"])
def test_checksums_of_each_kind(client: Any, port: int, algorithm: str) -> None:
    bucket = f"checksums-{algorithm.lower()}"
    client.create_bucket(Bucket=bucket)
    put = client.put_object(Bucket=bucket, Key="k", Body=b"hello", ChecksumAlgorithm=algorithm)
    got = client.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert got["Body"].read() == b"hello"
    assert got[f"Checksum{algorithm}"] == put[f"Checksum{algorithm}"]
    with pytest.raises(ClientError) as caught:
        client.put_object(
            Bucket=bucket, Key="k", Body=b"other", **{f"Checksum{algorithm}": put[f"Checksum{algorithm}"]}
        )
    assert code(caught.value) == "BadDigest"
    silent = client_of(port, request_checksum_calculation="when_required")
    silent.put_object(Bucket=bucket, Key="k", Body=b"plain")
    silent.close()


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1"])
def test_presigned_urls_of_both_versions(client: Any, port: int, region: str) -> None:
    bucket = f"presigned-{region}"
    client.create_bucket(Bucket=bucket)
    signer = client_of(port, region)
    place = {"Bucket": bucket, "Key": "a b/é"}
    url = signer.generate_presigned_url("put_object", Params=place)
    assert ("X-Amz-Signature" in url) == (region != "us-east-1")
    request = urllib.request.Request(url, data=b"signed", method="PUT", headers={"Content-Type": ""})
    with urllib.request.urlopen(request) as response:
        assert response.status == 200
    url = signer.generate_presigned_url("get_object", Params={**place, "ResponseContentType": "text/x"})
    with urllib.request.urlopen(url) as response:
        assert (response.read(), response.headers["Content-Type"]) == (b"signed", "text/x")
    signer.close()


def test_odd_keys_are_listed_and_read(client: Any, bucket: str) -> None:
    for key in ODD_KEYS:
        client.put_object(Bucket=bucket, Key=key, Body=key.encode())
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, PaginationConfig={"PageSize": 3})
    listed = [entry["Key"] for page in pages for entry in page["Contents"]]
    assert listed == sorted(ODD_KEYS, key=str.encode)
    for key in listed:
        assert client.get_object(Bucket=bucket, Key=key)["Body"].read() == key.encode()
    rolled = client.list_objects(Bucket=bucket, Delimiter="/", Prefix="a/")
    assert [prefix["Prefix"] for prefix in rolled["CommonPrefixes"]] == ["a//"]
    gone = client.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in ODD_KEYS]})
    assert len(gone["Deleted"]) == len(ODD_KEYS)
    client.delete_bucket(Bucket=bucket)


def test_of_twelve_conditional_puts_one_wins(client: Any, bucket: str) -> None:
    def put(number: int) -> int | None:
        try:
            client.put_object(Bucket=bucket, Key="k", Body=b"%d" % number, IfNoneMatch="*")
        except ClientError as error:
            if code(error) != "PreconditionFailed":
                raise
            return None
        return number

    with ThreadPoolExecutor(12) as pool:
        winners = [number for number in pool.map(put, range(12)) if number is not None]
    assert client.get_object(Bucket=bucket, Key="k")["Body"].read() == b"%d" % winners[0]
    assert len(winners) == 1


def test_copies_tags_and_versions(client: Any, bucket: str) -> None:
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    first = client.put_object(Bucket=bucket, Key="k", Body=b"one", Tagging="a=1")["VersionId"]
    client.put_object(Bucket=bucket, Key="k", Body=b"two")
    client.delete_object(Bucket=bucket, Key="k")
    with pytest.raises(ClientError) as caught:
        client.head_object(Bucket=bucket, Key="k")
    assert code(caught.value) == "404"
    source = {"Bucket": bucket, "Key": "k", "VersionId": first}
    copied = client.copy_object(Bucket=bucket, Key="copy", CopySource=source)
    assert copied["CopySourceVersionId"] == first
    assert client.get_object_tagging(Bucket=bucket, Key="copy")["TagSet"] == [{"Key": "a", "Value": "1"}]
    boto3_versions = client.list_object_versions(Bucket=bucket)
    assert [version["Key"] for version in boto3_versions["Versions"]] == ["copy", "k", "k"]
    assert [marker["IsLatest"] for marker in boto3_versions["DeleteMarkers"]] == [True]


def test_what_the_sdk_asks_of_its_default_bucket(client: Any, port: int) -> None:
    with pytest.raises(ClientError) as caught:
        client.head_bucket(Bucket="sagemaker-x", ExpectedBucketOwner=ACCOUNT)
    assert (code(caught.value), caught.value.response["Error"]["Message"]) == ("404", "Not Found")
    client.create_bucket(Bucket="sagemaker-x")
    with pytest.raises(ClientError) as caught:
        client.head_bucket(Bucket="sagemaker-x", ExpectedBucketOwner="999999999999")
    assert (code(caught.value), caught.value.response["Error"]["Message"]) == ("403", "Forbidden")
    elsewhere = client_of(port, "eu-central-1")
    elsewhere.create_bucket(Bucket="there", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    assert client.get_bucket_location(Bucket="there")["LocationConstraint"] == "eu-central-1"
    assert "there" in [entry["Name"] for entry in client.list_buckets()["Buckets"]]
    elsewhere.close()


def test_errors_name_what_was_asked(client: Any, bucket: str) -> None:
    with pytest.raises(client.exceptions.NoSuchKey) as caught:
        client.get_object(Bucket=bucket, Key="absent")
    assert caught.value.response["Error"]["Key"] == "absent"
    with pytest.raises(client.exceptions.NoSuchBucket):
        client.list_objects_v2(Bucket="absent-bucket")
    with pytest.raises(ClientError) as refused:
        client.put_bucket_policy(Bucket=bucket, Policy="{}")
    assert code(refused.value) == "NotImplemented"
    assert "policy" in refused.value.response["Error"]["Message"]
