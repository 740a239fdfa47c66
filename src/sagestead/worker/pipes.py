"""Pipe mode: FIFOs `<channel>_<epoch>`, fed from files by a process beside the training process.

Rules: what a stream holds in an epoch is decided by `Pipe.order` alone. A reader that closes early has had
its epoch. The next FIFO is there before the last one ends. When data cannot be fed, the training process is
ended before it sees an end of the stream, and the failure file says why.
"""

from __future__ import annotations

import fcntl
import gzip
import itertools
import os
import signal
import struct
import sys
import threading
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, NoReturn, cast

from sagestead.planning.inputs import shuffled
from sagestead.worker.run_folder import RunFolder, read_json

MAGIC = 0xCED7230A
LONGEST_RECORD = (1 << 29) - 1
PARENT_SECONDS = 0.1
_CHUNK = 1 << 20
_SET_PIPE_SIZE = 1031


class Unfeedable(Exception):  # noqa: N818 - it names what cannot be fed
    """One sentence for FailureReason."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a record: the file of an object, by its name beside the plan, or a text."""

    file: str | None = None
    uri: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Pipe:
    """What the FIFOs of a channel are fed with.

    Attributes:
        channel: its name.
        records: what is shuffled and shared out: an object, or the parts of a manifest's line.
        share: (which, of how many) shares of each epoch's order.
        seed: of the order; None: as they are.
        is_gzip: objects are decompressed.
        is_wrapped: each part becomes a RecordIO record.
    """

    channel: str
    records: list[list[Part]]
    share: tuple[int, int] = (0, 1)
    seed: int | None = None
    is_gzip: bool = False
    is_wrapped: bool = False

    def order(self, epoch: int) -> list[list[Part]]:
        """Return the records of an epoch."""
        records = self.records if self.seed is None else shuffled(self.records, self.seed, epoch)
        which, count = self.share
        return records[which::count]

    def to_json(self) -> dict[str, Any]:
        """Return the form stored beside the files."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Pipe:
        """Read the form stored beside the files."""
        records = [[Part(**part) for part in record] for record in value["records"]]
        return cls(**{**value, "records": records, "share": tuple(value["share"])})


def feed(run: RunFolder) -> None:
    """Make the first FIFO of every Pipe channel and feed them from a process of their own from now on."""
    pipes = [Pipe.from_json(value) for path in sorted(run.pipes.glob("*.json")) if (value := read_json(path))]
    if not pipes:
        return
    for pipe in pipes:
        for old in run.layout.channel("").glob(f"{pipe.channel}_*"):
            old.unlink()
        _make_fifo(run, pipe, 0)
    parent = os.getpid()
    sys.stdout.flush()
    if os.fork() == 0:
        _feed_until_orphaned(run, pipes, parent)


def stream(pipe: Pipe, folder: Path, epoch: int, to: IO[bytes]) -> None:
    """Write one epoch; raise `Unfeedable`, or BrokenPipeError when nobody reads any more."""
    for part in itertools.chain.from_iterable(pipe.order(epoch)):
        if pipe.is_wrapped:
            _wrapped(pipe, part, folder, to)
        else:
            for data in _content(pipe, part, folder):
                to.write(data)


def _wrapped(pipe: Pipe, part: Part, folder: Path, to: IO[bytes]) -> None:
    length = sum(map(len, _content(pipe, part, folder)))
    if length > LONGEST_RECORD:
        raise Unfeedable(
            f"The object {part.uri} of channel {pipe.channel} is too long for one RecordIO record: {length} "
            f"bytes, {LONGEST_RECORD} at most."
        )
    to.write(struct.pack("<II", MAGIC, length))
    for data in _content(pipe, part, folder):
        to.write(data)
    to.write(b"\0" * (-length % 4))


def _content(pipe: Pipe, part: Part, folder: Path) -> Iterator[bytes]:
    if part.file is None:
        yield part.text.encode()
        return
    with (folder / part.file).open("rb") as raw:
        source = cast("IO[bytes]", gzip.GzipFile(fileobj=raw)) if pipe.is_gzip else raw
        try:
            while data := source.read(_CHUNK):
                yield data
        except (OSError, EOFError, zlib.error) as fault:
            raise Unfeedable(
                f"The object {part.uri} of channel {pipe.channel} cannot be decompressed: {fault}. "
                "CompressionType Gzip says that it is a gzip file."
            ) from fault


def _feed_until_orphaned(run: RunFolder, pipes: list[Pipe], parent: int) -> NoReturn:
    """Feed every channel on a thread of its own until the training process is gone."""
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))
        for pipe in pipes:
            threading.Thread(target=_feed_channel, args=(run, pipe, parent), daemon=True).start()
        alarm = threading.Event()
        while os.getppid() == parent:
            alarm.wait(PARENT_SECONDS)
    finally:
        os._exit(0)


def _feed_channel(run: RunFolder, pipe: Pipe, parent: int) -> None:
    for epoch in itertools.count():
        fifo = _fifo(run, pipe, epoch)
        with suppress(BrokenPipeError), fifo.open("wb") as to:
            try:
                _feed_epoch(run, pipe, epoch, to, parent)
            finally:
                _make_fifo(run, pipe, epoch + 1)
                fifo.unlink()


def _feed_epoch(run: RunFolder, pipe: Pipe, epoch: int, to: IO[bytes], parent: int) -> None:
    with suppress(OSError):
        fcntl.fcntl(to, _SET_PIPE_SIZE, _CHUNK)
    try:
        stream(pipe, run.pipes, epoch, to)
    except BrokenPipeError:
        raise
    except Unfeedable as fault:
        _give_up(run, f"ClientError: {fault}", parent)
    except Exception as fault:  # noqa: BLE001 - the training process must not take it for the end of its data
        _give_up(run, f"InternalServerError: {type(fault).__name__}: {fault}", parent)


def _give_up(run: RunFolder, text: str, parent: int) -> NoReturn:
    """Say why, then end the training process before it sees the end of its data."""
    failure = run.layout.failure
    failure.parent.mkdir(parents=True, exist_ok=True)
    failure.write_text(text)
    run.fail(text)
    with suppress(ProcessLookupError):
        if os.getpgid(0) == parent:
            os.killpg(parent, signal.SIGKILL)
        os.kill(parent, signal.SIGKILL)
    os._exit(1)


def _make_fifo(run: RunFolder, pipe: Pipe, epoch: int) -> None:
    """Make a FIFO that the user of the program may read, too; who gets as far is decided by the folders."""
    path = _fifo(run, pipe, epoch)
    os.mkfifo(path, 0o600)
    path.chmod(0o666)


def _fifo(run: RunFolder, pipe: Pipe, epoch: int) -> Path:
    return run.layout.channel(f"{pipe.channel}_{epoch}")
