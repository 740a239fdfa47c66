"""`sagestead up --tls` with real clients that check its certificate: boto3, curl, doctor."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import SSLError

Start = Callable[..., AbstractContextManager[subprocess.Popen[bytes]]]


@dataclass(frozen=True)
class Secured:
    """A server, and what `sagestead env` exports for it."""

    data: Path
    values: dict[str, str]

    def client(self, service: str) -> Any:
        return boto3.client(service, endpoint_url=self.values["AWS_ENDPOINT_URL"], region_name="us-east-1")


@pytest.fixture(scope="module")
def secured(
    tmp_path_factory: pytest.TempPathFactory, start: Start, variables_of: Callable[..., dict[str, str]]
) -> Iterator[Secured]:
    data = tmp_path_factory.mktemp("tls") / "data"
    with start(data, "--tls", "--host", "localhost"):
        yield Secured(data, variables_of(data))


@pytest.fixture
def exported(secured: Secured, monkeypatch: pytest.MonkeyPatch) -> Secured:
    """The server, in a process with the exported variables."""
    for name, value in secured.values.items():
        monkeypatch.setenv(name, value)
    return secured


def command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sagestead", *words], capture_output=True, text=True, timeout=60, check=False
    )


def test_env_exports_the_address_and_the_authority(secured: Secured) -> None:
    assert secured.values["AWS_ENDPOINT_URL"].startswith("https://localhost:")
    assert secured.values["AWS_CA_BUNDLE"] == str(secured.data / "tls" / "ca.pem")
    assert "REQUESTS_CA_BUNDLE" not in secured.values


def test_boto3_with_the_exported_variables_alone(exported: Secured) -> None:
    s3 = exported.client("s3")
    s3.create_bucket(Bucket="over-tls")
    s3.put_object(Bucket="over-tls", Key="k", Body=b"hello")
    assert s3.get_object(Bucket="over-tls", Key="k")["Body"].read() == b"hello"
    assert exported.client("sagemaker").list_models()["Models"] == []
    assert exported.client("sts").get_caller_identity()["Account"] == "123456789012"


def test_boto3_without_the_bundle_refuses_the_server(
    exported: Secured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_CA_BUNDLE")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        exported.client("sts").get_caller_identity()


def test_curl_checks_the_certificate(secured: Secured) -> None:
    address = secured.values["AWS_ENDPOINT_URL"].replace("localhost", "127.0.0.1")
    health, bundle = "/-/health", secured.values["AWS_CA_BUNDLE"]
    # started with --host localhost: the loopback address is among the names all the same
    trusting = ["curl", "-sS", "--fail", "--max-time", "20", "--cacert", bundle]
    for url in (secured.values["AWS_ENDPOINT_URL"], address):
        answer = subprocess.run([*trusting, url + health], capture_output=True, check=True)
        assert answer.stdout == b'{"status":"ok"}'
    doubting = ["curl", "-sS", "--max-time", "20", address + health]
    assert subprocess.run(doubting, capture_output=True, check=False).returncode == 60


def test_the_commands_reach_the_server_without_any_variable(secured: Secured) -> None:
    report = command("doctor", "--data", str(secured.data))
    assert "certificate of localhost, " in report.stdout
    assert "is good for 90 days" in report.stdout
    assert "ok   its keys are private" in report.stdout
    assert "ok   a signed request passes" in report.stdout
    assert command("status", "--data", str(secured.data)).returncode == 0


def test_doctor_says_what_is_wrong_with_a_certificate(secured: Secured) -> None:
    bundle, key = secured.data / "tls" / "ca.pem", secured.data / "tls" / "server.pem"
    whole = bundle.read_bytes()
    try:
        key.chmod(0o640)
        report = command("doctor", "--data", str(secured.data))
        assert "bad  its keys are private" in report.stdout
        assert f"chmod 600 {secured.data}" in report.stdout
        bundle.write_bytes(_another_authority(secured.data.parent))
        report = command("doctor", "--data", str(secured.data))
        assert (report.returncode, "is not trusted" in report.stdout) == (1, True)
    finally:
        key.chmod(0o600)
        bundle.write_bytes(whole)


def _another_authority(place: Path) -> bytes:
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-days", "2", "-subj", "/CN=another", "-keyout", "k.pem", "-out", "c.pem"],
        check=True, cwd=place, capture_output=True,
    )  # fmt: skip
    return (place / "c.pem").read_bytes()


def test_without_tls_the_authority_is_kept_and_not_exported(
    tmp_path: Path, start: Start, variables_of: Callable[..., dict[str, str]]
) -> None:
    data, seen = tmp_path / "data", []
    for options in (["--tls"], []):
        with start(data, *options):
            values = variables_of(data)
            scheme = values["AWS_ENDPOINT_URL"].partition(":")[0]
            seen.append((scheme, "AWS_CA_BUNDLE" in values, (data / "tls" / "ca.pem").read_bytes()))
    assert [(scheme, told) for scheme, told, _ in seen] == [("https", True), ("http", False)]
    assert seen[0][2] == seen[1][2]


def test_tls_is_made_here_or_brought_along_not_both(tmp_path: Path) -> None:
    refused = command("up", "--tls", "--tls-cert", "a", "--tls-key", "b", "--data", str(tmp_path / "data"))
    assert refused.returncode == 1
    assert "--tls makes a certificate" in refused.stderr


def test_a_damaged_authority_stops_the_start_with_a_remedy(tmp_path: Path) -> None:
    authority = tmp_path / "data" / "tls" / "authority.pem"
    authority.parent.mkdir(parents=True)
    authority.write_text("damaged")
    refused = command("up", "--tls", "--port", "0", "--data", str(tmp_path / "data"))
    assert refused.returncode == 1
    assert f"{authority} is damaged; remove it" in refused.stderr.replace("\n", "")
