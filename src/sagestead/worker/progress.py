"""What an instance has begun, in a page of memory that outlives it.

    page = mark:u64 since:f64 begun:u64 * 510

    mark    which process wrote it: one that starts again at the same address has another page and mark
    since   when the model began what it works on (monotonic seconds); 0 while it rests
    begun   by place, one for each connection: one more than the id of the last request begun

Rule: an instance writes down what it begins before it begins it, and pays two stores for it. Whoever misses
it reads what it had begun; a front door's ids grow by one from 0, so everything above was not begun.
"""

from __future__ import annotations

import mmap
import os
import secrets
import struct
from collections import deque
from contextlib import suppress
from pathlib import Path

SIZE = 4096
_PLACES = 510
_NOWHERE = (1 << 9) - 1
"""The place of a connection for which none was left: of its requests nothing is written down."""

_MARKS = 23
_HEAD = struct.Struct("=Qd")
_COUNT = struct.Struct("=Q")
_BEGUN = _HEAD.size
_ID_SPACE = 1 << 32


def page_of(address: str | Path) -> Path:
    """Return where the page of the instance at an address is."""
    return Path(f"{address}.begun")


class Progress:
    """The instance's side: a new page in the place of any that was there."""

    def __init__(self, address: Path) -> None:
        self._mark = 1 + secrets.randbelow((1 << _MARKS) - 1)
        self._free = deque(range(_PLACES))
        path = page_of(address)
        draft = path.with_name(f"{path.name}.{os.getpid()}")
        descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.ftruncate(descriptor, SIZE)
            page = memoryview(mmap.mmap(descriptor, SIZE))
        finally:
            os.close(descriptor)
        self._since = page[8:16].cast("d")
        self.begun = page[_BEGUN:].cast("Q")
        page[:8].cast("Q")[0] = self._mark
        draft.replace(path)

    def take_place(self) -> int:
        """Return a place for a new connection, of which nothing is begun."""
        if not self._free:
            return _NOWHERE
        place = self._free.popleft()
        self.begun[place] = 0
        return place

    def free_place(self, place: int) -> None:
        """Let others have the place of a connection that has ended, as late as possible."""
        if place != _NOWHERE:
            self._free.append(place)

    def greeting(self, place: int) -> int:
        """Return what a front door is told, so that it finds the place of its connection: 32 bits."""
        return self._mark << 9 | place

    def note(self, place: int, identity: int) -> None:
        """Write down that a request is begun."""
        if place != _NOWHERE:
            self.begun[place] = identity + 1

    def work(self, since: float) -> None:
        """Write down since when the model works; 0.0: it rests."""
        self._since[0] = since


class Begun:
    """A front door's side: what was begun of one connection, also when the instance is gone."""

    def __init__(self, page: mmap.mmap, place: int) -> None:
        self._page = page
        self._at = _BEGUN + 8 * place

    @classmethod
    def find(cls, address: str, greeting: int) -> Begun | None:
        """Open the page that a greeting tells of; None when it is not there, or nothing is written down."""
        mark, place = greeting >> 9, greeting & _NOWHERE
        if not mark or place == _NOWHERE:
            return None
        with suppress(OSError, ValueError), page_of(address).open("rb") as file:
            page = mmap.mmap(file.fileno(), SIZE, prot=mmap.PROT_READ)
            if _HEAD.unpack_from(page)[0] == mark:
                return cls(page, place)
        return None

    def has(self, identity: int) -> bool:
        """Say whether the request of that id may have been begun."""
        begun: int = _COUNT.unpack_from(self._page, self._at)[0]
        return 0 < (begun - identity) % _ID_SPACE <= _ID_SPACE // 2


def working_since(address: Path) -> float | None:
    """Return when the instance at an address began what it works on (monotonic); None while it rests."""
    with suppress(OSError, struct.error), page_of(address).open("rb") as file:
        since: float = _HEAD.unpack(file.read(_HEAD.size))[1]
        return since or None
    return None
