"""What comes over the wire: HTTP, signatures, chunks, frames, and the bodies of AWS's protocols."""

from __future__ import annotations

import asyncio
import json
import logging
from functools import cache
from typing import Any

from tests.frontdoor.test_pieces import conversation, message, opened, same, statuses
from tests.frontdoor.test_repeats import both, invocation
from tests.fuzz.target import Target, need, outcome
from tests.wire.sigv4.signed import CONTROL, KEY, NOW, RUNTIME, S3, STS, Draft, arrived
from tests.wire.sigv4.test_payload import CRC, MODES, SIGNED, SIGNED_TRAILER, UNSIGNED_TRAILER, Upload

from sagestead.control.metric_reading import MetricReader, regex_fault
from sagestead.domain.errors import Refusal
from sagestead.frontdoor.server import FrontDoor
from sagestead.s3 import buckets, conditions, deleting, markup, multipart, request, tagging
from sagestead.wire import awsjson, frames, query
from sagestead.wire.http import Request
from sagestead.wire.sigv4 import Breach, read_claim, refuse, settle
from sagestead.wire.sigv4.chunked import ChunkDecoder, ChunkSigner, Framing

_RULES = (CONTROL, RUNTIME, STS, S3)
_LOWEST, _HIGHEST = 400, 500


def _refused(refusal: Refusal) -> None:
    need(_LOWEST <= refusal.status < _HIGHEST, f"the client is told what is wrong, not {refusal.status}")
    refusal.sentence.encode()


# -- frames


def framed() -> list[bytes]:
    """Return frames of every kind."""
    every: list[frames.Frame] = [
        frames.RequestFrame(1, b"1,2", "text/csv", None, "a", None, "id", 500),
        frames.AnswerFrame(1, 200, "text/csv", b"0.5", None),
        frames.PingFrame(7),
        frames.GoodbyeFrame(),
        frames.CancelFrame(2),
        frames.HelloFrame(64),
    ]
    return [*(frames.encode(each) for each in every), b"".join(map(frames.encode, every))]


def decode_frames(data: bytes) -> None:
    """The same frames come of any pieces; what is a frame is written as it was read."""

    def fed(pieces: list[bytes]) -> list[frames.Frame]:
        decoder = frames.Decoder(1 << 16)
        found = [frame for piece in pieces for frame in decoder.feed(piece)]
        need(decoder.pending <= len(data), "no more is held than came")
        return found

    whole = outcome(lambda: fed([data]), frames.BrokenFrame)
    cut = len(data) // 3
    cut_up = outcome(lambda: fed([data[:cut], data[cut:]]), frames.BrokenFrame)
    broken = isinstance(whole, str)  # of several faults the first that is seen is told
    need(isinstance(cut_up, str) if broken else cut_up == whole, "pieces do not matter")
    if not isinstance(whole, str):
        for frame in whole:
            (again,) = frames.Decoder().feed(frames.encode(frame))
            need(again == frame, "a frame is read as it was written")


# -- signatures


def _written(sent: Request, body: bytes) -> bytes:
    fields = b"".join(b"%b: %b\n" % field for field in sent.headers.items())
    return b"%b %b?%b\n%b\n%b" % (sent.method.encode(), sent.raw_path, sent.raw_query, fields, body)


def signed() -> list[bytes]:
    """Return signed requests of all services, signed in the header and in the query."""
    drafts = [
        Draft(),
        Draft(path="/endpoints/a%20b/invocations", body=b"1,2", query="a=b&a=a"),
        Draft(service="sts", body=b"Action=GetCallerIdentity"),
        Draft(service="s3", method="PUT", path="/bucket/key", body=b"data"),
        Draft(service="s3", method="GET", path="/bucket/%E6%97%A5", query="list-type=2&prefix=%2F", body=b""),
    ]
    return [_written(sent, draft.body) for draft in drafts for sent in (draft.send(), draft.presigned())]


def verify(data: bytes) -> None:
    """A claim is refused by a rule of AWS, or its signature is compared; only the right one passes."""
    head, _, body = data.partition(b"\n\n")
    line, *lines = head.decode("latin-1").split("\n")
    method, _, target = line.partition(" ")
    headers = [(name, value.strip()) for name, _, value in (each.partition(":") for each in lines)]
    for rules in _RULES:
        sent = arrived(method, target, headers, body=body)
        try:
            claim = read_claim(sent, rules, NOW)
            settle(claim, KEY if claim.access_key_id == KEY.access_key_id else None, b"0" * 64, NOW)
        except Breach as breach:
            _refused(refuse(breach, rules.protocol))
        except Refusal as refusal:
            _refused(refusal)


def _upload(mode: str) -> Upload:
    return Upload(mode, [b"a" * 70, b"data"])


def chunked() -> list[bytes]:
    """Return aws-chunked bodies; the first byte says how they are covered."""
    uploads = [(place, _upload(mode)) for place, mode in enumerate(MODES)]
    return [bytes([place]) + b"".join([*upload.chunks(), upload.end()]) for place, upload in uploads]


@cache
def _signed(mode: str) -> tuple[bytes, bytes, bytes, bytes]:
    draft = _upload(mode).draft()
    return draft.signing_key, draft.stamp.encode(), draft.scope.encode(), draft.seed().encode()


def _framing(mode: str) -> Framing:
    """Return what the head of the request says; the chain of signatures begins here."""
    announced = frozenset[str]() if mode == SIGNED else frozenset({CRC[0]})
    signer = None if mode == UNSIGNED_TRAILER else ChunkSigner(*_signed(mode))
    return Framing(74, announced, signer, mode == SIGNED_TRAILER)


def decode_chunks(data: bytes) -> None:
    """What is decoded does not depend on the pieces, and never exceeds what was declared."""
    mode, content = MODES[(data[:1] or b"\0")[0] % len(MODES)], data[1:]

    def decoded(size: int) -> bytes:
        framing = _framing(mode)
        decoder = ChunkDecoder(framing)
        pieces = range(0, len(content), size)
        body = b"".join([decoder.feed(content[at : at + size]) for at in pieces])
        decoder.finish()
        need(len(body) == framing.length, "the body has its declared length")
        return body

    found, again = (outcome(lambda size=size: decoded(size), Refusal) for size in (1 << 20, 7))  # type: ignore[misc] # mypy infers no lambda with a default
    both = isinstance(found, bytes) and isinstance(again, bytes)
    need(
        found == again if both else isinstance(found, str) and isinstance(again, str), "pieces do not matter"
    )


# -- protocols

_OPERATIONS = (
    ("sagemaker", "CreateModel"),
    ("sagemaker", "CreateTrainingJob"),
    ("sagemaker", "CreateEndpointConfig"),
    ("sagemaker", "CreateHyperParameterTuningJob"),
    ("sagemaker", "ListTrainingJobs"),
    ("sagemaker", "CreateTransformJob"),
    ("logs", "GetLogEvents"),
)
_ROLE = "arn:aws:iam::123456789012:role/Worker"


def documents() -> list[bytes]:
    """Return JSON requests; the first byte says of which operation."""
    model = {"ModelName": "m", "PrimaryContainer": {"Image": "i", "Environment": {"a": "b"}}}
    training = {
        "TrainingJobName": "job",
        "RoleArn": _ROLE,
        "AlgorithmSpecification": {"TrainingImage": "i", "TrainingInputMode": "File"},
        "HyperParameters": {"num_round": "5"},
        "OutputDataConfig": {"S3OutputPath": "s3://b/o"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
    }
    variant = {"VariantName": "v", "ModelName": "m", "InitialInstanceCount": 1, "InitialVariantWeight": 1.5}
    config = {"EndpointConfigName": "c", "ProductionVariants": [variant]}
    tuning = {
        "HyperParameterTuningJobName": "Search",
        "HyperParameterTuningJobConfig": {
            "Strategy": "Bayesian",
            "ResourceLimits": {"MaxNumberOfTrainingJobs": 3, "MaxParallelTrainingJobs": 1},
            "ParameterRanges": {
                "ContinuousParameterRanges": [{"Name": "eta", "MinValue": "0", "MaxValue": "1"}]
            },
        },
    }
    listing = {"CreationTimeAfter": 1.5e9, "NameContains": "a", "MaxResults": 5, "NextToken": "x"}
    transform = {
        "TransformJobName": "t",
        "TransformInput": {"DataSource": {"S3DataSource": {"S3Uri": "s3://b"}}},
    }
    events = {"logGroupName": "/aws/a", "logStreamName": "s", "startTime": 0, "limit": 5}
    every: list[Any] = [model, training, config, tuning, listing, transform, events]
    return [bytes([place]) + json.dumps(each).encode() for place, each in enumerate(every)]


def read_json(data: bytes) -> None:
    """A request fits its shape or is refused; what fits is refused or not, twice alike."""
    service, operation = _OPERATIONS[(data[:1] or b"\0")[0] % len(_OPERATIONS)]
    try:
        request_read = awsjson.decode(service, operation, data[1:])
    except Refusal as refusal:
        _refused(refusal)
        return
    need(isinstance(request_read, dict), "a request is an object")


def forms() -> list[bytes]:
    """Return forms; the first byte says of which service."""
    role = b"Action=CreateRole&RoleName=Worker&AssumeRolePolicyDocument=%7B%7D&Tags.member.1.Key=a"
    return [
        b"\0" + role,
        b"\1Action=AssumeRole&RoleArn=arn:aws:iam::123456789012:role/R&RoleSessionName=s&DurationSeconds=900",
        b"\0Action=ListRoles&MaxItems=5&Marker=a+b%2B",
    ]


def read_form(data: bytes) -> None:
    """A form is refused or fits the shape of its operation."""
    service, operations = (
        ("iam", ("CreateRole", "ListRoles")),
        ("sts", ("AssumeRole", "GetCallerIdentity")),
    )[(data[:1] or b"\0")[0] & 1]
    try:
        fields = query.form(data[1:])
        for operation in operations:
            outcome(lambda operation=operation: query.decode(service, operation, fields), Refusal)  # type: ignore[misc] # mypy infers no lambda with a default
    except Refusal as refusal:
        _refused(refusal)


def markups() -> list[bytes]:
    """Return the documents and the query of S3 requests."""
    part = (
        b"<Part><PartNumber>1</PartNumber><ETag>&quot;e&quot;</ETag><ChecksumCRC32>A==</ChecksumCRC32></Part>"
    )
    return [
        b"<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>",
        b"<Delete><Object><Key>k</Key><VersionId>v</VersionId><Size>3</Size></Object><Quiet>true</Quiet></Delete>",
        b'<Delete><Object><Key>k</Key><ETag>"e"</ETag><Size>1</Size></Object></Delete>',
        b"<Delete><Object><Key>k</Key><LastModifiedTime>2026-01-01</LastModifiedTime></Object></Delete>",
        b"<?xml version='1.0'?><CompleteMultipartUpload xmlns='http://a/'>%b</CompleteMultipartUpload>"
        % part,
        b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>",
        b"list-type=2&prefix=a%2Fb&continuation-token=YQ==&x-amz-a=%E6%97%A5",
        b'"a", W/"b", *, Wed, 21 Oct 2015 07:28:00 GMT',
    ]


def read_markup(data: bytes) -> None:
    """A document, query or condition of S3 is read or refused."""
    readers: list[Any] = [
        lambda: tagging._read(data, 10),
        lambda: [deleting._doomed(each) for each in markup.parse(data, "Delete").iter("Object")],
        lambda: [
            multipart._named(each) for each in markup.parse(data, "CompleteMultipartUpload").iter("Part")
        ],
        lambda: markup.parse(data, "VersioningConfiguration").findtext("Status"),
        lambda: request._read_query(data),
        lambda: buckets.read_token(data.decode("latin-1")),
        lambda: conditions.entity_tags(data.decode("latin-1")),
        lambda: conditions.http_seconds(data.decode("latin-1")),
    ]
    for reader in readers:
        try:
            reader()
        except Refusal as refusal:
            _refused(refusal)
    written = markup.document("A", markup.leaf("B", data.decode("latin-1")))
    need(b"\0" not in written, "what is written holds no control character")


# -- HTTP

_LOG: list[logging.LogRecord] = []


class _Listener(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        _LOG.append(record)


@cache
def _loop() -> tuple[asyncio.AbstractEventLoop, FrontDoor]:
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda _, context: _LOG.append(logging.makeLogRecord({"msg": str(context)})))
    logging.getLogger("sagestead.frontdoor").addHandler(_Listener(logging.ERROR))
    return loop, loop.run_until_complete(opened())


def messages() -> list[bytes]:
    """Return requests as they come in, also several and chunked ones."""
    drafts = [Draft(path=path, body=body) for path in ("/now", "/later", "/task") for body in (b"", b"1,2")]
    every = [message(draft, chunked=chunked) for draft in drafts for chunked in (False, True)]
    upload = message(Draft(service="s3", method="PUT", path="/bucket/key", body=b"data"))
    health = b"GET /-/health HTTP/1.1\r\nHost: a\r\n\r\n"
    return [*every, upload, health, health + every[0] + every[3], every[1].replace(b"1.1", b"1.0")]


def speak(data: bytes) -> None:
    """However it comes in, a request is answered alike, and no byte makes the server fail."""
    loop, door = _loop()

    def answered(*pieces: bytes) -> bytes:
        return loop.run_until_complete(conversation(door, pieces))[0]

    cut = len(data) // 2
    whole, parts = answered(data), answered(data[:cut], data[cut:])
    need(
        all(status < _HIGHEST for status in statuses(whole) + statuses(parts)), "no answer blames the server"
    )
    if _LOG:
        record = _LOG.pop()
        raise AssertionError(record.getMessage()) from (record.exc_info[1] if record.exc_info else None)
    if b"chunked" not in data.lower() and b"\0" not in data:
        need(statuses(same(whole))[:1] == statuses(same(parts))[:1], "pieces do not matter")


def invocations() -> list[bytes]:
    """Return requests that come again and again."""
    return [message(invocation(body)) for body in (b"1,2,3", b"4,5,6", b"", b"later", b"refuse")]


def repeat(data: bytes) -> None:
    """What may be like an earlier request is answered as if it were read."""
    seen = [(good, NOW) for good in invocations()[:2]] * 2
    _loop()[0].run_until_complete(both([*seen, (data, NOW)]))


# -- metrics


def definitions() -> list[bytes]:
    """Return an expression in the first line, and a log line."""
    return [
        b"loss=([0-9.]+)\nepoch 3 loss=0.25;",
        b".*acc: ([-+0-9e.]+).*\n[1] acc: 1e-3",
        rb"(?P<n>\d+)\s*%$" + b"\n50 %",
        b"#011validation-auc:([0-9.]+)\n[3]#011train-auc:0.5#011validation-auc:0.75",
    ]


def read_metric(data: bytes) -> None:
    """An expression is faulty, or finds finite numbers in bounded time."""
    expression, _, line = data.decode("utf-8", "replace").partition("\n")
    if regex_fault(expression) is None:
        MetricReader([{"Name": "m", "Regex": expression}]).read(line)


_SIGNS = (
    b"Authorization: ",
    b"X-Amz-Date: ",
    b";",
    b",",
    b"=",
    b"&",
    b"%2F",
    b"aws4_request",
    b"\n",
    b": ",
    b"?",
)
_HTTP = (
    b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Host: b\r\n",
    b"\r\n\r\n",
    b"GET ",
    b" HTTP/1.1",
)

TARGETS = {
    "frames": Target(framed, decode_frames, 5000, (b"\0\0\0\x11", b"\0\0\0\0", b"\xff\xff")),
    "signature": Target(signed, verify, 3500, _SIGNS),
    "chunks": Target(
        chunked, decode_chunks, 4000, (b"0\r\n\r\n", b";chunk-signature=", b"\r\n", b":", b"f" * 16)
    ),
    "json": Target(
        documents, read_json, 2500, (b'"', b"{}", b"[]", b"null", b"\\ud800", b"[" * 99, b"1e999", b",")
    ),
    "form": Target(forms, read_form, 2000, (b"&", b"=", b".member.", b".", b"%ff", b"%", b"99999999")),
    "markup": Target(
        markups, read_markup, 3000, (b"<", b">", b"<!DOCTYPE a>", b"&a;", b"&#0;", b"/>", b"%00", b"<Key>")
    ),
    "http": Target(messages, speak, 1500, _HTTP),
    "repeat": Target(invocations, repeat, 500, (*_HTTP, *_SIGNS)),
    "metric": Target(
        definitions, read_metric, 1500, (b"(", b")", b"(a+)+", b"*", b"{9999}", b"\\1", b"(?R)", b"[")
    ),
}
