"""The gate: what it lets through, what it refuses, and in which form."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from tests.wire.sigv4.signed import ACCOUNT, KEY, NOW, SESSION, Draft, LiteralBody, arrived

from sagestead.domain.errors import Invalid
from sagestead.domain.identity import Credential
from sagestead.frontdoor import dispatch
from sagestead.frontdoor.gate import Gate, Service
from sagestead.frontdoor.keyring import Keyring
from sagestead.wire.http import Call, Handler, Request, Response

HOST = ("Host", "localhost:8750")
PASSED = "Passed-By"


class Keys:
    """Credentials in a dictionary; counts look-ups."""

    def __init__(self, held: Sequence[Credential] = (KEY, SESSION)) -> None:
        self.held = {key.access_key_id: key for key in held}
        self.asked = 0

    def find(self, access_key_id: str) -> Credential | None:
        self.asked += 1
        return self.held.get(access_key_id)

    def add(self, credential: Credential) -> None:
        self.held[credential.access_key_id] = credential

    def disable(self, access_key_id: str) -> bool:
        found = self.held.get(access_key_id)
        if found is not None:
            self.held[access_key_id] = replace(found, enabled=False)
        return found is not None

    def keys(self) -> list[Credential]:
        return list(self.held.values())


def echo(name: str) -> Handler:
    """Answer with what the call holds."""

    async def handle(call: Call) -> Response:
        said = {
            "body": (await call.body.read(1 << 24)).decode("latin-1"),
            "length": call.length,
            "account": call.principal.account,
            "region": call.principal.region,
            "service": call.principal.service,
        }
        return Response(200, [(PASSED, name)], json.dumps(said).encode())

    return handle


async def refuse(_: Call) -> Response:
    raise Invalid("no")


async def break_down(_: Call) -> Response:
    raise ZeroDivisionError("the secret inside")


def services() -> list[Service]:
    def named(*names: str) -> frozenset[str]:
        return frozenset(names)

    return [
        Service("runtime", named("sagemaker"), "rest-json", dispatch.is_runtime, echo("runtime")),
        Service("control", named("sagemaker"), "json", dispatch.by_target("SageMaker."), echo("control")),
        Service("logs", named("logs"), "json", dispatch.by_target("Logs_20140328."), echo("logs")),
        Service("refusing", named("sagemaker"), "json", dispatch.by_target("Refusing."), refuse),
        Service("broken", named("sagemaker"), "json", dispatch.by_target("Broken."), break_down),
        Service("sts", named("sts"), "query", dispatch.by_signing_name("sts"), echo("sts")),
        Service("iam", named("iam"), "query", dispatch.by_signing_name("iam"), echo("iam")),
        Service("s3", named("s3"), "rest-xml", dispatch.is_s3, echo("s3")),
    ]


def gate(keys: Keys | None = None) -> Gate:
    return Gate(keys or Keys(), services(), lambda: NOW, "us-east-1")


class Here(LiteralBody):
    """A body that is here before it is read."""

    def whole(self) -> bytes:  # type: ignore[override] # the other half of the protocol
        return b"".join(self.pieces)


async def answered(answer: Response | Awaitable[Response]) -> Response:
    return answer if isinstance(answer, Response) else await answer


def ask(request: Request, through: Gate | None = None) -> Response:
    """Ask twice: with a body that is still to come, and with one that is here whole."""
    through = through or gate()

    async def both() -> tuple[Response, Response]:
        late = await answered(through(request))
        pieces = request.body.pieces if isinstance(request.body, LiteralBody) else []
        return late, await answered(through(replace(request, body=Here(pieces))))

    late, early = asyncio.run(both())
    assert early == late
    return late


def header(response: Response, name: str) -> str | None:
    return next((value for field, value in response.headers if field.lower() == name.lower()), None)


def said(response: Response) -> dict[str, Any]:
    assert isinstance(response.body, bytes)
    answer: dict[str, Any] = json.loads(response.body)
    return answer


def control(operation: str, **changes: Any) -> Draft:
    headers = (HOST, ("X-Amz-Target", operation), ("Content-Type", "application/x-amz-json-1.1"))
    return Draft(headers=headers, **changes)


LIST_MODELS = control("SageMaker.ListModels")
INVOKE = Draft(path="/endpoints/e/invocations", body=b"1,2,3", headers=(HOST, ("Content-Type", "text/csv")))
PUT = Draft(service="s3", method="PUT", path="/bucket/key", body=b"data")
IDENTITY = Draft(
    service="sts",
    body=b"Action=GetCallerIdentity&Version=2011-06-15",
    headers=(HOST, ("Content-Type", "application/x-www-form-urlencoded")),
)
ROUTES = {"control": LIST_MODELS, "runtime": INVOKE, "s3": PUT, "sts": IDENTITY}


@pytest.mark.parametrize("name", ROUTES)
def test_a_signed_request_reaches_its_service(name: str) -> None:
    response = ask(ROUTES[name].send())
    assert (response.status, header(response, PASSED)) == (200, name)
    answer = said(response)
    assert (answer["account"], answer["region"]) == (ACCOUNT, "us-east-1")
    assert answer["body"].encode() == ROUTES[name].body
    assert answer["length"] == len(ROUTES[name].body)


def test_health_and_nothing_else_is_unsigned() -> None:
    response = ask(arrived("GET", "/-/health", [HOST]))
    assert (response.status, response.body) == (200, b'{"status":"ok"}')
    for method, path in (("POST", "/-/health"), ("GET", "/-/health/"), ("GET", "/-/healthz"), ("GET", "/-/")):
        assert ask(arrived(method, path, [HOST])).status == 403


@pytest.mark.parametrize("name", ROUTES)
def test_o5_every_route_refuses_what_is_not_verified(name: str) -> None:
    draft = ROUTES[name]
    keys = Keys([KEY, replace(KEY, access_key_id="AKIDOFF", enabled=False)])
    good = draft.send()
    attempts = [
        arrived(draft.method, draft.path, [*draft.headers]),
        draft.send(authorization=draft.authorization()[:-64] + "0" * 64),
        replace(draft, key=replace(KEY, access_key_id="AKIDUNKNOWN")).send(),
        replace(draft, key=replace(KEY, access_key_id="AKIDOFF")).send(),
        replace(draft, key=replace(KEY, secret="guess")).send(),
        replace(draft, key=SESSION).send(),
        replace(draft, stamp="20251122T075221Z").send(),
        replace(good, method="PATCH"),
        replace(good, raw_path=good.raw_path + b"/x"),
    ]
    for attempt in attempts:
        response = ask(attempt, gate(keys))
        assert response.status in {400, 403}
        assert header(response, PASSED) is None


@pytest.mark.parametrize("name", ROUTES)
def test_every_answer_names_its_request(name: str) -> None:
    for draft in (ROUTES[name], replace(ROUTES[name], stamp="20251122T075221Z")):
        answer = ask(draft.send())
        assert (header(answer, "x-amz-request-id") if name == "s3" else answer.request_id) == "request-1"


def test_refusals_are_rendered_and_defects_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    response = ask(control("Refusing.X").send())
    assert said(response) == {"__type": "ValidationException", "message": "no"}
    response = ask(control("Broken.X").send())
    assert response.status == 500
    assert said(response)["__type"] == "InternalFailure"
    assert b"secret inside" not in bytes(str(response), "utf-8")
    records = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(records) == 2
    for record in records:
        assert "request-1" in record.getMessage()
        assert record.exc_info is not None
        assert "the secret inside" in str(record.exc_info[1])


def test_services_that_are_absent_are_named() -> None:
    target = "AmazonEC2ContainerRegistry_V20150921.DescribeRepositories"
    response = ask(control(target, service="ecr").send())
    answer = said(response)
    assert (response.status, answer["__type"]) == (400, "UnknownOperationException")
    assert "'ecr'" in answer["message"]
    assert target in answer["message"]
    response = ask(Draft(service="lambda", method="GET", path="/2015-03-31/functions", body=b"").send())
    assert header(response, "x-amzn-ErrorType") == "UnknownOperationException"
    assert "GET /2015-03-31/functions of the service 'lambda'" in said(response)["message"]
    form = (HOST, ("Content-Type", "application/x-www-form-urlencoded"))
    response = ask(Draft(service="ec2", headers=form, body=b"Action=DescribeVpcs").send())
    assert b"<Code>UnknownOperationException</Code>" in bytes(str(response.body), "utf-8")
    assert b"Operation 'DescribeVpcs' of the service 'ec2'" in bytes(str(response.body), "utf-8")
    unsigned = ask(arrived("POST", "/", [HOST, ("X-Amz-Target", "Some.Thing")]))
    assert said(unsigned)["__type"] == "MissingAuthenticationTokenException"


def test_an_unsigned_form_is_refused_in_the_form_that_its_client_reads() -> None:
    form = [HOST, ("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")]
    response = ask(arrived("POST", "/", form, body=b"Action=AssumeRoleWithWebIdentity"))
    assert response.status == 403
    assert header(response, "Content-Type") == "text/xml"
    assert b"<Error><Type>Sender</Type><Code>MissingAuthenticationToken</Code>" in bytes(
        str(response.body), "utf-8"
    )


def test_n3_a_runtime_request_is_no_control_request() -> None:
    added = replace(INVOKE, extra=[("X-Amz-Target", "SageMaker.DeleteModel")]).send()
    assert said(ask(added))["__type"] == "InvalidSignatureException"
    moved = replace(INVOKE.send(), raw_path=b"/")
    assert header(ask(moved), PASSED) is None


def test_n4_a_query_signature_holds_for_its_method() -> None:
    draft = replace(IDENTITY, method="GET", query="Action=GetCallerIdentity", body=b"")
    assert header(ask(draft.presigned()), PASSED) == "sts"
    assert ask(replace(draft.presigned(), method="POST")).status == 403


def test_n7_target_and_scope_must_agree() -> None:
    answer = said(ask(control("SageMaker.ListModels", service="s3").send()))
    assert "correct service: 'sagemaker'" in answer["message"]
    answer = said(ask(control("Logs_20140328.GetLogEvents").send()))
    assert "correct service: 'logs'" in answer["message"]


def test_n8_identity_does_not_carry_over() -> None:
    through = gate()
    assert ask(LIST_MODELS.send(), through).status == 200
    second = ask(arrived("POST", "/", [*LIST_MODELS.headers]), through)
    assert said(second)["__type"] == "MissingAuthenticationTokenException"


def test_i14_runtime_bodies_end_at_6_mib() -> None:
    limit = 6_295_552
    assert ask(replace(INVOKE, body=b"x" * limit).send()).status == 200
    over = replace(INVOKE, body=b"x" * (limit + 1))
    for request in (over.send(), replace(over.send(), content_length=None)):
        response = ask(request)
        assert response.status == 413
        assert said(response)["message"] == "HTTP content length exceeded 6295552 bytes."
    announced = replace(INVOKE.send(), content_length=limit + 1)
    assert ask(announced).status == 413
    assert isinstance(announced.body, LiteralBody)
    assert announced.body.taken == 0


def test_control_and_form_bodies_have_limits_too() -> None:
    assert ask(control("SageMaker.ListModels", body=b"x" * (8 << 20)).send()).status == 200
    assert ask(control("SageMaker.ListModels", body=b"x" * ((8 << 20) + 1)).send()).status == 413
    assert ask(replace(IDENTITY, body=b"x" * ((1 << 20) + 1)).send()).status == 413


def test_f24_s3_is_refused_before_its_body_is_read() -> None:
    request = PUT.send(authorization=PUT.authorization()[:-64] + "0" * 64)
    assert ask(request).status == 403
    assert isinstance(request.body, LiteralBody)
    assert request.body.taken == 0


def test_m3_a_disabled_key_is_refused_within_a_second() -> None:
    clock = [100.0]
    keys = Keys()
    ring = Keyring(keys, lambda: clock[0])

    def find(name: str) -> Credential | None:
        return asyncio.run(ring.find(name))

    assert find("AKIDEXAMPLE") == KEY
    assert find("AKIDEXAMPLE") == KEY
    assert keys.asked == 1
    keys.disable("AKIDEXAMPLE")
    clock[0] += 0.5
    found = find("AKIDEXAMPLE")
    assert found is not None
    assert not found.enabled
    assert find("AKIDNEW") is None
    keys.add(replace(KEY, access_key_id="AKIDNEW"))
    assert find("AKIDNEW") is not None
    assert find("K" * 129) is None


def test_a_key_in_use_is_renewed_before_anyone_waits_for_it() -> None:
    clock = [100.0]
    keys = Keys()
    ring = Keyring(keys, lambda: clock[0])

    async def run() -> None:
        assert ring.held("AKIDEXAMPLE") is None
        await ring.find("AKIDEXAMPLE")
        keys.disable("AKIDEXAMPLE")
        clock[0] += 0.3
        held = [ring.held("AKIDEXAMPLE") for _ in range(5)]
        assert held == [KEY] * 5
        await until(lambda: not ring._renewals)
        assert keys.asked == 2
        renewed = ring.held("AKIDEXAMPLE")
        assert renewed is not None
        assert not renewed.enabled
        clock[0] += 0.5
        assert ring.held("AKIDEXAMPLE") is None

    asyncio.run(run())


class Breaking(Keys):
    """Credentials that can be read once."""

    def find(self, access_key_id: str) -> Credential | None:
        if self.asked:
            raise OSError("no disk")
        return super().find(access_key_id)


def test_a_store_that_fails_makes_no_key_live_longer(caplog: pytest.LogCaptureFixture) -> None:
    clock = [100.0]
    keys = Breaking()
    ring = Keyring(keys, lambda: clock[0])

    async def run() -> None:
        await ring.find("AKIDEXAMPLE")
        clock[0] += 0.3
        assert ring.held("AKIDEXAMPLE") == KEY
        await until(lambda: not ring._renewals)
        clock[0] += 0.2
        assert ring.held("AKIDEXAMPLE") is None
        with pytest.raises(OSError, match="no disk"):
            await ring.find("AKIDEXAMPLE")

    asyncio.run(run())
    assert "could not be renewed" in caplog.text


def test_the_keyring_is_bounded() -> None:
    keys = Keys([replace(KEY, access_key_id=f"AKID{number}") for number in range(1100)])
    ring = Keyring(keys, lambda: 1.0)

    async def find_all() -> None:
        for name in keys.held:
            await ring.find(name)

    asyncio.run(find_all())
    assert len(ring._held) == 1024


class Held:
    """A body whose end arrives when it is let go."""

    def __init__(self) -> None:
        self.go = asyncio.Event()

    async def chunks(self) -> AsyncIterator[bytes]:
        yield b"1,2,"
        await self.go.wait()
        yield b"3"

    async def read(self, limit: int) -> bytes:
        assert limit >= 5
        return b"".join([part async for part in self.chunks()])

    def whole(self) -> None:
        """The end is never here."""


def test_the_bodies_of_all_clients_together_have_a_bound() -> None:
    async def run() -> list[int]:
        through = Gate(Keys(), services(), lambda: NOW, "us-east-1", room=8)
        held = Held()
        waiting = asyncio.create_task(answered(through(replace(INVOKE.send(), body=held))))
        await until(lambda: through._room.left == 4)
        here = replace(INVOKE.send(), body=Here([INVOKE.body]))
        asked = [INVOKE.send(), PUT.send(), here]
        answers = [(await answered(through(request))).status for request in asked]
        held.go.set()
        answers += [(await waiting).status, (await answered(through(INVOKE.send()))).status]
        assert through._room.left == 8
        return answers

    assert asyncio.run(run()) == [429, 200, 429, 200, 200]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0)
