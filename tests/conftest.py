"""Real servers for tests: started as a user starts them, each on a free loopback port and its own folder."""

import csv
import json
import random
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from sagestead.settings import Folder, Server

Start = Callable[..., AbstractContextManager[subprocess.Popen[bytes]]]

READY_LIMIT = 30.0


@contextmanager
def running(data: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run `sagestead up` on the folder for the length of the block; ends it with SIGTERM."""
    command = [sys.executable, "-m", "sagestead", "up", "--port", "0", "--data", str(data), *options]
    folder = Folder(data)
    folder.server.unlink(missing_ok=True)
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        deadline = time.monotonic() + READY_LIMIT
        while Server.read(folder) is None:
            assert process.poll() is None, "the server ended before it was ready"
            assert time.monotonic() < deadline, "the server was not ready in time"
            select.select([], [], [], 0.02)
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(60)
        if process.stdout is not None:
            process.stdout.close()


def exported(data: Path, *options: str) -> dict[str, str]:
    """Return what `sagestead env` exports."""
    command = [sys.executable, "-m", "sagestead", "env", "--shell", "json", "--data", str(data), *options]
    values: dict[str, str] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return values


@pytest.fixture(scope="session")
def start() -> Start:
    """`start(folder, *options)`: a context manager that runs a server and yields its process."""
    return running


@pytest.fixture(scope="session")
def variables_of() -> Callable[..., dict[str, str]]:
    """`variables_of(folder, *options)`: what `sagestead env` exports."""
    return exported


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A server shared by the tests of one process, as the variables that point clients at it."""
    data = tmp_path_factory.mktemp("shared") / "data"
    with running(data):
        yield exported(data)


def make_client(environment: dict[str, str], service: str, **config: Any) -> Any:
    """Return a boto3 client of a server."""
    return boto3.client(
        service,
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        region_name=environment["AWS_REGION"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        config=Config(**config),
    )


@pytest.fixture(scope="session")
def client_of() -> Callable[..., Any]:
    """`client_of(environment, service)`: a boto3 client of that server."""
    return make_client


@pytest.fixture(scope="session")
def client(environment: dict[str, str]) -> Callable[..., Any]:
    """`client(service)`: a boto3 client of the shared server."""
    return lambda service, **config: make_client(environment, service, **config)


@dataclass(frozen=True)
class Hotels:
    """The hotel bookings as the built-in XGBoost takes them: label first, no header; `test` has no label."""

    train: bytes
    validation: bytes
    test: bytes


NUMBERS = (
    "lead_time", "stays_in_weekend_nights", "stays_in_week_nights", "adults", "is_repeated_guest",
    "booking_changes", "days_in_waiting_list", "average_daily_rate", "total_of_special_requests",
)  # fmt: skip
ROOMS = "ABCDEFGH"


@pytest.fixture(scope="session")
def hotels() -> Hotels:
    """Encode and split the demo's bookings."""
    with files("sagestead.demo").joinpath("hotels.csv").open() as source:
        rows = [
            [str(int(row["children"] != "none"))]
            + [row[name] for name in NUMBERS]
            + [str(int(row["reserved_room_type"] == room)) for room in ROOMS]
            for row in csv.DictReader(source)
        ]
    random.Random(28).shuffle(rows)  # noqa: S311 - the same split every time

    def lines(part: list[list[str]]) -> bytes:
        return "".join(",".join(row) + "\n" for row in part).encode()

    return Hotels(lines(rows[:2000]), lines(rows[2000:2600]), lines([row[1:] for row in rows[2600:3100]]))
