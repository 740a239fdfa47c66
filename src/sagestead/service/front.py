"""A front door process: the socket, the gate, the routes and the models that it hosts itself.

Rule: the event loop is kept waiting by nobody. Threads give the interpreter back within `SWITCH_SECONDS`, and
what scores models is loaded in the background once the door is open.
"""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import signal
import sys
import threading
import time
from pathlib import Path

import uvloop

from sagestead.forest.threads import give_way
from sagestead.frontdoor.limits import Limits
from sagestead.frontdoor.server import FrontDoor
from sagestead.service import lifeline
from sagestead.service.adapters import open_adapters
from sagestead.service.tls import Certificates
from sagestead.service.wiring import build_gate
from sagestead.serving.invocation import InvocationHandler
from sagestead.serving.table import RouteWatcher
from sagestead.serving.tallies import Bookkeeper, Tallies
from sagestead.settings import Settings
from sagestead.telemetry import start_logging
from sagestead.worker.contract import InlineModel

OTHER_FILES = 256
"""Files that a front door opens besides its clients' connections: blobs, the store, instances' sockets."""

SWITCH_SECONDS = 0.0005


async def serve(settings: Settings, name: str) -> None:
    """Serve until SIGTERM, then let the answers under way end."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stopping.set)
    loop.add_signal_handler(signal.SIGINT, lambda: None)
    lifeline.watch(lambda: os._exit(1))
    adapters = open_adapters(settings, name)
    watcher = RouteWatcher(adapters.routes, adapters.resources, name, time.time, open_model)
    certificates = Certificates(settings)
    tallies = Tallies()
    books = Bookkeeper(tallies, adapters.metrics, f"{name}/{os.getpid()}/{int(time.time())}", time.time)
    watching = asyncio.gather(watcher.run(), certificates.keep(), books.run())
    handler = InvocationHandler(watcher, tallies=tallies)
    gate = build_gate(settings, adapters, handler, stopping.is_set)
    door = FrontDoor(gate, Limits(connections=connection_limit()), repeat=gate.repeat)
    await door.start(settings.host, settings.port, reuse_port=True, tls=certificates.context)
    gc.collect()
    gc.freeze()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    threading.Thread(target=_warm, args=(settings.hosting,), name="warming", daemon=True).start()
    await stopping.wait()
    await door.drain(settings.drain_seconds)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    if books.collect():
        books.write()
    watcher.leave()


def open_model(prepared: Path) -> InlineModel:
    """Open a prepared model (contract: worker.contract.Open); called on threads only."""
    from sagestead.algorithms.xgboost.hosting import open_prepared  # noqa: PLC0415 - the door opens without it

    return open_prepared(prepared)


def _warm(way: str) -> None:
    """Load what scores models, so that no request waits for it; where instances score, see that they can."""
    give_way()
    from sagestead.forest import compiling  # noqa: PLC0415 - the door opens without it

    if way == "inline":
        from sagestead.algorithms.xgboost import hosting  # noqa: F401, PLC0415 - what `open_model` needs, loaded here

        compiling.warm()
    elif compiling.available():
        compiling.compile_once()


def connection_limit() -> int:
    """Allow this process all the files that it may open; returns how many of them connections may be."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    most = OTHER_FILES + Limits().connections if most == resource.RLIM_INFINITY else most
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    return max(1, min(Limits().connections, most - OTHER_FILES))


def main() -> None:
    """Run one front door. Arguments: the settings, its name. Standard output: `ready`.

    Standard input: a line, once the data folder is prepared.
    """
    settings = Settings.from_json(sys.argv[1])
    start_logging(sys.argv[2], settings.folder.log)
    if not sys.stdin.readline():
        return
    sys.setswitchinterval(SWITCH_SECONDS)
    uvloop.run(serve(settings, sys.argv[2]))


if __name__ == "__main__":
    main()
