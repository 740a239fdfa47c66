"""A fleet: the instances that one generation of an endpoint asks for.

Rules: run ids are deterministic, so that a second controller or a restart means the same instances. A variant
whose program can prepare its models has one run, which does that, and its instances are replicas in the front
doors, as many as are asked for; any other variant has a run for each instance. When the server changes from
one way to the other, or prepares models in another layout, what answered before does so until all that is
wanted answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sagestead.domain.images import resolved_image
from sagestead.domain.resources import Json, Key, Resource
from sagestead.domain.routes import Route, Variant
from sagestead.domain.runs import Role, RunState
from sagestead.planning.programs import Program, Programs, program_of_container


@dataclass(frozen=True, slots=True)
class Instance:
    """One wanted run; `variant` is its ProductionVariant in the spec, the rest as in its RunSpec."""

    run_id: str
    variant: Json
    role: Role
    entry: str
    runtime: str | None = None


@dataclass(frozen=True, slots=True)
class Fleet:
    """The instances of one generation; `programs` are those that the server has now.

    `accepted` is the endpoint's generation that this fleet answers: it is ahead of `generation` after a
    change that needed no new instances, or an update that was taken back.
    """

    key: Key
    generation: int
    accepted: int
    spec: Json
    programs: Programs

    @property
    def shared(self) -> str:
        """Run folder in which the generation keeps its model artifacts."""
        return f"{_prefix(self.key)}/{self.generation}/artifacts"

    @property
    def instances(self) -> tuple[Instance, ...]:
        """All instances, variant by variant."""
        return tuple(one for variant in self.spec["ProductionVariants"] for one in self._wanted(variant))

    @property
    def places(self) -> tuple[str, ...]:
        """Every run id whose folder the fleet may have used, whichever way it was hosted."""
        either = [
            f"{self._before(variant)}{end}"
            for variant in self.spec["ProductionVariants"]
            for end in (*range(variant["DesiredInstanceCount"]), self._model(variant))
        ]
        return (*either, self.shared)

    def route(self, runs: Mapping[str, RunState]) -> Route:
        """Return where requests go: every variant with the addresses of its ready instances."""
        return Route(
            self.key.account,
            self.key.region,
            self.key.name,
            tuple(
                Variant(
                    variant["VariantName"],
                    float(variant["DesiredWeight"]),
                    tuple(run.place for run in self._answering(variant, runs) if run.place is not None),
                )
                for variant in self.spec["ProductionVariants"]
            ),
        )

    def summary(self, runs: Mapping[str, RunState], since: float) -> list[Json]:
        """Return ProductionVariants as DescribeEndpoint shows them once the fleet serves."""
        return [
            {
                **_pending(variant, since),
                "CurrentWeight": variant["DesiredWeight"],
                "CurrentInstanceCount": self._count(variant, runs),
            }
            for variant in self.spec["ProductionVariants"]
        ]

    def pending(self, runs: Mapping[str, RunState], since: float) -> Json:
        """Return PendingDeploymentSummary while the fleet comes up (spec: operations.md section 2)."""
        return {
            "EndpointConfigName": self.spec["EndpointConfigName"],
            "ProductionVariants": [
                {
                    **_pending(variant, since),
                    "CurrentInstanceCount": self._count(variant, runs),
                    "VariantStatus": [
                        {
                            "Status": "Creating",
                            "StatusMessage": f"Launching {variant['DesiredInstanceCount']} instance(s).",
                            "StartTime": since,
                        }
                    ],
                }
                for variant in self.spec["ProductionVariants"]
            ],
            "StartTime": since,
        }

    def is_ready(self, runs: Mapping[str, RunState]) -> bool:
        """True when every instance answers."""
        return all(is_ready(runs.get(instance.run_id)) for instance in self.instances)

    def needed(self, runs: Mapping[str, RunState]) -> frozenset[str]:
        """Return the ids of the runs that are wanted, and of those that answer until the wanted ones do."""
        answering = (self._answering(variant, runs) for variant in self.spec["ProductionVariants"])
        wanted = (instance.run_id for instance in self.instances)
        return frozenset([*wanted, *(run.run_id for some in answering for run in some)])

    def _wanted(self, variant: Json) -> list[Instance]:
        program = program_of_container(self.programs, variant.get("Container", {}))
        before = self._before(variant)
        if program is not None and program.prepare is not None:
            return [Instance(f"{before}{_model(program)}", variant, "prepare", program.prepare)]
        entry, runtime = (program.load, program.runtime) if program else ("", None)
        ordinals = range(variant["DesiredInstanceCount"])
        return [Instance(f"{before}{ordinal}", variant, "serve", entry, runtime) for ordinal in ordinals]

    def _model(self, variant: Json) -> str:
        program = program_of_container(self.programs, variant.get("Container", {}))
        return _model(program) if program else "model"

    def _before(self, variant: Json) -> str:
        """Return how the ids of a variant's runs begin."""
        return f"{_prefix(self.key)}/{self.generation}/{variant['VariantName']}/"

    def _answering(self, variant: Json, runs: Mapping[str, RunState]) -> list[RunState]:
        """Return the runs that requests go to."""
        wanted = self._wanted(variant)
        ready = [run for one in wanted if (run := runs.get(one.run_id)) is not None and is_ready(run)]
        if len(ready) == len(wanted):
            return ready
        role, before, ids = wanted[0].role, self._before(variant), {one.run_id for one in wanted}
        former = [
            run
            for run_id, run in runs.items()
            if run_id.startswith(before)
            and (run.spec.role != role or (role == "prepare" and run_id not in ids))
            and is_ready(run)
        ]
        return former or ready

    def _count(self, variant: Json, runs: Mapping[str, RunState]) -> int:
        """Return how many instances answer."""
        answering = self._answering(variant, runs)
        is_prepared = any(run.prepared is not None for run in answering)
        return int(variant["DesiredInstanceCount"]) if is_prepared else len(answering)


def is_ready(run: RunState | None) -> bool:
    """True when requests can go there."""
    return run is not None and run.place is not None


def serving_fleet(endpoint: Resource, programs: Programs) -> Fleet | None:
    """Return the fleet that serves, if one does."""
    serving = endpoint.detail.get("_serving")
    if serving is None:
        return None
    return Fleet(endpoint.key, serving["generation"], serving["accepted"], serving["spec"], programs)


def wanted_fleet(endpoint: Resource, programs: Programs) -> Fleet:
    """Return the fleet that the spec asks for: of a new generation, or of the serving one, changed."""
    serving = serving_fleet(endpoint, programs)
    accepted = endpoint.generation
    if serving is not None and serving.accepted == accepted:
        return Fleet(endpoint.key, serving.generation, accepted, endpoint.spec, programs)
    return Fleet(endpoint.key, accepted, accepted, endpoint.spec, programs)


def _model(program: Program) -> str:
    """Return how the ids of runs end that prepare models."""
    return f"model-{program.layout}" if program.layout else "model"


def _prefix(key: Key) -> str:
    return f"endpoint/{key.account}/{key.region}/{key.name}"


def _pending(variant: Json, since: float) -> Json:
    image = variant["Container"]["Image"]
    return {
        "VariantName": variant["VariantName"],
        "DeployedImages": [
            {"SpecifiedImage": image, "ResolvedImage": resolved_image(image), "ResolutionTime": since}
        ],
        "DesiredWeight": variant["DesiredWeight"],
        "DesiredInstanceCount": variant["DesiredInstanceCount"],
    }
