"""A front door process: the socket, the gate, the route table."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import ssl
import sys
import time

import uvloop

from sagestead.frontdoor.server import FrontDoor
from sagestead.service import lifeline
from sagestead.service.adapters import open_adapters
from sagestead.service.wiring import build_gate
from sagestead.serving.invocation import InvocationHandler
from sagestead.serving.table import RouteWatcher
from sagestead.settings import Settings
from sagestead.telemetry import start_logging


def tls_context(settings: Settings) -> ssl.SSLContext | None:
    """Return the server's TLS context, when a certificate is named."""
    if settings.tls_cert is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(settings.tls_cert, settings.tls_key)
    return context


async def serve(settings: Settings, name: str) -> None:
    """Serve until SIGTERM, then let the answers under way end."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stopping.set)
    loop.add_signal_handler(signal.SIGINT, lambda: None)
    lifeline.watch(lambda: os._exit(1))
    adapters = open_adapters(settings)
    watcher = RouteWatcher(adapters.routes, adapters.resources, name, time.time)
    watching = asyncio.create_task(watcher.run())
    door = FrontDoor(build_gate(settings, adapters, InvocationHandler(watcher), stopping.is_set))
    await door.start(settings.host, settings.port, reuse_port=True, tls=tls_context(settings))
    gc.collect()
    gc.freeze()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await stopping.wait()
    await door.drain(settings.drain_seconds)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    watcher.leave()


def main() -> None:
    """Run one front door. Arguments: the settings, its name; standard output: `ready`."""
    settings = Settings.from_json(sys.argv[1])
    start_logging(sys.argv[2], settings.folder.log)
    uvloop.run(serve(settings, sys.argv[2]))


if __name__ == "__main__":
    main()
