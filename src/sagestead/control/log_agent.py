"""Carries what runs write into log streams.

Rules: every line once, in order, within a fifth of a second (the first of an instance that was long silent:
within a second); a tab is written `#011`; bytes that are not UTF-8 are replaced; a line longer than
`LONGEST_LINE` bytes is cut. How far a log was carried is noted in the run's folder, and the stream itself has
the last word: whatever it holds beyond the note is not carried again.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import secrets
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sagestead.control.meter import KEPT_SECONDS, Meter
from sagestead.domain.logs import LogStream
from sagestead.domain.resources import Kind, Resource
from sagestead.planning.streams import data_stream, stream_of
from sagestead.ports import Clock, Engine, Logs, Metrics
from sagestead.worker.run_folder import read_part

LONGEST_LINE = 32 * 1024
CHUNK = 256 * 1024
TICK_SECONDS = 0.1
PAUSE = 0.2
SILENT_SECONDS = 5.0
SILENT_PAUSE = 1.0
CLEANING_SECONDS = 3600.0

_log = logging.getLogger(__name__)

LOG, NOTE = "log", "log.carried"

Read = Callable[[int, int], bytes]
"""(offset, limit) -> bytes of a log."""


def split_lines(chunk: bytes, *, is_all: bool) -> list[bytes]:
    """Return the whole lines at the start of a chunk, with their ends.

    An unfinished line is left out unless `is_all` says that nothing follows; a line that is too long is cut
    at `LONGEST_LINE`, so that the same bytes are always split the same way.
    """
    lines: list[bytes] = []
    start = 0
    while start < len(chunk):
        end = chunk.find(b"\n", start, start + LONGEST_LINE) + 1
        if not end and (is_all or len(chunk) - start >= LONGEST_LINE):
            end = min(start + LONGEST_LINE, len(chunk))
        if not end:
            break
        lines.append(chunk[start:end])
        start = end
    return lines


def as_message(line: bytes) -> str:
    """Return a line as CloudWatch stores it."""
    return line.rstrip(b"\r\n").decode("utf-8", "replace").replace("\t", "#011")


def instance_of(folder: Path) -> str:
    """Return the id of the instance that a run's folder stands for, in the form of EC2's; made once."""
    place = folder / "instance"
    try:
        return place.read_text()
    except FileNotFoundError:
        made = f"i-{secrets.token_hex(9)[1:]}"
        draft = folder / f".{made}"
        draft.write_text(made)
        with suppress(FileExistsError):
            place.hardlink_to(draft)
        draft.unlink()
        return place.read_text()


def carried(folder: Path) -> int | None:
    """Return how many bytes of a run's log were carried; None when its stream is not even made."""
    with suppress(FileNotFoundError, ValueError):
        return int((folder / NOTE).read_text().split()[0])
    return None


def size_of(path: Path) -> int:
    """Return the size of a file; 0 when there is none."""
    with suppress(FileNotFoundError):
        return path.stat().st_size
    return 0


class Tail:
    """One log on its way into one stream."""

    def __init__(  # noqa: PLR0913, PLR0917 - where from, where to, and how far
        self, read: Read, note: Path, stream: LogStream, logs: Logs, clock: Clock, meter: Meter | None = None
    ) -> None:
        self._read = read
        self._note = note
        self._stream = stream
        self._logs = logs
        self._clock = clock
        self._meter = meter
        self._mutex = threading.Lock()
        self._position: tuple[int, int] | None = None
        self._closed = False

    def pump(self, *, is_all: bool) -> bool:
        """Carry what there is; `is_all`: the log has ended, its unfinished line too. True if anything was."""
        with self._mutex:
            if self._closed:
                return False
            offset, sequence = self._position or self._resume()
            before = offset
            while lines := split_lines(self._read(offset, CHUNK), is_all=is_all):
                messages, now = [as_message(line) for line in lines], self._clock()
                if self._meter is not None:
                    self._meter.read(sequence, messages, now)
                self._logs.append(self._stream, messages, now)
                offset += sum(map(len, lines))
                sequence += len(lines)
                self._position = (offset, sequence)
                self._note.write_text(f"{offset} {sequence}")
            self._position = (offset, sequence)
            return offset != before

    def close(self) -> None:
        """Carry nothing any more."""
        with self._mutex:
            self._closed = True

    def _resume(self) -> tuple[int, int]:
        """Return (offset, sequence) of the first line that the stream does not hold."""
        offset, sequence = 0, 0
        with suppress(FileNotFoundError, ValueError):
            offset, sequence = map(int, self._note.read_text().split())
        last = self._logs.last(self._stream, 1)
        held = last[-1].sequence + 1 if last else 0
        if held < sequence:
            offset, sequence = 0, 0
        while sequence < held and (lines := split_lines(self._read(offset, CHUNK), is_all=True)):
            known = lines[: held - sequence]
            offset += sum(map(len, known))
            sequence += len(known)
        if sequence == 0:
            self._logs.append(self._stream, [], self._clock())
            self._note.write_text("0 0")
        return offset, held


@dataclass(slots=True)
class _Followed:
    tails: list[Tail]
    is_job: bool
    heard_at: float


class LogAgent:
    """Follows the logs of runs. Safe to use from several threads."""

    def __init__(self, engine: Engine, logs: Logs, metrics: Metrics, clock: Clock) -> None:
        self._engine = engine
        self._logs = logs
        self._metrics = metrics
        self._clock = clock
        self._mutex = threading.Lock()
        self._followed: dict[str, _Followed] = {}
        self._queue: list[tuple[float, int, str, _Followed]] = []
        self._numbers = itertools.count()

    def follow(self, owner: Resource, run_id: str) -> None:
        """Carry the run's lines from now on; again is fine."""
        with self._mutex:
            if run_id not in self._followed:
                is_job = owner.key.kind is not Kind.ENDPOINT
                now = self._clock()
                followed = self._followed[run_id] = _Followed(self._tails(owner, run_id), is_job, now)
                heapq.heappush(self._queue, (now, next(self._numbers), run_id, followed))

    def last_lines(self, owner: Resource, run_id: str, count: int) -> tuple[str, ...]:
        """Return the last lines of the run that are in its stream."""
        stream = stream_of(owner, run_id, instance_of(self._engine.folder(run_id)))
        return tuple(event.message for event in self._logs.last(stream, count))

    def drain(self, run_id: str) -> None:
        """Carry everything that an ended run wrote, before this returns."""
        for tail in self._tails_of(run_id):
            tail.pump(is_all=True)

    def finish(self, owner: Resource, run_id: str) -> None:
        """Carry everything that an ended run of one log wrote, and follow it no more; again costs little."""
        folder = self._engine.folder(run_id)
        if carried(folder) != size_of(folder / LOG):
            self.follow(owner, run_id)
            self.drain(run_id)
        self.release(run_id)

    def release(self, run_id: str) -> None:
        """Follow the run no more."""
        with self._mutex:
            followed = self._followed.pop(run_id, None)
        for tail in followed.tails if followed else ():
            tail.close()

    def run(self, stopping: threading.Event) -> None:
        """Carry lines until `stopping` is set."""
        cleaned_at = 0.0
        while not stopping.wait(TICK_SECONDS):
            now = self._clock()
            if now >= cleaned_at + CLEANING_SECONDS:
                cleaned_at = now
                self._forget_old_metrics(now)
            for run_id, followed in self._take_due(now):
                due = self._tick(run_id, followed, now)
                with self._mutex:
                    heapq.heappush(self._queue, (due, next(self._numbers), run_id, followed))

    def _take_due(self, now: float) -> list[tuple[str, _Followed]]:
        """Return the runs whose logs are to be looked at now, those released meanwhile left out."""
        due = []
        with self._mutex:
            while self._queue and self._queue[0][0] <= now:
                _, _, run_id, followed = heapq.heappop(self._queue)
                if self._followed.get(run_id) is followed:
                    due.append((run_id, followed))
        return due

    def _tick(self, run_id: str, followed: _Followed, now: float) -> float:
        """Carry what there is; return when to look again."""
        try:
            carried = [tail.pump(is_all=False) for tail in followed.tails]
        except Exception:  # noqa: BLE001 - the agent outlives a failing store; logged, tried again
            _log.exception("log lines of %s are not carried yet", run_id)
            return now + 1
        if any(carried):
            followed.heard_at = now
        is_lively = followed.is_job or now < followed.heard_at + SILENT_SECONDS
        return now + (PAUSE if is_lively else SILENT_PAUSE) - TICK_SECONDS

    def _forget_old_metrics(self, now: float) -> None:
        try:
            self._metrics.expire(round((now - KEPT_SECONDS) * 1000))
        except Exception:  # noqa: BLE001 - the agent outlives a failing store; logged, tried again
            _log.exception("old metrics are not forgotten yet")

    def _tails_of(self, run_id: str) -> list[Tail]:
        with self._mutex:
            followed = self._followed.get(run_id)
        return followed.tails if followed else []

    def _tails(self, owner: Resource, run_id: str) -> list[Tail]:
        folder = self._engine.folder(run_id)

        stream = stream_of(owner, run_id, instance_of(folder))
        main = partial(read_part, folder / LOG)
        meter = Meter(owner, stream, self._metrics) if owner.key.kind is Kind.TRAINING_JOB else None
        tails = [Tail(main, folder / NOTE, stream, self._logs, self._clock, meter)]
        if owner.key.kind is Kind.TRANSFORM_JOB:
            read, beside = partial(read_part, folder / "data-log"), data_stream(stream)
            tails.append(Tail(read, folder / "data-log.carried", beside, self._logs, self._clock))
        return tails
