"""The credential scope: `key/date/region/service/aws4_request`.

Rule: all that is wrong with a scope is said in one message, in AWS's sentences. The region is whatever the
client signs for; only its syntax is checked.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from sagestead.wire.sigv4.faults import Breach, Fault

_TERMINATOR = "aws4_request"
_PARTS = 5
_REGION = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", re.ASCII)
_LONGEST_REGION = 32
_CACHED_LENGTH = 512
_FIVE = "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term."


@dataclass(frozen=True, slots=True)
class Scope:
    """A credential's parts.

    Attributes:
        access_key_id: the key.
        date, region, service, terminator: its scope.
        line: the four as they are signed.
        day: the date in bytes.
        well_formed: region and terminator are what they can be.
    """

    access_key_id: str
    date: str
    region: str
    service: str
    terminator: str
    line: bytes
    day: bytes
    well_formed: bool


def scope_of(credential: bytes) -> Scope:
    """Split a credential; short ones, as every client sends them, are split once.

    Raises:
        Breach: as `parse_scope`.
    """
    split = parse_scope if len(credential) <= _CACHED_LENGTH else parse_scope.__wrapped__
    return split(credential)


@lru_cache(maxsize=1024)
def parse_scope(credential: bytes) -> Scope:
    """Split a credential.

    Raises:
        Breach: it has not five parts, or one of them is empty or not ASCII.
    """
    parts = credential.split(b"/")
    if len(parts) != _PARTS or not all(parts) or not credential.isascii():
        raise Breach(Fault.SCOPE, _FIVE)
    key, date, region, service, terminator = (part.decode() for part in parts)
    well_formed = is_region(region) and terminator == _TERMINATOR
    line = credential.partition(b"/")[2]
    return Scope(key, date, region, service, terminator, line, parts[1], well_formed)


def is_region(text: str) -> bool:
    """True for what can be a region: words in lower case, joined by hyphens."""
    return len(text) <= _LONGEST_REGION and _REGION.fullmatch(text) is not None


def check_s3_region(scope: Scope, home: str) -> None:
    """Refuse what is no region with the one to use: clients such as s3cmd read it and sign again.

    Raises:
        Breach: naming both.
    """
    if not scope.well_formed and not is_region(scope.region):
        sentence = f"the region '{scope.region[:_LONGEST_REGION]}' is wrong; expecting '{home}'"
        raise Breach(Fault.SCOPE, sentence, details={"Region": home})


def check_scope(scope: Scope, stamp: bytes, signing_names: frozenset[str] | None) -> None:
    """Check a scope against the time of signing and the names that the service may be signed with.

    Raises:
        Breach: every part that is wrong is named.
    """
    named = signing_names is None or scope.service in signing_names
    if named and scope.well_formed and scope.day == stamp[:8]:
        return
    wrong: list[str] = []
    if not is_region(scope.region):
        wrong.append("Credential should be scoped to a valid region.")
    if not named and signing_names is not None:
        expected = "', '".join(sorted(signing_names))
        wrong.append(f"Credential should be scoped to correct service: '{expected}'.")
    if scope.terminator != _TERMINATOR:
        wrong.append(f"Credential should be scoped with a valid terminator: '{_TERMINATOR}'.")
    day = stamp[:8].decode()
    if scope.date != day:
        wrong.append(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
            f"'{scope.date[:16]}' != '{day}', from '{stamp.decode()}'."
        )
    if wrong:
        raise Breach(Fault.SCOPE, " ".join(wrong))
