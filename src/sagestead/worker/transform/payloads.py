"""What a part of an input object is, whichever way it was cut out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from sagestead.domain.transform import SplitType

HARD_LIMIT = 100 << 20
"""Largest record when the payload is unlimited: a request is held in memory."""


class Unreadable(Exception):  # noqa: N818 - it says what is wrong with the object
    """The object cannot be divided into payloads.

    Attributes:
        record: number of the record, from 1; 0: the whole object.
    """

    def __init__(self, sentence: str, record: int = 0) -> None:
        super().__init__(sentence)
        self.record = record


@dataclass(frozen=True, slots=True)
class Division:
    """How an object is divided.

    Attributes:
        split: SplitType of the request.
        single: one record a payload (BatchStrategy SingleRecord).
        target: payloads of several records have at most so many bytes.
        limit: a record has at most so many bytes.
    """

    split: SplitType
    single: bool
    target: int
    limit: int


class Payload(Protocol):
    """The body of one request: records `first` (from 1) to `first + count - 1`."""

    @property
    def body(self) -> bytes:
        """What is sent."""
        ...

    @property
    def first(self) -> int:
        """Number of its first record, from 1."""
        ...

    @property
    def count(self) -> int:
        """How many records there are."""
        ...


@dataclass(frozen=True, slots=True)
class Counted:
    """A payload whose records were counted as it was cut out."""

    body: bytes
    first: int
    count: int


Portion = Iterable[Payload]
"""Payloads that a thread works on, one after the other."""


def too_large(record: int, division: Division) -> Unreadable:
    """Say that a record is larger than a request may be."""
    return Unreadable(
        f"Too much data for max payload size: a record has more than {division.limit} bytes.", record
    )
