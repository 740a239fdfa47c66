"""What a plan is made of.

Rule: a step says what must be true afterwards, so that carrying it out twice does no harm.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from sagestead.domain.resources import Json
from sagestead.domain.routes import Route
from sagestead.domain.runs import RunSpec
from sagestead.domain.tuning import Question


@dataclass(frozen=True, slots=True)
class StageInstance:
    """The model artifact lies in the folder of an endpoint instance.

    `shared` is the run folder in which the generation keeps the bytes it first fetched, `digest` their
    SHA-256 once it is pinned. `source` is the archive of the user's program, if it lies in one of its own.
    """

    run_id: str
    uri: str | None
    shared: str
    digest: str | None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class StageTraining:
    """The `/opt/ml` tree of every host of a training job is complete."""

    run_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StageTransform:
    """The objects of a transform job are shared out among its instances; each has its task and its model."""

    run_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StageProcessing:
    """The `/opt/ml` tree of every host of a processing job is as it is at the start."""

    run_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CollectTraining:
    """What the hosts of a training job made is in S3."""

    run_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CollectTransform:
    """The finished outputs of a transform job are in S3."""

    run_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CollectProcessing:
    """The outputs of a processing job are in S3: all of them, or those that are stored continuously."""

    run_ids: tuple[str, ...]
    only_continuous: bool


@dataclass(frozen=True, slots=True)
class SyncOutputs:
    """The Continuous outputs of a processing job's hosts are in S3 as they are now."""

    run_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SyncCheckpoints:
    """The checkpoints of a training job's hosts are in S3 as they are now."""

    run_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Launch:
    """The run's process lives."""

    run_id: str
    spec: RunSpec


@dataclass(frozen=True, slots=True)
class Stop:
    """The run has been asked to end; `grace` seconds later it is killed."""

    run_id: str
    grace: float


@dataclass(frozen=True, slots=True)
class ShareThreads:
    """The runs know how many threads each of them may use from now on."""

    run_ids: tuple[str, ...]
    threads: int


@dataclass(frozen=True, slots=True)
class Forget:
    """Neither the run nor its folder exists; its log lines are kept."""

    run_id: str


@dataclass(frozen=True, slots=True)
class PublishRoute:
    """The endpoint's requests go there."""

    route: Route


@dataclass(frozen=True, slots=True)
class WithdrawRoute:
    """The endpoint takes no requests."""


@dataclass(frozen=True, slots=True)
class LaunchTrial:
    """The training job of a trial exists; `pending` are the trials whose ends the question leaves out."""

    number: int
    pending: tuple[int, ...]
    question: Question


@dataclass(frozen=True, slots=True)
class StopTrial:
    """The training job of a trial has ended or is being stopped."""

    name: str


@dataclass(frozen=True, slots=True)
class ClaimRule:
    """The group of a package knows of its approval, unless it knows of a later one."""

    at: float
    version: int


@dataclass(frozen=True, slots=True)
class DeployPackage:
    """An endpoint was asked to serve a package, unless it is not as it was seen.

    Attributes:
        endpoint: its name.
        model: name of the model to make from the package.
        config: name of the endpoint configuration to make.
        variant: its production variant, without the model.
        before: what the endpoint was when this was planned; empty: not there.
    """

    endpoint: str
    model: str
    config: str
    variant: Json
    before: list[float]


Packaging = ClaimRule | DeployPackage
"""Steps of the deployment of model packages."""

Staging = StageInstance | StageTraining | StageTransform | StageProcessing
Collecting = CollectTraining | CollectTransform | CollectProcessing
Errand = Staging | Collecting | SyncCheckpoints | SyncOutputs
"""Steps that may move gigabytes: carried out beside everything else."""

Step = (
    Errand
    | Launch
    | Stop
    | ShareThreads
    | Forget
    | PublishRoute
    | WithdrawRoute
    | LaunchTrial
    | StopTrial
    | Packaging
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do now and what to record afterwards.

    Attributes:
        steps: in order.
        status: the resource's status once the steps are done.
        detail: the resource's detail then.
        look_again: when to plan anew (seconds since the epoch); None: when something changes.
        spec: replaces what was asked, when an update is taken back.
        remove: the resource itself goes.
        awaits_doors: it can go on once every front door has seen the endpoint's route.
        is_passing: what it waits for may come within moments; the plan is worth recording if it does not.
    """

    steps: tuple[Step, ...]
    status: str
    detail: Json
    look_again: float | None = None
    spec: Json | None = None
    remove: bool = False
    awaits_doors: bool = False
    is_passing: bool = False


@dataclass(frozen=True, slots=True)
class Staged:
    """What staging left in a run's folder.

    Attributes:
        at: when, in seconds since the epoch.
        digest: SHA-256 of the model artifact in hex, if there is one.
        objects: how many input objects a transform instance was given.
        error: why it cannot start: a sentence for FailureReason.
    """

    at: float
    digest: str | None = None
    objects: int = 0
    error: str | None = None

    def to_json(self) -> Json:
        """Return the form stored in the folder."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Staged:
        """Read the form stored in the folder."""
        return cls(**value)


@dataclass(frozen=True, slots=True)
class Collected:
    """What collecting left in a run's folder.

    Attributes:
        at: when, in seconds since the epoch.
        metrics: FinalMetricDataList of a training job.
        error: why the job failed or its output could not be stored: a sentence for FailureReason.
    """

    at: float
    metrics: tuple[Json, ...] = ()
    error: str | None = None

    def to_json(self) -> Json:
        """Return the form stored in the folder."""
        return {"at": self.at, "metrics": list(self.metrics), "error": self.error}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Collected:
        """Read the form stored in the folder."""
        return cls(value["at"], tuple(value["metrics"]), value["error"])


def shown(detail: Json) -> Json:
    """Return the part of a detail that clients see: keys that do not start with `_`."""
    return {name: value for name, value in detail.items() if not name.startswith("_")}
