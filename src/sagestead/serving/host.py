"""The seam to whatever answers invocations: one instance of a variant."""

from __future__ import annotations

import asyncio
from typing import Protocol

from sagestead.worker.contract import Answer, Invocation


class Unread(Exception):  # noqa: N818 - says what became of the request
    """The host never began the request; another may be asked."""


class Busy(Unread):
    """The host has as much to do as it may hold; it may be asked again later."""


class NoAnswer(Exception):  # noqa: N818 - says what became of the request
    """The host may have begun the request and will not answer it."""


class Host(Protocol):
    """One instance, or a model that this process holds itself.

    Law: a request is begun at most once. `begin` never waits: it returns the answer when there is one at
    once, else a future of it, which may raise `Unread` (surely not begun), `NoAnswer` (perhaps begun: it was
    among those that the instance had under way together when it ended) or `TimeoutError`. What a host has
    to hold for others is bounded: beyond that, `Busy`. Cancelling the future says that nobody waits for the
    answer any more.
    """

    @property
    def outstanding(self) -> int:
        """How many requests it was given and has not answered, those nobody waits for included."""
        ...

    def begin(self, invocation: Invocation) -> Answer | asyncio.Future[Answer]:
        """Answer a request, or pass it on; raise `Unread` (or `Busy`) when that is known not to work."""
        ...

    def retire(self) -> None:
        """Let go of the instance once the outstanding requests have ended."""
        ...
