"""Whatever a command meets, it ends with a sentence and the right code, never with a stack."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sagestead.cli import app
from sagestead.settings import Folder, Server, Settings

Start = Callable[..., AbstractContextManager[subprocess.Popen[bytes]]]

HAS_IPV6 = Path("/proc/net/if_inet6").exists() or sys.platform == "darwin"


def sagestead(*words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sagestead", *map(str, words)]
    result = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **environment},
    )
    assert "Traceback" not in result.stdout + result.stderr
    return result


@pytest.fixture(scope="module")
def odd_folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    place = tmp_path_factory.mktemp("odd")
    (place / "file").write_text("x")
    (place / "damaged").mkdir()
    (place / "damaged" / "store.db").write_text("this is no database")
    return {
        "file": place / "file",
        "damaged": place / "damaged",
        "absent": place / "absent",
        "brackets": place / "[" / "red]x [bold",
        "under a file": place / "file" / "data",
    }


@pytest.mark.parametrize("folder", ["file", "damaged", "absent", "brackets", "under a file"])
@pytest.mark.parametrize(
    "words", [("env",), ("status",), ("jobs",), ("down",), ("keys", "list"), ("keys", "create")], ids=" ".join
)
def test_commands_that_need_a_data_folder_say_what_is_missing(
    odd_folders: dict[str, Path], folder: str, words: tuple[str, ...]
) -> None:
    result = CliRunner().invoke(app, [*words, "--data", str(odd_folders[folder])])
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert str(odd_folders[folder]) in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("folder", ["file", "damaged", "under a file"])
def test_up_says_why_a_data_folder_cannot_be_used(odd_folders: dict[str, Path], folder: str) -> None:
    result = sagestead("up", "--port", 0, "--data", odd_folders[folder])
    assert result.returncode == 1
    assert str(odd_folders[folder]) in result.stderr
    assert "--data" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_doctor_finds_a_data_folder_that_is_a_file(odd_folders: dict[str, Path]) -> None:
    result = CliRunner().invoke(app, ["doctor", "--data", str(odd_folders["file"])])
    assert result.exit_code == 1
    assert f"bad  data folder {odd_folders['file']}" in result.stdout


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--port", "70000"), "--port"),
        (("--port", "many"), "--port"),
        (("--front-doors", "0"), "--front-doors"),
        (("--frontdoors", "1"), "--frontdoors"),
        (("--account", "1"), "--account"),
        (("--region", "nowhere"), "--region"),
        (("--host", "999.0.0.1"), "--host"),
        (("--tls-cert", __file__), "--tls-key"),
        (("--tls-cert", "/absent", "--tls-key", "/absent"), "/absent"),
        (("--tls-cert", __file__, "--tls-key", __file__), "PEM"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_wrong_options_are_named(tmp_path: Path, options: tuple[str, ...], named: str) -> None:
    result = sagestead("up", "--data", tmp_path / "data", "--port", "0", *options)
    assert result.returncode in {1, 2}
    assert named in result.stderr


def test_it_serves_on_ipv6_and_prints_secrets_whole(tmp_path: Path, start: Start) -> None:
    data = tmp_path / "data"
    with start(data, "--host", "::" if HAS_IPV6 else "127.0.0.1"):
        server = Server.read(Folder(data))
        assert server is not None
        with urllib.request.urlopen(f"{server.url}/-/health", timeout=5) as answer:
            assert answer.status == 200
        created = sagestead("keys", "create", "--data", data, COLUMNS="40").stdout.splitlines()
        narrow = sagestead("keys", "list", "--data", data, COLUMNS="40", PYTHONIOENCODING="ascii").stdout
        plain = sagestead("status", "--data", data, COLUMNS="40", NO_COLOR="1").stdout
    assert [len(line.partition("=")[2]) for line in created] == [20, 40]
    assert created[0].partition("=")[2] in narrow
    assert "\x1b" not in plain


def test_nothing_runs_after_a_killed_server_and_the_next_one_continues(tmp_path: Path, start: Start) -> None:
    data = tmp_path / "data"
    with start(data) as process:
        left = (data / "server.json").read_bytes()
        process.kill()
        process.wait(10)
    (data / "server.json").write_bytes(left)
    for command in ("env", "status", "down"):
        result = sagestead(command, "--data", data)
        assert (result.returncode, result.stderr) == (
            1,
            f"No server runs on {data}. Start one with 'sagestead up'.\n",
        )
    with start(data):
        assert sagestead("env", "--data", data).returncode == 0
        second = sagestead("up", "--data", data, "--port", 0)
        assert second.returncode == 1
        assert Server.read(Folder(data)) is not None, "a refused instance must not disturb the running one"


@pytest.mark.parametrize("after", [0.0, 0.4])
def test_sigterm_while_it_starts_ends_it_in_order(tmp_path: Path, after: float) -> None:
    command = [sys.executable, "-m", "sagestead", "up", "--port", "0", "--data", str(tmp_path / "data")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 20
    while not (tmp_path / "data" / "lock").exists():
        assert time.monotonic() < deadline
        os.sched_yield()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(after)
    process.send_signal(signal.SIGTERM)
    said, wrong = process.communicate(timeout=30)
    assert process.returncode == 0
    assert b"Stopped" in said
    assert wrong == b""


def test_a_folder_that_was_never_served_has_no_remains_of_a_port(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        result = sagestead("up", "--port", taken.getsockname()[1], "--data", tmp_path / "data")
    assert result.returncode == 1
    assert Server.read(Folder(tmp_path / "data")) is None


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("0.0.0.0", "127.0.0.1"),  # noqa: S104 - nothing is bound here
        ("::", "[::1]"),
        ("::1", "[::1]"),
        ("localhost", "localhost"),
    ],
)
def test_the_address_that_clients_are_given_can_be_reached(host: str, shown: str) -> None:
    assert Settings("data", host=host, port=1).url == f"http://{shown}:1"
