"""Work in a process of its own, so that this one keeps nothing of what the work takes.

Rule: what a process touches once is its own until it ends: here that is soon. Whether the work succeeded, and
why not, is told; nothing else comes back but what the work left in files. It shares what this process holds,
the lock of its run too: so a run counts as living until the work has ended as well.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

from sagestead.worker.contract import ModelRefused

_DONE, _REFUSED, _FAILED = b"+", b"-", b"!"


class WorkFailed(RuntimeError):  # noqa: N818 - an event
    """The work raised something, which the log holds, or its process was killed."""


def do_apart(work: Callable[[], None]) -> int:
    """Do the work and wait until it is done.

    Returns:
        The id of its process, which is still ending: that takes longer than the caller may want to wait, but
        it has to wait for it (`os.waitpid`) some time.

    Raises:
        ModelRefused: as the work did.
        WorkFailed: it ended in any other way.
    """
    heard, told = os.pipe()
    sys.stdout.flush()
    process_id = os.fork()
    if process_id == 0:
        _do(work, told)
    os.close(told)
    with open(heard, "rb", buffering=0) as words:  # noqa: PTH123 - a descriptor
        how = words.read(1)
        if how == _DONE:
            return process_id
        text = words.read().decode("utf-8", "replace")
    code = os.waitstatus_to_exitcode(os.waitpid(process_id, 0)[1])
    if how == _REFUSED:
        raise ModelRefused(text)
    raise WorkFailed(text or f"the process that reads the model ended with {code}")


def _do(work: Callable[[], None], told: int) -> NoReturn:
    message = _FAILED
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        work()
        message = _DONE
    except ModelRefused as refused:
        message = _REFUSED + str(refused).encode("utf-8", "replace")
    except BaseException as error:  # noqa: BLE001 - the last place that can say why
        message = _FAILED + f"{type(error).__name__}: {error}".encode("utf-8", "replace")
        traceback.print_exc()
    finally:
        try:
            sys.stderr.flush()
            os.write(told, message)
        finally:
            os._exit(0)
