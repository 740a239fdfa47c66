"""What becomes of an approved version: the deployment of a model package onto an endpoint.

Rule (docs/decisions/0014): one approval changes the endpoint once. Before the change it is noted which
generation of the endpoint is to be changed, so that after a crash it is known whether that was asked for. The
latest approval wins; an approval that is taken back takes nothing back.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sagestead.domain.endpoint import TRANSITIONAL, EndpointStatus
from sagestead.domain.errors import Invalid
from sagestead.domain.model_package import Approval, specification_of, version_of
from sagestead.domain.resources import Json, Resource
from sagestead.planning.steps import ClaimRule, DeployPackage, Plan, Step

CUSTOMER_KEY = "sagestead:deployment"
"""Where DescribeModelPackage tells what became of an approval: a key of CustomerMetadataProperties."""

FACTS = "_Deployment"
LOOK_SECONDS = 0.5
VARIANT = "AllTraffic"
INSTANCE_TYPE = "ml.m5.large"

_KEPT = ("VariantName", "InstanceType", "ContainerStartupHealthCheckTimeoutInSeconds", "RoutingConfig")
_LONGEST_TEXT = 256
_LONGEST_BASE = 32
_NOT_METADATA = re.compile(r"[^\w\s.:/=+\-@]")
_ENDED = frozenset({"InService", "Failed", "Superseded"})


@dataclass(frozen=True, slots=True)
class Names:
    """What a deployment's model and endpoint configuration are called."""

    model: str
    config: str


def names_of(arn: str, created_at: float, specification: Json, variant: Json) -> Names:
    """Return the names, which depend on nothing but what they stand for.

    Args:
        arn: of the package.
        created_at: of the package, in seconds since the epoch.
        specification: its inference specification.
        variant: the production variant without its model.
    """
    name = arn.rpartition("model-package/")[2]
    group, _, number = name.partition("/")
    made_of = _digest([arn, round(created_at * 1000), specification])
    base = "-".join(part for part in (group[:_LONGEST_BASE].rstrip("-"), number, made_of) if part)
    return Names(base, f"{base}-{_digest(variant)}")


def new_variant(specification: Json, instance_type: str | None = None, count: int = 1) -> Json:
    """Return the production variant of a new endpoint: the type that the package names first, if it does."""
    supported = specification.get("SupportedRealtimeInferenceInstanceTypes") or [INSTANCE_TYPE]
    return {
        "VariantName": VARIANT,
        "InstanceType": instance_type or supported[0],
        "InitialInstanceCount": count,
    }


@dataclass(frozen=True, slots=True)
class Observed:
    """What is around a package.

    Attributes:
        rule: the endpoint that follows the group's approvals; None: none does.
        claim: (time of approval, version) of the latest approval that claimed the rule.
        endpoint: the endpoint as it is, if it is there.
        refusal: why the deployment was refused, if it was.
    """

    rule: str | None
    claim: tuple[float, int] | None
    endpoint: Resource | None
    refusal: str | None = None


def plan(package: Resource, seen: Observed, now: float) -> Plan:
    """Return what to do about a package's newest approval."""
    facts = _facts(package)
    is_approved = package.status == Approval.APPROVED
    if facts.get("State") in _ENDED or (not facts and (seen.rule is None or not is_approved)):
        return Plan((), package.status, package.detail)
    facts.setdefault("Endpoint", seen.rule)
    ended = _ended(package, facts, seen)
    if ended is not None:
        return _end(package, facts, *ended)
    if facts.get("State") == "Changing":
        return _change(package, seen.endpoint, facts, now)
    return _begin(package, seen.endpoint, facts, now)


def _ended(package: Resource, facts: Json, seen: Observed) -> tuple[str, str] | None:
    """Return the state and the reason that end a deployment whatever its endpoint does, or None."""
    if package.status != Approval.APPROVED and facts.get("State") != "Changing":
        return "Failed", "the approval was taken back before the endpoint was changed"
    if seen.rule != facts["Endpoint"]:
        return "Failed", "the rule of the group was changed meanwhile"
    if seen.claim is not None and seen.claim > place_of(package):
        return "Superseded", f"version {seen.claim[1]} was approved later"
    return None if seen.refusal is None else ("Failed", seen.refusal)


def give_up(package: Resource, reason: str) -> Plan:
    """Return the plan that ends what cannot be carried out, with the reason."""
    return _end(package, _facts(package), "Failed", reason)


def told(package: Resource) -> str | None:
    """Return what became of a package's newest approval, as a metadata value; None: nothing to tell."""
    facts = package.detail.get(FACTS)
    if facts is None:
        return None
    text = f"{facts['State']} on endpoint {facts.get('Endpoint')}"
    if facts.get("Reason"):
        text = f"{text}: {facts['Reason']}"
    return _NOT_METADATA.sub(" ", text)[:_LONGEST_TEXT]


def _begin(package: Resource, endpoint: Resource | None, facts: Json, now: float) -> Plan:
    """Wait until the endpoint can be changed; then note what is to be changed."""
    if endpoint is not None and endpoint.status in TRANSITIONAL:
        return _go_on(package, {**facts, "State": "Waiting"}, now + LOOK_SECONDS)
    try:
        specification = specification_of(package)
    except Invalid as refusal:
        return _end(package, facts, "Failed", refusal.sentence)
    if endpoint is None:
        variant = new_variant(specification)
    elif endpoint.status == EndpointStatus.FAILED:
        reason = "the endpoint has failed: delete it and approve the version again"
        return _end(package, facts, "Failed", reason)
    elif len(endpoint.spec["ProductionVariants"]) > 1:
        reason = "the endpoint has several variants: update it by hand"
        return _end(package, facts, "Failed", reason)
    else:
        (current,) = endpoint.spec["ProductionVariants"]
        kept = {member: current[member] for member in _KEPT if member in current}
        variant = {**kept, "InitialInstanceCount": current["DesiredInstanceCount"]}
    names = names_of(package.arn, package.created_at, specification, variant)
    if endpoint is not None and endpoint.spec["EndpointConfigName"] == names.config:
        return _end(package, facts, "InService", None)
    noted = {
        **facts,
        "State": "Changing",
        "Model": names.model,
        "Config": names.config,
        "Variant": variant,
        "Before": mark_of(endpoint),
    }
    at, version = place_of(package)
    return _go_on(package, noted, now, ClaimRule(at, version))


def _change(package: Resource, endpoint: Resource | None, facts: Json, now: float) -> Plan:
    """Ask for the change once, and follow it to its end."""
    is_asked = mark_of(endpoint) != facts["Before"]
    if endpoint is not None and endpoint.status in TRANSITIONAL:
        return _go_on(package, facts, now + LOOK_SECONDS)
    if not is_asked:
        wanted = (facts["Model"], facts["Config"], facts["Variant"], facts["Before"])
        return _go_on(package, facts, now + LOOK_SECONDS, DeployPackage(facts["Endpoint"], *wanted))
    if endpoint is None:
        return _end(package, facts, "Failed", "the endpoint was deleted meanwhile")
    is_ours = endpoint.spec["EndpointConfigName"] == facts["Config"]
    if is_ours and endpoint.status == EndpointStatus.IN_SERVICE:
        return _end(package, facts, "InService", None)
    reason = endpoint.detail.get("FailureReason")
    if reason is None:  # somebody else was quicker, and this change was not asked for
        return _begin(package, endpoint, facts, now)
    return _end(package, facts, "Failed", reason)


def _facts(package: Resource) -> Json:
    """Return what is noted of the newest approval; what is noted of an earlier one does not count."""
    facts: Json = package.detail.get(FACTS, {})
    at = package.detail.get("_ApprovedAt")
    return dict(facts) if facts.get("At") == at else {}


def place_of(package: Resource) -> tuple[float, int]:
    """Return the place of a package's approval in the order of approvals."""
    return package.detail["_ApprovedAt"], version_of(package) or 0


def mark_of(endpoint: Resource | None) -> list[float]:
    """Return what tells the change that an endpoint was asked for last from every other."""
    return [] if endpoint is None else [endpoint.created_at, endpoint.generation]


def _go_on(package: Resource, facts: Json, look_again: float, *steps: Step) -> Plan:
    return Plan(steps, package.status, _noted(package, facts), look_again)


def _end(package: Resource, facts: Json, state: str, reason: str | None) -> Plan:
    return Plan((), package.status, _noted(package, {**facts, "State": state, "Reason": reason}))


def _noted(package: Resource, facts: Json) -> Json:
    return {**package.detail, FACTS: {**facts, "At": package.detail.get("_ApprovedAt")}}


def _digest(value: Mapping[str, Any] | list[Any]) -> str:
    return hashlib.blake2b(json.dumps(value, sort_keys=True).encode(), digest_size=4).hexdigest()
