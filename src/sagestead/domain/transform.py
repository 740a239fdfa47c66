"""Batch transform as data: what the transform process is given, and what it reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

SplitType = Literal["None", "Line", "RecordIO", "TFRecord"]


@dataclass(frozen=True, slots=True)
class TransformObject:
    """One input object.

    Attributes:
        source: `s3://bucket/key`.
        file: path of its bytes, relative to the run's folder.
        output: path that its output is written to, relative to the run's folder.
    """

    source: str
    file: str
    output: str


@dataclass(frozen=True, slots=True)
class TransformTask:
    """Content of transform.json: the request's members with defaults filled in (spec: CreateTransformJob).

    `max_payload_mb` 0 means unlimited. Paths and filters are written as the client wrote them.
    """

    objects: list[TransformObject]
    content_type: str | None = None
    accept: str | None = None
    compression: Literal["None", "Gzip"] = "None"
    split_type: SplitType = "None"
    assemble_with: Literal["None", "Line"] = "None"
    strategy: Literal["MultiRecord", "SingleRecord"] | None = None
    max_payload_mb: int | None = None
    max_concurrent: int | None = None
    input_filter: str = "$"
    output_filter: str = "$"
    join_source: Literal["None", "Input"] = "None"

    def to_json(self) -> dict[str, Any]:
        """Return the form stored in transform.json."""
        return asdict(self)

    @classmethod
    def of_request(cls, request: Mapping[str, Any], objects: list[TransformObject]) -> TransformTask:
        """Return a CreateTransformJob request as a task."""
        given, wanted = request["TransformInput"], request["TransformOutput"]
        data = request.get("DataProcessing", {})
        return cls(
            objects=objects,
            content_type=given.get("ContentType"),
            accept=wanted.get("Accept"),
            compression=given.get("CompressionType") or "None",
            split_type=given.get("SplitType") or "None",
            assemble_with=wanted.get("AssembleWith") or "None",
            strategy=request.get("BatchStrategy"),
            max_payload_mb=request.get("MaxPayloadInMB"),
            max_concurrent=request.get("MaxConcurrentTransforms"),
            input_filter=data.get("InputFilter") or "$",
            output_filter=data.get("OutputFilter") or "$",
            join_source=data.get("JoinSource") or "None",
        )

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> TransformTask:
        """Read the form stored in transform.json."""
        return cls(**{**value, "objects": [TransformObject(**o) for o in value["objects"]]})


@dataclass(frozen=True, slots=True)
class BadRecord:
    """A record that the model or a filter refused. `line` counts from 1; 0: the whole object."""

    source: str
    line: int
    cause: str


@dataclass(frozen=True, slots=True)
class TransformResult:
    """Content of transform-result.json.

    Attributes:
        done: sources whose output file is complete, in input order.
        failed: sources without output.
        bad_records: the first ten bad records.
        reason: sentence for FailureReason, when anything failed.
    """

    done: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    bad_records: list[BadRecord] = field(default_factory=list)
    reason: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the form stored in transform-result.json."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> TransformResult:
        """Read the form stored in transform-result.json."""
        bad = [BadRecord(**record) for record in value["bad_records"]]
        return cls(value["done"], value["failed"], bad, value["reason"])
