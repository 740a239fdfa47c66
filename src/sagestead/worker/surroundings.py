"""What a freshly forked worker does before it runs anything: it leaves its parent's things behind.

Rules: nothing of the parent's stays open but what is named; the environment is the container's and a
handful of words, never the service's; the worker outlives its parent, but not the supervisor.
"""

from __future__ import annotations

import _thread
import contextlib
import ctypes
import os
import resource
import signal
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

LIFELINE = "SAGESTEAD_LIFELINE"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_INSTALLERS = frozenset(
    {
        "PATH",
        "HOME",
        "LANG",
        "TMPDIR",
        "PYENV_ROOT",
        "NETRC",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "REQUESTS_CA_BUNDLE",
    }
)
_RESET = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD, signal.SIGPIPE)


def leave_parent(folder: Path, log: Path, keep: Iterable[int]) -> None:
    """Start a session in `folder`, with /dev/null to read from, `log` to write to, and only `keep` open."""
    os.setsid()
    os.umask(0o077)
    os.chdir(folder)
    for number in _RESET:
        signal.signal(number, signal.SIG_DFL)
    null = os.open(os.devnull, os.O_RDONLY)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(null, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    close_all_but({0, 1, 2, *keep})
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError):  # a test's own stream cannot be reconfigured
            stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)  # type: ignore[union-attr]
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def take_environment(environment: Mapping[str, str], home: Path, threads: int) -> None:
    """Replace the whole environment: a few words of the platform's, then the container's."""
    count = str(max(1, threads))
    os.environ.clear()
    os.environ.update({"PATH": _PATH, "HOME": str(home), "LANG": "C.UTF-8"})
    os.environ.update({"OMP_NUM_THREADS": count, "OPENBLAS_NUM_THREADS": count})
    os.environ.update(environment)


def installers(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what an environment holds for programs that install others: where to look, and by which way."""
    return {
        name: value
        for name, value in environment.items()
        if name in _INSTALLERS or name.startswith("PIP_") or name.lower().endswith("_proxy")
    }


def limit_threads(openmp: ctypes.CDLL | None, threads: int) -> None:
    """Tell an OpenMP library that was loaded before the fork; it reads the environment only once."""
    if openmp is not None:
        openmp.omp_set_num_threads(max(1, threads))


def give_back_memory() -> None:
    """Give the system back what was freed, where the C library can: it would stay this process's own."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def find_openmp() -> ctypes.CDLL | None:
    """Return the OpenMP library that this process has loaded, if any."""
    try:
        mapped = Path("/proc/self/maps").read_text().split()
    except OSError:
        return None
    for word in mapped:
        if "/libgomp" in word or "/libomp" in word:
            return ctypes.CDLL(word)
    return None


def hold_lifeline(descriptor: int, ended: Callable[[], object]) -> None:
    """Call `ended` and end this process when the lifeline's other end closes: the supervisor is gone.

    The thread is a bare one: what `threading` does for another costs each of a thousand idle instances more
    memory than its connection does.
    """

    def wait() -> None:
        with contextlib.suppress(OSError):
            while os.read(descriptor, 64):
                pass
        with contextlib.suppress(OSError):
            ended()
        os._exit(1)

    os.set_inheritable(descriptor, False)  # noqa: FBT003 - takes no keywords
    _thread.start_new_thread(wait, ())


def close_all_but(kept: set[int]) -> None:
    """Close every other descriptor."""
    for entry in list(Path("/dev/fd").iterdir()):
        if int(entry.name) not in kept:
            with contextlib.suppress(OSError):
                os.close(int(entry.name))
