"""What to do next about an endpoint.

Rule: requests only ever go to instances that answer. A change brings its instances up beside those that
serve, moves the route, waits until every front door has seen it, and only then lets the old ones go; a
change that fails leaves what serves as it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from sagestead.domain.endpoint import EndpointStatus
from sagestead.domain.images import no_such_image
from sagestead.domain.instances import threads
from sagestead.domain.resources import Json, Resource
from sagestead.domain.routes import Route
from sagestead.domain.runs import RunPhase, RunSpec, RunState
from sagestead.planning import backoff, failure
from sagestead.planning.fleet import Fleet, Instance, is_ready, serving_fleet, wanted_fleet
from sagestead.planning.programs import Programs, is_isolated, program_of_container, source_of
from sagestead.planning.steps import (
    Forget,
    Launch,
    Plan,
    PublishRoute,
    Staged,
    StageInstance,
    Step,
    Stop,
    WithdrawRoute,
)

STARTUP_SECONDS = 240
"""How long an instance may take to answer, unless the variant says otherwise."""

DEATHS_BEFORE_READY = 4
"""A new instance that dies this often before it ever answers is given up."""

RESTAGE_SECONDS = 30.0
SETTLE_SECONDS = 0.5
"""How often it is looked whether the front doors have followed, should nobody say so."""

WITHDRAWN_SECONDS = 3.0
DRAIN_GRACE = 30.0
DELETE_GRACE = 5.0


@dataclass(frozen=True, slots=True)
class Observed:
    """What can be seen around an endpoint.

    Attributes:
        runs: its runs by id, ended ones too.
        staged: what staging left, by run id.
        busy: run ids that are being staged now.
        route: where its requests go now.
        settled: True when every front door has seen that.
        lines: last log lines of the runs that do not answer.
        programs: the programs there are.
        cores: how many cores the host has.
    """

    runs: Mapping[str, RunState]
    staged: Mapping[str, Staged]
    busy: frozenset[str]
    route: Route | None
    settled: bool
    lines: Mapping[str, tuple[str, ...]]
    programs: Programs
    cores: int


def plan(endpoint: Resource, seen: Observed, now: float) -> Plan:
    """Return what to do now about an endpoint."""
    if endpoint.status == EndpointStatus.DELETING:
        return _delete(endpoint, seen, now)
    if endpoint.status == EndpointStatus.FAILED:
        return _after_failure(endpoint, seen)
    serving = serving_fleet(endpoint, seen.programs)
    if endpoint.status == EndpointStatus.IN_SERVICE and serving is not None:
        return _keep(endpoint, serving, seen, now)
    return _change(endpoint, serving, wanted_fleet(endpoint, seen.programs), seen, now)


def give_up(endpoint: Resource, reason: str, programs: Programs) -> Plan | None:
    """Return the plan that ends a change which cannot be carried out; None when there is no change to end."""
    if endpoint.status not in (EndpointStatus.CREATING, EndpointStatus.UPDATING):
        return None
    serving, wanted = serving_fleet(endpoint, programs), wanted_fleet(endpoint, programs)
    return _fail(endpoint, serving, wanted, {}, reason)


def _change(endpoint: Resource, serving: Fleet | None, wanted: Fleet, seen: Observed, now: float) -> Plan:
    """Bring up what is wanted, then let it serve."""
    detail = _pinned(endpoint.detail, wanted, seen)
    started = detail.setdefault("_deployment", {"at": round(now, 3)})["at"]
    kept = {instance.run_id for instance in serving.instances} if serving else set()
    fresh = [instance for instance in wanted.instances if instance.run_id not in kept]
    tended = _Tending(endpoint, seen, now, detail)
    tended.all(wanted, wanted.instances)
    if serving:
        tended.all(serving, serving.instances)
    launched = {step.run_id for step in tended.steps if isinstance(step, Launch)}
    runs = {instance.run_id: seen.runs.get(instance.run_id) for instance in fresh}
    if any(run is not None and not _is_coming_up(run) for run in runs.values()):
        detail["_deployment"].pop("launched_at", None)
    if all(run_id in launched or (run is not None and _is_coming_up(run)) for run_id, run in runs.items()):
        detail["_deployment"].setdefault("launched_at", round(now, 3))
    obstacle = _obstacle(fresh, seen, detail, now)
    if obstacle is not None:
        return replace(_fail(endpoint, serving, wanted, seen.runs, obstacle), look_again=now)
    if serving is None or serving.generation != wanted.generation:
        detail["PendingDeploymentSummary"] = wanted.pending(seen.runs, started)
    if not wanted.is_ready(seen.runs):
        steps = [*_routing(serving, seen), *tended.steps]
        deadline = min((_deadline(one, detail) for one in fresh), default=now + backoff.LONGEST_SECONDS)
        look_again = min(deadline, tended.look_again)
        return Plan(tuple(steps), endpoint.status, detail, look_again, is_passing=True)
    if seen.route != wanted.route(seen.runs) or not seen.settled:
        routing, look_again = tuple(_routing(wanted, seen)), now + SETTLE_SECONDS
        return Plan(routing, endpoint.status, detail, look_again, awaits_doors=True, is_passing=True)
    return _serve(endpoint, serving, wanted, seen, detail)


def _serve(endpoint: Resource, serving: Fleet | None, wanted: Fleet, seen: Observed, detail: Json) -> Plan:
    """The wanted fleet serves; the old one may go."""
    since = detail.pop("_deployment")["at"]
    detail.pop("PendingDeploymentSummary", None)
    detail.pop("FailureReason", None)
    generation = wanted.generation
    detail |= {
        "EndpointConfigName": wanted.spec["EndpointConfigName"],
        "ProductionVariants": wanted.summary(seen.runs, since),
        "_serving": {
            "generation": generation,
            "accepted": endpoint.generation,
            "since": since,
            "spec": wanted.spec,
        },
        "_digests": {str(generation): detail["_digests"].get(str(generation), {})},
    }
    steps = _clear(seen.runs, wanted, DRAIN_GRACE)
    if serving is not None and serving.generation != generation:
        steps.append(Forget(serving.shared))
    return Plan(tuple(steps), EndpointStatus.IN_SERVICE, detail)


def _fail(
    endpoint: Resource, serving: Fleet | None, wanted: Fleet, runs: Mapping[str, RunState], reason: str
) -> Plan:
    """Take the change back: what served goes on serving, or the endpoint has failed."""
    detail = {
        name: value
        for name, value in endpoint.detail.items()
        if name not in ("PendingDeploymentSummary", "_deployment")
    }
    detail["FailureReason"] = reason
    kept = serving.needed(runs) if serving else frozenset()
    gone = [instance.run_id for instance in wanted.instances if instance.run_id not in kept]
    gone += [run_id for run_id in runs if run_id not in kept and run_id not in gone]
    if serving is None:
        steps: list[Step] = [WithdrawRoute(), *map(Forget, gone), Forget(wanted.shared)]
        return Plan(tuple(steps), EndpointStatus.FAILED, detail)
    steps = [PublishRoute(serving.route(runs))] if runs else []
    steps += map(Forget, gone)
    if serving.generation != wanted.generation:
        steps.append(Forget(wanted.shared))
    detail["_serving"] = {**detail["_serving"], "accepted": endpoint.generation}
    return Plan(tuple(steps), EndpointStatus.IN_SERVICE, detail, spec=serving.spec)


def _keep(endpoint: Resource, serving: Fleet, seen: Observed, now: float) -> Plan:
    """What serves goes on serving: the dead are replaced, what nobody wants any more goes."""
    detail = _pinned(endpoint.detail, serving, seen)
    tended = _Tending(endpoint, seen, now, detail)
    tended.all(serving, serving.instances)
    since = detail["_serving"].get("since", endpoint.created_at)
    detail["ProductionVariants"] = serving.summary(seen.runs, since)
    steps = [*_routing(serving, seen), *tended.steps]
    look_again = None if serving.is_ready(seen.runs) else tended.look_again
    left = _clear(seen.runs, serving, DRAIN_GRACE)
    if left and not (seen.settled and seen.route == serving.route(seen.runs)):
        look_again, kept = now + SETTLE_SECONDS, tuple(steps)
        return Plan(kept, EndpointStatus.IN_SERVICE, detail, look_again, awaits_doors=True, is_passing=True)
    is_passing = bool(tended.steps)
    return Plan((*steps, *left), EndpointStatus.IN_SERVICE, detail, look_again, is_passing=is_passing)


def _after_failure(endpoint: Resource, seen: Observed) -> Plan:
    steps: list[Step] = [WithdrawRoute()] if seen.route is not None else []
    steps += [Forget(run_id) for run_id in seen.runs]
    return Plan(tuple(steps), EndpointStatus.FAILED, endpoint.detail)


def _delete(endpoint: Resource, seen: Observed, now: float) -> Plan:
    """Take no more requests, let the instances finish, then leave nothing."""
    since = endpoint.detail.get("_deleting", round(now, 3))
    detail = {**endpoint.detail, "_deleting": since}
    if seen.route is not None:
        look_again = now + SETTLE_SECONDS
        return Plan((WithdrawRoute(),), EndpointStatus.DELETING, detail, look_again, awaits_doors=True)
    if not seen.settled and now < since + WITHDRAWN_SECONDS:
        return Plan((), EndpointStatus.DELETING, detail, now + SETTLE_SECONDS, awaits_doors=True)
    living = [run_id for run_id, run in seen.runs.items() if run.phase not in backoff.ENDED]
    if living or seen.busy:
        steps = tuple(Stop(run_id, DELETE_GRACE) for run_id in living)
        return Plan(steps, EndpointStatus.DELETING, detail, now + 1)
    fleets = (serving_fleet(endpoint, seen.programs), wanted_fleet(endpoint, seen.programs))
    gone = dict.fromkeys(seen.runs)
    for fleet in fleets:
        gone |= dict.fromkeys(fleet.places if fleet else ())
    return Plan(tuple(map(Forget, gone)), EndpointStatus.DELETING, detail, remove=True)


class _Tending:
    """Collects what a fleet's instances need: steps, counted deaths, and when to look again."""

    def __init__(self, endpoint: Resource, seen: Observed, now: float, detail: Json) -> None:
        self.steps: list[Step] = []
        self.look_again = now + backoff.LONGEST_SECONDS
        self._endpoint = endpoint
        self._seen = seen
        self._now = now
        self._detail = detail
        self._before = endpoint.detail.get("_deaths", {})
        self._done: set[str] = set()
        detail["_deaths"] = {}

    def all(self, fleet: Fleet, instances: Iterable[Instance]) -> None:
        """Tend every instance that was not yet."""
        for instance in instances:
            if instance.run_id not in self._done:
                self._done.add(instance.run_id)
                self._one(fleet, instance)

    def _one(self, fleet: Fleet, instance: Instance) -> None:
        run_id = instance.run_id
        run = self._seen.runs.get(run_id)
        record = self._before.get(run_id)
        lives = run is not None and (is_ready(run) or run.phase not in backoff.ENDED)
        if run is not None and not lives:
            record = backoff.count_death(record, run)
        if record is not None:
            self._detail["_deaths"][run_id] = record
        if lives:
            return
        if run_id in self._seen.busy:
            return
        staged = self._seen.staged.get(run_id)
        if staged is None or staged.error is not None:
            self._stage(fleet, instance, staged)
            return
        due = self._now if run is None or record is None else backoff.restart_at(run, record["count"])
        if due > self._now:
            self.look_again = min(self.look_again, due)
            return
        self.steps.append(Launch(run_id, self._run_spec(instance, staged)))

    def _stage(self, fleet: Fleet, instance: Instance, before: Staged | None) -> None:
        due = self._now if before is None else before.at + RESTAGE_SECONDS
        if due > self._now:
            self.look_again = min(self.look_again, due)
            return
        uri = instance.variant["Container"].get("ModelDataUrl")
        pinned = self._detail["_digests"].get(str(fleet.generation), {}).get(uri)
        source = source_of(instance.variant["Container"]) if instance.runtime else None
        self.steps.append(StageInstance(instance.run_id, uri, fleet.shared, pinned, source))

    def _run_spec(self, instance: Instance, staged: Staged) -> RunSpec:
        container = instance.variant["Container"]
        return RunSpec(
            owner=self._endpoint.arn,
            role=instance.role,
            entry=instance.entry,
            image=container["Image"],
            environment={"AWS_REGION": self._endpoint.key.region, **container.get("Environment", {})},
            threads=threads(instance.variant["InstanceType"], self._seen.cores),
            digest=staged.digest,
            runtime=instance.runtime,
            isolated=is_isolated(container, instance.runtime),
        )


def _obstacle(fresh: list[Instance], seen: Observed, detail: Json, now: float) -> str | None:
    """Return why a change cannot succeed, if it cannot."""
    for instance in fresh:
        image = instance.variant["Container"]["Image"]
        if program_of_container(seen.programs, instance.variant["Container"]) is None:
            return f" The image '{image}' does not exist. {no_such_image(image)}"
    for instance in fresh:
        reason = _trouble(instance, seen, detail, now)
        if reason is not None:
            return reason
    return None


def _is_coming_up(run: RunState) -> bool:
    """Say whether the time for an answer runs: not after a power cut, nor while the runtime is built."""
    return run.phase is not RunPhase.LOST and (run.equipped or run.phase in backoff.ENDED)


def _trouble(instance: Instance, seen: Observed, detail: Json, now: float) -> str | None:
    run_id = instance.run_id
    run, staged, lines = seen.runs.get(run_id), seen.staged.get(run_id), seen.lines.get(run_id, ())
    if staged is not None and staged.error is not None:
        return staged.error
    if run is not None and run.phase in backoff.ENDED and run.failure:
        url = instance.variant["Container"].get("ModelDataUrl") if run.equipped else None
        return failure.with_lines(f"Model data {url}: {run.failure}" if url else run.failure, lines)
    name = instance.variant["VariantName"]
    unhealthy = (
        f"The primary container for production variant {name} did not pass the ping health check. "
        "Please check CloudWatch logs for this endpoint."
    )
    died = detail["_deaths"].get(run_id, {"count": 0})["count"]
    if died >= DEATHS_BEFORE_READY and not is_ready(run):
        code = f" with code {run.exit_code}" if run is not None and run.exit_code is not None else ""
        return failure.with_lines(f"{unhealthy} Its process ended {died} times{code}.", lines)
    if not is_ready(run) and now >= _deadline(instance, detail):
        return failure.with_lines(unhealthy, lines)
    return None


def _deadline(instance: Instance, detail: Json) -> float:
    launched_at: float | None = detail["_deployment"].get("launched_at")
    if launched_at is None:
        return float("inf")
    limit: float = instance.variant.get("ContainerStartupHealthCheckTimeoutInSeconds") or STARTUP_SECONDS
    return launched_at + limit


def _pinned(detail: Json, fleet: Fleet, seen: Observed) -> Json:
    """Return a copy of the detail in which the digests that staging found are pinned, the first for good."""
    generation = str(fleet.generation)
    digests = {**detail.get("_digests", {})}
    mine = {**digests.get(generation, {})}
    for instance in fleet.instances:
        staged = seen.staged.get(instance.run_id)
        if staged is not None and staged.digest is not None:
            mine.setdefault(instance.variant["Container"]["ModelDataUrl"], staged.digest)
    copy = {**detail, "_digests": {**digests, generation: mine}}
    if "_deployment" in copy:
        copy["_deployment"] = {**copy["_deployment"]}
    return copy


def _routing(fleet: Fleet | None, seen: Observed) -> list[Step]:
    """Publish the fleet's route unless it is known already."""
    if fleet is None:
        return [] if seen.route is None else [WithdrawRoute()]
    route = fleet.route(seen.runs)
    return [] if seen.route == route else [PublishRoute(route)]


def _clear(runs: Mapping[str, RunState], fleet: Fleet, grace: float) -> list[Step]:
    """Stop what lives and the fleet does not need; forget what ended."""
    kept = fleet.needed(runs)
    return [
        Forget(run_id) if run.phase in backoff.ENDED else Stop(run_id, grace)
        for run_id, run in runs.items()
        if run_id not in kept
    ]
