"""L, M and O: sessions, keys, and properties of the implementation."""

from __future__ import annotations

import ast
import logging
import statistics
import time
from dataclasses import replace
from pathlib import Path

import pytest
from tests.wire.sigv4.signed import CONTROL, KEY, NOW, RUNTIME, S3, SESSION, STS, Draft, judge

import sagestead.wire.sigv4
from sagestead.wire.sigv4 import Rules, keys, read_claim
from sagestead.wire.sigv4.header import _cached
from sagestead.wire.sigv4.scope import parse_scope

GOOD = Draft()
TEMPORARY = Draft(key=SESSION)
PUT = Draft(service="s3", method="PUT", path="/b/k", body=b"data")
HERE = Path(sagestead.wire.sigv4.__file__).parent
INVALID = "The security token included in the request is invalid."


def test_l_a_session_signs() -> None:
    assert judge(TEMPORARY.send()).code == "ok"
    assert judge(replace(PUT, key=SESSION).send(), S3).code == "ok"


def tokened(token: str | None) -> Draft:
    """Signed with the session's secret; the token is another."""
    return replace(TEMPORARY, key=replace(SESSION, session_token=token))


TOKENS = {
    "L1-none": tokened(None),
    "L2-of-another-session": tokened("another+token"),
    "L3-with-a-long-term-key": replace(GOOD, key=replace(KEY, session_token="token")),
    "L5-truncated": tokened("the+token/of=on"),
    "L5-extended": tokened("the+token/of=one1"),
    "L7-8-kib": tokened("t" * 8192),
}


@pytest.mark.parametrize("case", TOKENS)
def test_l_token(case: str) -> None:
    verdict = judge(TOKENS[case].send())
    assert (verdict.status, verdict.code, verdict.sentence) == (400, "UnrecognizedClientException", INVALID)
    assert judge(TOKENS[case].send(), RUNTIME).status == 403


def test_l_token_at_s3() -> None:
    draft = replace(PUT, key=replace(SESSION, session_token="another"))
    verdict = judge(draft.send(), S3)
    assert (verdict.status, verdict.code) == (400, "InvalidToken")


def test_l4_expired() -> None:
    late = judge(TEMPORARY.send(), now=NOW, keys=[replace(SESSION, expires_at=NOW)])
    assert (late.status, late.code) == (400, "ExpiredTokenException")
    assert late.sentence == "The security token included in the request is expired"
    form = judge(replace(TEMPORARY, service="sts").send(), STS, keys=[replace(SESSION, expires_at=NOW - 1)])
    assert (form.status, form.code) == (403, "ExpiredToken")


def test_l6_token_in_header_and_query() -> None:
    draft = replace(TEMPORARY, query="X-Amz-Security-Token=the%2Btoken%2Fof%3Done")
    assert judge(draft.send()).code == "UnrecognizedClientException"
    header = replace(TEMPORARY, headers=(("Host", "localhost"), ("X-Amz-Security-Token", "t")))
    assert judge(header.presigned()).code == "UnrecognizedClientException"


def test_l8_revoked() -> None:
    verdict = judge(TEMPORARY.send(), keys=[replace(SESSION, enabled=False)])
    assert verdict.code == "UnrecognizedClientException"


UNKNOWN = {
    CONTROL: (400, "UnrecognizedClientException", INVALID),
    RUNTIME: (403, "UnrecognizedClientException", INVALID),
    STS: (403, "InvalidClientTokenId", INVALID),
    S3: (403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records."),
}
DRAFTS = {CONTROL: GOOD, RUNTIME: GOOD, STS: replace(GOOD, service="sts"), S3: PUT}


@pytest.mark.parametrize("rules", UNKNOWN, ids=[rules.protocol for rules in UNKNOWN])
def test_m1_m2_unknown_and_disabled_keys(rules: Rules) -> None:
    for known in ([], [replace(KEY, enabled=False)]):
        verdict = judge(DRAFTS[rules].send(), rules, keys=known)
        assert (verdict.status, verdict.code, verdict.sentence) == UNKNOWN[rules]


def test_m4_rotated_secret() -> None:
    rotated = replace(KEY, secret="another secret")
    assert judge(GOOD.send()).code == "ok"
    assert judge(GOOD.send(), keys=[rotated]).code == "InvalidSignatureException"
    assert judge(replace(GOOD, key=rotated).send(), keys=[rotated]).code == "ok"
    assert judge(replace(GOOD, key=rotated).send()).code == "InvalidSignatureException"


def test_m6_the_account_comes_from_the_key() -> None:
    other = replace(KEY, access_key_id="AKIDOTHER", account="999999999999")
    principal = judge(replace(GOOD, key=other).send(), keys=[KEY, other]).principal
    assert principal is not None
    assert principal.account == "999999999999"


@pytest.mark.parametrize(
    "key_id", ["A" * 4000, "'; DROP TABLE keys; --", "AKID%0AEXAMPLE", "*", "akidexample"]
)
def test_m7_strange_key_ids(key_id: str) -> None:
    verdict = judge(replace(GOOD, key=replace(KEY, access_key_id=key_id)).send())
    assert verdict.status == 400
    assert verdict.code == "UnrecognizedClientException"


def test_o1_signatures_and_tokens_are_never_compared_with_equals() -> None:
    secretive = {"signature", "token", "expected", "claimed", "given_signature", "session_token"}
    for path in HERE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Compare) and any(isinstance(op, ast.Eq | ast.NotEq) for op in node.ops):
                names = {n.attr if isinstance(n, ast.Attribute) else n.id for n in _names(node)}
                assert not names & secretive, f"{path.name}:{node.lineno}"


def _names(node: ast.AST) -> list[ast.Name | ast.Attribute]:
    return [child for child in ast.walk(node) if isinstance(child, ast.Name | ast.Attribute)]


def test_o3_unknown_key_and_wrong_secret_cost_the_same() -> None:
    request = GOOD.send()

    def median(known: list[object]) -> float:
        times = []
        for _ in range(40):
            start = time.perf_counter()
            judge(request, keys=known)  # type: ignore[arg-type] # one list for both cases
            times.append(time.perf_counter() - start)
        return statistics.median(times)

    unknown, wrong = median([]), median([replace(KEY, secret="x")])
    assert unknown < 3 * wrong
    assert wrong < 3 * unknown


def test_o4_what_is_cached_is_bounded_and_keyed_by_the_secret() -> None:
    for cache in (keys.signing_key, _cached, parse_scope):
        assert cache.cache_parameters()["maxsize"] == 1024
    scope = b"20261122/us-east-1/sagemaker/aws4_request"
    assert keys.signing_key("one", scope) != keys.signing_key("two", scope)
    assert keys.signing_key("one", scope) != keys.signing_key("one", scope.replace(b"east", b"west"))


def test_o6_secrets_stay_out_of_answers_and_logs(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    token = "the+token/of=one"
    wrong = replace(TEMPORARY, key=replace(SESSION, secret="wrong secret"))
    for rules, draft in ((CONTROL, wrong), (S3, replace(wrong, service="s3", method="PUT"))):
        verdict = judge(draft.send(), rules)
        said = f"{verdict.sentence} {verdict.details} {caplog.text}"
        assert verdict.code in {"InvalidSignatureException", "SignatureDoesNotMatch"}
        for secret in (token, SESSION.secret, "wrong secret"):
            assert secret not in said
    assert SESSION.secret not in repr(SESSION)


def test_f24_the_head_alone_is_enough_to_refuse_s3() -> None:
    claim = read_claim(PUT.send(), S3, NOW)
    assert claim.payload is not None
