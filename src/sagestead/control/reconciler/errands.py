"""Steps that may move gigabytes, carried out beside everything else.

Rule: an errand leaves its result in the run's folder, so nothing is lost when this process dies: the next
plan finds no result and sends the errand again. One errand at a time for a run.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from sagestead.domain.resources import Key
from sagestead.planning.backoff import delay

AT_ONCE = 8
TRIES = 5

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Errand:
    """Work for a resource.

    Attributes:
        name: what it is, for the log.
        key: the resource.
        run_ids: the runs whose folders it works in, alone.
        shared: a folder that it uses together with other errands, if any.
        work: does it; may be called again.
        surrender: leaves a sentence as the result, after `TRIES` failures.
    """

    name: str
    key: Key
    run_ids: Sequence[str]
    work: Callable[[], None]
    surrender: Callable[[str], None]
    shared: str | None = None

    @property
    def places(self) -> list[str]:
        """All folders that it uses."""
        return [*self.run_ids, *([] if self.shared is None else [self.shared])]


class Errands:
    """Runs errands on threads; `done` hears of the resource of each that ends."""

    def __init__(self, done: Callable[[Key], None]) -> None:
        self._done = done
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="errand")
        self._mutex = threading.Lock()
        self._stopping = threading.Event()
        self._users: Counter[str] = Counter()
        self._afterwards: defaultdict[str, list[Callable[[], None]]] = defaultdict(list)

    def busy(self, run_ids: Sequence[str]) -> frozenset[str]:
        """Return those of the runs that an errand works for."""
        with self._mutex:
            return frozenset(run_id for run_id in run_ids if self._users[run_id])

    def send(self, errand: Errand) -> None:
        """Start an errand, unless one works for any of its runs already."""
        with self._mutex:
            if any(self._users[run_id] for run_id in errand.run_ids):
                return
            self._users.update(errand.places)
        self._pool.submit(self._carry_out, errand)

    def after(self, place: str, action: Callable[[], None]) -> None:
        """Do something now, and once more when no errand uses that folder any more."""
        with self._mutex:
            if self._users[place]:
                self._afterwards[place].append(action)
        action()

    def close(self) -> None:
        """Wait for the errands under way; those that fail are not tried again."""
        self._stopping.set()
        self._pool.shutdown(cancel_futures=True)

    def _carry_out(self, errand: Errand) -> None:
        try:
            self._try(errand)
        except Exception:  # noqa: BLE001 - a thread's end; logged, the next plan sends it again
            _log.exception("%s for %s has no result", errand.name, errand.key.name)
        finally:
            self._leave(errand)
            self._done(errand.key)

    def _leave(self, errand: Errand) -> None:
        """Clear up behind the errand where somebody waits for that; only then may others use its folders."""
        while actions := self._release(errand):
            for action in actions:
                try:
                    action()
                except Exception:  # noqa: BLE001 - logged; the folders must become free
                    _log.exception("what %s for %s left is not removed", errand.name, errand.key.name)

    def _release(self, errand: Errand) -> list[Callable[[], None]]:
        """Return what waits for the errand to leave; note that it has left when nothing does."""
        with self._mutex:
            last = [place for place in errand.places if self._users[place] == 1]
            actions = [action for place in last for action in self._afterwards.pop(place, [])]
            if not actions:
                self._users.subtract(errand.places)
                for place in last:
                    del self._users[place]
            return actions

    def _is_forgotten(self, errand: Errand) -> bool:
        """True when somebody waits to clear up behind the errand: its result is wanted no more."""
        with self._mutex:
            return any(run_id in self._afterwards for run_id in errand.run_ids)

    def _try(self, errand: Errand) -> None:
        for tries in range(1, TRIES + 1):
            try:
                errand.work()
            except Exception as fault:  # noqa: BLE001 - logged, tried again, then said
                if self._is_forgotten(errand):
                    return
                _log.exception("%s for %s failed, %d of %d", errand.name, errand.key.name, tries, TRIES)
                if tries == TRIES:
                    errand.surrender(surrendered(errand.name, fault))
                elif self._stopping.wait(delay(tries)):
                    return
            else:
                return


def surrendered(what: str, fault: Exception) -> str:
    """Return the sentence for something that kept failing for a reason nobody foresaw."""
    cause = f"{type(fault).__name__}: {fault}"[:300]
    return (
        f"InternalServerError: {what} failed {TRIES} times, the last time with {cause}. See the server's log."
    )
