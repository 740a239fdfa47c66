"""HTTPS with real boto3: its uploads then use aws-chunked bodies with a trailing checksum."""

import subprocess
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import boto3
import pytest

Start = Callable[..., AbstractContextManager[subprocess.Popen[bytes]]]
CERTIFICATE = (
    "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
    "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem",
)  # fmt: skip


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    subprocess.run(CERTIFICATE, check=True, cwd=tmp_path, capture_output=True)
    return tmp_path


def test_objects_arrive_without_their_chunk_framing(
    certificate: Path, start: Start, variables_of: Callable[..., dict[str, str]]
) -> None:
    options = ("--tls-cert", str(certificate / "cert.pem"), "--tls-key", str(certificate / "key.pem"))
    with start(certificate / "data", *options):
        values = variables_of(certificate / "data")
        assert values["AWS_ENDPOINT_URL"].startswith("https://127.0.0.1:")

        def client(service: str) -> Any:
            return boto3.client(
                service,
                endpoint_url=values["AWS_ENDPOINT_URL"],
                region_name="us-east-1",
                verify=str(certificate / "cert.pem"),
                aws_access_key_id=values["AWS_ACCESS_KEY_ID"],
                aws_secret_access_key=values["AWS_SECRET_ACCESS_KEY"],
            )

        s3 = client("s3")
        s3.create_bucket(Bucket="over-tls")
        for algorithm in ("CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"):
            s3.put_object(Bucket="over-tls", Key=algorithm, Body=b"hello", ChecksumAlgorithm=algorithm)
            answer = s3.get_object(Bucket="over-tls", Key=algorithm, ChecksumMode="ENABLED")
            assert answer["Body"].read() == b"hello"
            assert f"Checksum{algorithm}" in answer
        large = certificate / "large"
        large.write_bytes(bytes(range(256)) * 80_000)
        s3.upload_file(str(large), "over-tls", "large")
        s3.download_file("over-tls", "large", str(certificate / "back"))
        assert (certificate / "back").read_bytes() == large.read_bytes()
        assert client("sts").get_caller_identity()["Account"] == "123456789012"
        assert client("sagemaker").list_models()["Models"] == []
