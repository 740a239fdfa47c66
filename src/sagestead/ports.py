"""What the service needs from outside: Protocols of at most seven methods, the law of each stated first.

Everything here is synchronous; the asynchronous edge calls it on threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from sagestead.domain.identity import Credential
from sagestead.domain.logs import LogEvent, LogStream, StreamSummary
from sagestead.domain.measurements import Point, Series
from sagestead.domain.resources import Json, Key, Kind, Resource
from sagestead.domain.routes import Route, RouteChanges
from sagestead.domain.runs import RunSpec, RunState
from sagestead.domain.tuning import Question


class Stale(Exception):  # noqa: N818 - a lost race, not a defect
    """The write named a version or lease that is no longer current; nothing was changed."""


class AlreadyExists(Exception):  # noqa: N818 - a lost race, not a defect
    """The name is taken; `existing` holds it."""

    def __init__(self, existing: Resource) -> None:
        super().__init__(existing.arn)
        self.existing = existing


@dataclass(frozen=True, slots=True)
class Listing:
    """A question to `Resources.page`. Times: seconds since the epoch; after inclusive, before exclusive.

    `after` is the (sort value, name) of the last row already returned; `named` is a whole name, in any case,
    and `name_prefix` the beginning of one. `is_version`: only names with (or without) a slash, as versions of
    model packages have.
    """

    kind: Kind
    account: str
    region: str
    limit: int
    sort_by: Literal["name", "created_at", "modified_at", "status"] = "created_at"
    descending: bool = True
    name_contains: str | None = None
    named: str | None = None
    name_prefix: str | None = None
    is_version: bool | None = None
    status: str | None = None
    created_after: float | None = None
    created_before: float | None = None
    modified_after: float | None = None
    modified_before: float | None = None
    after: tuple[str | float, str] | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """What a write sets; None leaves a field as it is (`due_at` is always set).

    `durable` False: what is written can be found out again, so power loss may undo it.
    """

    due_at: float | None
    spec: Json | None = None
    status: str | None = None
    detail: Json | None = None
    tags: dict[str, str] | None = None
    new_generation: bool = False
    touch: bool = True
    durable: bool = True


class Resources(Protocol):
    """Every resource of every kind.

    Law: an acknowledged write survives power loss, unless its `Change` may be undone. `update` and `delete`
    name the resource as it was read and raise `Stale` when anyone wrote it since (or when a lease is held and
    `seen.lease` is not its token); of two writers one wins. `page` with keyset tokens never repeats or skips
    a row that existed throughout.
    """

    def create(self, draft: Resource) -> Resource:
        """Store a new resource (version 1); raise `AlreadyExists` if the name is taken in any case."""
        ...

    def get(self, key: Key) -> Resource | None:
        """Return the resource with that exact name, or None."""
        ...

    def page(self, listing: Listing) -> list[Resource]:
        """Return up to `limit` resources in order; ties are broken by name, ascending."""
        ...

    def update(self, seen: Resource, change: Change) -> Resource:
        """Write a change; `touch` sets `modified_at`. Returns the resource as it is now."""
        ...

    def delete(self, seen: Resource) -> None:
        """Remove the resource."""
        ...

    def lease(self, holder: str, now: float, seconds: float, limit: int) -> list[Resource]:
        """Take up to `limit` due resources that nobody holds; each comes with its `lease` token.

        An `update` that names the token releases the lease. It expires by itself after `seconds`.
        """
        ...

    def revision(self) -> int:
        """Return a number that differs when any process has changed something since the last call (cheap).

        Leases, log lines and mere signs of life do not count.
        """
        ...

    def wait(self, seconds: float) -> None:
        """Return when any process has changed something, or after so many seconds; sooner does no harm.

        For one thread of a process.
        """
        ...

    def wake(self) -> None:
        """Have this process's `wait` return soon, if something waits."""
        ...


class Credentials(Protocol):
    """Keys and sessions. Law: a disabled or expired key is found as such within one second everywhere."""

    def find(self, access_key_id: str) -> Credential | None:
        """Return the credential, or None."""
        ...

    def add(self, credential: Credential) -> None:
        """Store a key pair or a session's temporary credentials."""
        ...

    def disable(self, access_key_id: str) -> bool:
        """Disable a key; False when there is none."""
        ...

    def keys(self) -> list[Credential]:
        """Return the long-term keys, oldest first."""
        ...


class Routes(Protocol):
    """The routes and who follows them.

    Law: every publication and every withdrawal of a route has a revision of its own, and these grow. Who
    applies `changes(n)` to the routes of revision n has those of the revision that comes with them. One that
    is far behind is given every route, so that nothing need be remembered for ever. What a call costs depends
    on what it returns, not on how many routes there are. What was published may be lost at power loss, but
    then so is all that was written afterwards.
    """

    def publish(self, route: Route) -> int:
        """Set one endpoint's route; returns the new revision."""
        ...

    def withdraw(self, account: str, region: str, endpoint: str) -> int:
        """Remove one endpoint's route; returns the revision without it. If there is none, nothing changes."""
        ...

    def find(self, account: str, region: str, endpoint: str) -> Route | None:
        """Return one endpoint's route, or None."""
        ...

    def changes(self, since: int) -> RouteChanges:
        """Return what became of the routes after revision `since`; 0: every route."""
        ...

    def acknowledge(self, front_door: str, revision: int, now: float) -> None:
        """A front door says that it lives and routes by that revision (at least every second)."""
        ...

    def leave(self, front_door: str) -> None:
        """A front door says that it serves no more."""
        ...

    def settled(self, account: str, region: str, endpoint: str, now: float) -> bool:
        """True when every living front door routes by what was published or withdrawn last for it.

        One that was not heard of in the last 3 seconds lives no more.
        """
        ...


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object of the store: size in bytes, ETag without quotes, time in seconds since the epoch."""

    bucket: str
    key: str
    size: int
    etag: str
    modified_at: float
    content_type: str


class Objects(Protocol):
    """The object store, as jobs and models need it. Bucket names belong to an account.

    Law: an acknowledged put survives power loss and is never seen half; a reader sees one version whole.
    """

    def stat(self, account: str, bucket: str, key: str) -> StoredObject | None:
        """Return what is stored, or None."""
        ...

    def list(self, account: str, bucket: str, prefix: str) -> Iterator[StoredObject]:
        """Yield the current objects whose key starts with `prefix`, by key in UTF-8 order."""
        ...

    def has_bucket(self, account: str, bucket: str) -> bool:
        """True when the account owns that bucket."""
        ...

    def read(self, account: str, bucket: str, key: str, limit: int) -> bytes:
        """Return a small object whole; raise `Invalid` beyond `limit` bytes, `KeyError` when absent."""
        ...

    def fetch(self, account: str, bucket: str, key: str, destination: Path) -> str:
        """Write the object to a new file, verified, sharing storage if possible; returns its SHA-256 in hex.

        Raises `KeyError` when absent.
        """
        ...

    def store(self, account: str, bucket: str, key: str, source: Path, content_type: str) -> StoredObject:
        """Put a file durably; raise `KeyError` when the account has no such bucket."""
        ...

    def remove(self, account: str, bucket: str, key: str) -> None:
        """Delete an object; absent is fine."""
        ...


class Engine(Protocol):
    """Runs, by deterministic id.

    Law: every method is idempotent. After `ensure` returns, the run is started and will be seen by `runs`,
    also by another process and after a restart. At most one process of a run lives at a time.
    """

    def folder(self, run_id: str) -> Path:
        """Return the run's folder (domain/runs.py), made if need be."""
        ...

    def path(self, run_id: str) -> Path:
        """Return where the run's folder is, or would be: for whoever only looks."""
        ...

    def ensure(self, run_id: str, spec: RunSpec) -> None:
        """Start the run unless its process lives; a run that ended is started again (`attempt` + 1)."""
        ...

    def stop(self, run_id: str, grace: float) -> None:
        """Ask it to end (SIGTERM), and end it `grace` seconds later (SIGKILL); returns at once."""
        ...

    def runs(self, owner: str) -> list[RunState]:
        """Return the runs of a resource, ended ones too, by run id."""
        ...

    def log(self, run_id: str, offset: int, limit: int) -> bytes:
        """Return up to `limit` bytes of the run's output from `offset`."""
        ...

    def forget(self, run_id: str) -> None:
        """Remove an ended run and its folder; a living one is killed first."""
        ...

    def changed(self, wait: float) -> frozenset[str]:
        """Wait up to `wait` seconds for any run to become ready or end; return the ids of those that did."""
        ...


class Logs(Protocol):
    """Log streams. Law: events of a stream keep their order; sequence numbers have no gaps.

    The oldest events of a very long stream may be gone.
    """

    def append(self, stream: LogStream, messages: Sequence[str], now: float) -> None:
        """Add lines (tabs already written as `#011`), making the stream if need be."""
        ...

    def groups(self, account: str, region: str, prefix: str) -> list[str]:
        """Return group names by name."""
        ...

    def streams(self, account: str, region: str, group: str, prefix: str) -> list[StreamSummary]:
        """Return the streams of a group by name."""
        ...

    def events(
        self, stream: LogStream, first: int, limit: int, start: int | None, end: int | None
    ) -> list[LogEvent]:
        """Return events with sequence >= `first` and start <= timestamp < end, in order."""
        ...

    def last(self, stream: LogStream, count: int) -> list[LogEvent]:
        """Return the last `count` events, in order."""
        ...


class Metrics(Protocol):
    """Metric data. Times are milliseconds since the epoch.

    Law: a point is known by its series, its writer and its sequence. One that is put again has the statistic
    of the last time and the moment of the first. The oldest points of a very long series may be gone.
    """

    def put(self, writer: str, points: Mapping[Series, Sequence[Point]]) -> None:
        """Keep points of several series, all of them or none; the points of a series ascend."""
        ...

    def series(
        self, account: str, region: str, namespace: str | None, name: str | None, since: int
    ) -> list[Series]:
        """Return the series with a point since then, by namespace, dimensions and name."""
        ...

    def points(self, series: Series, start: int, end: int) -> list[Point]:
        """Return the points with start <= timestamp < end, in the order of time."""
        ...

    def newest(
        self, account: str, region: str, namespace: str, dimensions: Sequence[tuple[str, str]]
    ) -> dict[str, Point]:
        """Return the newest point of each metric of one thing, by the metric's name."""
        ...

    def expire(self, before: int) -> None:
        """Forget the series whose newest point is older."""
        ...


class Suggest(Protocol):
    """The choice of the next point of a search.

    Law: a pure function. The same question has the same answer, in every process and at any time.
    """

    def __call__(self, question: Question) -> dict[str, str]:
        """Return the hyperparameters to try next, by name, one text for each range of the space."""
        ...


Clock = Callable[[], float]
