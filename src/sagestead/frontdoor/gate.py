"""The gate in front of every route.

Rule: `GET /-/health` is answered to anyone; nothing else reaches a handler without a verified signature.
Handlers get a `Call`, and only this module makes one. Refusals are written in the service's own form; any
other exception is a defect: logged in full, answered without internals. Every answer names its request.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from sagestead.domain.errors import NotImplementedHere, Refusal
from sagestead.domain.identity import Credential
from sagestead.frontdoor.dispatch import is_form, likely_protocol
from sagestead.frontdoor.keyring import Keyring
from sagestead.frontdoor.memory import Memory, Remembered
from sagestead.frontdoor.visit import Room, Visit, no_room
from sagestead.ports import Clock, Credentials
from sagestead.wire.errors import Protocol, named
from sagestead.wire.http import Again, Call, Handler, Request, Response
from sagestead.wire.sigv4 import (
    Breach,
    Claim,
    Rules,
    WholeBody,
    read_claim,
    refuse,
    settle,
    template_of,
    verified_body,
)

_LOG = logging.getLogger(__name__)
_HEALTH = b"/-/health"
_MIB = 1024 * 1024
_LIMITS: Mapping[Protocol, int] = {"json": 8 * _MIB, "query": _MIB, "rest-json": 6 * _MIB + 4096}
_TOO_LARGE = 413
_SHOWN = 128
_ACTION = re.compile(rb"(?:^|&)Action=([A-Za-z0-9]{1,128})(?:&|$)")


Repeat = tuple[Remembered, Response | Awaitable[Response]]
"""What a request is like, and its answer."""


@dataclass(frozen=True)
class Service:
    """One service behind the gate.

    Attributes:
        name: for people.
        signing_names: services that a credential scope may name.
        protocol: form of errors; `rest-xml` is S3, whose body stays a stream.
        matches: True for requests that are meant for this service; nothing is verified yet.
        handler: gets verified calls.
        again: returns what answers other calls like a verified one, whose bodies are short; it may refuse.
    """

    name: str
    signing_names: frozenset[str]
    protocol: Protocol
    matches: Callable[[Request], bool]
    handler: Handler
    again: Callable[[Request], Again] | None = None


class Gate:
    """Verifies every request and passes it to its service; an `App` of wire/http.py.

    Args:
        credentials: keys and sessions.
        services: the first one that matches is asked.
        clock: seconds since the epoch.
        region: region of callers whose signature names none (version 2).
        unsigned_over_http: accept UNSIGNED-PAYLOAD in header-signed S3 requests without TLS.
        room: bytes that the bodies of all requests under way may take together; S3's are not held and not
            counted.
    """

    def __init__(  # noqa: PLR0913 - the six things that make a gate
        self,
        credentials: Credentials,
        services: Sequence[Service],
        clock: Clock,
        region: str,
        *,
        unsigned_over_http: bool = False,
        room: int = 512 * _MIB,
    ) -> None:
        self.services = tuple(services)
        self._room = Room(room)
        self._keys = Keyring(credentials)
        self._clock = clock
        self._entries = [
            (service, Rules(service.protocol, service.signing_names, region, unsigned_over_http))
            for service in services
        ]
        self._region = region
        self._memory = Memory(clock)

    def __call__(self, request: Request) -> Response | Awaitable[Response]:
        """Answer a request, at once when nothing has to be waited for; never raises an `Exception`."""
        if request.raw_path == _HEALTH and request.method == "GET":
            healthy = Response(200, [("Content-Type", "application/json")], b'{"status":"ok"}')
            return named(healthy, "json", request.request_id)
        service, rules = self._choose(request)
        try:
            call = None if rules.s3 else self._admit_at_once(request, service, rules)
            answer = None if call is None else service.handler(call)
        except Exception as error:  # noqa: BLE001 - a defect of any kind must be answered and logged
            return self._visit(request.method, request.request_id, service, rules).refused(error)
        if isinstance(answer, Response):
            return named(answer, rules.protocol, request.request_id)
        visit = self._visit(request.method, request.request_id, service, rules)
        if call is None or answer is None:
            return visit.awaited(self._pass(request, service, rules, visit))
        return visit.wait(answer, call.length or 0)

    def repeat(
        self, data: bytes, request_id: str, before: Remembered | None, *, secure: bool
    ) -> Repeat | int:
        """Answer a request that came alone, if it is like one that was verified.

        Args:
            data: all that has come.
            request_id: names it.
            before: what the last request of the connection was like.
            secure: whether it arrived over TLS.

        Returns:
            What it is like, and its answer; else how many bytes of its body have yet to come, 0 if it has to
            be read: nothing was done then.
        """
        like = self._memory.find(data, before, secure=secure)
        if like is None:
            return 0
        before, values = like
        template = before.template
        if missing := template.missing(data, values):
            return max(0, missing)
        body, now = data[template.size :], self._clock()
        credential = self._keys.held(template.access_key_id) if len(body) <= self._room.left else None
        principal = None if credential is None else template.settle(values, body, credential, now)
        if principal is None:
            return 0
        before.used_at = now
        try:
            answer = before.again(principal, body)
        except Exception as error:  # noqa: BLE001 - a defect of any kind must be answered and logged
            return before, before.visit(request_id, self._room).refused(error)
        if isinstance(answer, Response):
            answer.request_id = request_id
            return before, answer
        return before, before.visit(request_id, self._room).wait(answer, len(body))

    def _visit(self, method: str, request_id: str, service: Service, rules: Rules) -> Visit:
        return Visit(method, request_id, service.name, rules.protocol, self._room)

    def _learn(self, request: Request, service: Service, rules: Rules, claim: Claim) -> None:
        """Remember a verified request of a service that can answer its like without reading it."""
        if service.again is None or not request.data or not self._memory.may_learn():
            return
        template = template_of(request.data, request, claim, rules)
        if template is not None:
            with suppress(Refusal):  # the service says it to the client
                self._memory.learn(template, service.again(request), service.name)

    def _choose(self, request: Request) -> tuple[Service, Rules]:
        for entry in self._entries:
            if entry[0].matches(request):
                return entry
        protocol = likely_protocol(request)
        unknown = Service("no service", frozenset(), protocol, lambda _: True, _not_served)
        return unknown, Rules(protocol, None, self._region)

    def _admit_at_once(self, request: Request, service: Service, rules: Rules) -> Call | None:
        """Return the verified call when its body and its credential are here, else None.

        Nothing is changed in between, so that `_admit` may begin anew.
        """
        data = request.body.whole()
        if data is None or len(data) > _LIMITS[rules.protocol]:
            return None
        now = self._clock()
        try:
            claim = read_claim(request, rules, now)
            credential = self._keys.held(claim.access_key_id)
            if credential is None:
                return None
            if len(data) > self._room.left:
                raise no_room()
            call = _call(request, claim, credential, data, now)
        except Breach as breach:
            raise refuse(breach, rules.protocol) from None
        self._learn(request, service, rules, claim)
        return call

    async def _pass(self, request: Request, service: Service, rules: Rules, visit: Visit) -> Response:
        answer = service.handler(await self._admit(request, service, rules, visit))
        return answer if isinstance(answer, Response) else await answer

    async def _admit(self, request: Request, service: Service, rules: Rules, visit: Visit) -> Call:
        now = self._clock()
        try:
            claim = read_claim(request, rules, now)
            data = b"" if claim.payload is not None else await _read_whole(request, rules.protocol, visit)
            credential = await self._keys.find(claim.access_key_id)
            call = _call(request, claim, credential, data, now)
        except Breach as breach:
            raise refuse(breach, rules.protocol) from None
        self._learn(request, service, rules, claim)
        return call


def _call(request: Request, claim: Claim, credential: Credential | None, data: bytes, now: float) -> Call:
    payload = claim.payload
    digest = hashlib.sha256(data).hexdigest().encode() if payload is None else payload.text
    principal = settle(claim, credential, digest, now)
    if payload is None or credential is None:
        return Call(request, principal, WholeBody(data), len(data))
    body, length = verified_body(request, claim, credential)
    return Call(request, principal, body, length)


async def _read_whole(request: Request, protocol: Protocol, visit: Visit) -> bytes:
    """Return the body; what has arrived counts, not what was announced."""
    limit = _LIMITS[protocol]
    if request.content_length is not None and request.content_length > limit:
        raise _too_large(limit)
    whole = bytearray()  # a list of one-byte parts would take forty times their size
    async for part in request.body.chunks():
        visit.take(len(part))
        whole += part
        if visit.taken > limit:
            raise _too_large(limit)
    return bytes(whole)


def _too_large(limit: int) -> Refusal:
    return Refusal(f"HTTP content length exceeded {limit} bytes.", code="413", status=_TOO_LARGE)


async def _not_served(call: Call) -> Response:
    request = call.request
    operation = request.headers.get("x-amz-target") or await _action(call)
    path = request.raw_path[:_SHOWN].decode("ascii", "replace")
    asked = f"Operation '{operation[:_SHOWN]}'" if operation else f"{request.method} {path}"
    raise NotImplementedHere(
        f"{asked} of the service '{call.principal.service}' is not served here; "
        "docs/compatibility.md lists what is."
    )


async def _action(call: Call) -> str | None:
    """Return the operation that a form names."""
    found = _ACTION.search(await call.body.read(_LIMITS["query"])) if is_form(call.request) else None
    return found[1].decode() if found else None
