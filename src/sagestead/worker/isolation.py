"""A process without a network: it reaches itself on the loopback interface, and Unix sockets by their files.

Rule: the standard library only, and one thread only: a process with more cannot have a user namespace.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
import subprocess
import sys
from functools import cache
from pathlib import Path

_NEW_USER, _NEW_NETWORK = 0x10000000, 0x40000000
_SET_FLAGS, _UP = 0x8914, 0x1
_PROBE_SECONDS = 10


class NotIsolated(OSError):  # noqa: N818 - says what it is not
    """The machine does not let this process have a network of its own."""


def leave_network() -> None:
    """Have a network of one's own from now on, with nothing in it but the loopback interface."""
    if sys.platform != "linux":
        raise NotIsolated("network namespaces are a thing of Linux")
    library = ctypes.CDLL(None, use_errno=True)
    user, group = os.getuid(), os.getgid()
    if library.unshare(_NEW_NETWORK) != 0:
        if library.unshare(_NEW_USER | _NEW_NETWORK) != 0:
            raise NotIsolated(os.strerror(ctypes.get_errno()))
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SET_FLAGS, struct.pack("16sh14x", b"lo", _UP))


@cache
def can_leave_network() -> bool:
    """Say whether processes of this user may leave the network; tried once, in another process."""
    command = [sys.executable, "-I", "-S", __file__]
    try:
        tried = subprocess.run(command, timeout=_PROBE_SECONDS, capture_output=True, check=False)  # noqa: S603 - this file
    except (OSError, subprocess.TimeoutExpired):
        return False
    return tried.returncode == 0


if __name__ == "__main__":
    leave_network()
