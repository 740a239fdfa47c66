"""The Pythons of this machine, found where people have them.

Rule: only looked at, never installed. The first place that has a version wins: PATH before everything else.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sagestead.domain.runtimes import KNOWN_PYTHONS

_SECONDS = 20.0
_ASK = "import sys; print('.'.join(map(str, sys.version_info[:3])), getattr(sys, 'base_prefix', sys.prefix))"
_KINDS = (
    ".pyenv/versions/*/bin/python3",
    ".local/share/uv/python/*/bin/python3",
    ".local/share/mise/installs/python/*/bin/python3",
    ".asdf/installs/python/*/bin/python3",
    ".rye/py/*/bin/python3",
)
_VERSION = re.compile(r"(\d+\.\d+)\.\d+")


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python: its full version (`3.9.18`), where it is and what it needs to run."""

    version: str
    path: Path
    prefix: Path

    @property
    def minor(self) -> str:
        """The version without its last part: `3.9`."""
        return self.version.rpartition(".")[0]


def find(environment: Mapping[str, str]) -> dict[str, Interpreter]:
    """Return the machine's Pythons by minor version (`3.9`), of each the first that works.

    Args:
        environment: PATH, HOME and PYENV_ROOT of whoever runs the service.
    """
    found: dict[str, Interpreter] = {}
    seen: set[Path] = set()
    for path, minor in _candidates(environment):
        if (minor and minor in found) or not path.is_file() or (real := path.resolve()) in seen:
            continue
        seen.add(real)
        interpreter = _ask(path)
        if interpreter is not None and interpreter.minor in KNOWN_PYTHONS:
            found.setdefault(interpreter.minor, interpreter)
    return found


def _candidates(environment: Mapping[str, str]) -> Iterator[tuple[Path, str | None]]:
    """Yield paths that may be a Python, each with its minor version where the name tells it."""
    yield Path(sys.base_prefix) / "bin" / "python3", f"{sys.version_info[0]}.{sys.version_info[1]}"
    folders = [Path(one) for one in environment.get("PATH", os.defpath).split(os.pathsep) if one]
    for folder in (*folders, Path("/usr/local/bin"), Path("/opt/homebrew/bin"), Path("/usr/bin")):
        if folder.name == "shims":
            continue  # pyenv's and others': they answer for whatever version is chosen where they are asked
        for minor in KNOWN_PYTHONS:
            yield folder / f"python{minor}", minor
        yield folder / "python3", None
    home = Path(environment.get("HOME", "/"))
    places = [pattern for kind in _KINDS for pattern in sorted(home.glob(kind), reverse=True)]
    if root := environment.get("PYENV_ROOT"):
        places += sorted(Path(root).glob("versions/*/bin/python3"), reverse=True)
    places += sorted(Path("/opt").glob("python/*/bin/python3"), reverse=True)
    for path in places:
        version = _VERSION.search(path.parent.parent.name)
        yield path, version[1] if version else None


def _ask(path: Path) -> Interpreter | None:
    """Return what a Python says of itself; None when it does not run."""
    try:
        done = subprocess.run(  # noqa: S603 - a Python of the machine's, asked for its version
            [path, "-I", "-c", _ASK], capture_output=True, text=True, timeout=_SECONDS, check=True, cwd="/"
        )
        version, _, prefix = done.stdout.strip().partition(" ")
    except (OSError, subprocess.SubprocessError):
        return None
    return Interpreter(version, path, Path(prefix)) if prefix else None
