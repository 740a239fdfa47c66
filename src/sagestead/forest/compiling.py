"""When the kernels are compiled: before anyone asks, in the background, never on the way of a request.

Rule: `kernels()` never waits. It gives the compiled functions once this process has them, None until then and
where Numba is not installed. Compiling is done once a machine by a process of its own (`python -m
sagestead.forest.compiling`), which leaves the machine code in the user's cache folder, under the digest of
our source and of the versions of what compiled it; every other process reads it from there. Numba takes what
lies there only for the very files, by place and time, that it was compiled from, and only on the same kind of
processor: so these are part of the digest, and what is complete says so.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib
import importlib.util
import os
import platform
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float32]
Columns: TypeAlias = NDArray[np.int32]
Words: TypeAlias = NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class Kernels:
    """The functions that Python calls; each is described where it is defined."""

    score: Callable[[Words, Floats, Floats, bool], bool]
    score_row: Callable[[bytes, Words], tuple[bool, float]]
    score_csv: Callable[[bytes, Words, int, int, int], tuple[int, int, Floats]]
    answer_envelopes: Callable[
        [bytes, int, int, bytes, bytes, bytes, Words, bool], tuple[int, int, int, NDArray[np.uint8]]
    ]
    read_csv: Callable[[bytes], tuple[int, Floats]]
    written: Callable[[Floats, bytes, bytes, bytes], NDArray[np.uint8]]
    read_libsvm: Callable[[bytes, bool, int], tuple[int, int, Floats, Floats, Columns, Columns]]


_ENTRIES = {
    "score": "kernels",
    "score_row": "csv_kernels",
    "score_csv": "csv_kernels",
    "answer_envelopes": "envelope_kernels",
    "read_csv": "csv_kernels",
    "read_libsvm": "libsvm_kernels",
    "written": "printing_kernels",
}
_SOURCES = (
    "csv_kernels.py",
    "envelope_kernels.py",
    "kernels.py",
    "layout.py",
    "libsvm_kernels.py",
    "machine.py",
    "number_kernels.py",
    "printing_kernels.py",
    "transforms.py",
)
_COMPLETE = "complete"
_COMPILING_SECONDS = 300
_loading = threading.Lock()
_loaded: Kernels | None = None
_tried_by: int | None = None


def kernels() -> Kernels | None:
    """Return the kernels, or None while this process does not have them. Never waits."""
    return _loaded


def available() -> bool:
    """Whether Numba is installed, so that there can be kernels."""
    return importlib.util.find_spec("numba") is not None


def load() -> Kernels | None:
    """Make the kernels ready and return them, None where Numba is not installed or does not work.

    Takes about a second from the cache and several to compile. Starts no thread, so that a process may call
    it before it forks.
    """
    global _loaded  # noqa: PLW0603 - a process has its machine code once
    with _loading:
        if _loaded is None and available():
            try:
                _loaded = _import()
            except ImportError:
                # Numba refuses to be imported beside a NumPy that is newer than it knows.
                return None
    return _loaded


def warm() -> threading.Thread | None:
    """Make the kernels ready in the background; returns the thread, None if nothing is to do.

    Each process tries once: a call costs nothing from then on, so that whoever scores may call it every time.
    """
    global _tried_by  # noqa: PLW0603 - a process tries once
    if _loaded is not None or _tried_by == os.getpid():
        return None
    _tried_by = os.getpid()
    if not available():
        return None
    thread = threading.Thread(target=_warm, name="kernels", daemon=True)
    thread.start()
    return thread


def compile_once() -> bool:
    """Have the kernels compiled on this machine, and wait for it; False when that did not work."""
    folder = cache_folder()
    if folder is not None and not is_cached():
        # Of all processes that want kernels one compiles, the others wait for what it leaves.
        with (folder / "compiling").open("w") as turn:
            fcntl.flock(turn, fcntl.LOCK_EX)
            if not is_cached() and not _compile():
                return False
    return True


def _warm() -> None:
    if compile_once():
        load()


def _compile() -> bool:
    """Compile in a process of its own: here it would take the interpreter from requests for seconds."""
    compiler = [sys.executable, "-m", "sagestead.forest.compiling"]
    try:
        subprocess.run(  # noqa: S603 - this very program
            compiler,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_COMPILING_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return True


def is_cached() -> bool:
    """Whether the machine code of this source lies in the cache folder."""
    folder = cache_folder()
    return folder is not None and (folder / _COMPLETE).exists()


def cache_folder() -> Path | None:
    """Return the folder of the machine code of this very source, None if there can be no private one.

    What lies there is executed, so it must belong to this user and be writable by nobody else.
    """
    digest = hashlib.sha256(f"{version('numba')} {version('numpy')} {sys.version} {_processor()}".encode())
    for name in _SOURCES:
        source = Path(__file__).with_name(name)
        digest.update(f"{source} {source.stat().st_mtime_ns}".encode() + source.read_bytes())
    try:
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        folder = home / "sagestead" / "kernels" / digest.hexdigest()[:16]
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        facts = folder.stat()
    except (OSError, RuntimeError):
        return None
    return folder if facts.st_uid == os.geteuid() and not facts.st_mode & 0o022 else None


def _processor() -> str:
    """Return what kind of processor this is, as far as machine code depends on it."""
    told = [platform.machine(), platform.processor()]
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        told += dict.fromkeys(line for line in lines if line.startswith(("model name", "flags", "Features")))
    return "\n".join(told)


def _import() -> Kernels:
    """Import the kernels with Numba's cache in our folder; Numba reads the setting while they are defined."""
    config: Any = importlib.import_module("numba.core.config")
    before = config.CACHE_DIR
    folder = cache_folder()
    if folder is not None:
        config.CACHE_DIR = str(folder)
    try:
        return Kernels(
            **{
                name: getattr(importlib.import_module(f"sagestead.forest.{module}"), name)
                for name, module in _ENTRIES.items()
            }
        )
    finally:
        config.CACHE_DIR = before


if __name__ == "__main__":
    began = time.monotonic()
    if load() is None:
        sys.exit("Numba is not installed; the forest kernels cannot be compiled.")
    if (kept := cache_folder()) is not None:
        (kept / _COMPLETE).touch()
    sys.stdout.write(f"The forest kernels are ready after {time.monotonic() - began:.1f} s.\n")
