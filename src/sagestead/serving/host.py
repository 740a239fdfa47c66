"""The seam to whatever answers invocations: one instance of a variant."""

from __future__ import annotations

from typing import Protocol

from sagestead.worker.contract import Answer, Invocation


class Unread(Exception):  # noqa: N818 - says what became of the request
    """The host never began the request; another may be asked."""


class NoAnswer(Exception):  # noqa: N818 - says what became of the request
    """The host may have begun the request and will not answer it."""


class Host(Protocol):
    """One instance.

    Law: a request is begun at most once. `invoke` returns the answer, or raises `Unread` (surely not
    begun), `NoAnswer` (perhaps begun) or `TimeoutError`.
    """

    @property
    def outstanding(self) -> int:
        """How many requests it was given and has not answered, those nobody waits for included."""
        ...

    async def invoke(self, invocation: Invocation) -> Answer:
        """Pass a request on and wait for its answer."""
        ...

    def retire(self) -> None:
        """Let go of the instance once the outstanding requests have ended."""
        ...
