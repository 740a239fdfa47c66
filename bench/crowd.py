"""Many endpoints with a small model of its own each, made by several clients at once; many connections."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import xgboost
from load import Exchange, LoadError, load
from model import Forest
from ours import Deployment, Ours
from servers import memory_of

TINY = Forest("m10", 10, 4)
STEP = 100
CLIENTS = 4
"""How many threads create endpoints, each with connections of its own."""
SERVICE_LIMIT = 900.0
SETTLE_SECONDS = 1.0
LOAD_SECONDS = 3


@dataclass
class Crowd:
    """Endpoints on one server, `count` so far; no two models are alike."""

    deployment: Deployment
    count: int = 0

    @cached_property
    def _document(self) -> str:
        booster = xgboost.Booster(model_file=str(TINY.file()))
        return booster.save_raw("json").decode()

    @cached_property
    def _deployments(self) -> list[Deployment]:
        return [self.deployment, *(Deployment(self.deployment.server) for _ in range(1, CLIENTS))]

    def _model(self, number: int) -> bytes:
        """Return the model's JSON with a base score of its own."""
        document = json.loads(self._document)
        document["learner"]["learner_model_param"]["base_score"] = f"{0.25 + number / 2**16:.8f}"
        return json.dumps(document).encode()

    def _create(self, deployment: Deployment, numbers: range) -> None:
        for number in numbers:
            name = f"crowd-{number}"
            deployment.model(name, self._model(number))
            deployment.create(name, name)

    def grow(self, wanted: int) -> dict[str, float]:
        """Create endpoints up to a number and wait until all serve; return how long it took."""
        began, hundreds = time.perf_counter(), []
        with ThreadPoolExecutor(CLIENTS) as threads:
            while self.count < wanted:
                step, end = time.perf_counter(), min(wanted, self.count + STEP)
                shares = [range(self.count + number, end, CLIENTS) for number in range(CLIENTS)]
                list(threads.map(self._create, self._deployments, shares))
                hundreds.append((time.perf_counter() - step) / (end - self.count) * 1e3)
                self.count = end
        created = time.perf_counter() - began
        self._all_in_service()
        return {
            "created_s": round(created, 2),
            "in_service_s": round(time.perf_counter() - began, 2),
            "ms_each_of_first_hundred": round(hundreds[0], 1),
            "ms_each_of_last_hundred": round(hundreds[-1], 1),
        }

    def _all_in_service(self) -> None:
        """Return when no endpoint is being created and none has failed."""
        sagemaker = self.deployment.sagemaker
        deadline = time.monotonic() + SERVICE_LIMIT
        while sagemaker.list_endpoints(StatusEquals="Creating", MaxResults=1)["Endpoints"]:
            if time.monotonic() > deadline:
                raise LoadError(f"{self.count} endpoints were not in service after {SERVICE_LIMIT:.0f} s")
            time.sleep(0.05)
        for failed in sagemaker.list_endpoints(StatusEquals="Failed", MaxResults=1)["Endpoints"]:
            described = sagemaker.describe_endpoint(EndpointName=failed["EndpointName"])
            raise LoadError(f"{failed['EndpointName']} failed: {described['FailureReason'][:200]}")


def idle_memory(server: Ours) -> dict[str, float]:
    """Return the memory of the whole tree a moment after the last thing happened."""
    time.sleep(SETTLE_SECONDS)
    return server.memory().megabytes()


def connected_memory(server: Ours, exchanges: Sequence[Exchange], idle: int, active: int) -> dict[str, float]:
    """Return the front doors' greatest memory under load from some connections while others stay open."""
    doors = [pid for pid in server.pids() if "sagestead.service.front" in _command(pid)]
    most, over = [0, 0], threading.Event()

    def watch() -> None:
        while not over.wait(0.1):
            seen = [memory_of(pid) for pid in doors]
            most[:] = [max(most[part], sum(each[part] for each in seen)) for part in range(2)]

    with ExitStack() as stack:
        sockets = [stack.enter_context(closing(_asked_once(server, exchanges[0]))) for _ in range(idle)]
        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            seen = load(server.address, exchanges, active, LOAD_SECONDS)
        finally:
            over.set()
            watcher.join()
        still_open = sum(map(_is_open, sockets))
    return {
        "front_doors": len(doors),
        "pss_mb": round(most[0] / 1e6, 1),
        "uss_mb": round(most[1] / 1e6, 1),
        "idle_still_open": still_open,
        "requests_per_second": round(seen.rate, 1),
    }


def _asked_once(server: Ours, exchange: Exchange) -> socket.socket:
    """Return a connection on which one request was answered."""
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=10)
    connection.sendall(exchange.wire(server.address))
    answer = connection.recv(1 << 16)
    if not answer.startswith(b"HTTP/1.1 200"):
        raise LoadError(f"a connection's first request was answered {answer[-200:]!r}")
    return connection


def _is_open(connection: socket.socket) -> bool:
    connection.setblocking(False)  # noqa: FBT003 - takes no keywords
    try:
        return bool(connection.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return True
    except OSError:
        return False


def _command(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
