"""The dispatcher: a verified call to one operation and its answer back.

Rule: the dispatch table is the whole list of what is carried out; nothing is looked up anywhere else. An
operation runs on a thread. A Describe of a resource in transition is held for its next change, so that
clients that poll every half minute learn of it at once; how long is asked at every glance, so that nothing is
held while the door closes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from sagestead.control.context import Context, Hold, Operation
from sagestead.control.edges import Asked, edge
from sagestead.domain.resources import Json
from sagestead.wire.http import Call, Response

BODY_LIMIT = 2 * 1024 * 1024
THREADS = 16
MOST_HELD = 512
GLANCES_AT_ONCE = 4


class Api:
    """A Handler for one service. `patience`: for how many seconds, as of now, a Describe may be held."""

    def __init__(  # noqa: PLR0913, PLR0917 - the six things that make a service
        self,
        service: str,
        operations: Mapping[str, Operation],
        holds: Mapping[str, Hold],
        make_context: Callable[[Call], Context],
        revision: Callable[[], int],
        patience: Callable[[], float],
    ) -> None:
        self._operations = operations
        self._holds = holds
        self._make_context = make_context
        self._revision = revision
        self._patience = patience
        self._edge = edge(service)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix=service)
        self._held = 0

    async def __call__(self, call: Call) -> Response:
        """Carry out the call's operation."""
        body = await call.body.read(BODY_LIMIT)
        loop = asyncio.get_running_loop()
        seen = self._revision()
        asked, answer = await loop.run_in_executor(self._threads, self._begin, call, body)
        hold = self._holds.get(asked.operation)
        if hold is not None and answer.get(hold.member) in hold.transitional and self._held < MOST_HELD:
            self._held += 1
            try:
                answer = await self._await_change(call, asked, answer, hold, seen)
            finally:
                self._held -= 1
        return self._edge.answer(call, asked.operation, answer)

    def _begin(self, call: Call, body: bytes) -> tuple[Asked, Json]:
        asked = self._edge.ask(call, body, self._operations.keys())
        return asked, self._carry_out(call, asked)

    def _carry_out(self, call: Call, asked: Asked) -> Json:
        return self._operations[asked.operation](self._make_context(call), asked.request)

    async def _await_change(self, call: Call, asked: Asked, answer: Json, hold: Hold, seen: int) -> Json:
        """Return the first answer whose member has changed, or the newest one when the time is up.

        A `Refusal` (the resource has gone) is a change too. With many calls held, each looks less often.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        before = answer[hold.member]
        while answer.get(hold.member) == before and loop.time() - began < self._patience():
            await asyncio.sleep(hold.glance * max(1, self._held / GLANCES_AT_ONCE))
            now = self._revision()
            if now != seen:
                seen = now
                answer = await loop.run_in_executor(self._threads, self._carry_out, call, asked)
        return answer
