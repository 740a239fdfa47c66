"""A small world for plans: it carries out steps on paper and lets a test say what happens.

Every plan is checked against what must always hold, whatever happens.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from sagestead.domain import endpoint as endpoint_words
from sagestead.domain import job_status
from sagestead.domain import training as training_words
from sagestead.domain.resources import Json, Key, Kind, Resource, resource_arn
from sagestead.domain.routes import Route
from sagestead.domain.runs import RunPhase, RunSpec, RunState
from sagestead.planning import endpoint as endpoint_planning
from sagestead.planning import processing as processing_planning
from sagestead.planning import steps
from sagestead.planning import training as training_planning
from sagestead.planning import transform as transform_planning
from sagestead.planning.programs import Program
from sagestead.planning.steps import Collected, Plan, Staged, Step
from sagestead.planning.training_hosts import run_ids_of

IMAGE = "141502667606.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-xgboost:1.7-1"
PROGRAMS = {
    "worker": {"xgboost": Program("a:load", "a:train")},
    "inline": {"xgboost": Program("a:load", "a:train", "a:prepare")},
}
ENDED = (RunPhase.EXITED, RunPhase.LOST)
MAY_FOLLOW = {
    Kind.ENDPOINT: endpoint_words.may_follow,
    Kind.TRAINING_JOB: job_status.may_follow,
    Kind.TRANSFORM_JOB: job_status.may_follow,
    Kind.PROCESSING_JOB: job_status.may_follow,
}


@dataclass
class World:
    """One resource and what surrounds it. Run ids are named by what follows the resource's own name."""

    resource: Resource
    now: float = 1000.0
    runs: dict[str, RunState] = field(default_factory=dict)
    staged: dict[str, Staged] = field(default_factory=dict)
    collected: Collected | None = None
    busy: set[str] = field(default_factory=set)
    asked_to_end: set[str] = field(default_factory=set)
    route: Route | None = None
    settled: bool = True
    hosting: str = "worker"
    known: set[str] = field(default_factory=set)
    is_gone: bool = False
    has_place: bool = True
    threads: int = 2
    synced_at: float | None = None
    lines: tuple[str, ...] = ("last words",)
    message: str | None = None

    def full(self, short: str) -> str:
        key = self.resource.key
        return f"{key.kind}/{key.account}/{key.region}/{key.name}/{short}"

    def short(self, run_id: str) -> str:
        return run_id.removeprefix(self.full(""))

    def plan(self) -> Plan:
        """Plan once, check the plan, carry it out on paper, and record it."""
        made = self._plan()
        kind = self.resource.key.kind
        assert MAY_FOLLOW[kind](self.resource.status, made.status), (self.resource.status, made.status)
        for step in made.steps:
            self._carry_out(step)
        if made.remove:
            assert not self.runs
            assert self.route is None
            self.is_gone = True
            return made
        spec = self.resource.spec if made.spec is None else made.spec
        self.resource = replace(
            self.resource, status=made.status, detail=made.detail, due_at=made.look_again, spec=spec
        )
        return made

    def crash(self, steps_done: int) -> None:
        """Plan, carry out the first steps on paper, and die before anything is recorded."""
        for step in self._plan().steps[:steps_done]:
            self._carry_out(step)
        self.busy.clear()

    def settle(self) -> None:
        """Let everything that was asked for happen, until nothing is due any more."""
        for turn in range(300):
            self.plan()
            if self.is_gone:
                return
            before = dict(self.runs)
            self.settled = self.settled or turn % 3 == 0  # front doors take their time
            self._let_happen()
            if self.resource.due_at is None and not self.busy and self.runs == before:
                return
            if self.resource.due_at is not None and not self.busy:
                self.now = max(self.now, min(self.resource.due_at, self.now + 1))
        raise AssertionError(f"no steady state: {self}")

    def update(self, spec: Json) -> None:
        self.resource = replace(
            self.resource, spec=spec, status="Updating", generation=self.resource.generation + 1
        )

    def start(self, run_id: str, spec: RunSpec) -> None:
        before = self.runs.get(run_id)
        if before is not None and before.phase not in ENDED:
            return
        attempt, interruptions = (before.attempt + 1, before.interruptions) if before else (1, 0)
        self.runs[run_id] = RunState(
            run_id, RunPhase.STARTING, spec, attempt, self.now, interruptions=interruptions
        )
        self.asked_to_end.discard(run_id)

    def ready(self, run_id: str) -> None:
        run = self.runs[run_id]
        self.runs[run_id] = replace(run, phase=RunPhase.READY, address=f"@{self.short(run_id)}.{run.attempt}")

    def prepare(self, run_id: str) -> None:
        self.exit(run_id, 0)
        self.runs[run_id] = replace(self.runs[run_id], prepared=f"/{self.short(run_id)}")

    def exit(self, run_id: str, code: int, failure: str | None = None) -> None:
        self.runs[run_id] = replace(
            self.runs[run_id],
            phase=RunPhase.EXITED,
            exit_code=code,
            failure=failure,
            ended_at=self.now,
            address=None,
        )

    def lose(self, run_id: str) -> None:
        self.runs[run_id] = replace(self.runs[run_id], phase=RunPhase.LOST, address=None)

    def interrupt(self, run_id: str) -> None:
        self.lose(run_id)
        self.runs[run_id] = replace(self.runs[run_id], interruptions=self.runs[run_id].interruptions + 1)

    def stage(self, run_id: str, error: str | None = None) -> None:
        is_whole = self.resource.key.kind in {Kind.TRAINING_JOB, Kind.PROCESSING_JOB}
        for one in run_ids_of(self.resource) if is_whole else (run_id,):
            self.busy.discard(one)
            self.staged[one] = Staged(self.now, None if error else "digest", 2, error)

    def collect(self, error: str | None = None) -> None:
        self.busy.clear()
        self.collected = Collected(self.now, error=error)

    def _plan(self) -> Plan:
        busy, programs = frozenset(self.busy), PROGRAMS[self.hosting]
        addresses = {one for part in self.route.variants for one in part.addresses} if self.route else set()
        self.known = addresses if self.settled else self.known | addresses
        if self.resource.key.kind is Kind.ENDPOINT:
            lines = {
                run_id: self.lines for run_id, run in self.runs.items() if run.phase is not RunPhase.READY
            }
            seen = endpoint_planning.Observed(
                dict(self.runs), dict(self.staged), busy, self.route, self.settled, lines, programs, 2
            )
            return endpoint_planning.plan(self.resource, seen, self.now)
        if self.resource.key.kind is Kind.TRAINING_JOB:
            first = run_ids_of(self.resource)[0]
            return training_planning.plan(
                self.resource,
                training_planning.Observed(
                    dict(self.runs),
                    self.staged.get(first),
                    self.collected,
                    self.synced_at,
                    bool(busy),
                    {},
                    dict.fromkeys(self.runs, self.lines),
                    self.has_place,
                    self.threads,
                    programs,
                    2,
                ),
                self.now,
            )
        lines = dict.fromkeys(self.runs, self.lines)
        if self.resource.key.kind is Kind.PROCESSING_JOB:
            return processing_planning.plan(
                self.resource,
                processing_planning.Observed(
                    dict(self.runs),
                    self.staged.get(run_ids_of(self.resource)[0]),
                    self.collected,
                    bool(busy),
                    dict.fromkeys(self.runs, self.message),
                    lines,
                    self.has_place,
                    self.threads,
                ),
                self.now,
            )
        return transform_planning.plan(
            self.resource,
            transform_planning.Observed(
                dict(self.runs),
                dict(self.staged),
                self.collected,
                bool(busy),
                lines,
                self.has_place,
                programs,
                2,
            ),
            self.now,
        )

    def _carry_out(self, step: Step) -> None:  # noqa: C901 - one case a step
        match step:
            case steps.StageInstance(run_id):
                assert run_id not in self.busy
                self.busy.add(run_id)
            case (
                steps.StageTransform(run_ids) | steps.StageTraining(run_ids) | steps.StageProcessing(run_ids)
            ):
                self.busy.update(run_ids)
            case steps.CollectTraining(run_ids) | steps.SyncCheckpoints(run_ids) | steps.SyncOutputs(run_ids):
                self.busy.add(run_ids[0])
            case steps.ShareThreads(_, threads):
                assert threads >= 1
            case steps.CollectTransform(run_ids) | steps.CollectProcessing(run_ids):
                self.busy.add(run_ids[0])
            case steps.Launch(run_id, spec):
                assert self.staged[run_id].error is None
                assert run_id not in self.runs or self.runs[run_id].prepared is None, "it is prepared already"
                self.start(run_id, spec)
            case steps.Stop(run_id):
                assert not self._may_get_requests(run_id), "an instance that takes requests is not stopped"
                self.asked_to_end.add(run_id)
            case steps.Forget(run_id):
                assert run_id not in self._routed(), "an instance that takes requests is not killed"
                assert not self._is_mapped(run_id), "what front doors may map is not removed"
                for place in (self.runs, self.staged):
                    place.pop(run_id, None)
                self.asked_to_end.discard(run_id)
            case steps.PublishRoute(route):
                self.route, self.settled = route, False
                assert self._routed() <= {
                    run_id for run_id, run in self.runs.items() if run.place is not None
                }
            case steps.WithdrawRoute():
                self.route, self.settled = None, self.route is None

    def _may_get_requests(self, run_id: str) -> bool:
        """True when some front door may still send requests there, and it is not a deletion that waited."""
        waited = self.now >= self.resource.detail.get("_deleting", self.now) + 3
        return self.runs[run_id].place in self.known and not waited

    def _is_mapped(self, run_id: str) -> bool:
        """True when some front door may still map the run's folder, and nothing has failed meanwhile."""
        run = self.runs.get(run_id)
        is_lasting = self.resource.status in {"InService", "Updating", "Deleting"}
        return is_lasting and run is not None and run.prepared is not None and self._may_get_requests(run_id)

    def _routed(self) -> set[str]:
        if self.route is None:
            return set()
        addresses = {address for one in self.route.variants for address in one.addresses}
        return {run_id for run_id, run in self.runs.items() if run.place in addresses}

    def _phases(self) -> set[str | None]:
        detail = self.resource.detail
        is_collecting = detail.get("_phase") == "Collecting"
        return {detail.get("SecondaryStatus"), "Uploading" if is_collecting else None}

    def _let_happen(self) -> None:
        for run_id in list(self.busy):
            if "Uploading" in self._phases() or (self.resource.key.kind is Kind.TRANSFORM_JOB and self.runs):
                self.collect()
            else:
                self.stage(run_id)
        for run_id in list(self.asked_to_end):
            self.asked_to_end.discard(run_id)
            self.exit(run_id, 0 if self.runs[run_id].phase is RunPhase.READY else -15)
        for run_id, run in list(self.runs.items()):
            if self.resource.key.kind is not Kind.ENDPOINT and run.phase not in ENDED:
                self.exit(run_id, 0)
            elif run.phase is RunPhase.STARTING and run.spec.role == "prepare":
                self.prepare(run_id)
            elif run.phase is RunPhase.STARTING:
                self.ready(run_id)


def endpoint(spec: Json) -> World:
    return World(_resource(Kind.ENDPOINT, "e", "Creating", spec, {}))


def training_job(instances: int = 1) -> World:
    spec: Json = {
        "AlgorithmSpecification": {"TrainingImage": IMAGE},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": instances},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
    }
    return World(
        _resource(Kind.TRAINING_JOB, "t", "InProgress", spec, training_words.enter({}, "Starting", 1000))
    )


def transform_job(instances: int) -> World:
    spec: Json = {"TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": instances}}
    detail = {"_Container": {"Image": IMAGE}}
    return World(_resource(Kind.TRANSFORM_JOB, "b", "InProgress", spec, detail))


def processing_job(instances: int = 1) -> World:
    spec: Json = {
        "AppSpecification": {"ImageUri": IMAGE, "ContainerEntrypoint": ["python3", "x.py"]},
        "ProcessingResources": {"ClusterConfig": {"InstanceType": "ml.m5.large", "InstanceCount": instances}},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
    }
    return World(_resource(Kind.PROCESSING_JOB, "p", "InProgress", spec, {}))


def config(name: str, uri: str = "s3://b/m", **counts: int) -> Json:
    """Return an endpoint's spec: variants by name with their instance counts."""
    return {
        "EndpointConfigName": name,
        "ProductionVariants": [
            {
                "VariantName": variant,
                "ModelName": "m",
                "InstanceType": "ml.m5.large",
                "DesiredInstanceCount": count,
                "DesiredWeight": 1.0,
                "Container": {"Image": IMAGE, "ModelDataUrl": uri},
            }
            for variant, count in counts.items()
        ],
    }


def _resource(kind: Kind, name: str, status: str, spec: Json, detail: Json) -> Resource:
    key = Key(kind, "123456789012", "eu-west-1", name)
    return Resource(key, resource_arn(key), spec, status, detail, created_at=1000.0, due_at=1000.0)
