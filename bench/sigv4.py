"""Cost of verifying one signed request, against signing it again with botocore. Prints JSON.

python bench/sigv4.py [--seconds 1]
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import statistics
import time
from collections.abc import AsyncIterator, Callable

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials

from sagestead.domain.identity import Credential
from sagestead.frontdoor import dispatch
from sagestead.frontdoor.gate import Gate, Service
from sagestead.wire.http import Call, Headers, Request, Response
from sagestead.wire.sigv4 import Rules, read_claim, settle

BODY = b"0.5," * 87 + b"0\n"
PATH = "/endpoints/hotels/invocations"
KEY = Credential(
    "AKIDEXAMPLE", "a secret that signs only here", "123456789012", "arn:aws:iam::123456789012:root"
)
RULES = Rules("rest-json", frozenset({"sagemaker"}), "us-east-1")
BATCH = 200


class Ready:
    """A body that is already there."""

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield it."""
        yield BODY

    async def read(self, limit: int) -> bytes:
        """Return it."""
        return BODY[:limit]

    def whole(self) -> bytes:
        """Return it."""
        return BODY


class OneKey:
    """Credentials of one key."""

    def find(self, access_key_id: str) -> Credential | None:
        """Return it."""
        return KEY if access_key_id == KEY.access_key_id else None

    def add(self, credential: Credential) -> None:
        """Never called."""
        raise NotImplementedError(credential)

    def disable(self, access_key_id: str) -> bool:
        """Never called."""
        raise NotImplementedError(access_key_id)

    def keys(self) -> list[Credential]:
        """Return it."""
        return [KEY]


def sign() -> AWSRequest:
    """Sign as an unmodified client does."""
    request = AWSRequest("POST", f"http://127.0.0.1:8750{PATH}", data=BODY)
    request.headers["Content-Type"] = "text/csv"
    request.headers["Accept"] = "text/csv"
    SigV4Auth(BotoCredentials(KEY.access_key_id, KEY.secret), "sagemaker", "us-east-1").add_auth(request)
    return request


def received() -> Request:
    """Return the request as the front door hands it on: what botocore sends, the signature among it."""
    return parsed(as_sent())


def as_sent() -> list[tuple[bytes, bytes]]:
    """Return the header fields of a signed InvokeEndpoint."""
    fields = [(name.encode(), str(value).encode()) for name, value in sign().headers.items()]
    fields += [(b"Host", b"127.0.0.1:8750"), (b"User-Agent", b"Boto3/1.44"), (b"Content-Length", b"350")]
    fields += [(b"amz-sdk-request", b"attempt=1"), (b"amz-sdk-invocation-id", b"0" * 36)]
    return fields


def parsed(fields: list[tuple[bytes, bytes]]) -> Request:
    """Return the request of these fields."""
    return Request(
        "POST", PATH.encode(), b"", Headers(fields), Ready(), len(BODY), secure=False, request_id="bench"
    )


def measure(work: Callable[[], object], seconds: float) -> dict[str, float]:
    """Return the median and best processor time of one call, in microseconds."""
    times = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.process_time()
        for _ in range(BATCH):
            work()
        times.append((time.process_time() - start) / BATCH * 1e6)
    return {"median_us": round(statistics.median(times), 2), "best_us": round(min(times), 2)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=1.0)
    seconds = parser.parse_args().seconds
    request, fields, now = received(), as_sent(), time.time()

    def verify() -> object:
        claim = read_claim(request, RULES, now)
        return settle(claim, KEY, hashlib.sha256(BODY).hexdigest().encode(), now)

    async def handle(call: Call) -> Response:
        return Response(200, [], await call.body.read(1 << 20))

    service = Service("runtime", frozenset({"sagemaker"}), "rest-json", dispatch.is_runtime, handle)
    gate = Gate(OneKey(), [service], lambda: now, "us-east-1")
    loop = asyncio.new_event_loop()

    async def many() -> None:
        for _ in range(BATCH):
            await gate(request)

    whole = measure(lambda: loop.run_until_complete(many()), seconds)
    report = {
        "body_bytes": len(BODY),
        "header_fields": len(fields),
        "make_request": measure(lambda: parsed(fields), seconds),
        "verify": measure(verify, seconds),
        "gate": {name: round(value / BATCH, 2) for name, value in whole.items()},
        "botocore_resign": measure(sign, seconds),
    }
    loop.close()
    print(json.dumps(report))


if __name__ == "__main__":
    main()
