"""What a client may make the front door hold: every size, count and time that it controls is bounded."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one front door. Sizes in bytes, times in seconds.

    Attributes:
        target: longest request target (path and query).
        head: longest request head, and longest trailer section.
        fields: most header fields.
        pipelined: most requests of one connection that wait behind the one being answered.
        turn: most requests of one connection that are answered before others have their turn.
        repeated: longest request that may be answered because it is like an earlier one.
        buffered: body bytes held before reading from the socket stops.
        leftover: most unread body bytes that are read away to keep a connection.
        connections: most connections at once; more are closed at once.
        head_time: from the first byte of a head to its end.
        idle_time: between requests of a connection.
        stall_time: without any progress of a body or an answer.
        trickle: body bytes that count as progress; less than so much in `stall_time` is none.
        parting_time: how long bytes are dropped after a last answer, so that the client can read it.
    """

    target: int = 32 * 1024
    head: int = 64 * 1024
    fields: int = 200
    pipelined: int = 64
    turn: int = 8
    repeated: int = 64 * 1024
    buffered: int = 512 * 1024
    leftover: int = 256 * 1024
    connections: int = 10_000
    head_time: float = 20.0
    idle_time: float = 120.0
    stall_time: float = 60.0
    trickle: int = 16 * 1024
    parting_time: float = 2.0
