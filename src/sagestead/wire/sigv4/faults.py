"""What can be wrong with a signature, and how each protocol says so.

Rule: checks raise a `Breach` that knows nothing of protocols; `refuse` is the only place that turns one
into AWS's code, status and sentence. The tables follow the answers that AWS's services were seen to give.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from types import MappingProxyType

from sagestead.domain.errors import Refusal, Unauthenticated
from sagestead.wire.errors import Protocol


class Fault(Enum):
    """Kinds of failure, in the order in which they are looked for."""

    URI = auto()
    UNSIGNED = auto()
    TWICE = auto()
    SYNTAX = auto()
    ALGORITHM = auto()
    HOST = auto()
    UNSIGNED_HEADERS = auto()
    PAYLOAD = auto()
    DATE = auto()
    SKEWED = auto()
    EXPIRED = auto()
    SCOPE = auto()
    TOKEN = auto()
    EXPIRED_TOKEN = auto()
    KEY = auto()
    MISMATCH = auto()


class Breach(Exception):  # noqa: N818 - becomes a Refusal before anyone else sees it
    """A failed check.

    Attributes:
        fault: what failed.
        sentence: said to the client; None: the protocol's own sentence.
        details: further members of the error body.
        in_query: the signature came in the query string.
        code: S3's code, where it differs from the fault's usual one.
    """

    def __init__(
        self,
        fault: Fault,
        sentence: str | None = None,
        *,
        details: Mapping[str, str] = MappingProxyType({}),
        in_query: bool = False,
        code: str | None = None,
    ) -> None:
        super().__init__(fault.name)
        self.fault = fault
        self.sentence = sentence
        self.details = details
        self.in_query = in_query
        self.code = code


@dataclass(frozen=True, slots=True)
class _Answer:
    code: str
    sentence: str
    status: int = 403


_TOKEN_INVALID = "The security token included in the request is invalid."  # noqa: S105 - a sentence
_TOKEN_EXPIRED = "The security token included in the request is expired"  # noqa: S105 - a sentence
_DIFFERS = (
    "The request signature we calculated does not match the signature you provided. "
    "Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
)
_MALFORMED = "The request's signature is incomplete."
_URI = "The request target is not well formed: escapes must be % and two hexadecimal digits."

_JSON: Mapping[Fault, _Answer] = {
    Fault.URI: _Answer("MalformedQueryString", _URI, 400),
    Fault.UNSIGNED: _Answer("MissingAuthenticationTokenException", "Missing Authentication Token"),
    Fault.TWICE: _Answer("IncompleteSignatureException", _MALFORMED),
    Fault.SYNTAX: _Answer("IncompleteSignatureException", _MALFORMED),
    Fault.ALGORITHM: _Answer("IncompleteSignatureException", _MALFORMED),
    Fault.HOST: _Answer("InvalidSignatureException", "The request needs exactly one valid Host header.", 400),
    Fault.UNSIGNED_HEADERS: _Answer("InvalidSignatureException", _DIFFERS),
    Fault.PAYLOAD: _Answer("InvalidSignatureException", _DIFFERS),
    Fault.DATE: _Answer("IncompleteSignatureException", _MALFORMED),
    Fault.SKEWED: _Answer("InvalidSignatureException", _DIFFERS),
    Fault.EXPIRED: _Answer("InvalidSignatureException", "Signature expired."),
    Fault.SCOPE: _Answer("InvalidSignatureException", _DIFFERS),
    Fault.TOKEN: _Answer("UnrecognizedClientException", _TOKEN_INVALID),
    Fault.EXPIRED_TOKEN: _Answer("ExpiredTokenException", _TOKEN_EXPIRED),
    Fault.KEY: _Answer("UnrecognizedClientException", _TOKEN_INVALID),
    Fault.MISMATCH: _Answer("InvalidSignatureException", _DIFFERS),
}

_QUERY_CODES = {
    "MissingAuthenticationTokenException": "MissingAuthenticationToken",
    "IncompleteSignatureException": "IncompleteSignature",
    "InvalidSignatureException": "SignatureDoesNotMatch",
    "UnrecognizedClientException": "InvalidClientTokenId",
    "ExpiredTokenException": "ExpiredToken",
    "MalformedQueryString": "MalformedQueryString",
}

_S3_MECHANISM = "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256."
_S3: Mapping[Fault, _Answer] = {
    Fault.URI: _Answer("InvalidURI", "Couldn't parse the specified URI.", 400),
    Fault.UNSIGNED: _Answer("AccessDenied", "Access Denied. The request is not signed; nothing is public."),
    Fault.TWICE: _Answer("InvalidArgument", "Only one auth mechanism allowed.", 400),
    Fault.SYNTAX: _Answer("AuthorizationHeaderMalformed", "The authorization header is malformed.", 400),
    Fault.ALGORITHM: _Answer("InvalidRequest", _S3_MECHANISM, 400),
    Fault.HOST: _Answer("InvalidRequest", "The request needs exactly one valid Host header.", 400),
    Fault.UNSIGNED_HEADERS: _Answer(
        "AccessDenied", "There were headers present in the request which were not signed"
    ),
    Fault.PAYLOAD: _Answer("InvalidArgument", "x-amz-content-sha256 is not valid.", 400),
    Fault.DATE: _Answer("AccessDenied", "AWS authentication requires a valid Date or x-amz-date header", 403),
    Fault.SKEWED: _Answer(
        "RequestTimeTooSkewed",
        "The difference between the request time and the current time is too large.",
    ),
    Fault.EXPIRED: _Answer("AccessDenied", "Request has expired"),
    Fault.SCOPE: _Answer("AuthorizationHeaderMalformed", "The authorization header is malformed.", 400),
    Fault.TOKEN: _Answer("InvalidToken", "The provided token is malformed or otherwise invalid.", 400),
    Fault.EXPIRED_TOKEN: _Answer("ExpiredToken", "The provided token has expired.", 400),
    Fault.KEY: _Answer(
        "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records."
    ),
    Fault.MISMATCH: _Answer(
        "SignatureDoesNotMatch",
        "The request signature we calculated does not match the signature you provided. "
        "Check your key and signing method.",
    ),
}

_QUERY_AUTH = "AuthorizationQueryParametersError"
_OWN_SENTENCE = frozenset({Fault.SKEWED, Fault.EXPIRED})


def refuse(breach: Breach, protocol: Protocol) -> Refusal:
    """Return the refusal that a protocol answers with.

    Codes and statuses: the error table of AWS's signature documentation and of recorded answers.
    """
    if protocol == "rest-xml":
        return _refuse_s3(breach)
    answer = _JSON[breach.fault]
    code, status = answer.code, answer.status
    if protocol == "query":
        code = _QUERY_CODES[code]
        status = 400 if code == "IncompleteSignature" else status
    elif protocol == "json":
        status = 400
    return Unauthenticated(breach.sentence or answer.sentence, code=code, status=status)


def _refuse_s3(breach: Breach) -> Refusal:
    answer = _S3[breach.fault]
    code, status = breach.code or answer.code, answer.status
    sentence = breach.sentence or answer.sentence
    if breach.fault in _OWN_SENTENCE:
        sentence = answer.sentence
    elif breach.in_query and breach.fault in {Fault.SYNTAX, Fault.SCOPE, Fault.DATE}:
        code, status = _QUERY_AUTH, 400
    elif breach.sentence and breach.fault in {Fault.SYNTAX, Fault.SCOPE}:
        sentence = f"The authorization header is malformed; {breach.sentence}"
    return Unauthenticated(sentence, code=code, status=status, details=breach.details)
