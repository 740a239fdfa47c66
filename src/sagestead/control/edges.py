"""The two protocol edges of the control plane: which operation is meant, its request, its answer's bytes.

Rule: an edge knows a protocol and nothing about operations; it names what AWS has and we do not carry out.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from sagestead.domain.errors import Invalid, NotImplementedHere
from sagestead.domain.resources import Json
from sagestead.wire import awsjson, query
from sagestead.wire.http import Call, Response
from sagestead.wire.models import service_model

QUERY_SERVICES = frozenset({"iam", "sts"})
EITHER_WAY = frozenset({"cloudwatch"})
LIST = "docs/compatibility.md lists what is carried out"


@dataclass(frozen=True, slots=True)
class Asked:
    """An operation's name and its checked request."""

    operation: str
    request: Json


class Edge(Protocol):
    """One protocol of one service."""

    def ask(self, call: Call, body: bytes, known: Collection[str]) -> Asked:
        """Return what the call asks for; raise a `Refusal` unless its operation is one of `known`."""
        ...

    def answer(self, call: Call, operation: str, answer: Json) -> Response:
        """Return an operation's answer as the protocol writes it."""
        ...


@dataclass(frozen=True, slots=True)
class JsonEdge:
    """AWS JSON: the operation stands in `X-Amz-Target`."""

    service: str

    def ask(self, call: Call, body: bytes, known: Collection[str]) -> Asked:
        """Return what the call asks for; the target is `<prefix>.<operation>`."""
        model = service_model(self.service)
        target = call.request.headers.get("x-amz-target") or ""
        prefix, _, operation = target.rpartition(".")
        if prefix != model.target_prefix or operation not in model:
            raise NotImplementedHere(
                f"'{target[:100]}' in the header X-Amz-Target names no operation of {self.service}; "
                f"send {model.target_prefix}.<operation>."
            )
        if operation not in known:
            raise NotImplementedHere(f"{operation} of {self.service} is not carried out here; {LIST}.")
        if call.request.method != "POST":
            raise NotImplementedHere(f"{operation} was asked by {call.request.method}; send it by POST.")
        return Asked(operation, awsjson.decode(self.service, operation, body))

    def answer(self, call: Call, operation: str, answer: Json) -> Response:  # noqa: ARG002 - Edge's signature
        """Return the answer as JSON."""
        version = service_model(self.service).json_version
        headers = [("Content-Type", f"application/x-amz-json-{version}")]
        return Response(200, headers, awsjson.encode(self.service, operation, answer))


@dataclass(frozen=True, slots=True)
class QueryEdge:
    """Query: the operation stands in the form's `Action` (in the URL for GET)."""

    service: str

    def ask(self, call: Call, body: bytes, known: Collection[str]) -> Asked:
        """Return what the call asks for."""
        model = service_model(self.service)
        fields = query.form(call.request.raw_query if call.request.method == "GET" else body)
        operation = fields.get("Action", "")
        version = fields.get("Version", model.version)
        if not operation:
            raise Invalid("The form has no Action; send Action=<operation>.", code="MissingAction")
        if operation not in model or version != model.version:
            raise Invalid(
                f"Could not find operation {operation[:100]} for version {version[:20]}; "
                f"{self.service} has version {model.version}.",
                code="InvalidAction",
            )
        if operation not in known:
            sentence = f"{operation} of {self.service} is not carried out here; {LIST}."
            raise NotImplementedHere(sentence, code="InvalidAction")
        return Asked(operation, query.decode(self.service, operation, fields))

    def answer(self, call: Call, operation: str, answer: Json) -> Response:
        """Return the answer as XML."""
        body = query.encode(self.service, operation, answer, call.request.request_id)
        return Response(200, [("Content-Type", "text/xml")], body)


@dataclass(frozen=True, slots=True)
class EitherEdge:
    """A service that speaks both: JSON to whoever names the operation in `X-Amz-Target`, else Query."""

    service: str

    def ask(self, call: Call, body: bytes, known: Collection[str]) -> Asked:
        """Return what the call asks for."""
        return self._of(call).ask(call, body, known)

    def answer(self, call: Call, operation: str, answer: Json) -> Response:
        """Return the answer as the call's protocol writes it."""
        return self._of(call).answer(call, operation, answer)

    def _of(self, call: Call) -> Edge:
        named = "x-amz-target" in call.request.headers
        return JsonEdge(self.service) if named else QueryEdge(self.service)


def edge(service: str) -> Edge:
    """Return the edge of a service; no model is read before the first call."""
    if service in EITHER_WAY:
        return EitherEdge(service)
    return QueryEdge(service) if service in QUERY_SERVICES else JsonEdge(service)
