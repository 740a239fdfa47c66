from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from types import MappingProxyType

import pytest

from sagestead.domain.errors import Refusal
from sagestead.domain.identity import Principal
from sagestead.domain.routes import Route, Variant
from sagestead.domain.runs import RunPhase
from sagestead.engines.process.engine import ProcessEngine
from sagestead.serving import invocation, worker_host
from sagestead.serving.asked import Asked, read_asked
from sagestead.serving.invocation import InvocationHandler, choose
from sagestead.serving.table import RouteWatcher
from sagestead.store.database import Database
from sagestead.store.resources import SqlResources
from sagestead.store.routes import SqlRoutes
from sagestead.wire.http import Call, Headers, Request, Response
from sagestead.wire.sigv4 import WholeBody

from .conftest import OWNER, Instance, run, until

OURS = "X-Amzn-SageMaker-"
ACCOUNT, REGION = "123456789012", "eu-west-1"
PRINCIPAL = Principal(ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root", "AKID", REGION, "sagemaker")


def call(
    body: bytes = b"1,2",
    path: bytes = b"/endpoints/Hotels/invocations",
    principal: Principal = PRINCIPAL,
    method: str = "POST",
    headers: Mapping[str, str] = MappingProxyType({}),
) -> Call:
    fields = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    content = WholeBody(body)
    request = Request(method, path, b"", Headers(fields), content, len(body), False, "r-1")  # noqa: FBT003 - a field
    return Call(request, principal, content, len(body))


@asynccontextmanager
async def serving(
    database: Database, *variants: Variant, patience: float = 0.0
) -> AsyncIterator[InvocationHandler]:
    routes = SqlRoutes(database)
    if variants:
        routes.publish(Route(ACCOUNT, REGION, "Hotels", variants))
    watcher = RouteWatcher(routes, SqlResources(database), "door", time.time)
    task = asyncio.create_task(watcher.run())
    try:
        yield InvocationHandler(watcher, patience)
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        for host in watcher._hosts.values():
            host.retire()
        await until(lambda: not any(host.outstanding for host in watcher._hosts.values()))
        await asyncio.sleep(0)


async def ask(handler: InvocationHandler, asked: Call) -> Response:
    answer = handler(asked)
    return answer if isinstance(answer, Response) else await answer


async def refused(handler: InvocationHandler, asked: Call) -> tuple[int, str, str]:
    with pytest.raises(Refusal) as caught:
        await ask(handler, asked)
    return caught.value.status, caught.value.code, caught.value.sentence


def test_an_invocation_gets_the_models_answer(instance: Instance, database: Database) -> None:
    async def scenario() -> None:
        async with serving(database, Variant("Blue", 1.0, (instance("a"),))) as handler:
            asked = call(headers={"Content-Type": "text/csv", f"{OURS}Custom-Attributes": "trace=1"})
            answer = await ask(handler, asked)
            assert answer.status == 200
            assert answer.body == b"1,2"
            assert list(answer.headers) == [
                ("x-Amzn-Invoked-Production-Variant", "Blue"),
                ("Content-Type", "text/csv"),
                ("X-Amzn-SageMaker-Custom-Attributes", "trace=1"),
            ]

    run(scenario())


def test_no_content_becomes_an_empty_200(instance: Instance, database: Database) -> None:
    async def scenario() -> None:
        async with serving(database, Variant("Blue", 1.0, (instance("a"),))) as handler:
            answer = await ask(handler, call(b"status 204"))
            assert (answer.status, answer.body) == (200, b"as you wish")

    run(scenario())


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (415, "CLIENT_ERROR_FROM_MODEL", "client"),
        (500, "INTERNAL_FAILURE_FROM_MODEL", "server"),
        (302, "INTERNAL_FAILURE_FROM_MODEL", "server"),
    ],
)
def test_a_model_error_has_awss_body(
    instance: Instance, database: Database, status: int, code: str, kind: str
) -> None:
    async def scenario() -> None:
        async with serving(database, Variant("Blue", 1.0, (instance("a"),))) as handler:
            answer = await ask(handler, call(f"status {status}".encode()))
            assert answer.status == 424
            assert ("x-amzn-ErrorType", "ModelError") in answer.headers
            assert isinstance(answer.body, bytes)
            assert json.loads(answer.body) == {
                "ErrorCode": code,
                "LogStreamArn": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/sagemaker/Endpoints/Hotels",
                "Message": f'Received {kind} error ({status}) from primary with message "as you wish". See '
                "https://eu-west-1.console.aws.amazon.com/cloudwatch/home?region=eu-west-1"
                "#logEventViewer:group=/aws/sagemaker/Endpoints/Hotels in account 123456789012 for more "
                "information.",
                "OriginalMessage": "as you wish",
                "OriginalStatusCode": status,
            }

    run(scenario())


def test_a_header_that_would_split_the_response_is_the_models_error(
    instance: Instance, database: Database
) -> None:
    async def scenario() -> None:
        async with serving(database, Variant("Blue", 1.0, (instance("a"),))) as handler:
            answer = await ask(handler, call(b"header"))
            assert answer.status == 424
            assert isinstance(answer.body, bytes)
            assert json.loads(answer.body)["OriginalStatusCode"] == 500

    run(scenario())


def test_what_cannot_be_served_is_refused_by_name(database: Database) -> None:
    async def scenario() -> None:
        async with serving(database, Variant("Blue", 1.0, ("/nowhere",))) as handler:
            unknown = "Endpoint hotels of account 123456789012 not found."
            assert await refused(handler, call(path=b"/endpoints/hotels/invocations")) == (
                400,
                "ValidationError",
                unknown,
            )
            for header in (
                "Target-Container-Hostname",
                "Enable-Explanations",
                "Inference-Component",
                "Session-Id",
                "Prefix-Aware-Id",
                "Target-Everything",
            ):
                status, code, _ = await refused(handler, call(headers={f"{OURS}{header}": "x"}))
                assert (status, code) == (400, "ValidationError")
            for tail in (b"async-invocations", b"invocations-response-stream"):
                _, code, sentence = await refused(handler, call(path=b"/endpoints/Hotels/" + tail))
                assert code == "UnknownOperationException"
                assert "InvokeEndpoint" in sentence
            assert (await refused(handler, call(method="GET")))[0] == 404
            answer = await ask(handler, call(headers={f"{OURS}Target-Model": "m.tar.gz"}))
            assert (answer.status, answer.body) == (
                400,
                (
                    b'{"ErrorCode": "TARGET_MODEL_HEADER_NOT_SUPPORTED", "Message": "Endpoint Hotels is not '
                    b'a multi-model endpoint and does not support target model header."}'
                ),
            )

    run(scenario())


def test_a_variant_can_be_named(instance: Instance, database: Database) -> None:
    async def scenario() -> None:
        variants = Variant("Blue", 1.0, (instance("a"),)), Variant("Green", 0.0, (instance("b"),))
        async with serving(database, *variants) as handler:
            for _ in range(5):
                assert ("x-Amzn-Invoked-Production-Variant", "Blue") in (await ask(handler, call())).headers
            green = await ask(handler, call(headers={f"{OURS}Target-Variant": "Green"}))
            assert ("x-Amzn-Invoked-Production-Variant", "Green") in green.headers
            red = call(headers={f"{OURS}Target-Variant": "Red"})
            assert (await refused(handler, red))[2] == "Variant Red not found for Request."

    run(scenario())


@pytest.mark.parametrize(
    ("path", "headers", "sentence"),
    [
        (
            b"/endpoints/Hotels%2Finvocations/invocations",
            {},
            (
                "1 validation error detected: Value 'Hotels/invocations' at 'endpointName' failed to satisfy "
                "constraint: Member must satisfy regular expression pattern: ^[a-zA-Z0-9](-*[a-zA-Z0-9])*"
            ),
        ),
        (
            b"/endpoints/" + b"h" * 64 + b"/invocations",
            {},
            (
                f"1 validation error detected: Value '{'h' * 64}' at 'endpointName' failed to satisfy "
                "constraint: Member must have length less than or equal to 63"
            ),
        ),
        (
            b"/endpoints/Hotels/invocations",
            {f"{OURS}Custom-Attributes": "secret" * 200},
            (
                "1 validation error detected: Value at 'customAttributes' failed to satisfy constraint: "
                "Member must have length less than or equal to 1024"
            ),
        ),
        (
            b"/endpoints/Hotels/invocations",
            {"accept": "\xe9"},
            (
                "1 validation error detected: Value '\xe9' at 'accept' failed to satisfy constraint: Member "
                "must satisfy regular expression pattern: \\p{ASCII}*"
            ),
        ),
    ],
)
def test_a_broken_constraint_is_reported_in_awss_grammar(
    database: Database, path: bytes, headers: dict[str, str], sentence: str
) -> None:
    async def scenario() -> None:
        async with serving(database, Variant("Blue", 1.0, ("/nowhere",))) as handler:
            assert await refused(handler, call(path=path, headers=headers)) == (
                400,
                "ValidationError",
                sentence,
            )

    run(scenario())


def test_another_account_or_region_does_not_see_the_endpoint(database: Database) -> None:
    async def scenario() -> None:
        async with serving(database, Variant("Blue", 1.0, ("/nowhere",))) as handler:
            stranger = Principal("210987654321", "arn", "AKID", REGION, "sagemaker")
            abroad = Principal(ACCOUNT, "arn", "AKID", "us-east-1", "sagemaker")
            for principal in (stranger, abroad):
                _, _, sentence = await refused(handler, call(principal=principal))
                assert sentence == f"Endpoint Hotels of account {principal.account} not found."

    run(scenario())


def original(answer: Response) -> tuple[int, str]:
    assert answer.status == 424
    assert isinstance(answer.body, bytes)
    body = json.loads(answer.body)
    assert body["ErrorCode"] == "INTERNAL_FAILURE_FROM_MODEL"
    return body["OriginalStatusCode"], body["OriginalMessage"]


def test_requests_go_to_the_least_busy_instance(
    instance: Instance, database: Database, engine: ProcessEngine
) -> None:
    async def scenario() -> None:
        variant = Variant("Blue", 1.0, (instance("a"), instance("b")))
        async with serving(database, variant) as handler:
            busy = asyncio.create_task(ask(handler, call(b"hang")))
            await until(lambda: any(host.outstanding for host in handler._watcher._hosts.values()))
            answers = [await ask(handler, call(b"pid")) for _ in range(20)]
            (idle,) = {int(answer.body) for answer in answers if isinstance(answer.body, bytes)}
            processes = {int((engine.folder(name) / "lock").read_text()) for name in ("a", "b")}
            (hanging,) = processes - {idle}
            os.kill(hanging, signal.SIGKILL)
            assert original(await busy)[0] == 0

    run(scenario())


def test_an_instance_with_enough_to_do_gets_no_more(
    instance: Instance, database: Database, engine: ProcessEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_host.WorkerHost.__init__, "__defaults__", (60.0, 1))

    async def scenario() -> None:
        async with serving(database, Variant("Blue", 1.0, (instance("a"),))) as handler:
            busy = asyncio.create_task(ask(handler, call(b"hang")))
            await until(lambda: any(host.outstanding for host in handler._watcher._hosts.values()))
            assert await refused(handler, call()) == (
                503,
                "ServiceUnavailable",
                (
                    "The instances of variant Blue have as many requests to answer as may wait; try again in "
                    "a moment, or give the variant more instances."
                ),
            )
            os.kill(int((engine.folder("a") / "lock").read_text()), signal.SIGKILL)
            assert original(await busy)[0] == 0

    run(scenario())


def test_only_so_many_requests_wait_but_an_idle_instance_is_asked(
    instance: Instance, database: Database, engine: ProcessEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(invocation, "MOST_WAITING", 1)

    async def scenario() -> None:
        variants = Variant("Blue", 1.0, (instance("a"),)), Variant("Green", 0.0, (instance("b"),))
        green = call(b"1", headers={f"{OURS}Target-Variant": "Green"})
        async with serving(database, *variants) as handler:
            busy = asyncio.create_task(ask(handler, call(b"hang")))
            await until(lambda: any(host.outstanding for host in handler._watcher._hosts.values()))
            assert (await refused(handler, call()))[:2] == (503, "ServiceUnavailable")
            assert (await ask(handler, green)).body == b"1"
            os.kill(int((engine.folder("a") / "lock").read_text()), signal.SIGKILL)
            assert original(await busy)[0] == 0
            assert handler._waiting == 0

    run(scenario())


def test_who_waits_no_more_is_forgotten(instance: Instance, database: Database) -> None:
    async def scenario() -> None:
        async with serving(database, Variant("Blue", 1.0, (instance("a"),))) as handler:
            first = asyncio.create_task(ask(handler, call(b"wait 0.2")))
            await until(lambda: any(host.outstanding for host in handler._watcher._hosts.values()))
            left = asyncio.create_task(ask(handler, call(b"wait 0.2")))
            await asyncio.sleep(0)
            left.cancel()
            assert (await first).status == 200
            await until(lambda: handler._waiting == 0)
            assert left.cancelled()

    run(scenario())


def test_what_is_remembered_of_a_request_is_all_that_it_asks_for() -> None:
    def asked(
        *fields: tuple[bytes, bytes], body: bytes = b"1", path: bytes = b"/endpoints/a/invocations"
    ) -> Asked:
        request = Request("POST", path, b"", Headers(fields), WholeBody(body), None, False, "r-1")  # noqa: FBT003 - a field
        return read_asked(request, body)

    plain, csv = asked(), asked((b"Accept", b"a,b"), (b"X-Other", b"1"))
    assert (plain.endpoint, plain.accept, csv.accept) == ("a", None, "a,b")
    assert asked((b"accept", b"a,b"), (b"Content-Type", b"t")).content_type == "t"
    assert asked(path=b"/endpoints/b/invocations").endpoint == "b"
    with pytest.raises(Refusal, match="'accept' came more than once"):
        asked((b"Accept", b"a"), (b"Accept", b"b"))
    with pytest.raises(Refusal, match="less than or equal to 6291456"):
        asked(body=b"1" * 6_291_457)
    assert asked(body=b"1" * 6_291_456) == plain


def test_a_killed_instance_loses_at_most_the_request_it_had_begun(
    instance: Instance, database: Database
) -> None:
    async def scenario() -> None:
        variant = Variant("Blue", 1.0, (instance("a"), instance("b")))
        async with serving(database, variant) as handler:
            victim = await ask(handler, call(b"pid"))
            assert isinstance(victim.body, bytes)
            asked = [asyncio.create_task(ask(handler, call(b"wait 0.01"))) for _ in range(20)]
            await until(lambda: any(task.done() for task in asked))
            os.kill(int(victim.body), signal.SIGKILL)
            answers = await asyncio.gather(*asked)
            assert sum(answer.status == 424 for answer in answers) <= 1
            later = [await ask(handler, call()) for _ in range(20)]
            assert {answer.status for answer in later} == {200}

    run(scenario())


def test_a_request_waits_while_the_only_instance_is_replaced(
    instance: Instance, database: Database, engine: ProcessEngine
) -> None:
    async def scenario() -> None:
        async with serving(database, Variant("Blue", 1.0, (instance("a"),)), patience=20) as handler:
            assert original(await ask(handler, call(b"die")))[0] == 0
            waiting = asyncio.create_task(ask(handler, call(b"1")))
            await until(lambda: engine.runs(OWNER)[0].phase is RunPhase.EXITED)
            assert not waiting.done()
            await asyncio.to_thread(instance, "a")
            assert (await waiting).body == b"1"

    run(scenario())


def test_no_living_instance_is_a_model_error(database: Database) -> None:
    async def scenario() -> None:
        async with serving(database, Variant("Blue", 1.0, ("/nowhere", "/none"))) as handler:
            status, text = original(await ask(handler, call()))
            assert status == 0
            assert text.startswith("Amazon SageMaker could not get a response from the Hotels endpoint.")

    run(scenario())


def test_a_model_that_takes_too_long_is_a_model_error(
    instance: Instance, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    patched = (0.1, worker_host.MOST_OUTSTANDING)
    monkeypatch.setattr(worker_host.WorkerHost.__init__, "__defaults__", patched)

    async def scenario() -> None:
        async with serving(database, Variant("Blue", 1.0, (instance("a"),))) as handler:
            status, text = original(await ask(handler, call(b"wait 0.3")))
            assert status == 0
            assert text.startswith("Your invocation timed out while waiting for a response from container")

    run(scenario())


@pytest.mark.parametrize(
    ("weights", "draw", "name"),
    [
        ((1, 3), 0.0, "0"),
        ((1, 3), 0.2499, "0"),
        ((1, 3), 0.25, "1"),
        ((1, 3), 0.999999, "1"),
        ((0, 0), 0.49, "0"),
        ((0, 0), 0.51, "1"),
        ((0, 1), 0.0, "1"),
        ((1, 0), 0.9999999999999999, "0"),
    ],
)
def test_weights_share_the_traffic(weights: tuple[float, ...], draw: float, name: str) -> None:
    variants = [Variant(str(number), weight, ()) for number, weight in enumerate(weights)]
    assert choose(variants, None, lambda: draw).name == name
