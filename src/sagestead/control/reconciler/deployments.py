"""Deployments of approved model packages: seen and carried out (planning/deployment.py).

Rule: nothing is decided here. What is asked for is asked by the API's own operations, with their checks, on
behalf of whoever approved; a refusal is remembered until the next look, which notes it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress

from sagestead.control.context import Context
from sagestead.control.operations.endpoint_configs import create_endpoint_config, find_endpoint_config
from sagestead.control.operations.endpoints import create_endpoint, update_endpoint
from sagestead.control.operations.models import create_model, find_model
from sagestead.domain.errors import Invalid, Refusal
from sagestead.domain.identity import Principal
from sagestead.domain.model_package import RULE, group_key
from sagestead.domain.resources import Json, Key, Kind, Resource
from sagestead.planning.deployment import Observed, mark_of, place_of
from sagestead.planning.steps import ClaimRule, DeployPackage
from sagestead.ports import Change, Resources, Stale

ActFor = Callable[[Principal], Context]


class Deployments:
    """Safe to use from several threads, one a package. `act_for` makes the context of an operation."""

    def __init__(self, resources: Resources, act_for: ActFor) -> None:
        self._resources = resources
        self._act_for = act_for
        self._mutex = threading.Lock()
        self._refusals: dict[Key, str] = {}

    def observe(self, package: Resource) -> Observed:
        """Return what can be seen around a package."""
        group = self._group(package)
        rule = None if group is None else group.tags.get(RULE)
        with self._mutex:
            refusal = self._refusals.pop(package.key, None)
        endpoint = None if rule is None else self._endpoint(package, rule)
        return Observed(rule, _claim_of(group), endpoint, refusal)

    def claim(self, package: Resource, step: ClaimRule) -> None:
        """Have the group know of the approval."""
        while (group := self._group(package)) is not None:
            if (_claim_of(group) or (0.0, 0)) >= (step.at, step.version):
                return
            with suppress(Stale):
                detail = {**group.detail, "_Claim": [step.at, step.version]}
                self._resources.update(group, Change(group.due_at, detail=detail, touch=False))
                return

    def deploy(self, package: Resource, step: DeployPackage) -> None:
        """Make the model and the configuration, and ask the endpoint to serve them."""
        ctx = self._context(package)
        try:
            self._make(ctx, package, step)
            endpoint = self._endpoint(package, step.endpoint)
            if mark_of(endpoint) != step.before or self._is_superseded(package):
                return
            request = {"EndpointName": step.endpoint, "EndpointConfigName": step.config}
            if endpoint is None:
                create_endpoint(ctx, request)
            else:
                update_endpoint(ctx, {**request, "RetainDeploymentConfig": True})
        except Refusal as refusal:
            if mark_of(self._endpoint(package, step.endpoint)) == step.before:
                with self._mutex:
                    self._refusals[package.key] = refusal.sentence

    def _make(self, ctx: Context, package: Resource, step: DeployPackage) -> None:
        """Make what is not there yet; a namesake is the same thing, because the names say what is in it."""
        model: Json = {"ModelName": step.model, "PrimaryContainer": {"ModelPackageName": package.arn}}
        config: Json = {
            "EndpointConfigName": step.config,
            "ProductionVariants": [{**step.variant, "ModelName": step.model}],
        }
        if not _is_there(lambda: find_model(ctx, step.model)):
            create_model(ctx, model)
        if not _is_there(lambda: find_endpoint_config(ctx, step.config)):
            create_endpoint_config(ctx, config)

    def _is_superseded(self, package: Resource) -> bool:
        """Say, at the last moment, whether a later approval has claimed the rule."""
        claim = _claim_of(self._group(package))
        return claim is not None and claim > place_of(package)

    def _group(self, package: Resource) -> Resource | None:
        key = group_key(package)
        return None if key is None else self._resources.get(key)

    def _context(self, package: Resource) -> Context:
        key = package.key
        arn: str = package.detail.get("_ChangedBy") or package.detail["_By"]
        return self._act_for(Principal(key.account, arn, "", key.region, "sagemaker"))

    def _endpoint(self, package: Resource, name: str) -> Resource | None:
        return self._resources.get(Key(Kind.ENDPOINT, package.key.account, package.key.region, name))


def _claim_of(group: Resource | None) -> tuple[float, int] | None:
    claim = None if group is None else group.detail.get("_Claim")
    return None if claim is None else (claim[0], claim[1])


def _is_there(find: Callable[[], Resource]) -> bool:
    try:
        find()
    except Invalid:
        return False
    return True
