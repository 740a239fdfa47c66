"""S3's handler: from a verified call to an answer.

Rule: nothing here waits for the disk; bodies are taken in with back-pressure, at most two batches of bytes
in memory for each.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from sagestead.domain.errors import Refusal
from sagestead.objects.blobs import BlobWriter, Written
from sagestead.objects.store import FolderObjects
from sagestead.s3.checksums import declared
from sagestead.s3.desk import Desk, Intake
from sagestead.s3.request import read_request
from sagestead.s3.routes import Document, Plain, find_route
from sagestead.wire.http import Body, Call, Response

_BATCH = 1 << 20
_LARGEST_PUT = 5 << 30


class S3Handler:
    """Answers every S3 request.

    Args:
        store: the object store.
        region: region of the server, for signatures without a scope.
        threads: how many requests may wait for the disk at once.
    """

    def __init__(self, store: FolderObjects, region: str, threads: int = 16) -> None:
        self._desk = Desk(store, region, threads)

    async def __call__(self, call: Call) -> Response:
        """Answer a verified call; raise `Refusal`."""
        request = read_request(call)
        form = find_route(request).form
        if isinstance(form, Plain):
            return await self._desk.run(form.run, self._desk, request)
        if isinstance(form, Document):
            document = await call.body.read(form.limit)
            if form.own_checksum:
                declared(request).check_document(document, _trailers(call.body))
            return await self._desk.run(form.run, self._desk, request, document)
        length = _declared_length(call)
        intake = await self._desk.run(form.begin, self._desk, request)
        written = await self._take_in(call, intake, length)
        return await self._desk.run(intake.finish, written)

    def close(self) -> None:
        """Let the threads end."""
        self._desk.close()

    async def _take_in(self, call: Call, intake: Intake, length: int) -> Written:
        """Write the body to a blob that is durable and verified when this returns."""
        writer = await self._desk.run(self._desk.store.blobs.writer, intake.algorithms)
        try:
            await self._write(call.body, writer)
            return await self._desk.run(_finish, writer, intake, _trailers(call.body), length)
        except BaseException:
            self._desk.later(writer.close)
            raise

    async def _write(self, body: Body, writer: BlobWriter) -> None:
        """Write a batch while the next one arrives."""
        batch: list[bytes] = []
        size = 0
        writing: asyncio.Future[None] | None = None
        try:
            async for chunk in body.chunks():
                batch.append(chunk)
                size += len(chunk)
                if size >= _BATCH:
                    if writing is not None:
                        await writing
                    writing = asyncio.ensure_future(self._desk.run(writer.write, b"".join(batch)))
                    batch, size = [], 0
        finally:
            if writing is not None:
                await writing
        if batch:
            await self._desk.run(writer.write, b"".join(batch))


def _finish(writer: BlobWriter, intake: Intake, trailers: Mapping[str, str], length: int) -> Written:
    if writer.size != length:
        raise Refusal(
            f"You did not provide the number of bytes specified: {writer.size} of {length} arrived.",
            code="IncompleteBody",
        )
    intake.declared.check(writer.md5, writer.checksums(), trailers)
    return writer.finish()


def _declared_length(call: Call) -> int:
    if call.length is None:
        raise Refusal(
            "You must provide the Content-Length HTTP header.", code="MissingContentLength", status=411
        )
    if call.length > _LARGEST_PUT:
        raise Refusal(
            f"Your proposed upload of {call.length} bytes exceeds the maximum of {_LARGEST_PUT}; "
            "use a multipart upload.",
            code="EntityTooLarge",
            details={"ProposedSize": str(call.length), "MaxSizeAllowed": str(_LARGEST_PUT)},
        )
    return call.length


def _trailers(body: Body) -> Mapping[str, str]:
    """Return the header fields that followed the body; a body without such has no attribute for them."""
    trailers: Mapping[str, str] = getattr(body, "trailers", {})
    return trailers
