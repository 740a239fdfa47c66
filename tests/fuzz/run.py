"""Fuzz targets, in a process of its own: python -m tests.fuzz.run [--only N] TARGET[=RUNS] ...

Without coverage and without chance: input N of a target is always the same. A crash is told with its number,
so that `--only N` repeats it. No execution may take more than `SECONDS` of the processor (the kernel ends the
process), and the process may not use more than `MEMORY` beyond what it has when it begins.
"""

from __future__ import annotations

import argparse
import faulthandler
import mmap
import resource
import signal
import struct
import sys
from pathlib import Path

from tests.fuzz import targets
from tests.fuzz.mutation import Inputs

SECONDS = 5.0
MEMORY = 768 << 20
_PLACE = struct.Struct("<q")


def limit_memory() -> None:
    """Let the process have so much more than it has."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.getrlimit(resource.RLIMIT_AS)[1]))


def fuzz(name: str, runs: int | None, only: int | None, place: mmap.mmap) -> int:
    """Execute a target; returns how often. `place` says which input is tried."""
    target = targets.TARGETS[name]
    inputs = Inputs(name, target)
    numbers = range(runs if runs is not None else target.runs) if only is None else [only]
    for number in numbers:
        data = inputs.number(number)
        _PLACE.pack_into(place, 0, number)
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        try:
            target.attempt(data)
        except BaseException:
            sys.stderr.write(f"python -m tests.fuzz.run --only {number} {name}   # {data[:4000]!r}\n")
            raise
    signal.setitimer(signal.ITIMER_PROF, 0)
    return len(numbers)


def main() -> None:
    """Execute the targets that are named, all without a name; print how often."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", help=f"of {', '.join(targets.TARGETS)}")
    parser.add_argument("--only", type=int, help="only the input with this number")
    parser.add_argument("--place", type=Path, help="file in which the number of the input is left")
    given = parser.parse_args()
    faulthandler.enable()
    targets.make_ready()
    limit_memory()
    place = mmap.mmap(-1, _PLACE.size)
    if given.place is not None:
        with given.place.open("r+b") as file:
            place = mmap.mmap(file.fileno(), _PLACE.size)
    for each in given.targets or targets.TARGETS:
        name, _, runs = each.partition("=")
        count = fuzz(name, int(runs) if runs else None, given.only, place)
        sys.stdout.write(f"{name} {count}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
