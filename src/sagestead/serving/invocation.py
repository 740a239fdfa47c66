"""InvokeEndpoint, from verified request to response.

Order: the shape of the request, then the endpoint, then its variant, then the least busy instance. A
request is given to another instance only if the first surely never began it. What has to wait for nothing is
answered at once; what waits for an instance costs a callback; only what an instance did not read takes a
task. More requests than may wait are refused before they are queued (503).
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from sagestead.domain.errors import Unavailable
from sagestead.domain.identity import Principal
from sagestead.domain.routes import Route, Variant
from sagestead.serving.answers import TIMED_OUT, model_error, no_answer_text, no_target_model, response
from sagestead.serving.asked import Asked, invalid, read_asked
from sagestead.serving.host import Busy, Host, NoAnswer, Unread
from sagestead.serving.table import RouteWatcher
from sagestead.serving.tallies import Tallies
from sagestead.wire.http import Again, Call, Request, Response
from sagestead.wire.pending import Answered, Pending
from sagestead.worker.contract import Answer, Invocation

BODY_READ_LIMIT = 6 * 1024 * 1024 + 4096
FIRST_TABLE_SECONDS = 10.0
PATIENCE_SECONDS = 5.0
RETRY_SECONDS = 0.02
MOST_WAITING = 5000
"""Requests that may wait for instances in one front door, whatever endpoints they are for."""


class InvocationHandler:
    """Answers invocations.

    Args:
        watcher: knows the routes.
        patience: seconds that a request waits while all instances of its variant are being replaced.
        draw: returns a number in [0, 1) for every choice by chance.
        tallies: count what is answered.
    """

    def __init__(
        self,
        watcher: RouteWatcher,
        patience: float = PATIENCE_SECONDS,
        draw: Callable[[], float] = random.random,
        tallies: Tallies | None = None,
    ) -> None:
        self._watcher = watcher
        self._patience = patience
        self._draw = draw
        self._tallies = tallies or Tallies()
        self._waiting = 0

    def __call__(self, call: Call) -> Response | Awaitable[Response]:
        """Answer one call.

        Raises:
            Refusal: the request is wrong, names no endpoint that serves, asks for what is not carried out, or
                comes when as many are waiting as may.
        """
        body = call.body.whole()
        if body is None:
            return self._read(call)
        return self._answer(read_asked(call.request, body), call.principal, body)

    def again(self, request: Request) -> Again:
        """Return what answers calls like a verified one (contract: `frontdoor.gate.Service`).

        Raises:
            Refusal: the request is wrong.
        """
        return partial(self._answer, read_asked(request, b""))

    def _answer(self, asked: Asked, principal: Principal, body: bytes) -> Response | Awaitable[Response]:
        if not self._watcher.is_loaded:
            return self._when_loaded(principal, asked, body)
        return self._ask(principal, asked, body)

    async def _read(self, call: Call) -> Response:
        body = await call.body.read(BODY_READ_LIMIT)
        return await self._when_loaded(call.principal, read_asked(call.request, body), body)

    async def _when_loaded(self, principal: Principal, asked: Asked, body: bytes) -> Response:
        try:
            async with asyncio.timeout(FIRST_TABLE_SECONDS):
                await self._watcher.loaded()
        except TimeoutError:
            raise Unavailable("The server has not read its routes yet; try again.") from None
        answer = self._ask(principal, asked, body)
        return answer if isinstance(answer, Response) else await answer

    def _ask(self, principal: Principal, asked: Asked, body: bytes) -> Response | Awaitable[Response]:
        account, endpoint = principal.account, asked.endpoint
        route = self._watcher.route(account, principal.region, endpoint)
        if route is None or not route.variants:
            raise invalid(f"Endpoint {endpoint} of account {account} not found.")
        if asked.target_model is not None:
            return no_target_model(endpoint)
        variant = choose(route.variants, asked.target_variant, self._draw)
        invocation = Invocation(
            body,
            asked.content_type,
            asked.accept,
            asked.custom_attributes,
            inference_id=asked.inference_id,
        )
        if not variant.addresses:
            return self._insist(route, variant, invocation)
        host = self._host(variant)
        began = time.perf_counter()
        try:
            answer = host.begin(invocation)
        except Unread:
            return self._insist(route, variant, invocation, host)
        if isinstance(answer, Answer):
            self._tallies.note(route, variant, time.perf_counter() - began, answer.status)
            return response(route, variant.name, answer)

        def finish(source: asyncio.Future[Answer]) -> Answered:
            self._waiting -= 1
            try:
                answer = source.result()
            except Unread:
                return self._insist(route, variant, invocation, host)
            except (NoAnswer, TimeoutError) as failure:
                return self._unanswered(route, variant, began, failure)
            self._tallies.note(route, variant, time.perf_counter() - began, answer.status)
            return response(route, variant.name, answer)

        self._waiting += 1
        return Pending(answer, finish)

    def _host(self, variant: Variant) -> Host:
        """Return the instance to ask first, the least busy one.

        Raises:
            Refusal: the request would have to wait, and as many are waiting as may.
        """
        addresses = variant.addresses
        if len(addresses) == 1:
            least = self._watcher.host(addresses[0])
        else:
            hosts = map(self._watcher.host, addresses)
            least = min(hosts, key=lambda each: (each.outstanding, self._draw()))
        if self._waiting >= MOST_WAITING and least.outstanding:
            raise saturated(variant)
        return least

    async def _insist(
        self, route: Route, variant: Variant, invocation: Invocation, asked: Host | None = None
    ) -> Response:
        """Ask instance after instance until one begins; last the one that was asked already."""
        began, patient_until = time.perf_counter(), time.monotonic() + self._patience
        self._waiting += 1
        try:
            while (answer := await self._attempt(variant, invocation, asked)) is None:
                if time.monotonic() >= patient_until:
                    raise NoAnswer  # noqa: TRY301 - nobody has begun it, which is the same to the client
                await asyncio.sleep(RETRY_SECONDS)
                variant, asked = self._now(route, variant), None
        except (NoAnswer, TimeoutError) as failure:
            return self._unanswered(route, variant, began, failure)
        finally:
            self._waiting -= 1
        self._tallies.note(route, variant, time.perf_counter() - began, answer.status)
        return response(route, variant.name, answer)

    def _unanswered(
        self, route: Route, variant: Variant, began: float, failure: NoAnswer | TimeoutError
    ) -> Response:
        self._tallies.note(route, variant, time.perf_counter() - began, 0)
        return no_answer(route, failure)

    async def _attempt(self, variant: Variant, invocation: Invocation, last: Host | None) -> Answer | None:
        """Ask the instances, the least busy first, until one begins; None when none did.

        Raises:
            Refusal: those that are there have as much to do as they may.
        """
        busy = False
        hosts = [self._watcher.host(address) for address in variant.addresses]
        for host in sorted(hosts, key=lambda host: (host is last, host.outstanding, self._draw())):
            try:
                answer = host.begin(invocation)
                return answer if isinstance(answer, Answer) else await answer
            except Busy:
                busy = True
            except Unread:
                continue
        if busy:
            raise saturated(variant)
        return None

    def _now(self, route: Route, variant: Variant) -> Variant:
        """Return the variant with the instances that it has by now."""
        current = self._watcher.route(route.account, route.region, route.endpoint)
        same = [other for other in current.variants if other.name == variant.name] if current else []
        return same[0] if same else variant


def saturated(variant: Variant) -> Unavailable:
    """Return the refusal of a request that would have to wait for too many others: 503, runtime.md 3."""
    return Unavailable(
        f"The instances of variant {variant.name} have as many requests to answer as may wait; try again in "
        "a moment, or give the variant more instances."
    )


def no_answer(route: Route, failure: NoAnswer | TimeoutError) -> Response:
    """Return what the client gets when no instance answers, or none in time."""
    text = TIMED_OUT if isinstance(failure, TimeoutError) else no_answer_text(route.endpoint)
    return model_error(route, 0, text)


def choose(variants: Sequence[Variant], target: str | None, draw: Callable[[], float]) -> Variant:
    """Return the variant that `target` names, else one by weight (all weights 0: all alike).

    Raises:
        Refusal: no variant has that name.
    """
    if target is not None:
        for variant in variants:
            if variant.name == target:
                return variant
        raise invalid(f"Variant {target} not found for Request.")
    if len(variants) == 1:
        return variants[0]
    weights = [variant.weight for variant in variants]
    if not any(weights):
        weights = [1.0] * len(variants)
    point = draw() * sum(weights)
    for variant, weight in zip(variants, weights, strict=True):
        if point < weight:
            return variant
        point -= weight
    return next(variant for variant, weight in zip(variants[::-1], weights[::-1], strict=True) if weight)
