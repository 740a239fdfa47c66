"""A run: one process of one instance or job, and the folder that it works in.

The folder (made by the engine, filled by control before the start, read by control after the end):

    spec.json          the run's id, attempt, start and RunSpec
    model.tar.gz       the model artifact, for `serve`, `prepare` and `transform`
    opt-ml/            what a container sees as /opt/ml (worker/layout.py)
    transform.json     a TransformTask, for `transform`
    transform-result.json   a TransformResult, when it ended
    source.tar.gz      the user's program, when it lies in an archive of its own
    equipped           there once a run that needs a runtime (domain/runtimes.py) has it
    data-log           the platform's own log lines of a transform
    log                standard output and error, both
    lock               locked while the process lives; holds its process id
    threads            how many threads a training may use now
    meeting            where the hosts of a training job find each other (worker/meeting.py)
    kept-data/         a link to what trials of tuning jobs keep of the data that they have read
    pipes/             what is fed into the FIFOs of Pipe channels (worker/pipes.py)
    stop.json          {"deadline": seconds}, when it was asked to end: killed then
    packages/          what programs of the user's install for themselves (worker/toolkit/workshop.py)
    prepared/          what front doors map, once a `prepare` run has written it whole
    prepared.kept      there once that is on the disk: before, it counts while the process lives
    ready.json         {"address": path of a Unix socket}, once the model is loaded and answers
    failure            one paragraph saying why, when it failed
    exit.json          {"code": int, "at": seconds}, when it ended under supervision
    interrupted        there when it ended because the service did, or unseen while there was none
    staged.json, collected.json, checkpoints.json, stored.json, outputs.json, instance, log.carried,
    data-log.carried
                       control's own notes (control/staging.py, artifacts.py, log_agent.py)
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Literal

from sagestead.domain.resources import Key, Kind
from sagestead.domain.routes import INLINE

Role = Literal["serve", "prepare", "train", "transform", "process"]


@dataclass(frozen=True, slots=True)
class RunSpec:
    """What to run.

    Attributes:
        owner: ARN of the resource that wants it.
        role: what the process does.
        entry: `module:function` of the algorithm: `load` for serve and transform, `prepare` for prepare,
            `train` for train (signatures in worker/contract.py).
        image: image URI as the client wrote it.
        environment: the container's environment (client's values and the platform's).
        threads: how many threads the algorithm may use.
        digest: SHA-256 of model.tar.gz in hex; the worker refuses another.
        runtime: name of the runtime (domain/runtimes.py) in which a program of the user's is run; `entry` is
            empty then. None: the algorithm that `entry` names is run.
        command: what is run in the runtime, when the request says it word by word.
        isolated: the program reaches no network.
        start: of which start of its owner it is, where several runs must be of the same.
    """

    owner: str
    role: Role
    entry: str
    image: str
    environment: dict[str, str] = field(default_factory=dict)
    threads: int = 1
    digest: str | None = None
    runtime: str | None = None
    command: tuple[str, ...] | None = None
    isolated: bool = False
    start: int = 1

    def to_json(self) -> dict[str, Any]:
        """Return the form stored in spec.json."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> RunSpec:
        """Read the form stored in spec.json."""
        command = value.get("command")
        return cls(**{**value, "command": None if command is None else tuple(command)})


class RunPhase(StrEnum):
    """Life of a run, as seen from outside."""

    STARTING = "starting"
    READY = "ready"
    EXITED = "exited"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class RunState:
    """What can be seen of a run.

    Attributes:
        run_id: identity, chosen by the owner: `kind/account/region/name/…`, deterministic.
        phase: STARTING: the process lives; READY: it serves at `address`; EXITED: ended with
            `exit_code` (negative: signal number); LOST: ended unsupervised (power loss, kill of the tree).
            A `prepare` run whose folder is whole has EXITED with 0, whatever became of its process.
        spec: what was asked.
        attempt: how often it was started, from 1.
        started_at: seconds since the epoch.
        ended_at: the same, once EXITED.
        address: path of the Unix socket of a `serve` run that is READY.
        prepared: path of the folder that a `prepare` run has left whole.
        failure: the worker's own paragraph, if it wrote one.
        interruptions: how many of its starts ended because the service did, which is nobody's fault.
        equipped: false while the runtime that the run needs is being built.
    """

    run_id: str
    phase: RunPhase
    spec: RunSpec
    attempt: int = 1
    started_at: float = 0.0
    ended_at: float | None = None
    exit_code: int | None = None
    address: str | None = None
    prepared: str | None = None
    failure: str | None = None
    interruptions: int = 0
    equipped: bool = True

    @property
    def place(self) -> str | None:
        """Where requests go (an address of domain/routes.py); None while they can go nowhere."""
        return self.address if self.prepared is None else f"{INLINE}{self.prepared}"

    @property
    def tries(self) -> int:
        """How many of its starts count, when it is asked whether it may be started again."""
        return self.attempt - self.interruptions


def owner_of(run_id: str) -> Key:
    """Return the resource whose run it is."""
    kind, account, region, name, *_ = run_id.split("/")
    return Key(Kind(kind), account, region, name)
