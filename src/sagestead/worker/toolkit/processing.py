"""Processing with a program of the user's: the entrypoint and its arguments, in the runtime of the image.

Rules: the program finds `python3`, `python` and `pip` of an environment that is the run's own, so that what
it installs goes with the run. When it has ended, nothing that it started goes on.
"""

from __future__ import annotations

import shlex
import signal
from types import FrameType

from sagestead.worker.toolkit.workshop import Workshop, say

FOLDER = "/opt/ml"


def process(workshop: Workshop) -> int:
    """Run the command that the job names; return its exit code, as a shell gives it.

    Raises:
        ModelRefused: its environment cannot be had.
    """
    variables = workshop.unlock()
    command = workshop.spec.command or ()
    say(f"Running {shlex.join(command)}")
    process = workshop.start(command, variables, FOLDER)

    def pass_on(number: int, _frame: FrameType | None) -> None:
        process.send_signal(number)

    signal.signal(signal.SIGTERM, pass_on)
    code = process.wait()
    workshop.sweep()
    return 128 - code if code < 0 else code
