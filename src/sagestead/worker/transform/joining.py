"""What happens to records before and after the model: InputFilter, JoinSource, OutputFilter.

Rule: record n of the input belongs to record n of the output; when their numbers differ nothing is guessed.
CSV is read by RFC 4180 and written with quotes only where they are needed; JSON is written compactly.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sagestead.domain.data_processing import Processing, processing_of
from sagestead.domain.jsonpath import NotSelected, Path
from sagestead.domain.transform import TransformTask


class Unjoinable(Exception):  # noqa: N818 - it says what is wrong with a record
    """A record cannot be filtered or joined.

    Attributes:
        place: index of the record in its payload.
    """

    def __init__(self, sentence: str, place: int = 0) -> None:
        super().__init__(sentence)
        self.place = place


@dataclass(frozen=True, slots=True)
class Joining:
    """The data processing of a job, carried out."""

    processing: Processing

    def records(self, body: bytes) -> list[str]:
        """Return the records of a body; newlines at its end belong to none."""
        try:
            text = body.decode()
        except UnicodeDecodeError as error:
            place = body.count(b"\n", 0, error.start)
            raise Unjoinable("Fail to parse: it is not UTF-8", place) from None
        if self.processing.form == "json":
            return [text]
        text = text.rstrip("\r\n")
        return text.split("\n") if text else []

    def sent(self, records: Sequence[str]) -> list[str]:
        """Return what the model gets of each record; raise `Unjoinable`."""
        if self.processing.before.is_everything:
            return list(records)
        return [self._each(place, record, None) for place, record in enumerate(records)]

    def written(self, records: Sequence[str], inferences: Sequence[str]) -> list[str]:
        """Return what is written for each record; raise `Unjoinable`."""
        if not self.processing.joins:
            return [self._each(place, None, inference) for place, inference in enumerate(inferences)]
        if len(records) != len(inferences):
            raise Unjoinable(
                f"Fail to join: the model answered {len(inferences)} records "
                f"for {len(records)} records of input"
            )
        pairs = enumerate(zip(records, inferences, strict=True))
        return [self._each(place, record, inference) for place, (record, inference) in pairs]

    def _each(self, place: int, record: str | None, inference: str | None) -> str:
        """Apply the input filter (no inference), the output filter (no record), or join and filter."""
        try:
            if self.processing.form == "csv":
                parts = [part.removesuffix("\r") for part in (record, inference) if part is not None]
                return _selected(
                    self.processing.before if inference is None else self.processing.after, parts
                )
            if inference is None:
                return _dumps(self.processing.before.of_json(json.loads(record or "")))
            value = json.loads(inference)
            joined = value if record is None else _joined(json.loads(record), value)
            return _dumps(self.processing.after.of_json(joined))
        except (NotSelected, csv.Error) as error:
            raise Unjoinable(str(error), place) from None
        except (ValueError, RecursionError):
            raise Unjoinable("Fail to parse: it is not JSON", place) from None


def joining_of(task: TransformTask) -> Joining | None:
    """Return the data processing of a task, None when it has none; raise `Invalid`."""
    processing = processing_of(task)
    return None if processing is None else Joining(processing)


def _selected(path: Path, lines: Sequence[str]) -> str:
    """Return what a path selects of the cells of CSV lines put together."""
    line = ",".join(lines)
    if '"' not in line:
        return line if path.is_everything else ",".join(path.of_row(line.split(",")))
    cells = [cell for part in lines for cell in _cells(part)]
    return ",".join(_quoted(cell) for cell in path.of_row(cells))


def _cells(line: str) -> list[str]:
    return next(csv.reader([line], strict=True)) if '"' in line else line.split(",")


def _quoted(cell: str) -> str:
    if any(special in cell for special in ',"\r\n'):
        return '"' + cell.replace('"', '""') + '"'
    return cell


def _joined(record: Any, inference: Any) -> Any:  # noqa: ANN401 - JSON values
    if isinstance(record, dict):
        return {**record, "SageMakerOutput": inference}
    return {"SageMakerInput": record, "SageMakerOutput": inference}


def _dumps(value: Any) -> str:  # noqa: ANN401 - a JSON value
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a pair of surrogates, which only an escape can carry
        return json.dumps(value, separators=(",", ":"))
    return text
