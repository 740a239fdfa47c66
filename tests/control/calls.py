"""Calls and contexts for tests of the control plane, on a real store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import cast

from sagestead.control.context import Context
from sagestead.domain.identity import Principal
from sagestead.ports import Objects
from sagestead.store.credentials import SqlCredentials
from sagestead.store.database import Database
from sagestead.store.logs import SqlLogs
from sagestead.store.resources import SqlResources
from sagestead.wire.http import Call, Headers, Request

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
    )
