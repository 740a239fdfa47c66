"""Processes that must not outlive the supervisor hold the reading end of a pipe that it keeps open.

When the supervisor ends in any way, the pipe ends, and they do. The descriptor's number is inherited in
`SAGESTEAD_LIFELINE`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

VARIABLE = "SAGESTEAD_LIFELINE"


def watch(ended: Callable[[], None]) -> None:
    """Call `ended` on a thread when the supervisor is gone; does nothing without a lifeline."""
    number = os.environ.get(VARIABLE)
    if number is None:
        return

    def wait() -> None:
        os.read(int(number), 1)
        ended()

    threading.Thread(target=wait, name="lifeline", daemon=True).start()
