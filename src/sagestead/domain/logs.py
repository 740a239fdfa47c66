"""Log groups, streams and events, as CloudWatch Logs names them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LogStream:
    """One stream, for example group `/aws/sagemaker/TrainingJobs`, stream `<job>/algo-1-<epoch>`."""

    account: str
    region: str
    group: str
    stream: str


@dataclass(frozen=True, slots=True)
class LogEvent:
    """One line. `sequence` counts within the stream from 0; times are milliseconds since the epoch."""

    sequence: int
    timestamp: int
    ingestion_time: int
    message: str


@dataclass(frozen=True, slots=True)
class StreamSummary:
    """What DescribeLogStreams shows of a stream (times in milliseconds since the epoch)."""

    stream: LogStream
    created: int
    first_event: int | None
    last_event: int | None
    last_ingestion: int | None
