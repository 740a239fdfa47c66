"""What a front door spends on one signed one-row InvokeEndpoint, whatever the model costs. Prints JSON.

python bench/door.py [--seconds 1] [--profile]

The request is signed by botocore; the host answers at once (`inline`) or a turn of the loop later (`worker`).
`in_process` feeds a connection without a socket; `socket` is the processor time, system calls included, of a
front door in a process of its own with 64 clients. Figures are microseconds of processor time a request.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import hashlib
import json
import os
import pstats
import socket
import statistics
import time
from typing import Any

import uvloop
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials

from sagestead.domain.identity import Credential
from sagestead.domain.routes import Route, Variant
from sagestead.frontdoor import dispatch
from sagestead.frontdoor.connection import Connection
from sagestead.frontdoor.gate import Gate, Service
from sagestead.frontdoor.server import FrontDoor
from sagestead.serving.invocation import InvocationHandler
from sagestead.wire.http import Headers, Request
from sagestead.wire.sigv4 import Rules, read_claim, settle
from sagestead.worker.contract import Answer, Invocation

ROW = b",".join(b"%d.5" % column for column in range(41))
PATH = "/endpoints/hotels/invocations"
KEY = Credential(
    "AKIDEXAMPLE", "a secret that signs only here", "123456789012", "arn:aws:iam::123456789012:root"
)
ROUTE = Route(KEY.account, "us-east-1", "hotels", (Variant("AllTraffic", 1.0, ("one",)),))
SCORE = Answer(200, "text/csv; charset=utf-8", b"0.5")
BATCH = 500
CLIENTS = 64


class OneKey:
    """Credentials of one key."""

    def find(self, access_key_id: str) -> Credential | None:
        """Return it."""
        return KEY if access_key_id == KEY.access_key_id else None


class Instant:
    """A host that answers at once."""

    outstanding = 0

    def begin(self, _: Invocation) -> Answer:
        """Answer."""
        return SCORE

    def retire(self) -> None:
        """Nothing to let go."""


class Later(Instant):
    """A host that answers in the next turn of the loop."""

    def begin(self, _: Invocation) -> asyncio.Future[Answer]:
        """Promise an answer."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        loop.call_soon(future.set_result, SCORE)
        return future


class Table:
    """Routes to one endpoint."""

    is_loaded = True

    def __init__(self, host: Instant) -> None:
        self._host = host
        self._routes = {(ROUTE.account, ROUTE.region, ROUTE.endpoint): ROUTE}

    def route(self, account: str, region: str, endpoint: str) -> Route | None:
        """Return the route."""
        return self._routes.get((account, region, endpoint))

    def host(self, _: str) -> Instant:
        """Return the host."""
        return self._host


class Wire:
    """A transport that forgets what is written."""

    def __init__(self) -> None:
        self.answers = 0
        self.last = b""

    def write(self, data: bytes) -> None:
        """Count an answer."""
        self.answers += 1
        self.last = data

    def get_extra_info(self, _: str) -> None:
        """Say that this is no TLS."""

    def is_closing(self) -> bool:
        """Never."""
        return False

    def abort(self) -> None:
        """Nothing to end."""

    pause_reading = resume_reading = close = abort


def signed(port: int = 8750) -> tuple[bytes, Request]:
    """Return the request as botocore sends it, and as the verifier gets it."""
    draft = AWSRequest("POST", f"http://127.0.0.1:{port}{PATH}", data=ROW)
    draft.headers["Content-Type"] = "text/csv"
    draft.headers["Accept"] = "text/csv"
    SigV4Auth(BotoCredentials(KEY.access_key_id, KEY.secret), "sagemaker", "us-east-1").add_auth(draft)
    fields = [(name.encode(), str(value).encode()) for name, value in draft.headers.items()]
    fields += [
        (b"Host", b"127.0.0.1:%d" % port),
        (
            b"User-Agent",
            b"Boto3/1.44.0 md/Botocore#1.44.0 ua/2.1 os/linux#6.1 md/arch#x86_64 lang/python#3.11",
        ),
        (b"amz-sdk-invocation-id", b"5a0f0a35-2f3c-4f3a-9a3e-5c9a9b6c6b1d"),
        (b"amz-sdk-request", b"attempt=1"),
        (b"Content-Length", b"%d" % len(ROW)),
    ]
    head = b"".join(b"%b: %b\r\n" % field for field in fields)
    request = Request(
        "POST", PATH.encode(), b"", Headers(fields), None, len(ROW), secure=False, request_id="r"
    )  # type: ignore[arg-type] # unread
    return b"POST %b HTTP/1.1\r\n%b\r\n%b" % (PATH.encode(), head, ROW), request


def app(host: Instant) -> Gate:
    """Return the gate in front of one endpoint."""
    handler = InvocationHandler(Table(host))  # type: ignore[arg-type] # a table
    names = frozenset({"sagemaker"})
    service = Service("runtime", names, "rest-json", dispatch.is_runtime, handler, handler.again)
    return Gate(OneKey(), [service], time.time, "us-east-1")  # type: ignore[arg-type] # nothing else is asked


async def in_process(host: Instant, seconds: float) -> list[float]:
    """Return samples of the microseconds of a request."""
    wire, (data, _) = Wire(), signed()
    gate = app(host)
    connection = Connection(FrontDoor(gate, repeat=gate.repeat))
    connection.connection_made(wire)  # type: ignore[arg-type] # all that is used

    async def one() -> None:
        before = wire.answers
        connection.data_received(data)
        while wire.answers == before:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0)

    await one()
    if b" 200 OK" not in wire.last:
        raise SystemExit(wire.last)
    samples = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.process_time()
        for _ in range(BATCH):
            await one()
        samples.append((time.process_time() - start) / BATCH * 1e6)
    return samples


async def verification(seconds: float) -> list[float]:
    """Return samples of the microseconds that verifying alone takes."""
    (_, request), now = signed(), time.time()
    rules = Rules("rest-json", frozenset({"sagemaker"}), "us-east-1")
    fields = request.headers.items()
    samples = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        requests = [
            Request("POST", PATH.encode(), b"", Headers(fields), request.body, 0, False, "r")  # noqa: FBT003 - a field
            for _ in range(BATCH)
        ]
        start = time.process_time()
        for each in requests:
            settle(read_claim(each, rules, now), KEY, hashlib.sha256(ROW).hexdigest().encode(), now)
        samples.append((time.process_time() - start) / BATCH * 1e6)
    return samples


def over_sockets(host: Instant, seconds: float) -> list[float]:
    """Return samples of the microseconds of a front door's process, with 64 clients."""
    ready, say = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(ready)
        uvloop.run(serve(host, say))
        os._exit(0)
    os.close(say)
    port = int(os.read(ready, 32))
    data, _ = signed(port)
    clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(CLIENTS)]
    samples = []
    try:
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            start, rounds = cpu(child), 50
            for _ in range(rounds):
                for client in clients:
                    client.sendall(data)
                for client in clients:
                    if not client.recv(4096).startswith(b"HTTP/1.1 200 OK"):
                        raise SystemExit("a wrong answer")
            samples.append((cpu(child) - start) / (rounds * CLIENTS) * 1e6)
    finally:
        for client in clients:
            client.close()
        os.kill(child, 15)
        os.waitpid(child, 0)
    return samples


async def serve(host: Instant, say: int) -> None:
    """Serve until killed; says the port on a pipe."""
    gate = app(host)
    door = FrontDoor(gate, repeat=gate.repeat)
    os.write(say, b"%d" % await door.start("127.0.0.1", 0))
    await asyncio.Event().wait()


def cpu(process: int) -> float:
    """Return the processor seconds of a process, to the nanosecond."""
    return time.clock_gettime(
        (~process << 3) | 2
    )  # CPUCLOCK_SCHED of another process (man clock_getcpuclockid)


def figure(samples: list[float]) -> dict[str, float]:
    """Return the median and the best."""
    return {"median_us": round(statistics.median(samples), 2), "best_us": round(min(samples), 2)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    seconds = options.seconds
    if options.profile:
        with cProfile.Profile() as profile:
            uvloop.run(in_process(Instant(), seconds))
        pstats.Stats(profile).sort_stats("tottime").print_stats(45)
        return
    hosts = {"inline": Instant, "worker": Later}
    report: dict[str, Any] = {"body_bytes": len(ROW)}
    report["verification"] = figure(uvloop.run(verification(seconds)))
    report["in_process"] = {
        name: figure(uvloop.run(in_process(host(), seconds))) for name, host in hosts.items()
    }
    report["socket"] = {name: figure(over_sockets(host(), seconds)) for name, host in hosts.items()}
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
