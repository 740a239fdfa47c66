"""A client that hands calls to the handler as the verifier would, and reads its answers whole."""

from __future__ import annotations

import asyncio
import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from tests.objects.quick_folder import quick_parent

from sagestead.domain.errors import Refusal
from sagestead.domain.identity import Principal
from sagestead.objects.store import FolderObjects
from sagestead.s3.handler import S3Handler
from sagestead.wire.http import Call, Headers, Request, Stream

ACCOUNT = "123456789012"
REGION = "us-east-1"


class GivenBody:
    def __init__(self, content: bytes, chunk: int, trailers: dict[str, str]) -> None:
        self._content = content
        self._chunk = chunk
        self.trailers = trailers

    async def chunks(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self._content), self._chunk):
            yield self._content[start : start + self._chunk]

    async def read(self, limit: int) -> bytes:
        if len(self._content) > limit:
            raise Refusal("too large", code="RequestEntityTooLarge", status=413)
        return self._content

    def whole(self) -> None:
        """S3 bodies are verified while they are read."""


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def xml(self) -> ET.Element:
        root = ET.fromstring(self.body)  # noqa: S314 - our own answer
        for element in root.iter():
            element.tag = element.tag.rpartition("}")[2]
        return root

    def texts(self, path: str) -> list[str]:
        return [element.text or "" for element in self.xml.findall(path)]


@dataclass
class Client:
    """Attributes: `chunk`: bytes that arrive at once; `length`: what is announced instead of the truth."""

    handler: S3Handler
    account: str = ACCOUNT
    region: str = REGION
    trailers: dict[str, str] = field(default_factory=dict)
    chunk: int = 1 << 16
    length: int | None = -1

    def __call__(self, method: str, target: str | bytes, body: bytes = b"", **headers: str) -> Answer:
        return asyncio.run(self._answer(method, target, body, headers))

    async def _answer(self, method: str, target: str | bytes, body: bytes, headers: dict[str, str]) -> Answer:
        raw = target if isinstance(target, bytes) else target.encode()
        path, _, query = raw.partition(b"?")
        fields = [
            (name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()
        ]
        given = GivenBody(body, self.chunk, self.trailers)
        size = len(body) if self.length == -1 else self.length
        request = Request(
            method=method,
            raw_path=path,
            raw_query=query,
            headers=Headers([(b"host", b"127.0.0.1"), *fields]),
            body=given,
            content_length=size,
            secure=False,
            request_id="r",
        )
        principal = Principal(self.account, f"arn:aws:iam::{self.account}:root", "AKIA", self.region, "s3")
        response = await self.handler(Call(request, principal, given, size))
        content = response.body
        if isinstance(content, Stream):
            content = b"".join([part async for part in content.chunks])
        return Answer(response.status, {name.lower(): value for name, value in response.headers}, content)

    def refusal(self, method: str, target: str | bytes, body: bytes = b"", **headers: str) -> Refusal:
        with pytest.raises(Refusal) as caught:
            self(method, target, body, **headers)
        return caught.value

    def code(self, method: str, target: str | bytes, body: bytes = b"", **headers: str) -> tuple[int, str]:
        refusal = self.refusal(method, target, body, **headers)
        return refusal.status, refusal.code


class Ticking:
    """A clock that tells a later time at every look."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        self.now += 0.001
        return self.now


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    with TemporaryDirectory(dir=quick_parent()) as folder:
        yield Path(folder)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FolderObjects]:
    opened = FolderObjects(tmp_path / "objects", Ticking())
    yield opened
    opened.close()


@pytest.fixture
def s3(store: FolderObjects) -> Iterator[Client]:
    handler = S3Handler(store, REGION, threads=4)
    yield Client(handler)
    handler.close()


@pytest.fixture
def bucket(s3: Client) -> str:
    assert s3("PUT", "/bucket").status == 200
    return "/bucket"
