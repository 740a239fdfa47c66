"""A request while it is answered: what names it, how its refusals are written, and the memory that it takes.

Rule: whatever becomes of the answer, it names its request, and what the request took of memory is given
back.
"""

from __future__ import annotations

import logging
from asyncio import Future
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from sagestead.domain.errors import Refusal
from sagestead.wire.errors import Protocol, named, render
from sagestead.wire.http import Response
from sagestead.wire.pending import Answered, Pending

_LOG = logging.getLogger(__name__)


@dataclass(slots=True)
class Room:
    """Bytes that may still be taken for bodies."""

    left: int


class Visit:
    """One request under way.

    Args:
        method: HTTP's.
        request_id: names it.
        service: that answers it, for people.
        protocol: of its refusals.
        room: that its body takes bytes of.
    """

    __slots__ = ("_finish", "_method", "_protocol", "_request_id", "_room", "_service", "taken")

    def __init__(self, method: str, request_id: str, service: str, protocol: Protocol, room: Room) -> None:
        self._method = method
        self._request_id = request_id
        self._service = service
        self._protocol = protocol
        self._room = room
        self._finish: Callable[[Future[Any]], Answered] | None = None
        self.taken = 0

    def take(self, size: int) -> None:
        """Take so many bytes; refuse the request when they are not there."""
        if size > self._room.left:
            raise no_room()
        self._room.left -= size
        self.taken += size

    def named(self, response: Response) -> Response:
        """Return an answer that names its request."""
        return named(response, self._protocol, self._request_id)

    def refused(self, error: Exception) -> Response:
        """Return the answer that says no."""
        if not isinstance(error, Refusal):
            _LOG.error("request %s failed in %s", self._request_id, self._service, exc_info=error)
            error = _defect(self._request_id)
        return render(error, self._protocol, self._method, self._request_id)

    def wait(self, answer: Awaitable[Response], size: int) -> Awaitable[Response]:
        """Return what there is to wait for until a request with a body of `size` bytes is answered."""
        self.take(size)
        if not isinstance(answer, Pending):
            return self.awaited(answer)
        self._finish, answer.finish = answer.finish, self._end
        return answer

    async def awaited(self, answer: Awaitable[Response]) -> Response:
        """Return the awaited answer, and give back what was taken."""
        try:
            return self.named(await answer)
        except Exception as error:  # noqa: BLE001 - a defect of any kind must be answered and logged
            return self.refused(error)
        finally:
            self._give_back()

    def _end(self, source: Future[Any]) -> Answered:
        """Return the answer that a future has brought, or what more there is to wait for."""
        assert self._finish is not None  # noqa: S101 - `wait` has set it
        more = False
        try:
            answer = self._finish(source)
            more = not isinstance(answer, Response)
            return self.named(answer) if isinstance(answer, Response) else self.awaited(answer)
        except Exception as error:  # noqa: BLE001 - a defect of any kind must be answered and logged
            return self.refused(error)
        finally:
            if not more:
                self._give_back()

    def _give_back(self) -> None:
        self._room.left += self.taken
        self.taken = 0


def no_room() -> Refusal:
    """Return the refusal of a request for whose body there is no memory."""
    return Refusal(
        "The server holds as many request bodies as it can; try again in a moment.",
        code="ThrottlingException",
        status=429,
    )


def _defect(request_id: str) -> Refusal:
    return Refusal(
        f"The request failed inside the service; its log tells why under request id {request_id}.",
        code="InternalFailure",
        status=500,
    )
