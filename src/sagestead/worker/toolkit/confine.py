"""Becomes a program of a user's, with few rights: run by path, as `python -I -S confine.py ORDER`.

Rules: the standard library only, because nothing else can be found where this runs; what was asked for is
done or the program is not started. ORDER is a JSON object:

    root        folder that the program sees as /opt/ml; null: no namespace of mounts is made
    closed      folders that it must not look into
    needs       paths that it must be able to read, wherever they lie
    writes      paths that it must be able to write, too
    user        id of the user and group that it becomes; null: stays who it is
    isolated    true: it reaches no network but itself
    folder      where it starts, as it sees it
    command     what it is; a null command asks only whether all of this is allowed here
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import resource
import signal
import socket
import stat
import struct
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

CANNOT = 126
"""Exit code when the program could not be started."""

MOUNT_POINT = Path("/opt/ml")

_NEWNS, _NEWUSER, _NEWNET = 0x00020000, 0x10000000, 0x40000000
_RDONLY, _REMOUNT, _BIND, _REC, _PRIVATE, _RELATIME = 1, 32, 4096, 16384, 1 << 18, 1 << 21
_NOSUID_NODEV = 2 | 4
_KEPT = 2 | 4 | 8 | 1024 | 2048
_ST_RELATIME = 4096
_DETACH = 2
_PDEATHSIG, _NO_NEW_PRIVS = 1, 38
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _UP = 0x8913, 0x8914, 1
_MOST_FILES, _MOST_PROCESSES = 65536, 4096


class _Bound(NamedTuple):
    """A path that stays visible, held by a descriptor."""

    path: Path
    descriptor: int
    is_writable: bool


def main() -> None:
    """Carry out the order in the first argument."""
    order = json.loads(sys.argv[1])
    try:
        _confine(order)
        if order["command"] is None:
            return
        os.chdir(order["folder"])
        os.execvpe(order["command"][0], order["command"], dict(os.environ))  # noqa: S606 - what it is for
    except OSError as error:
        sys.stderr.write(f"The program could not be started: {error}\n")
        sys.exit(CANNOT)


def _confine(order: dict[str, Any]) -> None:
    os.umask(0o022)
    _unshare(mounts=order["root"] is not None, network=order["isolated"])
    if order["root"] is not None:
        _arrange(order)
    if order["isolated"]:
        _raise_loopback()
    _limit()
    if order["user"] is not None:
        os.setgroups([])
        os.setresgid(order["user"], order["user"], order["user"])
        os.setresuid(order["user"], order["user"], order["user"])
    _call("prctl", _NO_NEW_PRIVS, 1, 0, 0, 0)
    _call("prctl", _PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)


def _unshare(*, mounts: bool, network: bool) -> None:
    """Leave the machine's mounts and network; who is not root becomes so within a namespace of users."""
    flags = (_NEWNS if mounts else 0) | (_NEWNET if network else 0)
    if not flags:
        return
    user, group = os.geteuid(), os.getegid()
    if user:
        flags |= _NEWUSER
    _call("unshare", flags)
    if user:
        Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1", encoding="ascii")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1", encoding="ascii")
    if mounts:
        _mount(None, Path("/"), None, _REC | _PRIVATE)


def _arrange(order: dict[str, Any]) -> None:
    """Show the root as /opt/ml; cover what must not be seen, and what hides a path that is needed."""
    held = os.open(order["root"], os.O_PATH)
    closed = [path for path in map(Path, order["closed"]) if path.is_dir()]
    covers: dict[Path, list[_Bound]] = {path: [] for path in closed}
    for name in ("needs", "writes"):
        for need in map(Path, order[name]):
            cover = _cover_of(need, closed, is_other=order["user"] is not None)
            if cover is not None:
                covers.setdefault(cover, []).append(_Bound(need, os.open(need, os.O_PATH), name == "writes"))
    for cover, bound in covers.items():
        if not any(cover != other and cover.is_relative_to(other) for other in covers):
            within = [one for other, some in covers.items() if other.is_relative_to(cover) for one in some]
            _cover(cover, within or bound)
    _make_mount_point()
    _mount(f"/proc/self/fd/{held}", MOUNT_POINT, None, _BIND | _REC)
    os.close(held)


def _cover_of(need: Path, closed: Iterable[Path], *, is_other: bool) -> Path | None:
    """Return the outermost folder that keeps the program from a path, or that is to be covered anyway."""
    for folder in (*reversed(need.parents),):
        if folder in closed or (is_other and not folder.stat().st_mode & stat.S_IXOTH):
            return folder
    return None


def _cover(folder: Path, bound: list[_Bound]) -> None:
    """Put an empty folder over one, in which only what is bound can be seen."""
    _mount("tmpfs", folder, "tmpfs", _NOSUID_NODEV, "mode=755,size=1m")
    for path, descriptor, is_writable in bound:
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        (path if is_folder else path.parent).mkdir(parents=True, exist_ok=True)
        if not is_folder:
            path.touch()
        _mount(f"/proc/self/fd/{descriptor}", path, None, _BIND | _REC)
        flags = os.statvfs(path).f_flag
        kept = flags & _KEPT | (_RELATIME if flags & _ST_RELATIME else 0)
        if not is_writable:
            _mount(None, path, None, _REMOUNT | _BIND | _RDONLY | kept)
        os.close(descriptor)


def _make_mount_point() -> None:
    """Have a /opt/ml without writing to the machine's /opt: if there is none, /opt is built anew."""
    if MOUNT_POINT.is_dir():
        return
    parent = MOUNT_POINT.parent
    held = os.open(parent, os.O_PATH)
    flags = os.O_PATH | os.O_NOFOLLOW
    entries = [(path.name, os.open(path, flags)) for path in sorted(parent.iterdir())]
    _mount("tmpfs", parent, "tmpfs", _NOSUID_NODEV, "mode=755,size=1m")
    for name, descriptor in entries:
        mode, path = os.fstat(descriptor).st_mode, parent / name
        if stat.S_ISLNK(mode):
            path.symlink_to(os.readlink(name, dir_fd=held))
        elif stat.S_ISDIR(mode) or stat.S_ISREG(mode):
            path.mkdir() if stat.S_ISDIR(mode) else path.touch()
            _mount(f"/proc/self/fd/{descriptor}", path, None, _BIND | _REC)
        os.close(descriptor)
    os.close(held)
    MOUNT_POINT.mkdir()


def _raise_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sh22x", b"lo", 0)
        _, flags = struct.unpack("16sh22x", fcntl.ioctl(control, _SIOCGIFFLAGS, request))
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", flags | _UP))


def _limit() -> None:
    """No core files; files and processes as many as a program may need, and no more."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for kind, most in ((resource.RLIMIT_NOFILE, _MOST_FILES), (resource.RLIMIT_NPROC, _MOST_PROCESSES)):
        _, hard = resource.getrlimit(kind)
        limit = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (limit, limit))


def _mount(source: str | None, target: Path, kind: str | None, flags: int, data: str | None = None) -> None:
    arguments = (None if one is None else os.fsencode(one) for one in (source, target, kind))
    _call("mount", *arguments, ctypes.c_ulong(flags), None if data is None else data.encode())


def _call(name: str, *arguments: object) -> None:
    """Call a function of the C library; raise `OSError` when it fails."""
    if getattr(_LIBC, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


_LIBC = ctypes.CDLL(None, use_errno=True)

if __name__ == "__main__":
    main()
