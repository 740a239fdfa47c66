"""What the engine remembers of the runs that live: enough to notice that one became ready or ended.

Rule: this is memory only; the files of a run and its lock are the truth. Only runs that may change by
themselves are remembered, so that what rests costs nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sagestead.engines.process import lock
from sagestead.worker.run_folder import RunFolder, read_json

LOOK_SECONDS = 5.0
"""How often every living run is looked at, should its notice have been lost."""

ADOPTED_SECONDS = 0.25
"""How often those are looked at whose end nobody announces."""

SHARE = 50
"""So many times as long as looking around took nobody looks around again."""


@dataclass(slots=True)
class _Life:
    run: RunFolder
    run_id: str
    is_adopted: bool
    address: Path | None = None
    is_prepared: bool = False


class Living:
    """The living runs by the name of their folder. Not for several threads at once."""

    def __init__(self) -> None:
        self._lives: dict[str, _Life] = {}
        self._looked = {False: 0.0, True: 0.0}
        self._pause = {False: LOOK_SECONDS, True: ADOPTED_SECONDS}

    def add(self, run: RunFolder, run_id: str) -> None:
        """Remember a run that our zygote has started."""
        self._lives[run.path.name] = _Life(run, run_id, is_adopted=False)

    def adopt(self, run: RunFolder, run_id: str) -> None:
        """Remember a run, unless it is, whose end nobody will announce."""
        self._lives.setdefault(run.path.name, _Life(run, run_id, is_adopted=True, address=_address(run)))

    def drop(self, run: RunFolder) -> None:
        """Remember a run no more."""
        self._lives.pop(run.path.name, None)

    def orphan(self) -> None:
        """Take note that the zygote is gone: nobody announces the end of any run any more."""
        for life in self._lives.values():
            life.is_adopted = True

    def changed(self, names: frozenset[str]) -> list[str]:
        """Return the ids of runs that became ready or ended: those named, and all when it is time."""
        found = [life for name in names if (life := self._lives.get(name)) is not None]
        for is_adopted in (False, True):
            found += self._due(is_adopted=is_adopted)
        return [life.run_id for life in found if self._has_changed(life)]

    def serving(self) -> Iterator[tuple[RunFolder, Path]]:
        """Yield what serves, with its address."""
        for life in self._lives.values():
            if life.address is not None:
                yield life.run, life.address

    def _due(self, *, is_adopted: bool) -> list[_Life]:
        now = time.monotonic()
        if now < self._looked[is_adopted] + self._pause[is_adopted]:
            return []
        due = [life for life in self._lives.values() if life.is_adopted is is_adopted]
        shortest = ADOPTED_SECONDS if is_adopted else LOOK_SECONDS
        self._looked[is_adopted] = now
        self._pause[is_adopted] = max(shortest, SHARE * len(due) * _LOOK_COST)
        return due

    def _has_changed(self, life: _Life) -> bool:
        if not lock.held(life.run.lock):
            return self._lives.pop(life.run.path.name, None) is not None
        if not life.is_prepared and life.run.prepared.is_dir():
            life.is_prepared = True
            return True
        if life.address is None:
            life.address = _address(life.run)
            return life.address is not None
        return False


_LOOK_COST = 20e-6
"""Seconds that a look at one run takes, about."""


def _address(run: RunFolder) -> Path | None:
    ready = read_json(run.ready)
    return None if ready is None else Path(ready["address"])
