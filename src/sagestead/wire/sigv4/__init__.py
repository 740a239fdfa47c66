"""Signature verification: version 4 in headers and query, version 2 in the query for S3.

    claim = read_claim(request, rules, now)                     # before the body is read
    principal = settle(claim, credential, payload_hash, now)    # the only maker of principals
    body, length = verified_body(request, claim, credential)    # S3: verified while it is read
    template = template_of(data, request, claim, rules)         # for requests that are the same again

Modules, from the bottom: `faults` (what can be wrong), `canonical` (what is hashed), `moments` (time),
`scope`, `keys`, `header`, `query`, `version2`, `version4` (the signatures), `payload`, `chunked`, `body`
(what covers the bytes), `claims` and `verification` (all of it together), `template` (the short way).
"""

from sagestead.wire.sigv4.body import VerifiedBody, WholeBody
from sagestead.wire.sigv4.claims import Claim, Rules, read_claim
from sagestead.wire.sigv4.faults import Breach, Fault, refuse
from sagestead.wire.sigv4.template import Template, Values, template_of
from sagestead.wire.sigv4.verification import settle, verified_body

__all__ = [
    "Breach",
    "Claim",
    "Fault",
    "Rules",
    "Template",
    "Values",
    "VerifiedBody",
    "WholeBody",
    "read_claim",
    "refuse",
    "settle",
    "template_of",
    "verified_body",
]
