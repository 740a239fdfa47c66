"""Remembers which jobs are under way, so that each gets its turn (planning/placement.py).

Rule: this is memory only; what is stored of the jobs says the same, and is read again at the start.
"""

from __future__ import annotations

import threading

from sagestead.domain.resources import Key, Resource
from sagestead.planning.placement import Job, job_of, placed, shared
from sagestead.ports import Clock


class Turns:
    """Whose turn it is. Safe to use from several threads."""

    def __init__(self, cores: int, clock: Clock) -> None:
        self._cores = cores
        self._clock = clock
        self._mutex = threading.Lock()
        self._jobs: dict[Key, Job] = {}
        self._placed: frozenset[Key] = frozenset()
        self._shares: dict[Key, int] = {}

    def note(self, *resources: Resource) -> frozenset[Key]:
        """Take notice of resources as they are now; return the others for which that changes anything.

        Their turn has come, or they have another share of the cores.
        """
        with self._mutex:
            before = dict(self._jobs)
            for resource in resources:
                job = job_of(resource, self._cores)
                if job is not None:
                    self._jobs[resource.key] = job
                else:
                    self._jobs.pop(resource.key, None)
            if self._jobs == before:
                return frozenset()
            now = self._clock()
            earlier, self._placed = self._placed, placed(self._jobs.values(), self._cores, now)
            shares = dict(shared((self._jobs[key] for key in self._placed), self._cores))
            others = {key for key, share in shares.items() if self._shares.get(key, share) != share}
            self._shares = shares
            return ((self._placed - earlier) | others) - {resource.key for resource in resources}

    def has_place(self, key: Key) -> bool:
        """True when the job runs or may start."""
        with self._mutex:
            return key in self._placed

    def share(self, key: Key) -> int:
        """Return how many threads each host of a job may use while it runs beside those there are."""
        with self._mutex:
            return self._shares.get(key, 1)
