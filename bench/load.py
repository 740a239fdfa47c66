"""Load by wrk, with ready-made requests that differ; and the check that answers are right, also under load.

wrk costs about a tenth of a core at ten thousand requests a second, so that it takes little from the server
that it measures on the same machine.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Self

LUA = Path(__file__).with_name("rotate.lua")
CHECK_EVERY = 0.05
TIMEOUT = 30.0


class LoadError(Exception):
    """A measurement that is no figure: why, in one sentence."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request ready to be sent, and the test that its answer must pass."""

    path: str
    headers: dict[str, str]
    body: bytes
    right: Callable[[bytes], bool]

    def wire(self, address: str) -> bytes:
        """Return the request's bytes."""
        fields = {"Host": address, **self.headers, "Content-Length": str(len(self.body))}
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        return f"POST {self.path} HTTP/1.1\r\n{head}\r\n".encode() + self.body


@dataclass(frozen=True, slots=True)
class Load:
    """What wrk saw: requests answered, seconds, latencies in microseconds, its own processor seconds."""

    requests: int
    seconds: float
    p50_us: float
    p99_us: float
    checked: int
    wrk_cpu: float

    @property
    def rate(self) -> float:
        """Return requests a second."""
        return self.requests / self.seconds


def find_wrk() -> str:
    """Return wrk's path."""
    found = shutil.which("wrk")
    if found is None:
        raise SystemExit(
            "The load generator wrk is needed (Debian: apt install wrk; macOS: brew install wrk)."
        )
    return found


def check(address: str, exchanges: Sequence[Exchange]) -> int:
    """Send each request once over one connection; return how many, or say which answer was wrong."""
    with closing(_connect(address)) as connection:
        for exchange in exchanges:
            _check_one(connection, exchange)
    return len(exchanges)


def load(address: str, exchanges: Sequence[Exchange], connections: int, seconds: float) -> Load:
    """Load a server; with several connections one more asks twenty times a second and checks every answer."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "requests"
        wires = [exchange.wire(address) for exchange in exchanges]
        file.write_bytes(b"".join(b"%d\n%s" % (len(wire), wire) for wire in wires))
        command = [find_wrk(), "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--latency"]
        command += ["--timeout", f"{TIMEOUT:.0f}s", "-s", str(LUA), f"http://{address}/", "--", str(file)]
        with _Checker(address, exchanges if connections > 1 else ()) as checker:
            before = os.times()
            ran = subprocess.run(  # noqa: S603 - our own words, no shell
                command, capture_output=True, text=True, check=False, timeout=seconds + 2 * TIMEOUT
            )
            after = os.times()
    if ran.returncode:
        raise LoadError(f"wrk ended with {ran.returncode}: {ran.stderr.strip() or ran.stdout.strip()}")
    if checker.wrong:
        raise LoadError(f"under load: {checker.wrong}")
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return _load(json.loads(ran.stdout.strip().splitlines()[-1]), checker.checked, cpu)


def _load(seen: dict[str, int], checked: int, cpu: float) -> Load:
    failures = {
        name: count
        for name in ("refused", "failed_reads", "failed_writes", "not_2xx", "timeouts")
        if (count := seen[name])
    }
    if failures or not seen["requests"]:
        told = ", ".join(f"{name} {count}" for name, count in failures.items()) or "no answer at all"
        raise LoadError(f"{told} of {seen['requests']} requests")
    seconds = seen["microseconds"] / 1e6
    return Load(seen["requests"], seconds, seen["p50_us"], seen["p99_us"], checked, cpu)


class _Checker:
    """A thread that asks now and then while the server is loaded."""

    def __init__(self, address: str, exchanges: Sequence[Exchange]) -> None:
        self.address, self.exchanges = address, exchanges
        self.checked, self.wrong = 0, ""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        if not self.exchanges:
            return
        with closing(_connect(self.address)) as connection:
            while not self._over.wait(CHECK_EVERY) and not self.wrong:
                try:
                    _check_one(connection, self.exchanges[self.checked % len(self.exchanges)])
                except (LoadError, OSError, http.client.HTTPException) as error:
                    self.wrong = f"{type(error).__name__} {error}".strip()
                self.checked += 1


def wait_until(look: Callable[[], bool], what: str, limit: float) -> None:
    """Look every 5 ms until it is so."""
    deadline = time.monotonic() + limit
    while not look():
        if time.monotonic() > deadline:
            raise LoadError(f"not within {limit:.0f} s: {what}")
        time.sleep(0.005)


def _connect(address: str) -> http.client.HTTPConnection:
    host, port = address.rsplit(":", 1)
    return http.client.HTTPConnection(host, int(port), timeout=TIMEOUT)


def _check_one(connection: http.client.HTTPConnection, exchange: Exchange) -> None:
    connection.request("POST", exchange.path, exchange.body, exchange.headers)
    answer = connection.getresponse()
    body = answer.read()
    if not 200 <= answer.status < 300:  # noqa: PLR2004 - HTTP's class of success
        raise LoadError(f"{exchange.path} answered {answer.status}: {body[:200]!r}")
    if not exchange.right(body):
        raise LoadError(f"{exchange.path} answered wrongly: {body[:200]!r}")
