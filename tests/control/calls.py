"""Calls and contexts for tests of the control plane, on a real store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any, cast
from urllib.parse import urlencode

import botocore.parsers
import botocore.serialize
import botocore.session
import pytest

from sagestead.control.api import Api
from sagestead.control.context import Context, Operation
from sagestead.domain.errors import Refusal
from sagestead.domain.identity import Principal
from sagestead.ports import Objects
from sagestead.store.credentials import SqlCredentials
from sagestead.store.database import Database
from sagestead.store.logs import SqlLogs
from sagestead.store.metrics import SqlMetrics
from sagestead.store.resources import SqlResources
from sagestead.wire.http import Call, Headers, Request, Response

ACCOUNT = "123456789012"
ROOT = f"arn:aws:sts::{ACCOUNT}:assumed-role/SagesteadExecutionRole/root"


class Bytes:
    """A body that is already there."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    async def chunks(self) -> AsyncIterator[bytes]:
        yield self._content

    async def read(self, limit: int) -> bytes:
        assert len(self._content) <= limit
        return self._content

    def whole(self) -> bytes:
        return self._content


def principal(account: str = ACCOUNT, arn: str = ROOT, region: str = "us-east-1") -> Principal:
    return Principal(account, arn, "AKIAEXAMPLE", region, "sagemaker")


def call(body: bytes, *, target: str | None = None, method: str = "POST", query: bytes = b"") -> Call:
    """Return a verified call of the root principal."""
    headers = Headers([] if target is None else [(b"X-Amz-Target", target.encode())])
    content = Bytes(body)
    request = Request(method, b"/", query, headers, content, len(body), False, "11111111-2222")  # noqa: FBT003 - secure
    return Call(request, principal(), content, len(body))


def context(database: Database, now: float = 1_700_000_000.5, who: Principal | None = None) -> Context:
    """Return the context of one call on a store. The operations that it is for touch no objects."""
    return Context(
        principal=who or principal(),
        request_id="11111111-2222",
        now=now,
        resources=SqlResources(database, lambda: now),
        objects=cast("Objects", None),
        credentials=SqlCredentials(database),
        logs=SqlLogs(database),
        metrics=SqlMetrics(database),
    )


class Client:
    """A client of one service: botocore writes the request, the `Api` answers, botocore reads the answer."""

    def __init__(
        self,
        service: str,
        operations: Mapping[str, Operation],
        database: Database,
        protocol: str | None = None,
    ) -> None:
        self.now = 1_700_000_000.5
        self.who = principal()
        self._protocol = protocol
        self._model = botocore.session.get_session().get_service_model(service)
        self._api = Api(
            service,
            operations,
            {},
            lambda _: context(database, self.now, self.who),
            database.revision,
            lambda: 0,
        )

    def __call__(self, operation: str, **members: Any) -> Any:
        """Return what the operation answers; raises its `Refusal`."""
        protocol = self._protocol or self._model.metadata["protocol"]
        model = self._model.operation_model(operation)
        serializer = botocore.serialize.create_serializer(protocol, include_validation=False)
        written = serializer.serialize_to_request(members, model)
        body = written["body"]
        body = body if isinstance(body, bytes) else urlencode(body).encode()
        response = asyncio.run(self._ask(call(body, target=written["headers"].get("X-Amz-Target"))))
        parser = botocore.parsers.create_parser(protocol)
        answer = {"status_code": response.status, "headers": dict(response.headers), "body": response.body}
        read = parser.parse(answer, model.output_shape)
        read.pop("ResponseMetadata", None)
        return read

    def refuses(self, operation: str, **members: Any) -> Refusal:
        """Return the refusal that the operation answers."""
        with pytest.raises(Refusal) as raised:
            self(operation, **members)
        return raised.value

    async def _ask(self, verified: Call) -> Response:
        return await self._api(verified)
