"""The reconciler: lease, observe, plan, carry out, record.

Rules: the current state decides, never an event; an event is only a reason to look. A write names the version
that was read, so whoever else wrote meanwhile wins and is looked at anew. One look at a resource at a time;
while there is more to do at once, one hand goes on with it; a look that finds nothing to do writes nothing,
nor does one whose successor comes within moments. What rests costs nothing.
"""

from __future__ import annotations

import heapq
import logging
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from sagestead.control.artifacts import Artifacts
from sagestead.control.log_agent import LogAgent
from sagestead.control.processing_outputs import ProcessingOutputs
from sagestead.control.reconciler.deployments import ActFor, Deployments
from sagestead.control.reconciler.effects import Effects
from sagestead.control.reconciler.errands import TRIES, Errands, surrendered
from sagestead.control.reconciler.observing import Observer
from sagestead.control.reconciler.trials import Trials
from sagestead.control.reconciler.turns import Turns
from sagestead.control.staging import Staging
from sagestead.domain import endpoint as endpoint_words
from sagestead.domain import job_status
from sagestead.domain.resources import Key, Kind, Resource
from sagestead.domain.runs import RunState, owner_of
from sagestead.planning import deployment as deployment_planning
from sagestead.planning import endpoint as endpoint_planning
from sagestead.planning import processing as processing_planning
from sagestead.planning import training as training_planning
from sagestead.planning import transform as transform_planning
from sagestead.planning import tuning as tuning_planning
from sagestead.planning.backoff import delay
from sagestead.planning.programs import Programs
from sagestead.planning.steps import Plan, shown
from sagestead.planning.trials import tuning_job_of
from sagestead.ports import Change, Clock, Engine, Logs, Metrics, Objects, Resources, Routes, Stale, Suggest

LEASE_SECONDS = 10.0
AT_ONCE = 8
MOST_UNDER_WAY = 10_000
HORIZON_SECONDS = 100 * 86400.0
WAIT_SECONDS = 0.02
"""How soon what is due is looked for again when there were not hands enough for it."""

MOMENTS_SECONDS = 0.1
"""How long a hand waits with recording a passing plan, all looks in a row together."""

LISTEN_SECONDS = 0.1
"""For how long runs are listened to before it is seen whether the reconciler is to stop."""

ALARM_SECONDS = 0.5
"""How often it is looked what is due, should nobody say so: leases end by themselves."""

_log = logging.getLogger(__name__)

_MAY_FOLLOW = {
    Kind.ENDPOINT: endpoint_words.may_follow,
    Kind.TRAINING_JOB: job_status.may_follow,
    Kind.TRANSFORM_JOB: job_status.may_follow,
    Kind.PROCESSING_JOB: job_status.may_follow,
    Kind.TUNING_JOB: job_status.may_follow,
    Kind.MODEL_PACKAGE: str.__eq__,
}


class Reconciler:
    """Brings resources to what was asked of them.

    Args:
        resources: what was asked.
        routes: where requests go.
        engine: what runs.
        objects: inputs and outputs.
        logs: log streams.
        metrics: what jobs measure.
        clock: seconds since the epoch.
        programs: algorithm name -> entry points.
        cores: how many cores the host has.
        suggest: chooses what tuning jobs try.
        act_for: makes the context of an operation on behalf of a caller.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - it is where everything comes together
        self,
        resources: Resources,
        routes: Routes,
        engine: Engine,
        objects: Objects,
        logs: Logs,
        metrics: Metrics,
        clock: Clock,
        programs: Programs,
        cores: int,
        suggest: Suggest,
        act_for: ActFor,
    ) -> None:
        self._resources = resources
        self._routes = routes
        self._engine = engine
        self._clock = clock
        self._programs = programs
        self._holder = f"reconciler-{uuid.uuid4()}"
        self._agent = LogAgent(engine, logs, metrics, clock)
        self._errands = Errands(self._poke)
        self._turns = Turns(cores, clock)
        self._observer = Observer(routes, engine, self._agent, self._errands, self._turns, programs, cores)
        staging = Staging(engine, objects, clock)
        artifacts = Artifacts(engine, objects, metrics, clock)
        self._trials = Trials(resources, logs, suggest, clock, self._begin)
        self._deployments = Deployments(resources, act_for)
        self._effects = Effects(
            engine,
            routes,
            staging,
            artifacts,
            ProcessingOutputs(engine, objects, clock),
            self._agent,
            self._errands,
            self._trials,
            self._deployments,
            clock,
        )
        self._mutex = threading.Lock()
        self._poked = threading.Condition(self._mutex)
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="reconciler")
        self._working: dict[Key, bool] = {}
        self._settling: set[Key] = set()
        self._renewing: set[Key] = set()
        self._is_inspected = False
        self._failures: dict[Key, int] = {}
        self._alarm = 0.0
        self._dues: list[float] = []

    def run(self, stopping: threading.Event) -> None:
        """Work until `stopping` is set; then finish what is under way."""
        carrier = threading.Thread(target=self._agent.run, args=(stopping,), name="log-agent", daemon=True)
        carrier.start()
        inspector = threading.Thread(target=self._inspect, args=(stopping,), name="inspector", daemon=True)
        self._take_over()
        inspector.start()
        listener = threading.Thread(target=self._listen, args=(stopping,), name="run-listener", daemon=True)
        listener.start()
        self._loop(stopping)
        listener.join()
        inspector.join()
        self._pool.shutdown(cancel_futures=True)
        self._errands.close()
        carrier.join()

    def renewed(self, seconds: float) -> bool:
        """Wait until the models are prepared again whose endpoints were found otherwise at the start.

        False after so many seconds: requests of some may still have no answer.
        """
        with self._mutex:
            return self._poked.wait_for(lambda: self._is_inspected and not self._renewing, seconds)

    def _loop(self, stopping: threading.Event) -> None:
        revision = -1
        while not stopping.is_set():
            try:
                before, revision = revision, self._resources.revision()
                if revision != before:
                    self._poke_settled()
                if revision != before or self._is_time():
                    self._lease()
                self._resources.wait(self._pause())
            except Exception:  # noqa: BLE001 - the loop outlives a failing store; logged
                _log.exception("the reconciler's round failed; it goes on")
                stopping.wait(1)

    def _listen(self, stopping: threading.Event) -> None:
        """Have resources looked at whose runs have changed."""
        while not stopping.is_set():
            try:
                for run_id in self._engine.changed(LISTEN_SECONDS):
                    self._poke(owner_of(run_id))
            except Exception:  # noqa: BLE001 - it listens on, whatever a run's name is; logged
                _log.exception("changed runs could not be told; it goes on")
                stopping.wait(1)

    def _inspect(self, stopping: threading.Event) -> None:
        """Look once, beside everything else, whether what rests is as it was left."""
        for route in self._routes.changes(0).changed:
            if stopping.is_set():
                return
            key = Key(Kind.ENDPOINT, *route.place)
            try:
                rests = self._rests(key)
            except Exception:  # noqa: BLE001 - a look says more, and tries again
                rests = False
            if not rests:
                if route.is_inline:
                    with self._mutex:
                        self._renewing.add(key)
                self._poke(key)
        with self._mutex:
            self._is_inspected = True
            self._poked.notify_all()

    def _rests(self, key: Key) -> bool:
        """Say whether nothing is to be done about an endpoint."""
        with self._mutex:
            if key in self._working:
                return False
        endpoint = self._resources.get(key)
        if endpoint is None or endpoint.due_at is not None:
            return False
        return _is_idle(endpoint, self._plan(endpoint, self._observer.runs(endpoint)))

    def _renew(self, key: Key) -> None:
        """Take note that nothing is left to do about an endpoint."""
        with self._mutex:
            if key in self._renewing:
                self._renewing.remove(key)
                self._poked.notify_all()

    def _poke(self, key: Key) -> None:
        """Have a resource looked at soon."""
        with self._mutex:
            if key in self._working:
                self._working[key] = True
                self._poked.notify_all()
                return
            self._working[key] = False
        self._submit(key, None)

    def _submit(self, key: Key, resource: Resource | None) -> None:
        try:
            self._pool.submit(self._work, key, resource)
        except RuntimeError:  # closing: whoever comes next looks at everything
            _log.debug("%s is left to whoever comes next", key.name)

    def _poke_settled(self) -> None:
        """Have endpoints looked at whose route every front door has seen."""
        now = self._clock()
        with self._mutex:
            waiting = list(self._settling)
        for key in waiting:
            if self._routes.settled(key.account, key.region, key.name, now):
                with self._mutex:
                    self._settling.discard(key)
                self._poke(key)

    def _is_time(self) -> bool:
        """True when something is due, or it is time to see what another process made due."""
        now = self._clock()
        with self._mutex:
            return now >= self._alarm or bool(self._dues and now >= self._dues[0])

    def _pause(self) -> float:
        """Return for how long nothing is due."""
        with self._mutex:
            next_due = min(self._alarm, self._dues[0]) if self._dues else self._alarm
        return max(0.0, next_due - self._clock())

    def _note_due(self, at: float) -> None:
        with self._mutex:
            heapq.heappush(self._dues, at)

    def _lease(self) -> None:
        """Take what is due, as much as there are hands for."""
        now = self._clock()
        with self._mutex:
            free = AT_ONCE - len(self._working)
            while self._dues and self._dues[0] <= now:
                heapq.heappop(self._dues)
        self._alarm = now + ALARM_SECONDS
        leased = self._resources.lease(self._holder, now, LEASE_SECONDS, free) if free > 0 else []
        if len(leased) >= free:
            self._alarm = now + WAIT_SECONDS
        self._hand_out(leased)

    def _take_over(self) -> None:
        """Look at everything under way, as if all were due and a dead predecessor's leases had ended."""
        then, seconds = self._clock() + HORIZON_SECONDS, LEASE_SECONDS - HORIZON_SECONDS
        self._hand_out(self._resources.lease(self._holder, then, seconds, MOST_UNDER_WAY))

    def _hand_out(self, leased: list[Resource]) -> None:
        """Have resources looked at; one that is being worked on is looked at again."""
        self._note(*leased)
        for resource in leased:
            if resource.key.kind not in _MAY_FOLLOW:
                _log.error("%s is due, but nothing is ever done about its kind", resource.arn)
                continue
            with self._mutex:
                is_working = resource.key in self._working
                self._working[resource.key] = is_working
                self._poked.notify_all()
            if not is_working:
                self._submit(resource.key, resource)

    def _begin(self, resource: Resource) -> None:
        """Look at what was made here; others would be told by what they read."""
        self._hand_out([resource])

    def _note(self, *resources: Resource) -> None:
        """Take notice of resources as they are now; have jobs looked at whose turn has come by that."""
        for key in self._turns.note(*resources):
            self._poke(key)

    def _work(self, key: Key, resource: Resource | None) -> None:
        """Look at a resource, and again while there is a reason to."""
        is_again, until = True, time.monotonic() + MOMENTS_SECONDS
        while is_again:
            try:
                current = self._resources.get(key) if resource is None else resource
                if current is None:
                    self._clear_away(key)
                while current is not None:
                    current = self._look(current, until)
            except Exception:  # noqa: BLE001 - a thread's end; logged, its alarm or lease comes again
                _log.exception("%s could not be read", key.name)
            resource = None
            with self._mutex:
                is_again = self._working[key]
                if is_again:
                    self._working[key] = False
                else:
                    del self._working[key]

    def _clear_away(self, key: Key) -> None:
        """Withdraw the route of an endpoint that is gone."""
        if key.kind is Kind.ENDPOINT:
            self._renew(key)
            self._routes.withdraw(key.account, key.region, key.name)

    def _look(self, resource: Resource, until: float) -> Resource | None:
        """Look at a resource once, and record what came of it; return it if there is more to do at once.

        A passing plan is recorded when nothing has happened `until` then (monotonic).
        """
        try:
            runs = self._observer.runs(resource)
            plan = self._plan(resource, runs)
            with self._mutex:
                (self._settling.add if plan.awaits_doors else self._settling.discard)(resource.key)
            if not plan.is_passing:
                self._observer.finish(resource, runs)
            for step in plan.steps:
                self._effects.carry_out(resource, step)
            if plan.is_passing:
                self._observer.finish(resource, runs)
                if self._is_poked(resource.key, until):
                    return None
            more = self._record(resource, plan)
            if plan.look_again is None:
                self._renew(resource.key)
            self._failures.pop(resource.key, None)
        except Stale:
            _log.debug("%s was written meanwhile", resource.arn)
            self._poke(resource.key)
        except Exception as fault:  # noqa: BLE001 - logged, tried again, then said in FailureReason
            _log.exception("a look at %s failed", resource.arn)
            self._retry(resource, fault)
        else:
            return more
        return None

    def _is_poked(self, key: Key, until: float) -> bool:
        """Wait for a reason to look again, for moments only; True if there is one."""
        with self._mutex:
            return self._poked.wait_for(lambda: self._working[key], max(0.0, until - time.monotonic()))

    def _plan(self, resource: Resource, runs: dict[str, RunState]) -> Plan:
        now = self._clock()
        if resource.key.kind is Kind.ENDPOINT:
            return endpoint_planning.plan(resource, self._observer.endpoint(resource, runs, now), now)
        if resource.key.kind is Kind.TRAINING_JOB:
            return training_planning.plan(resource, self._observer.training(resource, runs), now)
        if resource.key.kind is Kind.PROCESSING_JOB:
            return processing_planning.plan(resource, self._observer.processing(resource, runs), now)
        if resource.key.kind is Kind.TUNING_JOB:
            return tuning_planning.plan(resource, self._trials.observe(resource), now)
        if resource.key.kind is Kind.MODEL_PACKAGE:
            return deployment_planning.plan(resource, self._deployments.observe(resource), now)
        return transform_planning.plan(resource, self._observer.transform(resource, runs), now)

    def _record(self, resource: Resource, plan: Plan) -> Resource | None:
        """Write down what came of a look; return the resource if there is more to do about it at once."""
        if not _MAY_FOLLOW[resource.key.kind](resource.status, plan.status):
            raise AssertionError(f"{resource.arn} cannot go from {resource.status} to {plan.status}")
        if plan.remove:
            self._resources.delete(resource)
            return None
        if _is_idle(resource, plan):
            return None
        now = self._clock()
        is_more = plan.look_again is not None and plan.look_again <= now
        # Should this process die in between, whoever comes next finds it due.
        due = now + LEASE_SECONDS if is_more else plan.look_again
        is_news = plan.status != resource.status or shown(plan.detail) != shown(resource.detail)
        is_step = plan.status != resource.status or plan.spec is not None
        change = Change(due, plan.spec, plan.status, plan.detail, touch=is_news, durable=is_step)
        written = self._resources.update(resource, change)
        self._note(written)
        tuning_job = tuning_job_of(resource)
        if tuning_job is not None and plan.status != resource.status:
            self._poke(tuning_job)
        if due is not None:
            self._note_due(due)
        return written if is_more else None

    def _retry(self, resource: Resource, fault: Exception) -> None:
        """Look again later; after some tries, end what cannot be carried out."""
        tries = self._failures[resource.key] = self._failures.get(resource.key, 0) + 1
        now = self._clock()
        try:
            plan = (
                self._give_up(resource, surrendered("Carrying it out", fault), now)
                if tries >= TRIES
                else None
            )
            if plan is None:
                self._resources.update(resource, Change(now + delay(tries + 1), touch=False, durable=False))
                self._note_due(now + delay(tries + 1))
            else:
                self._record(resource, replace(plan, look_again=now))
                self._failures.pop(resource.key, None)
                self._poke(resource.key)
        except Stale:
            self._poke(resource.key)
        except Exception:  # noqa: BLE001 - a thread's end; logged
            _log.exception("%s stays leased until the lease ends", resource.arn)

    def _give_up(self, resource: Resource, reason: str, now: float) -> Plan | None:
        if resource.key.kind is Kind.ENDPOINT:
            return endpoint_planning.give_up(resource, reason, self._programs)
        if resource.key.kind is Kind.TRAINING_JOB:
            return training_planning.give_up(resource, reason, now)
        if resource.key.kind is Kind.PROCESSING_JOB:
            return processing_planning.give_up(resource, reason, now)
        if resource.key.kind is Kind.TUNING_JOB:
            return tuning_planning.give_up(resource, reason, now)
        if resource.key.kind is Kind.MODEL_PACKAGE:
            return deployment_planning.give_up(resource, reason)
        return transform_planning.give_up(resource, reason, now)


def _is_idle(resource: Resource, plan: Plan) -> bool:
    """True when a plan changes nothing that is stored, nor asks for an earlier look than is due already."""
    same = (resource.status, resource.detail) == (plan.status, plan.detail)
    if plan.steps or plan.remove or plan.spec is not None or resource.lease is not None or not same:
        return False
    due = resource.due_at
    if due is None or plan.look_again is None:
        return plan.look_again == due
    return due <= plan.look_again
