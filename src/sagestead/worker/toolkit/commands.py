"""A command that a job names word by word, run in the runtime of its image: processing, and training so told.

Rules: the command finds `python3`, `python` and `pip` of an environment that is the run's own, so that what
it installs goes with the run. Asked to end, all that it started is asked, and has until the run is killed.
When it has ended by itself, nothing that it started goes on.
"""

from __future__ import annotations

import os
import shlex
import signal
from types import FrameType

from sagestead.worker.toolkit.workshop import Workshop, say

FOLDER = "/opt/ml"


def run(workshop: Workshop) -> int:
    """Run the command; return its exit code, as a shell gives it.

    Raises:
        ModelRefused: its environment cannot be had.
    """
    variables = workshop.unlock()
    command = workshop.spec.command or ()
    say(f"Running {shlex.join(command)}")
    process = workshop.start(command, variables, FOLDER)
    asked = False

    def ask_all(number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        asked = True
        signal.signal(number, signal.SIG_IGN)
        os.killpg(0, number)

    signal.signal(signal.SIGTERM, ask_all)
    code = process.wait()
    if asked:
        workshop.outlast()
    workshop.sweep()
    return 128 - code if code < 0 else code
