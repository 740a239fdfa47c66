from __future__ import annotations

import socket
import subprocess
import sys

from sagestead.worker.isolation import can_leave_network

PROGRAM = """
import socket, sys
from sagestead.worker.isolation import leave_network
leave_network()
with socket.create_server(("127.0.0.1", 0)) as own:
    socket.create_connection(own.getsockname()).close()
try:
    socket.create_connection(("127.0.0.1", int(sys.argv[1])), 1)
except OSError as refused:
    print("isolated", type(refused).__name__)
"""


def test_who_left_the_network_reaches_nobody_but_himself() -> None:
    with socket.create_server(("127.0.0.1", 0)) as others:
        command = [sys.executable, "-c", PROGRAM, str(others.getsockname()[1])]
        ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    assert ran.stdout.startswith("isolated") or (not can_leave_network() and "NotIsolated" in ran.stderr)
