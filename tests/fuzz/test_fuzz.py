"""No damaged input makes a reader crash, hang, or take much memory: 50,000 of them, each time the same.

Each group of targets is executed by a process of its own (run.py), which limits an execution's processor
time and the process's memory. `make fuzz` goes on from here, guided by coverage.
"""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path

import pytest
from tests.fuzz.run import SECONDS
from tests.fuzz.targets import GROUPS, TARGETS

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("group", GROUPS)
def test_damaged_inputs(group: str, tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.write_bytes(bytes(8))
    command = [
        sys.executable,
        "-X",
        "faulthandler",
        "-m",
        "tests.fuzz.run",
        "--place",
        str(place),
        *GROUPS[group],
    ]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110, check=False)
    (number,) = struct.unpack("<q", place.read_bytes())
    finished = ran.stdout.splitlines()
    assert ran.returncode == 0, (
        f"input {number} of the target after {finished[-1:]} ended the process with {ran.returncode} "
        f"(it may take {SECONDS} s of the processor):\n{ran.stderr}"
    )
    assert finished == [f"{name} {target.runs}" for name, target in GROUPS[group].items()]


def test_there_are_fifty_thousand() -> None:
    assert sum(target.runs for target in TARGETS.values()) >= 50_000


@pytest.mark.parametrize("fault", ["while True: pass", "bytearray(1 << 32)", "1 // 0"])
def test_what_a_target_must_not_do_is_seen(fault: str) -> None:
    program = f"""
import mmap
from tests.fuzz import run, target, targets
def attempt(data):
    {fault}
targets.TARGETS["faulty"] = target.Target(lambda: [b"seed"], attempt, 5)
run.SECONDS = 0.2
run.limit_memory()
run.fuzz("faulty", None, None, mmap.mmap(-1, 8))
"""
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, timeout=60, check=False
    )
    assert ran.returncode != 0
