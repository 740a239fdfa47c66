"""A request that is a verified one again, but for a few values: compared instead of read.

Rule: a template is made of a request that was read and verified the long way. A request that fits is the same
in every byte of its head but for the values of a few fields, of the same length, whose contents change
nothing of what the rest of the head means. Its signature is computed and compared like any other's, with the
credential of the moment. Whatever does not fit, or is not right, is read the long way, which says why.
"""

from __future__ import annotations

import hmac
import itertools
import struct
from collections.abc import Callable
from hashlib import sha256
from operator import itemgetter
from typing import Any

from sagestead.domain.identity import Credential, Principal
from sagestead.wire.http import Body, Headers, Request
from sagestead.wire.sigv4 import moments
from sagestead.wire.sigv4.claims import Claim, Rules
from sagestead.wire.sigv4.faults import Breach
from sagestead.wire.sigv4.header import parse_authorization
from sagestead.wire.sigv4.keys import seal
from sagestead.wire.sigv4.verification import identify
from sagestead.wire.sigv4.version4 import Version4

_LONGEST_HEAD = 8192
_DATE, _SIGNATURE, _LENGTH = b"x-amz-date", b"authorization", b"content-length"
_DIGEST = b"x-amz-content-sha256"
_TEXTS = frozenset({b"amz-sdk-invocation-id", b"x-amzn-trace-id", b"traceparent"})
"""Fields whose values differ from request to request and are looked at by nobody here."""
_BLANKS = _TEXTS | {_DATE, _SIGNATURE, _LENGTH, _DIGEST}
_NEEDED = frozenset({_DATE, _SIGNATURE, _LENGTH})
_HEX = 64
_VISIBLE = bytes(range(33, 127))
_END = b"\r\n\r\n"

Values = tuple[bytes, ...]
"""What stands in the blanks, in order of the head."""

Blank = tuple[bytes, int, int]
"""Name of a field, and where in the head its value differs: begin and end."""


class Template:
    """The head of a verified request, with blanks.

    Attributes:
        size: bytes of a head, the empty line included.
        access_key_id: whose signature is needed.
        method: HTTP's.
        protocol: of the service.
        secure: whether the request arrived over TLS.
    """

    __slots__ = (
        "_beginning",
        "_claim",
        "_credential",
        "_date",
        "_digest",
        "_form",
        "_length",
        "_literals",
        "_moment",
        "_pick",
        "_principal",
        "_request",
        "_scope",
        "_signature",
        "_skew",
        "_stamp",
        "_texts",
        "_unpack",
        "access_key_id",
        "method",
        "protocol",
        "secure",
        "size",
    )

    def __init__(  # noqa: PLR0913, PLR0917 - what `template_of` has found, in order
        self, request: Request, claim: Claim, proof: Version4, rules: Rules, head: bytes, blanks: list[Blank]
    ) -> None:
        names = [name for name, _, _ in blanks]
        self.size = len(head)
        self.access_key_id = claim.access_key_id
        self.secure = request.secure
        self.method, self.protocol = request.method, rules.protocol
        self._claim, self._request, self._scope, self._skew = claim, request, proof.scope, rules.skew
        bounds = [0, *(bound for _, begin, end in blanks for bound in (begin, end)), len(head)]
        widths = [end - begin for begin, end in itertools.pairwise(bounds)]
        layout = struct.Struct("".join(f"{width}s" for width in widths))
        self._unpack: Callable[[bytes], Values] = layout.unpack_from
        self._literals = self._unpack(head)[::2]
        self._date, self._length, self._signature = map(names.index, (_DATE, _LENGTH, _SIGNATURE))
        self._digest = names.index(_DIGEST) if _DIGEST in names else None
        self._texts = tuple(place for place, name in enumerate(names) if name in _TEXTS)
        self._form, self._pick = _canonical(proof, names)
        self._stamp = self._beginning = b""
        self._moment = 0.0
        self._credential: Credential | None = None
        self._principal: Principal | None = None

    def read(self, data: bytes) -> Values | None:
        """Return what a request has in the blanks; None if it is no such request."""
        if len(data) < self.size:
            return None
        pieces = self._unpack(data)
        return pieces[1::2] if pieces[::2] == self._literals else None

    def missing(self, data: bytes, values: Values) -> int:
        """Return how many bytes of the body are not in `data`; less than 0: it is no such request."""
        length = values[self._length]
        return self.size + int(length) - len(data) if length.isdigit() else -1

    def settle(self, values: Values, body: bytes, credential: Credential, now: float) -> Principal | None:
        """Return who signed; None if the request has to be read the long way.

        Args:
            values: from `read`.
            body: all of it, of the declared length.
            credential: what the store holds for `access_key_id`.
            now: seconds since the epoch.
        """
        digest = sha256(body).hexdigest().encode()
        if not self._fits(values, digest, now):
            return None
        canonical = sha256(self._form % self._pick((*values, digest))).hexdigest().encode()
        expected = seal(credential.secret, self._scope).sign(self._beginning + canonical)
        if not hmac.compare_digest(expected, values[self._signature]):
            return None
        if credential is self._credential:
            return self._principal
        return self._identify(credential, now)

    def _fits(self, values: Values, digest: bytes, now: float) -> bool:
        """Whether everything but the signature is right."""
        if values[self._date] != self._stamp and not self._take_stamp(values[self._date]):
            return False
        for place in self._texts:
            if values[place].translate(None, _VISIBLE):
                return False
        in_time = -self._skew <= now - self._moment <= self._skew
        return in_time and (self._digest is None or values[self._digest] == digest)

    def _identify(self, credential: Credential, now: float) -> Principal | None:
        """Return whose the right signature is; remembered for a credential that does not end by itself."""
        try:
            principal = identify(self._claim, credential, now)
        except Breach:
            return None
        if credential.expires_at is None:
            self._credential, self._principal = credential, principal
        return principal

    def request(self, body: Body, length: int, request_id: str) -> Request:
        """Return a request that fits as handlers know it; blanks hold what they held in the first one."""
        first = self._request
        return Request(
            first.method,
            first.raw_path,
            first.raw_query,
            first.headers,
            body,
            length,
            self.secure,
            request_id,
        )

    def _take_stamp(self, stamp: bytes) -> bool:
        """Take over a new time of signing; False if it is none, or of another day than the scope."""
        if stamp[:8] != self._scope[:8]:
            return False
        try:
            self._moment = moments.seconds(stamp)
        except Breach:
            return False
        self._stamp = stamp
        self._beginning = b"AWS4-HMAC-SHA256\n%b\n%b\n" % (stamp, self._scope)
        return True


def template_of(data: bytes, request: Request, claim: Claim, rules: Rules) -> Template | None:
    """Return the template of a request that was just verified; None if it is not of the plain form.

    Args:
        data: the bytes from which the request was read, from its first byte on.
        request: the request.
        claim: what was verified.
        rules: by which it was verified.
    """
    proof, authorization = claim.proof, request.headers.joined.get(_SIGNATURE, b"")
    if not isinstance(proof, Version4) or claim.payload is not None or b"expect" in request.headers.joined:
        return None
    if len(authorization) < _HEX or parse_authorization(authorization)[1] != authorization[-_HEX:]:
        return None
    end = data.find(_END, 0, _LONGEST_HEAD)
    head = data[: end + len(_END)] if end > 0 else b""
    blanks = _blanks(head, request.headers)
    return Template(request, claim, proof, rules, head, blanks) if blanks else None


def _blanks(head: bytes, headers: Headers) -> list[Blank]:
    """Return the blanks of a head in order; none if there are not exactly those that a template needs."""
    found: list[Blank] = []
    at = head.find(b"\r\n") + 2
    for line in head[at : -len(_END)].split(b"\r\n"):
        name, _, rest = line.partition(b":")
        lower, value = name.lower(), rest.strip(b" \t")
        if lower in _BLANKS:
            begin = at + len(name) + 1 + rest.find(value)
            end = begin + len(value)
            if lower == _SIGNATURE:
                begin = end - _HEX
            if value != headers.joined.get(lower) or head[begin:end].translate(None, _VISIBLE):
                return []
            found.append((lower, begin, end))
        at += len(line) + 2
    names = {name for name, _, _ in found}
    return found if len(names) == len(found) and names >= _NEEDED else []


def _canonical(proof: Version4, names: list[bytes]) -> tuple[bytes, Callable[[Values], Any]]:
    """Return a canonical request as a form, and what picks its filling from `(*values, digest)`."""
    lines, places = [], []
    for line in proof.head.replace(b"%", b"%%").split(b"\n"):
        name, colon, _ = line.partition(b":")
        if colon and name in names:
            places.append(names.index(name))
            lines.append(name + b":%b")
        else:
            lines.append(line)
    places.append(len(names))
    return b"\n".join(lines) + b"%b", itemgetter(*places)
