"""Which requests were verified before: their templates, few and short, so that like ones need not be read.

Rule: what a client can make the front door remember is bounded, and so is how often it makes it learn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sagestead.frontdoor.visit import Room, Visit
from sagestead.wire.http import Again
from sagestead.wire.sigv4 import Template, Values

MOST = 256
ALIKE = 4
"""Templates whose heads are of the same length."""
LEARNT_A_SECOND = 64
_END = b"\r\n\r\n"


@dataclass(slots=True, eq=False)
class Remembered:
    """A template, and what answers the requests that fit it.

    Attributes:
        template: of the requests.
        again: answers another one.
        service: its name, for people.
        used_at: seconds since the epoch at which one fitted.
    """

    template: Template
    again: Again
    service: str
    used_at: float

    def visit(self, request_id: str, room: Room) -> Visit:
        """Return what is needed to answer a request later, or with a refusal."""
        return Visit(self.template.method, request_id, self.service, self.template.protocol, room)


class Memory:
    """The templates of a front door; for its event loop only.

    Args:
        clock: seconds since the epoch.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._by_size: dict[int, list[Remembered]] = {}
        self._count = 0
        self._second = self._learnt = 0

    def find(
        self, data: bytes, before: Remembered | None, *, secure: bool
    ) -> tuple[Remembered, Values] | None:
        """Return what fits a request, and what stands in its blanks; `before` did on the same connection."""
        if before is not None and (values := before.template.read(data)) is not None:
            return before, values
        if not self._by_size:
            return None
        for remembered in self._by_size.get(data.find(_END) + len(_END), ()):
            values = remembered.template.read(data)
            if values is not None and remembered.template.secure is secure:
                return remembered, values
        return None

    def may_learn(self) -> bool:
        """Whether there is time to learn: a client whose requests are never alike costs little more."""
        second = int(self._clock())
        if second != self._second:
            self._second, self._learnt = second, 0
        return self._learnt < LEARNT_A_SECOND

    def learn(self, template: Template, again: Again, service: str) -> None:
        """Remember a template; what fitted longest ago is forgotten for it."""
        self._learnt += 1
        alike = self._by_size.setdefault(template.size, [])
        alike.insert(0, Remembered(template, again, service, self._clock()))
        self._count += 1
        if len(alike) > ALIKE:
            self._forget(min(alike, key=_used_at))
        elif self._count > MOST:
            self._forget(min((one for some in self._by_size.values() for one in some), key=_used_at))

    def _forget(self, remembered: Remembered) -> None:
        alike = self._by_size[remembered.template.size]
        alike.remove(remembered)
        self._count -= 1
        if not alike:
            del self._by_size[remembered.template.size]


def _used_at(remembered: Remembered) -> float:
    return remembered.used_at
