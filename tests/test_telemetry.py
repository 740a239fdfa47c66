"""The program's own log."""

import subprocess
import sys
from pathlib import Path

LOGS = """
import logging, sys
from pathlib import Path
from sagestead.telemetry import start_logging
start_logging("control", Path(sys.argv[1]))
logging.getLogger("a").warning("one")
print("goes on")
"""


def log_to(file: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", LOGS, str(file)], check=True, capture_output=True, text=True)


def test_a_line_is_in_the_file_and_on_the_terminal(tmp_path: Path) -> None:
    done = log_to(tmp_path / "log")
    assert done.stderr.endswith("Z WARNING control a: one\n")
    assert (tmp_path / "log").read_text() == done.stderr


def test_a_log_that_cannot_be_written_stops_nobody(tmp_path: Path) -> None:
    for file in (tmp_path / "missing" / "log", Path("/dev/full")):
        done = log_to(file)
        assert done.stdout == "goes on\n"
        assert done.stderr.endswith("Z WARNING control a: one\n")
        assert done.stderr.count("\n") == 1
