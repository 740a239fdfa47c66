"""A host in the front door itself: a prepared model, mapped and asked right here.

Rule: the event loop computes for `AT_ONCE_SECONDS` at most. What is cheaper is answered at once; what is not,
and what must be opened first, goes to threads, which give way to the loop. No more waits for them than
`Threads` allows; beyond that a host is `Busy`.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from sagestead.forest.threads import CORES, give_way
from sagestead.serving.host import Busy, Unread
from sagestead.wire.frames import BODY_LIMIT
from sagestead.worker.contract import Answer, InlineModel, Invocation, ModelRefused, Open

AT_ONCE_SECONDS = 200e-6
TIMEOUT = 60.0
WAITING = 256
"""How many requests the threads of a process may have, begun or not."""
PAUSE_AFTER_REFUSAL = 1.0

_LOG = logging.getLogger(__name__)


class Threads:
    """The threads that all inline hosts of a process share; each is made when there is work for it.

    Args:
        count: how many at most.
        waiting: how many requests they may have at a time, begun or not.
        timeout: seconds that an answer may take.
    """

    def __init__(self, count: int = CORES, waiting: int = WAITING, timeout: float = TIMEOUT) -> None:
        self._pool = ThreadPoolExecutor(count, "inline", initializer=give_way)
        self._waiting = waiting
        self._timeout = timeout
        self._jobs: set[Future[Answer]] = set()

    def ask(self, work: Callable[[], Answer], jobs: set[Future[Answer]]) -> asyncio.Future[Answer]:
        """Have `work` done; it is in `jobs` for as long as it waits or is done.

        Raises:
            Busy: too much waits already.
        """
        if len(self._jobs) >= self._waiting:
            raise Busy
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Answer] = loop.create_future()
        job = self._pool.submit(work)
        self._jobs.add(job)
        jobs.add(job)

        def end(_: Future[Answer]) -> None:
            self._jobs.discard(job)
            jobs.discard(job)
            with suppress(RuntimeError):  # the loop is closed: nobody waits
                loop.call_soon_threadsafe(_deliver, job, answer)

        job.add_done_callback(end)
        timer = loop.call_later(self._timeout, _time_out, answer)

        def let_go(_: asyncio.Future[Answer]) -> None:
            timer.cancel()
            job.cancel()

        answer.add_done_callback(let_go)
        return answer

    def close(self) -> None:
        """Begin nothing more; what is under way ends."""
        self._pool.shutdown(wait=False, cancel_futures=True)


class InlineHost:
    """A prepared model.

    Args:
        folder: what `Prepare` left.
        open_model: opens it.
        threads: do what the event loop cannot wait for.
    """

    __slots__ = ("_folder", "_jobs", "_model", "_open", "_opening", "_refused_at", "_retired", "_threads")

    def __init__(self, folder: Path, open_model: Open, threads: Threads) -> None:
        self._folder = folder
        self._open = open_model
        self._threads = threads
        self._model: InlineModel | None = None
        self._opening = threading.Lock()
        self._refused_at: float | None = None
        self._retired = False
        self._jobs: set[Future[Answer]] = set()

    @property
    def outstanding(self) -> int:
        """How many requests the threads have of it."""
        return len(self._jobs)

    def begin(self, invocation: Invocation) -> Answer | asyncio.Future[Answer]:
        """Answer at once what is cheap; leave the rest to the threads.

        Raises:
            Unread: it is retired, or the model cannot be opened.
            Busy: the threads have too much to do.
        """
        model = self._model
        if model is not None:
            answer = _at_once(model, invocation)
            if answer is not None:
                return answer
            if model.cost(invocation) <= AT_ONCE_SECONDS:
                return _answer(model, invocation)
            return self._threads.ask(lambda: _answer(model, invocation), self._jobs)
        if self._retired or self._is_refused():
            raise Unread
        return self._threads.ask(lambda: _answer(self.open(), invocation), self._jobs)

    def open(self) -> InlineModel:
        """Open the model, if it is not open; it may take as long as reading the model takes.

        Raises:
            Unread: it cannot be opened; the log says why.
        """
        with self._opening:
            if self._model is not None:
                return self._model
            if self._retired or self._is_refused():
                raise Unread
            try:
                self._model = self._open(self._folder)
            except Exception as error:  # whatever is wrong with one model, others are to be served
                self._refused_at = time.monotonic()
                _LOG.warning("%s cannot be hosted: %s", self._folder, error, exc_info=not _is_refusal(error))
                raise Unread from error
            return self._model

    def retire(self) -> None:
        """Let go of the model; requests under way keep it until they end."""
        self._retired = True
        self._model = None

    def _is_refused(self) -> bool:
        """True for a while after the model could not be opened, so that asking costs little."""
        refused_at = self._refused_at
        return refused_at is not None and time.monotonic() < refused_at + PAUSE_AFTER_REFUSAL


def _at_once(model: InlineModel, invocation: Invocation) -> Answer | None:
    """Return the answer that takes no time; what goes wrong shows when the model is asked for good."""
    try:
        return model.at_once(invocation)
    except Exception:  # noqa: BLE001 - a model's defect must not end the server
        return None


def _answer(model: InlineModel, invocation: Invocation) -> Answer:
    """Ask the model; whatever goes wrong inside it is an answer too, the same as a worker's."""
    try:
        answer = model.invoke(invocation)
    except Exception:  # noqa: BLE001 - a model's defect must not end the server; logged
        _LOG.exception("a model raised an exception")
        return _failed("the model raised an exception; the server's log holds it")
    if len(answer.body) > BODY_LIMIT:
        return _failed(f"the model's answer has {len(answer.body)} bytes; at most {BODY_LIMIT} are allowed")
    return answer


def _is_refusal(error: Exception) -> bool:
    return isinstance(error, ModelRefused | OSError)


def _failed(sentence: str) -> Answer:
    return Answer(500, "text/plain", sentence.encode())


def _deliver(job: Future[Answer], answer: asyncio.Future[Answer]) -> None:
    if answer.done():
        return
    if job.cancelled():
        answer.set_exception(Unread())
    elif (error := job.exception()) is not None:
        answer.set_exception(error)
    else:
        answer.set_result(job.result())


def _time_out(answer: asyncio.Future[Answer]) -> None:
    if not answer.done():
        answer.set_exception(TimeoutError())
