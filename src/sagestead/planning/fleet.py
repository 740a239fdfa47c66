"""A fleet: the instances that one generation of an endpoint asks for.

Rule: run ids are deterministic, so that a second controller or a restart means the same instances.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sagestead.domain.images import resolved_image
from sagestead.domain.resources import Json, Key, Resource
from sagestead.domain.routes import Route, Variant
from sagestead.domain.runs import RunPhase, RunState


@dataclass(frozen=True, slots=True)
class Instance:
    """One wanted instance; `variant` is its ProductionVariant in the endpoint's spec."""

    run_id: str
    variant: Json


@dataclass(frozen=True, slots=True)
class Fleet:
    """The instances of one generation.

    `accepted` is the endpoint's generation that this fleet answers: it is ahead of `generation` after a
    change that needed no new instances, or an update that was taken back.
    """

    key: Key
    generation: int
    accepted: int
    spec: Json

    @property
    def shared(self) -> str:
        """Run folder in which the generation keeps its model artifacts."""
        return f"{_prefix(self.key)}/{self.generation}/artifacts"

    @property
    def instances(self) -> tuple[Instance, ...]:
        """All instances, variant by variant."""
        return tuple(
            Instance(f"{_prefix(self.key)}/{self.generation}/{variant['VariantName']}/{ordinal}", variant)
            for variant in self.spec["ProductionVariants"]
            for ordinal in range(variant["DesiredInstanceCount"])
        )

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
                    tuple(run.address for run in self._ready(variant, runs) if run.address is not None),
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
                "CurrentInstanceCount": len(self._ready(variant, runs)),
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
                    "CurrentInstanceCount": len(self._ready(variant, runs)),
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

    def _ready(self, variant: Json, runs: Mapping[str, RunState]) -> list[RunState]:
        name = variant["VariantName"]
        mine = (runs.get(one.run_id) for one in self.instances if one.variant["VariantName"] == name)
        return [run for run in mine if run is not None and is_ready(run)]


def is_ready(run: RunState | None) -> bool:
    """True when the instance answers."""
    return run is not None and run.phase is RunPhase.READY


def serving_fleet(endpoint: Resource) -> Fleet | None:
    """Return the fleet that serves, if one does."""
    serving = endpoint.detail.get("_serving")
    if serving is None:
        return None
    return Fleet(endpoint.key, serving["generation"], serving["accepted"], serving["spec"])


def wanted_fleet(endpoint: Resource) -> Fleet:
    """Return the fleet that the spec asks for: of a new generation, or of the serving one, changed."""
    serving = serving_fleet(endpoint)
    if serving is not None and serving.accepted == endpoint.generation:
        return Fleet(endpoint.key, serving.generation, endpoint.generation, endpoint.spec)
    return Fleet(endpoint.key, endpoint.generation, endpoint.generation, endpoint.spec)


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
