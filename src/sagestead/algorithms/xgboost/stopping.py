"""How SIGTERM ends a training job.

Rule: the signal raises `Stopped` at the next step of Python. Where the library calls Python from C++ (to
print a warning) an exception is lost, so the request is remembered and looked at after each round, too.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Self

from xgboost import Booster
from xgboost.callback import TrainingCallback

from sagestead.algorithms.xgboost.report import Evaluations


class Stopped(BaseException):
    """SIGTERM came."""


class StopRequest(TrainingCallback):
    """Listens for SIGTERM while it is entered; only a process's main thread can. A callback of each round."""

    def __init__(self) -> None:
        super().__init__()
        self._asked = False
        self._listens = threading.current_thread() is threading.main_thread()

    def __enter__(self) -> Self:
        """Begin to listen."""
        if self._listens:
            self._before = signal.signal(signal.SIGTERM, self._ask)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the signal to whoever listened before."""
        if self._listens:
            signal.signal(signal.SIGTERM, self._before)

    @property
    def asked(self) -> bool:
        """True once the signal came."""
        return self._asked

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self._asked = True
        raise Stopped

    def after_iteration(self, model: Booster, epoch: int, evals_log: Evaluations) -> bool:
        """Raise `Stopped` if the signal came; else training goes on."""
        del model, epoch, evals_log
        if self._asked:
            raise Stopped
        return False
