"""An answer that waits for one future, and costs no task.

Rule: whoever passes a request on gives a `Pending` upwards; each floor adds what it has to do to the end of
it, and the connection hears of the future by a callback.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from typing import Any

from sagestead.wire.http import Response

Answered = Response | Coroutine[Any, Any, Response]
"""A response, or more to wait for."""


class Pending:
    """A response to be made of what `source` brings; an `Awaitable[Response]`.

    Law: `finish` is called once, when `source` is done, whatever became of it: with a result, failed or
    cancelled. It takes the result from `source`, and so raises what is in it.
    Cancelling `source` says that nobody waits any more.
    """

    __slots__ = ("finish", "source")

    def __init__(
        self, source: asyncio.Future[Any], finish: Callable[[asyncio.Future[Any]], Answered]
    ) -> None:
        self.source = source
        self.finish = finish

    def __await__(self) -> Generator[Any, Any, Response]:
        return self._response().__await__()

    async def _response(self) -> Response:
        ended: asyncio.Future[Answered] = asyncio.get_running_loop().create_future()
        self.source.add_done_callback(lambda source: self._end(source, ended))
        try:
            answer = await ended
        except asyncio.CancelledError:
            self.source.cancel()
            raise
        return answer if isinstance(answer, Response) else await answer

    def _end(self, source: asyncio.Future[Any], ended: asyncio.Future[Answered]) -> None:
        try:
            answer = self.finish(source)
        except asyncio.CancelledError:
            ended.cancel()
        except Exception as error:  # noqa: BLE001 - whoever awaits gets it
            if not ended.done():
                ended.set_exception(error)
        else:
            if not ended.done():
                ended.set_result(answer)
            elif not isinstance(answer, Response):
                answer.close()
