"""What is fuzzed: a reader of bytes that somebody else wrote, and bytes that it reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Target:
    """One reader.

    Attributes:
        seeds: returns good inputs, which are damaged; never empty.
        attempt: reads an input, and raises when the reader breaks a promise. What the reader refuses as it
            says it does is fine.
        runs: executions in the ordinary test run.
        parts: pieces of the format, to put where they do not belong.
    """

    seeds: Callable[[], Sequence[bytes]]
    attempt: Callable[[bytes], object]
    runs: int
    parts: Sequence[bytes] = ()


def need(kept: bool, promise: str) -> None:  # noqa: FBT001 - reads as a sentence: need this promise
    """Raise unless a promise was kept (an `assert` would be gone under -O)."""
    if not kept:
        raise AssertionError(promise)


def outcome(read: Callable[[], _Result], *refusals: type[Exception]) -> _Result | str:
    """Return what a reader returns, or the sentence of one of its refusals."""
    try:
        return read()
    except refusals as refusal:
        return f"{type(refusal).__name__}: {refusal}"
