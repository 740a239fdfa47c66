"""The least that an HTTP server in Python does: uvloop, httptools, one fixed answer. Started by `limit.py`.

python bench/echo.py PORT PROCESSES
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import cast

import httptools
import uvloop

BODY = b"0.43861907720565796\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)


class Echo(asyncio.Protocol):
    """Answers every request alike."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to parse."""
        self._transport = cast(asyncio.Transport, transport)
        self._parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        """Parse."""
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        """Answer."""
        self._transport.write(ANSWER)


async def serve(port: int) -> None:
    """Listen until SIGTERM."""
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, over.set)
    await loop.create_server(Echo, "127.0.0.1", port, reuse_port=True)
    await over.wait()


def main() -> None:
    """Share the port between several processes."""
    port, processes = map(int, sys.argv[1:])
    children = []
    for _ in range(processes - 1):
        if not (child := os.fork()):
            break
        children.append(child)
    uvloop.run(serve(port))
    for child in children:
        os.kill(child, signal.SIGTERM)
        os.waitpid(child, 0)


if __name__ == "__main__":
    main()
