"""aws-chunked: the decoder of S3's streaming uploads.

Rule: bytes are handed on as they arrive, but the end of the body is only reached when every chunk signature,
the trailer and the declared length were right. What waits in memory is one line or one read, never a chunk.
Source: Amazon S3 documentation, "Signature calculations: transferring payload in multiple chunks" and
"... including trailing headers".
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum, auto

from sagestead.domain.errors import Refusal
from sagestead.wire.sigv4.faults import Breach, Fault, refuse
from sagestead.wire.sigv4.payload import EMPTY_SHA256

TRAILER_SIGNATURE = "x-amz-trailer-signature"

_HEAD = re.compile(rb"([0-9A-Fa-f]{1,16})(?:;chunk-signature=([0-9a-f]{64}))?")
_TRAILER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}) *:([\x20-\x7e\t]*)")
_LONGEST_HEAD = 256
_LONGEST_TRAILER = 16_384


class ChunkSigner:
    """The chain of signatures of one upload: each covers the one before it."""

    def __init__(self, key: bytes, stamp: bytes, scope: bytes, seed: bytes) -> None:
        self._key = key
        self._place = b"%b\n%b\n" % (stamp, scope)
        self._previous = seed

    def chunk(self, digest: bytes, given: bytes) -> bool:
        """Check the signature of the next chunk; `digest` is its SHA-256 in hex."""
        text = b"AWS4-HMAC-SHA256-PAYLOAD\n%b%b\n%b\n%b" % (
            self._place,
            self._previous,
            EMPTY_SHA256,
            digest,
        )
        return self._check(text, given)

    def trailer(self, digest: bytes, given: bytes) -> bool:
        """Check the signature of the trailer; `digest` is the SHA-256 of its lines in hex."""
        return self._check(
            b"AWS4-HMAC-SHA256-TRAILER\n%b%b\n%b" % (self._place, self._previous, digest), given
        )

    def _check(self, text: bytes, given: bytes) -> bool:
        expected = hmac.digest(self._key, text, "sha256").hex().encode()
        self._previous = expected
        return hmac.compare_digest(expected, given)


class _State(Enum):
    HEAD = auto()
    DATA = auto()
    DATA_END = auto()
    TRAILER = auto()
    DONE = auto()


@dataclass(frozen=True, slots=True)
class Framing:
    """What the head of the request says of its chunks.

    Attributes:
        length: bytes of the decoded body (x-amz-decoded-content-length).
        trailers: lower-case names that x-amz-trailer announces.
        signer: checks chunk signatures; None for the unsigned variant.
        signed_trailer: the trailer carries a signature of its own.
    """

    length: int
    trailers: frozenset[str]
    signer: ChunkSigner | None
    signed_trailer: bool


class ChunkDecoder:
    """Decodes one body: `feed` it what arrives, then `finish`."""

    def __init__(self, framing: Framing) -> None:
        self.trailers: dict[str, str] = {}
        self._framing = framing
        self._signer = framing.signer
        self._buffer = bytearray()
        self._at = 0
        self._state = _State.HEAD
        self._left = 0
        self._decoded = 0
        self._claimed = b""
        self._digest = hashlib.sha256()
        self._trailer_text = bytearray()
        self._trailer_claim = b""
        self._blank_seen = False
        self._steps: dict[_State, Callable[[bytearray], bool]] = {
            _State.HEAD: self._head,
            _State.DATA: self._data,
            _State.DATA_END: self._data_end,
            _State.TRAILER: self._trailer,
            _State.DONE: self._done,
        }

    def feed(self, data: bytes) -> bytes:
        """Return what the next bytes of the body decode to; may be empty.

        Raises:
            Refusal: the framing or a signature is wrong.
        """
        self._buffer += data
        decoded = bytearray()
        while self._at < len(self._buffer) and self._steps[self._state](decoded):
            pass
        del self._buffer[: self._at]
        self._at = 0
        return bytes(decoded)

    def finish(self) -> None:
        """Say that the body has ended.

        Raises:
            Refusal: it was not whole, or its trailer was not what was announced.
        """
        if self._buffer or self._state not in {_State.TRAILER, _State.DONE}:
            raise _incomplete("The body ended inside a chunk; the last chunk has size 0.")
        self._check_trailers()
        if self._decoded != self._framing.length:
            raise _incomplete(
                f"The body decoded to {self._decoded} bytes; "
                f"x-amz-decoded-content-length says {self._framing.length}."
            )

    def _line(self, longest: int, what: str) -> bytes | None:
        end = self._buffer.find(b"\r\n", self._at, self._at + longest + 2)
        if end >= 0:
            line = bytes(self._buffer[self._at : end])
            self._at = end + 2
            return line
        if len(self._buffer) - self._at > longest + 1:
            raise _malformed(f"A {what} is longer than {longest} bytes or does not end with CR LF.")
        return None

    def _head(self, _decoded: bytearray) -> bool:
        line = self._line(_LONGEST_HEAD, "chunk header")
        if line is None:
            return False
        match = _HEAD.fullmatch(line)
        if match is None:
            raise _malformed(
                "A chunk header must be 'SIZE' or 'SIZE;chunk-signature=SIGNATURE', in hexadecimal."
            )
        if (match[2] is not None) != (self._signer is not None):
            named = "needs" if self._signer else "must not carry"
            raise _malformed(f"A chunk of this x-amz-content-sha256 {named} a chunk-signature.")
        self._left = int(match[1], 16)
        self._claimed = match[2] or b""
        self._decoded += self._left
        if self._decoded > self._framing.length:
            raise _incomplete("The chunks hold more bytes than x-amz-decoded-content-length says.")
        if self._left:
            self._state = _State.DATA
        else:
            self._check_chunk()
            self._state = _State.TRAILER
        return True

    def _data(self, decoded: bytearray) -> bool:
        end = min(self._at + self._left, len(self._buffer))
        piece = self._buffer[self._at : end]
        if self._signer is not None:
            self._digest.update(piece)
        decoded += piece
        self._left -= len(piece)
        self._at = end
        if not self._left:
            self._check_chunk()
            self._state = _State.DATA_END
        return True

    def _check_chunk(self) -> None:
        if self._signer is None:
            return
        if not self._signer.chunk(self._digest.hexdigest().encode(), self._claimed):
            raise refuse(Breach(Fault.MISMATCH), "rest-xml")
        self._digest = hashlib.sha256()

    def _data_end(self, _decoded: bytearray) -> bool:
        if len(self._buffer) - self._at < len(b"\r\n"):
            return False
        if self._buffer[self._at : self._at + 2] != b"\r\n":
            raise _malformed("A chunk's data must end with CR LF.")
        self._at += 2
        self._state = _State.HEAD
        return True

    def _trailer(self, _decoded: bytearray) -> bool:
        line = self._line(_LONGEST_TRAILER, "trailer")
        if line is None:
            return False
        if line:
            self._take_trailer(line)
        elif self.trailers or self._trailer_claim or not self._framing.trailers:
            self._state = _State.DONE
        elif self._blank_seen:
            raise _bad_trailer("The trailer begins with more than one blank line.")
        else:
            self._blank_seen = True  # some clients end the last chunk with a line of its own
        return True

    def _take_trailer(self, line: bytes) -> None:
        match = _TRAILER.fullmatch(line.removesuffix(b"\n"))
        if match is None or len(self._trailer_text) + len(line) > _LONGEST_TRAILER:
            raise _bad_trailer("A trailer must be 'name:value' on a line of its own, 16 KiB in all.")
        name, value = match[1].decode().lower(), match[2].strip()
        if name == TRAILER_SIGNATURE and self._framing.signed_trailer and not self._trailer_claim:
            self._trailer_claim = value
            return
        if name not in self._framing.trailers or name in self.trailers or self._trailer_claim:
            raise _bad_trailer(f"The trailer '{name}' was not announced in x-amz-trailer, or comes twice.")
        self.trailers[name] = value.decode()
        self._trailer_text += b"%b:%b\n" % (name.encode(), value)

    def _done(self, _decoded: bytearray) -> bool:
        raise _malformed("There are bytes after the last chunk.")

    def _check_trailers(self) -> None:
        missing = self._framing.trailers - self.trailers.keys()
        if missing:
            raise _bad_trailer(f"The trailer '{min(missing)}' was announced in x-amz-trailer and not sent.")
        if self._signer is None or not self._framing.signed_trailer:
            return
        if not self._trailer_claim:
            raise _bad_trailer("The trailer carries no x-amz-trailer-signature.")
        digest = hashlib.sha256(self._trailer_text).hexdigest().encode()
        if not self._signer.trailer(digest, self._trailer_claim):
            raise refuse(Breach(Fault.MISMATCH), "rest-xml")


def announced(value: str | None) -> frozenset[str]:
    """Return the lower-case names that an x-amz-trailer header announces."""
    names: Iterable[str] = (value or "").split(",")
    return frozenset(name.strip().lower() for name in names if name.strip())


def _malformed(sentence: str) -> Refusal:
    return Refusal(sentence, code="InvalidRequest", status=400)


def _bad_trailer(sentence: str) -> Refusal:
    return Refusal(sentence, code="MalformedTrailerError", status=400)


def _incomplete(sentence: str) -> Refusal:
    return Refusal(sentence, code="IncompleteBody", status=400)
