"""A batch transform job: every object through the model, in order, in bounded memory.

Rule: an object's output is there whole or not at all; a failing object does not stop the others; payloads are
answered several at a time and written in the order of the input.
"""

from __future__ import annotations

import os
import re
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from sagestead.domain.errors import Invalid
from sagestead.domain.transform import BadRecord, TransformObject, TransformResult, TransformTask
from sagestead.worker.contract import Model
from sagestead.worker.transform.asking import MOST_BAD, Asking, Outcome, Refused
from sagestead.worker.transform.joining import joining_of
from sagestead.worker.transform.payloads import HARD_LIMIT, Division, Portion, Unreadable
from sagestead.worker.transform.reading import opened, portions

_MIB = 1 << 20
_CONTAINER_LIMIT = 6 * _MIB
_REASON = 1024
_POSITIVE = re.compile(r"[1-9][0-9]{0,17}")
_LOGGED = 4096


@dataclass(frozen=True, slots=True)
class Effective:
    """The settings that a job runs with, after the container's defaults (its /execution-parameters)."""

    concurrent: int
    payload_mb: int
    single: bool
    target: int

    def division(self, task: TransformTask) -> Division:
        """Return how objects are divided."""
        limit = self.payload_mb * _MIB or HARD_LIMIT
        return Division(task.split_type, self.single, min(self.target, limit), limit)


def effective(task: TransformTask, environment: Mapping[str, str]) -> Effective:
    """Fill what the request leaves open as the built-in container does: 6 MiB, one request a core.

    Payloads of many records are not made larger than the container accepts (MAX_CONTENT_LENGTH).
    """
    text = environment.get("MAX_CONTENT_LENGTH", "")
    accepted = int(text) if _POSITIVE.fullmatch(text) else _CONTAINER_LIMIT
    payload_mb = max(1, accepted // _MIB) if task.max_payload_mb is None else task.max_payload_mb
    return Effective(
        concurrent=task.max_concurrent or os.cpu_count() or 1,
        payload_mb=payload_mb,
        single=task.strategy == "SingleRecord",
        target=min(accepted, HARD_LIMIT),
    )


def transform(  # noqa: PLR0913, PLR0917 - the task, what it works on, and its ways out
    task: TransformTask,
    model: Model,
    folder: Path,
    environment: Mapping[str, str],
    log: Callable[[str], None],
    stopping: Callable[[], bool] = lambda: False,
) -> TransformResult:
    """Carry out a task.

    Args:
        task: what to do; object paths are relative to `folder`.
        model: answers the payloads; used by several threads when its `parallel` is true.
        folder: the run's folder.
        environment: the container's.
        log: takes the platform's lines for the data log.
        stopping: asked between payloads; once true, unfinished objects are given up.

    Returns:
        Which objects are done; unfinished and failed ones have no output file.
    """
    settings = effective(task, environment)
    job = _Job(task, settings, folder, log, stopping)
    job.say(
        f"MaxConcurrentTransforms={settings.concurrent}, MaxPayloadInMB={settings.payload_mb}, "
        f"BatchStrategy={'SINGLE_RECORD' if settings.single else 'MULTI_RECORD'}"
    )
    try:
        asking = Asking(task, model, joining_of(task))
    except Invalid as error:
        return TransformResult(
            [], [each.source for each in task.objects], [], f"ClientError: {error.sentence}"
        )
    threads = os.cpu_count() or 1 if getattr(model, "parallel", False) else 1
    for each in task.objects:
        job.run(each, asking, threads)
    return job.result()


@dataclass(slots=True)
class _Job:
    """What has been done so far."""

    task: TransformTask
    settings: Effective
    folder: Path
    log: Callable[[str], None]
    stopping: Callable[[], bool]
    done: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    bad: list[BadRecord] = field(default_factory=list)
    algorithms_fault: bool = False

    def say(self, text: str) -> None:
        """Write one line to the data log."""
        now = time.time()
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
        self.log(f"{stamp}.{int(now * 1000) % 1000:03d}:[sagemaker logs]: {text}")

    def run(self, each: TransformObject, asking: Asking, threads: int) -> None:
        """Transform one object; its output file is left only when all of it was answered."""
        output = self.folder / each.output
        output.parent.mkdir(parents=True, exist_ok=True)
        whole = False
        try:
            with output.open("wb") as out, ThreadPoolExecutor(threads, "transform") as pool:
                whole = not self.stopping() and self._stream(each, asking, _Pool(pool, threads), out)
                out.flush()
                os.fsync(out.fileno())
        finally:
            (self.done if whole else self.failed).append(each.source)
            if not whole:
                output.unlink()

    def result(self) -> TransformResult:
        """Return the report."""
        return TransformResult(self.done, self.failed, self.bad, self._reason())

    def _stream(self, each: TransformObject, asking: Asking, pool: _Pool, out: IO[bytes]) -> bool:
        """Put an object's portions through the model; True when all were answered and written."""
        good = True
        try:
            with opened(self.folder / each.file, self.task.compression) as source:
                parts = portions(source, self.settings.division(self.task))
                for outcome in pool.in_order(asking.work, parts):
                    for refused in outcome.refused:
                        self._blame(each, refused, first=good)
                        good = False
                    if self.stopping() or (not good and (outcome.is_final or len(self.bad) >= MOST_BAD)):
                        return False
                    if good:
                        out.write(outcome.written)
        except Unreadable as error:
            self._blame(each, Refused(None, str(error), [(error.record, str(error))]), first=good)
            return False
        return good

    def _blame(self, each: TransformObject, refused: Refused, *, first: bool) -> None:
        """Record a refusal: its bad records for the report, and for the data log what the platform says."""
        place = each.source.removeprefix("s3://")
        self.algorithms_fault |= refused.is_algorithms_fault
        if first and refused.is_algorithms_fault:
            self.say(f"{place}: Bad HTTP status received from algorithm: {refused.status}")
        elif first and refused.status is not None:
            self.say(f"{place}: ClientError: {refused.status}")
        if first:
            for line in ("", "Message:", *refused.text[:_LOGGED].splitlines()):
                self.say(f"{place}: {line}")
        for record, cause in refused.bad[: MOST_BAD - len(self.bad)]:
            self.bad.append(BadRecord(each.source, record, cause))
            if record:
                self.say(f"{place}: line {record}: {cause}")

    def _reason(self) -> str | None:
        if not self.bad:
            return None
        whose = "AlgorithmError" if self.algorithms_fault else "ClientError"
        named = "; ".join(
            f"{bad.source} line {bad.line}: {bad.cause}" if bad.line else f"{bad.source}: {bad.cause}"
            for bad in self.bad
        )
        return f"{whose}: See job logs for more information. First bad records: {named}"[:_REASON]


@dataclass(frozen=True, slots=True)
class _Pool:
    """Threads that work on the portions of one object."""

    executor: ThreadPoolExecutor
    threads: int

    def in_order(self, work: Callable[[Portion], Outcome], parts: Iterator[Portion]) -> Iterator[Outcome]:
        """Yield the outcomes in the order of the portions; one more portion than threads is held ready."""
        pending: deque[Future[Outcome]] = deque()
        try:
            for part in parts:
                pending.append(self.executor.submit(work, part))
                if len(pending) > self.threads:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()
            wait(pending)  # the object is open until nobody reads it
