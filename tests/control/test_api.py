from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.control.calls import ACCOUNT, call, context

from sagestead.control.api import Api
from sagestead.control.context import Context, Hold
from sagestead.domain.errors import Invalid, Refusal
from sagestead.domain.resources import Json, Key, Kind, Resource
from sagestead.ports import Change
from sagestead.store.database import Database, open_database
from sagestead.store.resources import SqlResources
from sagestead.wire.http import Call, Response

KEY = Key(Kind.ENDPOINT, ACCOUNT, "us-east-1", "e")
HELD = {"DescribeEndpoint": Hold("EndpointStatus", frozenset({"Creating"}))}


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = open_database(tmp_path)
    yield opened
    opened.close()


def describe_endpoint(ctx: Context, request: Json) -> Json:
    found = ctx.resources.get(Key(Kind.ENDPOINT, ctx.account, ctx.region, request["EndpointName"]))
    if found is None:
        raise Invalid("Could not find endpoint.")
    return {"EndpointName": found.key.name, "EndpointStatus": found.status}


def api(database: Database, hold_seconds: float = 5.0) -> Api:
    return api_while(database, lambda: hold_seconds)


def api_while(database: Database, patience: Callable[[], float]) -> Api:
    operations = {"DescribeEndpoint": describe_endpoint}
    return Api("sagemaker", operations, HELD, lambda _: context(database), database.revision, patience)


def ask(handler: Api, verified: Call) -> Response:
    async def run() -> Response:
        return await handler(verified)

    return asyncio.run(run())


def refused(handler: Api, verified: Call) -> Refusal:
    with pytest.raises(Refusal) as raised:
        ask(handler, verified)
    return raised.value


def described(response: Response) -> Json:
    assert isinstance(response.body, bytes)
    answer: Json = json.loads(response.body)
    return answer


DESCRIBE = call(b'{"EndpointName":"e"}', target="SageMaker.DescribeEndpoint")


def create(database: Database, status: str) -> Resource:
    return SqlResources(database).create(Resource(KEY, "arn:e", {}, status))


def test_an_operation_is_chosen_by_its_target(database: Database) -> None:
    create(database, "InService")
    response = ask(api(database), DESCRIBE)
    assert response.status == 200
    assert response.headers == [("Content-Type", "application/x-amz-json-1.1")]
    assert described(response) == {"EndpointName": "e", "EndpointStatus": "InService"}


@pytest.mark.parametrize(
    ("target", "part"),
    [
        (
            "SageMaker.CreateDomain",
            "CreateDomain of sagemaker is not carried out here; docs/compatibility.md",
        ),
        ("SageMaker.DescribeEndpoints", "names no operation of sagemaker"),
        ("Logs_20140328.DescribeEndpoint", "names no operation of sagemaker"),
        ("DescribeEndpoint", "names no operation"),
        (None, "names no operation"),
    ],
)
def test_what_is_not_carried_out_is_refused_by_name(
    database: Database, target: str | None, part: str
) -> None:
    refusal = refused(api(database), call(b"{}", target=target))
    assert (refusal.code, refusal.status) == ("UnknownOperationException", 400)
    assert part in refusal.sentence


def test_aws_json_is_sent_by_post(database: Database) -> None:
    refusal = refused(api(database), call(b"{}", target="SageMaker.DescribeEndpoint", method="GET"))
    assert refusal.sentence == "DescribeEndpoint was asked by GET; send it by POST."


def test_query_operations_are_chosen_by_action(database: Database) -> None:
    sts = Api("sts", {"GetCallerIdentity": lambda ctx, _: {"Account": ctx.account}}, {},
              lambda _: context(database), database.revision, lambda: 0)  # fmt: skip
    expected = (
        b'<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
        b"<Account>123456789012</Account></GetCallerIdentityResult><ResponseMetadata>"
        b"<RequestId>11111111-2222</RequestId></ResponseMetadata></GetCallerIdentityResponse>"
    )
    fields = b"Action=GetCallerIdentity&Version=2011-06-15"
    assert ask(sts, call(fields)).body == expected
    assert ask(sts, call(b"", method="GET", query=fields + b"&X-Amz-Date=20200101T000000Z")).body == expected
    assert refused(sts, call(b"Version=2011-06-15")).code == "MissingAction"
    assert refused(sts, call(b"Action=Nonsense")).code == "InvalidAction"
    assert refused(sts, call(b"Action=GetCallerIdentity&Version=2001-01-01")).code == "InvalidAction"
    session = refused(sts, call(b"Action=GetSessionToken&Version=2011-06-15"))
    assert session.code == "InvalidAction"
    assert "GetSessionToken of sts is not carried out here" in session.sentence


def test_a_describe_in_transition_waits_for_the_change(database: Database) -> None:
    seen = create(database, "Creating")

    async def run() -> Response:
        held = asyncio.ensure_future(api(database)(DESCRIBE))
        await asyncio.wait([held], timeout=0.1)
        assert not held.done()
        SqlResources(database).update(seen, Change(due_at=None, status="InService"))
        return await asyncio.wait_for(held, timeout=3)

    assert described(asyncio.run(run()))["EndpointStatus"] == "InService"


def test_a_describe_is_held_through_changes_of_other_things(database: Database) -> None:
    create(database, "Creating")
    other = Key(Kind.MODEL, ACCOUNT, "us-east-1", "m")

    async def run() -> Response:
        held = asyncio.ensure_future(api(database, hold_seconds=0.4)(DESCRIBE))
        await asyncio.wait([held], timeout=0.1)
        SqlResources(database).create(Resource(other, "arn:m", {}))
        await asyncio.wait([held], timeout=0.1)
        assert not held.done()
        return await held

    assert described(asyncio.run(run()))["EndpointStatus"] == "Creating"


def test_a_held_describe_is_let_go_when_the_door_closes(database: Database) -> None:
    create(database, "Creating")

    async def run() -> Response:
        closing = asyncio.Event()
        held = asyncio.ensure_future(api_while(database, lambda: 0.0 if closing.is_set() else 60.0)(DESCRIBE))
        await asyncio.wait([held], timeout=0.05)
        assert not held.done()
        closing.set()
        return await asyncio.wait_for(held, timeout=3)

    assert described(asyncio.run(run()))["EndpointStatus"] == "Creating"


def test_a_held_describe_learns_that_the_resource_has_gone(database: Database) -> None:
    seen = create(database, "Creating")

    async def run() -> Response:
        held = asyncio.ensure_future(api(database)(DESCRIBE))
        await asyncio.wait([held], timeout=0.05)
        SqlResources(database).delete(seen)
        return await asyncio.wait_for(held, timeout=3)

    with pytest.raises(Invalid, match="Could not find endpoint"):
        asyncio.run(run())
