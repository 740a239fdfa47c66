"""InvokeEndpoint, from verified request to response.

Order: the shape of the request, then the endpoint, then its variant, then the least busy instance. A
request is given to another instance only if the first surely never began it.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from sagestead.domain.errors import Unavailable
from sagestead.domain.routes import Route, Variant
from sagestead.serving.answers import TIMED_OUT, model_error, no_answer_text, no_target_model, response
from sagestead.serving.asked import endpoint_name, invalid, members
from sagestead.serving.host import NoAnswer, Unread
from sagestead.serving.table import RouteWatcher
from sagestead.wire.http import Call, Response
from sagestead.worker.contract import Answer, Invocation

BODY_READ_LIMIT = 6 * 1024 * 1024 + 4096
FIRST_TABLE_SECONDS = 10.0
PATIENCE_SECONDS = 5.0
RETRY_SECONDS = 0.02


class InvocationHandler:
    """Answers invocations.

    Args:
        watcher: knows the routes.
        patience: seconds that a request waits while all instances of its variant are being replaced.
        draw: returns a number in [0, 1) for every choice by chance.
    """

    def __init__(
        self,
        watcher: RouteWatcher,
        patience: float = PATIENCE_SECONDS,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._watcher = watcher
        self._patience = patience
        self._draw = draw

    async def __call__(self, call: Call) -> Response:
        """Answer one call.

        Raises:
            Refusal: the request is wrong, names no endpoint that serves, or asks for what is not carried out.
        """
        endpoint = endpoint_name(call.request)
        asked = members(call.request.headers, endpoint, await call.body.read(BODY_READ_LIMIT))
        route = await self._route(call.principal.account, call.principal.region, endpoint)
        if "TargetModel" in asked:
            return no_target_model(endpoint)
        variant = choose(route.variants, asked.get("TargetVariant"), self._draw())
        invocation = Invocation(
            body=asked["Body"],
            content_type=asked.get("ContentType"),
            accept=asked.get("Accept"),
            custom_attributes=asked.get("CustomAttributes"),
            inference_id=asked.get("InferenceId"),
        )
        return await self._ask(route, variant, invocation)

    async def _route(self, account: str, region: str, endpoint: str) -> Route:
        if not self._watcher.is_loaded:
            await self._first_table()
        route = self._watcher.route(account, region, endpoint)
        if route is None or not route.variants:
            raise invalid(f"Endpoint {endpoint} of account {account} not found.")
        return route

    async def _first_table(self) -> None:
        try:
            async with asyncio.timeout(FIRST_TABLE_SECONDS):
                await self._watcher.loaded()
        except TimeoutError:
            raise Unavailable("The server has not read its routes yet; try again.") from None

    async def _ask(self, route: Route, variant: Variant, invocation: Invocation) -> Response:
        patient_until = time.monotonic() + self._patience
        try:
            while (answer := await self._attempt(variant, invocation)) is None:
                if time.monotonic() >= patient_until:
                    return model_error(route, 0, no_answer_text(route.endpoint))
                await asyncio.sleep(RETRY_SECONDS)
                variant = self._now(route, variant)
        except NoAnswer:
            return model_error(route, 0, no_answer_text(route.endpoint))
        except TimeoutError:
            return model_error(route, 0, TIMED_OUT)
        return response(route, variant.name, answer)

    async def _attempt(self, variant: Variant, invocation: Invocation) -> Answer | None:
        """Ask the instances, the least busy first, until one begins; None when none did."""
        hosts = [self._watcher.host(address) for address in variant.addresses]
        for host in sorted(hosts, key=lambda host: (host.outstanding, self._draw())):
            with suppress(Unread):
                answer = host.begin(invocation)
                return answer if isinstance(answer, Answer) else await answer
        return None

    def _now(self, route: Route, variant: Variant) -> Variant:
        """Return the variant with the instances that it has by now."""
        current = self._watcher.route(route.account, route.region, route.endpoint)
        same = [other for other in current.variants if other.name == variant.name] if current else []
        return same[0] if same else variant


def choose(variants: Sequence[Variant], target: str | None, draw: float) -> Variant:
    """Return the variant that `target` names, else one by weight (all weights 0: all alike).

    Raises:
        Refusal: no variant has that name.
    """
    if target is not None:
        for variant in variants:
            if variant.name == target:
                return variant
        raise invalid(f"Variant {target} not found for Request.")
    weights = [variant.weight for variant in variants]
    if not any(weights):
        weights = [1.0] * len(variants)
    point = draw * sum(weights)
    for variant, weight in zip(variants, weights, strict=True):
        if point < weight:
            return variant
        point -= weight
    return next(variant for variant, weight in zip(variants[::-1], weights[::-1], strict=True) if weight)
