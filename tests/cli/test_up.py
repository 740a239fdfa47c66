"""`sagestead up` and its sisters, as a user meets them."""

import contextlib
import os
import signal
import socket
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from sagestead.settings import Folder, Server

Start = Callable[..., AbstractContextManager[subprocess.Popen[bytes]]]
Variables = Callable[..., dict[str, str]]
ClientOf = Callable[..., Any]


def sagestead(*words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sagestead", *words]
    return subprocess.run(command, check=check, capture_output=True, text=True, timeout=60)


def status_of(url: str, method: str = "GET") -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return int(error.code)


def test_it_starts_serves_and_stops(tmp_path: Path, start: Start) -> None:
    begun = time.monotonic()
    with start(tmp_path / "data") as process:
        ready = time.monotonic() - begun
        server = Server.read(Folder(tmp_path / "data"))
        assert server is not None
        assert status_of(f"{server.url}/-/health") == 200
        for path in (
            "/",
            "/-/health/",
            "/-/healthz",
            "/endpoints/a/invocations",
            "/bucket/key",
            "/-/health/..",
        ):
            assert status_of(server.url + path) in {400, 403}, path
        assert status_of(f"{server.url}/-/health", "POST") in {400, 403}
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert process.stdout is not None
        said = process.stdout.read().decode()
    assert server.url in said
    assert "sagestead env" in said
    assert ready < 6.0, "2 s on an idle machine; the tests share theirs"


def test_sigint_ends_it_too(tmp_path: Path, start: Start) -> None:
    with start(tmp_path / "data") as process:
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0


def test_a_second_instance_on_the_folder_is_refused(tmp_path: Path, start: Start) -> None:
    with start(tmp_path / "data"):
        second = sagestead("up", "--port", "0", "--data", str(tmp_path / "data"), check=False)
    assert second.returncode == 1
    assert "Another Sagestead uses the data folder" in second.stderr
    assert "Traceback" not in second.stderr


def test_a_taken_port_is_refused_with_a_sentence(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        refused = sagestead("up", "--port", port, "--data", str(tmp_path / "data"), check=False)
    assert refused.returncode == 1
    assert "choose another with --port" in " ".join(refused.stderr.split())


@pytest.mark.parametrize(
    ("shell", "line"),
    [
        ("bash", "export AWS_REGION=us-east-1"),
        ("fish", "set -gx AWS_REGION us-east-1;"),
        ("powershell", "$env:AWS_REGION = 'us-east-1'"),
        ("r", '  AWS_REGION = "us-east-1",'),
    ],
)
def test_env_speaks_the_shells_language(environment: dict[str, str], shell: str, line: str) -> None:
    data = Path(environment["SAGEMAKER_USER_CONFIG_OVERRIDE"]).parents[1]
    assert line in sagestead("env", "--shell", shell, "--data", str(data)).stdout.splitlines()


def test_env_names_everything_that_clients_read(environment: dict[str, str]) -> None:
    assert set(environment) == {
        "AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_DEFAULT_REGION",
        "SAGEMAKER_ROLE_ARN", "SAGEMAKER_USER_CONFIG_OVERRIDE",
    }  # fmt: skip
    config = Path(environment["SAGEMAKER_USER_CONFIG_OVERRIDE"]).read_text()
    assert "TelemetryOptOut: true" in config
    assert "DefaultS3Bucket: sagemaker-us-east-1-123456789012" in config


def test_secrets_stay_private_and_keys_can_be_disabled(
    tmp_path: Path, start: Start, variables_of: Variables, client_of: ClientOf
) -> None:
    data = tmp_path / "data"
    with start(data):
        assert stat.S_IMODE(data.stat().st_mode) == 0o700
        assert stat.S_IMODE((data / "store.db").stat().st_mode) == 0o600
        first = variables_of(data)
        made = sagestead("keys", "create", "--data", str(data)).stdout
        key = made.split("AWS_ACCESS_KEY_ID=")[1].split()[0]
        second = variables_of(data, "--key", key)
        assert first["AWS_SECRET_ACCESS_KEY"] not in sagestead("keys", "list", "--data", str(data)).stdout
        identity = client_of(second, "sts").get_caller_identity()
        assert identity["Account"] == "123456789012"
        sagestead("keys", "disable", key, "--data", str(data))
        deadline = time.monotonic() + 5
        while is_known(client_of(second, "sts")):
            assert time.monotonic() < deadline, "a disabled key still works after 5 s"
        assert client_of(first, "sts").get_caller_identity()["Account"] == "123456789012"


def is_known(sts: Any) -> bool:
    try:
        sts.get_caller_identity()
    except sts.exceptions.ClientError as refused:
        return refused.response["Error"]["Code"] not in {
            "InvalidClientTokenId",
            "UnrecognizedClientException",
        }
    return True


def test_status_doctor_and_down(tmp_path: Path, start: Start) -> None:
    data = str(tmp_path / "data")
    assert sagestead("status", "--data", data, check=False).returncode == 1
    with start(tmp_path / "data") as process:
        assert "Process" in sagestead("status", "--data", data).stdout
        assert "a signed request passes" in sagestead("doctor", "--data", data).stdout
        assert sagestead("down", "--data", data).stdout == "Stopped.\n"
        assert process.wait(10) == 0
    assert sagestead("down", "--data", data, check=False).returncode == 1


def test_children_end_when_the_supervisor_is_killed(tmp_path: Path, start: Start) -> None:
    with start(tmp_path / "data") as process:
        children = children_of(process.pid)
        assert len(children) >= 2
        process.kill()
        process.wait(10)
        deadline = time.monotonic() + 10
        while any(Path(f"/proc/{child}").exists() for child in children) and time.monotonic() < deadline:
            os.sched_yield()
    assert not [child for child in children if Path(f"/proc/{child}").exists()]


def test_a_dead_front_door_is_replaced(tmp_path: Path, start: Start, variables_of: Variables) -> None:
    with start(tmp_path / "data", "--front-doors", "2") as process:
        url = variables_of(tmp_path / "data")["AWS_ENDPOINT_URL"]
        for child in children_of(process.pid):
            os.kill(child, signal.SIGKILL)
        deadline = time.monotonic() + 20
        answered = 0
        while answered < 20 and time.monotonic() < deadline:
            with contextlib.suppress(urllib.error.URLError, ConnectionError):
                answered += status_of(f"{url}/-/health") == 200
        assert answered == 20
        assert len(children_of(process.pid)) == 3


def children_of(pid: int) -> list[int]:
    listed = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(pid)], check=False, capture_output=True, text=True
    )
    return [int(line) for line in listed.stdout.split()]


def test_env_removes_what_would_lead_clients_astray(environment: dict[str, str]) -> None:
    data = Path(environment["SAGEMAKER_USER_CONFIG_OVERRIDE"]).parents[1]
    command = [sys.executable, "-m", "sagestead", "env", "--data", str(data)]
    before = {
        **os.environ,
        "AWS_SESSION_TOKEN": "of another account",
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1",
    }
    said = subprocess.run(command, check=True, capture_output=True, text=True, env=before).stdout.splitlines()
    assert said[:2] == ["unset AWS_ENDPOINT_URL_S3", "unset AWS_SESSION_TOKEN"]
