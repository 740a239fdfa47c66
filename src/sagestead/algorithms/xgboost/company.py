"""The hosts of a training job that train one model together, by XGBoost's own tracker and collective.

Rules: each host reads its own data, then they meet once: hosts without training data are left out, the first
of the others is the master. Only the master prints rounds and writes models. What must be the same on all
hosts (a checkpoint to go on from, a computed metric) comes from the collective, not from a host's own files.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xgboost import collective
from xgboost.tracker import RabitTracker

from sagestead.algorithms.xgboost.job import Job
from sagestead.worker.layout import Layout
from sagestead.worker.meeting import LOOPBACK, FirstHost, join
from sagestead.worker.run_folder import RunFolder

_WAIT_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Company:
    """Those who train together, as one of them sees it.

    Attributes:
        host: this one.
        members: hosts with training data; the first is the master.
        facts: what every host of the job has said of its data, by name.
        ring: how to reach the others; empty: there are none.
    """

    host: str
    members: tuple[str, ...]
    facts: Mapping[str, Mapping[str, Any]]
    ring: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_master(self) -> bool:
        """True for the one that prints and writes."""
        return self.host == self.members[0]

    @property
    def is_left_out(self) -> bool:
        """True for a host without training data."""
        return self.host not in self.members

    @contextmanager
    def connected(self) -> Iterator[None]:
        """Be connected with the others. Whoever leaves by an exception does not wait for them."""
        if not self.ring:
            yield
            return
        collective.init(**self.ring, dmlc_task_id=f"{self.members.index(self.host):06d}")
        yield
        collective.finalize()

    def of_master(self, content: bytes) -> bytes:
        """Return the master's content; what the others give does not count."""
        if not self.ring:
            return content
        own = np.frombuffer(content if self.is_master else b"", np.uint8)
        (length,) = collective.allreduce(np.array([own.size], np.int64), collective.Op.MAX)
        if not length:
            return b""
        whole = np.zeros(int(length), np.uint8)
        whole[: own.size] = own
        return collective.allreduce(whole, collective.Op.MAX).tobytes()

    def mean(self, values: Sequence[float], rows: int) -> NDArray[np.float64]:
        """Return the means of every host's values, each with the weight of its rows."""
        own = np.array(values, np.float64)
        if not self.ring:
            return own
        weighted = np.append(np.nan_to_num(own) * rows, rows)
        total = collective.allreduce(weighted, collective.Op.SUM)
        return np.asarray(total[:-1] / total[-1])


@contextmanager
def assembled(job: Job, layout: Layout, facts: Mapping[str, Any]) -> Iterator[Company]:
    """Meet the other hosts and be in company with them; `facts["rows"]` are this host's rows to train on.

    The first host stays until all have finished: the tracker is its.
    """
    first, *others = job.hosts
    if not others:
        yield Company(job.host, job.hosts, {job.host: facts})
        return
    place = RunFolder(layout.root.parent).meeting
    if job.host != first:
        yield Company(job.host, **_told(join(place, job.host, facts)))
        return
    meeting = FirstHost(place, others)
    said = {first: facts, **meeting.hear()}
    members = [host for host in job.hosts if said[host]["rows"]]
    tracker = None
    if len(members) > 1:
        tracker = RabitTracker(host_ip=LOOPBACK, n_workers=len(members), sortby="task")
        tracker.start()
    ring = tracker.worker_args() if tracker else {}
    answer = {"members": members or [first], "facts": said, "ring": ring}
    meeting.tell(answer)
    yield Company(first, **_told(answer))
    if tracker:
        _wait_for(tracker)


def _told(answer: Mapping[str, Any]) -> dict[str, Any]:
    return {**answer, "members": tuple(answer["members"])}


def _wait_for(tracker: RabitTracker) -> None:
    """Wait for the tracker where a signal is heard meanwhile."""
    waiter = threading.Thread(target=tracker.wait_for, daemon=True)
    waiter.start()
    while waiter.is_alive():
        waiter.join(_WAIT_SECONDS)
