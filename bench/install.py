"""Installs the servers to compare with, each in a virtual environment of its own under `.bench/`.

python bench/install.py [NAME...]

A peer is a requirements file in `bench/peers/`. One that is installed already costs nothing; one that does
not install is reported with the reason and leaves the others alone.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import venv
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

PEERS = Path(__file__).resolve().parent / "peers"
PLACE = PEERS.parent.parent / ".bench"
LIMIT = 900.0


def names() -> list[str]:
    """Return all peers."""
    return sorted(file.stem for file in PEERS.glob("*.txt"))


def python(name: str) -> Path:
    """Return the Python of a peer's environment."""
    return PLACE / name / "bin" / "python"


def install(name: str) -> str:
    """Make the environment as its requirements say; return an empty string, or why it cannot be had."""
    requirements = PEERS / f"{name}.txt"
    marker = PLACE / name / ".complete"
    wanted = hashlib.sha256(requirements.read_bytes()).hexdigest()
    if marker.exists() and marker.read_text() == wanted:
        return ""
    try:
        venv.create(PLACE / name, with_pip=True, symlinks=True)
        command = [str(python(name)), "-m", "pip", "install", "--quiet", "--requirement", str(requirements)]
        ran = subprocess.run(  # noqa: S603 - our own words, no shell
            command, capture_output=True, text=True, check=False, timeout=LIMIT
        )
    except subprocess.TimeoutExpired:
        return f"not installed within {LIMIT:.0f} s"
    except (OSError, subprocess.CalledProcessError) as error:
        return f"no virtual environment: {error}"
    if ran.returncode:
        errors = [
            line for line in ran.stderr.splitlines() if line.startswith("ERROR")
        ] or ran.stderr.splitlines()
        return f"pip: {errors[0][:300] if errors else f'ended with {ran.returncode}'}"
    marker.write_text(wanted)
    return ""


def install_all(wanted: list[str]) -> dict[str, str]:
    """Install several at a time; return what `install` says of each."""
    with ThreadPoolExecutor(3) as several:
        return dict(zip(wanted, several.map(install, wanted), strict=True))


def main() -> None:
    """Install and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names())} (default: all)")
    wanted = parser.parse_args().names or names()
    if unknown := set(wanted) - set(names()):
        parser.error(f"no such peer: {', '.join(sorted(unknown))}")
    reasons = install_all(wanted)
    for name, reason in reasons.items():
        print(f"{name}: {reason or 'installed'}")
    sys.exit(any(reasons.values()))


if __name__ == "__main__":
    main()
