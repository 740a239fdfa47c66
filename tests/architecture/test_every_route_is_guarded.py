"""Every route there is, asked by everyone who must not pass (spec: security.md rule 1).

The answers are in `guarded_routes.txt`. A route that is not there fails; so does an answer that changed.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import botocore.session
import pytest
from tests.wire.sigv4.signed import Draft

from sagestead.control.accounts import new_key, open_account
from sagestead.control.operations import cloudwatch, iam, logs, sagemaker, sts
from sagestead.domain.identity import Credential
from sagestead.domain.resources import Key, Kind, Resource
from sagestead.domain.routes import Route, Variant
from sagestead.frontdoor.gate import Gate
from sagestead.s3.routes import ROUTES
from sagestead.service.adapters import Adapters, open_adapters
from sagestead.service.wiring import build_gate
from sagestead.serving.invocation import InvocationHandler
from sagestead.serving.table import RouteWatcher
from sagestead.settings import Settings
from sagestead.wire.http import Request, Response
from sagestead.wire.models import service_model
from sagestead.wire.patterns import compiled
from sagestead.wire.shapes import Shape

OWNER, STRANGER = "111111111111", "222222222222"
REGION = "us-east-1"
TARGETS = {
    "sagemaker": "SageMaker",
    "logs": "Logs_20140328",
    "cloudwatch": "GraniteServiceVersion20100801",
}
VERSIONS = {"sts": "2011-06-15", "iam": "2010-05-08", "cloudwatch": "2010-08-01"}
SIGNED = {"cloudwatch": "monitoring"}
"""What a service is called in signatures, if not by its name."""
TABLES = {
    "sagemaker": [*sagemaker.OPERATIONS, "CreateApp"],
    "logs": [*logs.OPERATIONS, "PutLogEvents"],
    "cloudwatch": [*cloudwatch.OPERATIONS, "PutMetricData"],
    "sts": [*sts.OPERATIONS, "GetFederationToken"],
    "iam": [*iam.OPERATIONS, "CreateUser"],
}
"""Every operation that is carried out, and of each service one that is not."""

ROLE = f"arn:aws:iam::{OWNER}:role/SagesteadExecutionRole"
MODEL = f"arn:aws:sagemaker:{REGION}:{OWNER}:model/theirs"
NAMES: dict[str, Any] = {
    "ExecutionRoleArn": ROLE,
    "RoleArn": ROLE,
    "PolicySourceArn": ROLE,
    "RoleName": "theirs",
    "PolicyName": "theirs",
    "PolicyArn": f"arn:aws:iam::{OWNER}:policy/theirs",
    "ResourceArn": MODEL,
    "ModelPackageArn": f"arn:aws:sagemaker:{REGION}:{OWNER}:model-package/theirs",
    "S3Uri": "s3://theirs/key",
    "S3OutputPath": "s3://theirs/out",
    "logGroupName": "/aws/sagemaker/TrainingJobs",
    "logStreamName": "theirs/algo-1",
}
"""What requests name: things of the owner."""

ANSWERS = Path(__file__).with_name("guarded_routes.txt")


def drafts() -> Iterator[tuple[str, Draft]]:
    """Every route by name, with a request for something of the owner's."""
    host = ("Host", "localhost")
    for service, operations in TABLES.items():
        for operation in operations:
            name = f"{service} {operation}"
            wanted, signed = least(service, operation), SIGNED.get(service, service)
            if service in TARGETS:
                target = ("X-Amz-Target", f"{TARGETS[service]}.{operation}")
                kind = ("Content-Type", "application/x-amz-json-1.1")
                body = json.dumps(wanted).encode()
                yield name, Draft(headers=(host, target, kind), body=body, service=signed)
            if service in VERSIONS:
                name = f"{service} {operation} (form)" if service in TARGETS else name
                form = urlencode({"Action": operation, "Version": VERSIONS[service], **wanted}).encode()
                kind = ("Content-Type", "application/x-www-form-urlencoded")
                yield name, Draft(headers=(host, kind), body=form, service=signed)
    runtime = botocore.session.get_session().get_service_model("sagemaker-runtime")
    for operation in runtime.operation_names:
        http = runtime.operation_model(operation).http
        path = http["requestUri"].replace("{EndpointName}", "theirs")
        yield f"runtime {operation}", Draft(method=http["method"], path=path, headers=(host,), body=b"1,2")
    for route in ROUTES:
        path = {"service": "/", "bucket": "/theirs", "object": "/theirs/key"}[route.level]
        query = "&".join(f"{marker}=1" for marker in sorted(route.markers))
        copied = ((route.header, "/theirs/key"),) if route.header else ()
        body = b"" if route.method in {"GET", "HEAD", "DELETE"} else b"<x/>"
        yield (
            f"s3 {route.name}",
            Draft(route.method, path, query, (host, *copied), body, service="s3"),
        )
    yield "s3 PostObject", Draft("POST", "/theirs", "", (host,), b"x", service="s3")
    yield "none Target", Draft(headers=(host, ("X-Amz-Target", "DynamoDB_20120810.ListTables")))
    yield "none Path", Draft(method="GET", path="/-/health/live", headers=(host,), body=b"")
    yield "health", Draft(method="GET", path="/-/health", headers=(host,), body=b"")


def least(service: str, operation: str) -> dict[str, Any]:
    """The least that an operation asks for, naming things of the owner."""
    shape = service_model(service).operation(operation).input
    return {} if shape is None else value(shape, "")


def value(shape: Shape, name: str) -> Any:  # noqa: PLR0911 - one for each kind
    match shape.kind:
        case "structure":
            return {member: value(shape.members[member], member) for member in sorted(shape.required)}
        case "list":
            return [value(shape.element, name) for _ in range(int(shape.minimum or 0))]
        case "map":
            return {}
        case "integer" | "long":
            return int(shape.minimum or 1)
        case "string":
            if name in NAMES:
                return NAMES[name]
            if shape.enum:
                return shape.enum[0]
            fits = shape.pattern is None or compiled(shape.pattern).fullmatch("theirs")
            return "theirs" if fits else f"arn:aws:x:{REGION}:{OWNER}:theirs/theirs"
    return True


@dataclass(frozen=True)
class World:
    gate: Gate
    watcher: RouteWatcher
    adapters: Adapters
    callers: dict[str, Credential]

    async def ask(self, draft: Draft, caller: str) -> str:
        """Send the request as the caller does; returns status and error code."""
        key = self.callers.get(caller, self.callers["owner"])
        draft = replace(draft, key=key, stamp=time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()))
        request = draft.send()
        if caller == "unsigned":
            request = without_authorization(request)
        if caller == "bad signature":
            request = draft.send(authorization=draft.authorization()[:-64] + "0" * 64)
        answer = self.gate(request)
        return verdict(answer if isinstance(answer, Response) else await answer)


def without_authorization(request: Request) -> Request:
    headers = type(request.headers)(
        field for field in request.headers.items() if field[0] != b"authorization"
    )
    return replace(request, headers=headers)


def verdict(response: Response) -> str:
    body = response.body if isinstance(response.body, bytes) else b""
    typed = next((text for name, text in response.headers if name == "x-amzn-ErrorType"), "")
    found = re.search(rb'"__type": *"([^"]+)"|<Code>([^<]+)</Code>', body)
    code = typed or ((found[1] or found[2]).decode() if found else "")
    return f"{response.status} {code}".strip()


CALLERS = ("unsigned", "bad signature", "unknown key", "disabled key", "expired session", "other account")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    settings = Settings(str(tmp_path_factory.mktemp("guarded")))
    adapters = open_adapters(settings)
    owner = open_account(adapters.resources, adapters.credentials, OWNER, 1.0)
    stranger = open_account(adapters.resources, adapters.credentials, STRANGER, 1.0)
    disabled = new_key(adapters.credentials, OWNER)
    adapters.credentials.disable(disabled.access_key_id)
    expired = replace(owner, access_key_id="ASIAEXPIRED", session_token="token", expires_at=time.time() - 1)
    adapters.credentials.add(expired)
    for kind, name, region in OWNED:
        arn = MODEL if kind is Kind.MODEL else f"{MODEL}/{kind.value}/{name}"
        adapters.resources.create(Resource(Key(kind, OWNER, region, name), arn, {}, created_at=1.0))
    adapters.objects.buckets.create(OWNER, "theirs", REGION)
    source = Path(settings.data) / "upload"
    source.write_bytes(b"data")
    adapters.objects.store(OWNER, "theirs", "key", source, "text/plain")
    adapters.routes.publish(Route(OWNER, REGION, "theirs", (Variant("v", 1.0, ("/nowhere",)),)))
    watcher = RouteWatcher(adapters.routes, adapters.resources, "front-0", time.time)
    gate = build_gate(settings, adapters, InvocationHandler(watcher, 0.0), lambda: True)
    callers = {
        "owner": owner,
        "other account": stranger,
        "unknown key": replace(owner, access_key_id="AKIANOBODY"),
        "disabled key": disabled,
        "expired session": expired,
    }
    yield World(gate, watcher, adapters, callers)
    adapters.objects.close()
    adapters.database.close()


OWNED = (
    (Kind.MODEL, "theirs", REGION),
    (Kind.MODEL_PACKAGE_GROUP, "theirs", REGION),
    (Kind.MODEL_PACKAGE, "theirs", REGION),
    (Kind.ROLE, "theirs", "aws-global"),
)


def recorded() -> dict[str, str]:
    lines = [line for line in ANSWERS.read_text().splitlines() if line and not line.startswith("#")]
    return {line.partition(" | ")[0].strip(): line for line in lines}


Answers = dict[str, dict[str, str]]


@pytest.fixture(scope="module")
def answers(world: World) -> Answers:
    """What each caller was answered, by route."""

    async def ask_all() -> Answers:
        watching = asyncio.create_task(world.watcher.run())
        found: Answers = {}
        for name, draft in drafts():
            found[name] = {caller: await world.ask(draft, caller) for caller in CALLERS}
            found[name]["nothing there"] = await world.ask(elsewhere(draft), "other account")
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
        return found

    return asyncio.run(ask_all())


def elsewhere(draft: Draft) -> Draft:
    """The same request about something that is nowhere."""
    return replace(
        draft, path=draft.path.replace("theirs", "absent"), body=draft.body.replace(b"theirs", b"absent")
    )


def line(name: str, found: dict[str, str]) -> str:
    """One line of the record."""
    return " | ".join([f"{name:<42}", *(f"{found[caller]:<40}" for caller in CALLERS)]).rstrip()


def test_every_route_is_recorded() -> None:
    assert [name for name, _ in drafts()] == list(recorded())


@pytest.mark.parametrize("name", [name for name, _ in drafts()])
def test_nobody_passes_who_must_not(answers: Answers, name: str) -> None:
    assert line(name, answers[name]) == recorded().get(name)


def test_what_others_own_answers_as_if_it_were_not_there(answers: Answers) -> None:
    differ = {name for name, found in answers.items() if found["other account"] != found["nothing there"]}
    assert not differ


def test_every_service_of_the_gate_is_asked(world: World) -> None:
    asked = {name.partition(" ")[0] for name, _ in drafts()}
    assert {service.name for service in world.gate.services} <= asked


def test_strangers_changed_nothing(world: World, answers: Answers) -> None:
    assert answers
    for kind, name, region in OWNED:
        found = world.adapters.resources.get(Key(kind, OWNER, region, name))
        assert found is not None
        assert (found.version, found.tags) == (1, {})
    assert world.adapters.objects.read(OWNER, "theirs", "key", 10) == b"data"
    assert world.adapters.routes.changes(0).changed
