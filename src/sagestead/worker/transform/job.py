"""A batch transform job: every object through the model, in order, in bounded memory.

Rule: an object's output is there whole or not at all; a failing object does not stop the others; objects and
their payloads are worked on several at a time, written in the order of the input and reported in theirs.
"""

from __future__ import annotations

import os
import re
import threading
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
    with (
        ThreadPoolExecutor(threads, "payloads") as workers,
        ThreadPoolExecutor(threads, "objects") as drivers,
    ):
        pool = _Pool(workers, threading.Semaphore(2 * threads + 1))
        try:
            for report in drivers.map(lambda each: job.run(each, asking, pool), task.objects):
                job.add(report)
        finally:
            drivers.shutdown(cancel_futures=True)
    return job.result()


@dataclass(slots=True)
class _Report:
    """What became of one object: `lines` for the data log, then those of its bad records."""

    source: str
    whole: bool = False
    lines: list[str] = field(default_factory=list)
    bad: list[BadRecord] = field(default_factory=list)
    algorithms_fault: bool = False

    def blame(self, refused: Refused, *, first: bool) -> None:
        """Record a refusal: its bad records for the report, and for the data log what the platform says."""
        self.algorithms_fault |= refused.is_algorithms_fault
        if first and refused.is_algorithms_fault:
            self.lines.append(f"Bad HTTP status received from algorithm: {refused.status}")
        elif first and refused.status is not None:
            self.lines.append(f"ClientError: {refused.status}")
        if first:
            self.lines += ["", "Message:", *refused.text[:_LOGGED].splitlines()]
        self.bad += [BadRecord(self.source, record, cause) for record, cause in refused.bad]


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

    def run(self, each: TransformObject, asking: Asking, pool: _Pool) -> _Report:
        """Transform one object; its output file is left only when all of it was answered. On a thread."""
        output = self.folder / each.output
        output.parent.mkdir(parents=True, exist_ok=True)
        report = _Report(each.source)
        try:
            with output.open("wb") as out:
                report.whole = not self.stopping() and self._stream(each, asking, pool, out, report)
                out.flush()
                os.fsync(out.fileno())
        finally:
            if not report.whole:
                output.unlink()
        return report

    def add(self, report: _Report) -> None:
        """Take in what became of the next object, and write its lines."""
        (self.done if report.whole else self.failed).append(report.source)
        self.algorithms_fault |= report.algorithms_fault
        place = report.source.removeprefix("s3://")
        for line in report.lines:
            self.say(f"{place}: {line}")
        for bad in report.bad[: MOST_BAD - len(self.bad)]:
            self.bad.append(bad)
            if bad.line:
                self.say(f"{place}: line {bad.line}: {bad.cause}")

    def result(self) -> TransformResult:
        """Return the report."""
        return TransformResult(self.done, self.failed, self.bad, self._reason())

    def _stream(
        self, each: TransformObject, asking: Asking, pool: _Pool, out: IO[bytes], report: _Report
    ) -> bool:
        """Put an object's portions through the model; True when all were answered and written."""
        good = True
        try:
            with opened(self.folder / each.file, self.task.compression) as source:
                parts = portions(source, self.settings.division(self.task))
                for outcome in pool.in_order(asking.work, parts):
                    for refused in outcome.refused:
                        report.blame(refused, first=good)
                        good = False
                    enough = len(self.bad) + len(report.bad) >= MOST_BAD
                    if self.stopping() or (not good and (outcome.is_final or enough)):
                        return False
                    if good:
                        out.write(outcome.written)
        except Unreadable as error:
            report.blame(Refused(None, str(error), [(error.record, str(error))]), first=good)
            return False
        return good

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
    """Threads that work on portions, those of several objects at a time.

    `room`: for so many portions under way, so that memory does not depend on the number of objects.
    """

    executor: ThreadPoolExecutor
    room: threading.Semaphore

    def in_order(self, work: Callable[[Portion], Outcome], parts: Iterator[Portion]) -> Iterator[Outcome]:
        """Yield the outcomes in the order of the portions."""
        pending: deque[Future[Outcome]] = deque()
        try:
            for part in parts:
                while not self.room.acquire(blocking=not pending):
                    yield self._next(pending)
                pending.append(self.executor.submit(work, part))
            while pending:
                yield self._next(pending)
        finally:
            for future in pending:
                future.cancel()
            wait(pending)  # the object is open until nobody reads it
            if pending:
                self.room.release(len(pending))

    def _next(self, pending: deque[Future[Outcome]]) -> Outcome:
        try:
            return pending.popleft().result()
        finally:
            self.room.release()
