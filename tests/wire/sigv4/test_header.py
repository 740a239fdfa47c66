"""C and D: the Authorization header and the credential scope."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.wire.sigv4.signed import CONTROL, DAY, KEY, RUNTIME, S3, STS, Draft, arrived, judge

from sagestead.wire.http import Request
from sagestead.wire.sigv4 import Rules

GOOD = Draft()
AUTH = GOOD.authorization()
CREDENTIAL = f"Credential={KEY.access_key_id}/{GOOD.scope}"
SIGNED = "SignedHeaders=host;x-amz-date"
SIGNATURE = f"Signature={GOOD.seed()}"
WORD = "AWS4-HMAC-SHA256"
S3_GOOD = Draft(service="s3", method="GET", path="/bucket/key", body=b"")
V2_QUERY = "AWSAccessKeyId=AKIDEXAMPLE&Signature=abc&Expires=1"

MALFORMED = {
    "C2-empty": "",
    "C3-basic": "Basic dXNlcjpwYXNzd29yZA==",
    "C3-bearer": "Bearer secret-bearer-word",
    "C4-sha512": AUTH.replace(WORD, "AWS4-HMAC-SHA512"),
    "C5-sigv4a": AUTH.replace(WORD, "AWS4-ECDSA-P256-SHA256"),
    "C6-lower-case": AUTH.replace(WORD, WORD.lower()),
    "C7-only-the-word": WORD,
    "C8-no-credential": f"{WORD} {SIGNED}, {SIGNATURE}",
    "C9-no-signed-headers": f"{WORD} {CREDENTIAL}, {SIGNATURE}",
    "C10-no-signature": f"{WORD} {CREDENTIAL}, {SIGNED}",
    "C10-empty-signature": f"{WORD} {CREDENTIAL}, {SIGNED}, Signature=",
    "C12-credential-twice": f"{AUTH}, {CREDENTIAL}",
    "C13-signature-twice": f"{WORD} {CREDENTIAL}, {SIGNED}, {SIGNATURE}, {SIGNATURE}",
    "C16-trailing-comma": f"{AUTH},",
    "C18-value-with-equals": f"{AUTH}=x",
    "C20-16-kib": f"{AUTH}, X={'x' * 16384}",
    "C21-non-ascii": f"{AUTH}, X=\xe9",
    "C24-version-2": "AWS AKIDEXAMPLE:c2lnbmF0dXJl",
}


@pytest.mark.parametrize("case", MALFORMED)
@pytest.mark.parametrize(("rules", "status"), [(CONTROL, 400), (RUNTIME, 403)], ids=["json", "rest-json"])
def test_c_malformed_header(case: str, rules: Rules, status: int) -> None:
    verdict = judge(GOOD.send(authorization=MALFORMED[case] or " "), rules)
    assert (verdict.status, verdict.code) == (status, "IncompleteSignatureException")
    assert "secret-bearer-word" not in verdict.sentence
    assert GOOD.seed() not in verdict.sentence


@pytest.mark.parametrize("case", MALFORMED)
def test_c_malformed_header_at_s3(case: str) -> None:
    verdict = judge(S3_GOOD.send(authorization=MALFORMED[case] or " "), S3)
    assert verdict.status == 400
    assert verdict.code in {"AuthorizationHeaderMalformed", "InvalidRequest"}


def test_c1_nothing_signed_in_every_form() -> None:
    request = arrived("POST", "/", [("Host", "localhost")])
    answers = {rules.protocol: judge(request, rules) for rules in (CONTROL, RUNTIME, STS, S3)}
    assert {name: (verdict.status, verdict.code) for name, verdict in answers.items()} == {
        "json": (400, "MissingAuthenticationTokenException"),
        "rest-json": (403, "MissingAuthenticationTokenException"),
        "query": (403, "MissingAuthenticationToken"),
        "rest-xml": (403, "AccessDenied"),
    }
    assert answers["json"].sentence == "Missing Authentication Token"


def test_c5_version_4a_is_named() -> None:
    assert "4a" in judge(GOOD.send(authorization=MALFORMED["C5-sigv4a"])).sentence
    assert "4a" in judge(S3_GOOD.send(authorization=MALFORMED["C5-sigv4a"]), S3).sentence


def test_c11_all_that_is_missing_is_listed() -> None:
    sentence = judge(GOOD.send(authorization=f"{WORD} X=y")).sentence
    for name in ("Credential", "SignedHeaders", "Signature"):
        assert f"Authorization header requires '{name}' parameter." in sentence


def test_c24_version_2_header_points_to_version_4() -> None:
    verdict = judge(S3_GOOD.send(authorization=MALFORMED["C24-version-2"]), S3)
    assert verdict.code == "InvalidRequest"
    assert "is not supported. Please use AWS4-HMAC-SHA256" in verdict.sentence


ACCEPTED = {
    "C14-commas-without-spaces": AUTH.replace(", ", ","),
    "C15-spaces-and-tabs": AUTH.replace(", ", " ,\t  ").replace(f"{WORD} ", f"{WORD}  \t "),
    "C17-unknown-parameter": f"{WORD} Colour=blue, {CREDENTIAL}, {SIGNED}, {SIGNATURE}",
    "C-other-order": f"{WORD} {SIGNATURE}, {SIGNED}, {CREDENTIAL}",
}


@pytest.mark.parametrize("case", ACCEPTED)
def test_c_unusual_but_accepted(case: str) -> None:
    assert judge(GOOD.send(authorization=ACCEPTED[case])).code == "ok"


TWICE = {
    "C19-header-twice": replace(GOOD, extra=[("Authorization", AUTH)]).send(),
    "C22-header-and-query": replace(GOOD, query=f"X-Amz-Algorithm={WORD}").send(),
    "C23-header-and-version-2-query": replace(GOOD, query=V2_QUERY).send(),
}


@pytest.mark.parametrize("case", TWICE)
def test_c_two_signatures(case: str) -> None:
    verdict = judge(TWICE[case])
    assert (verdict.status, verdict.code) == (400, "IncompleteSignatureException")


def test_c22_s3_has_its_own_sentence() -> None:
    verdict = judge(replace(S3_GOOD, query=f"X-Amz-Algorithm={WORD}").send(), S3)
    assert (verdict.status, verdict.code) == (400, "InvalidArgument")
    assert verdict.sentence.startswith("Only one auth mechanism allowed;")


def test_c_version_2_query_is_for_s3_only() -> None:
    request = arrived("GET", f"/?{V2_QUERY}", [("Host", "localhost")])
    assert "version 2" in judge(request).sentence


def scoped(credential: str) -> Request:
    return GOOD.send(authorization=AUTH.replace(CREDENTIAL, f"Credential={credential}"))


FIVE = "Credential must have exactly 5 slash-delimited elements"
REGION = "Credential should be scoped to a valid region."
SERVICE = "Credential should be scoped to correct service: 'sagemaker'."
TERMINATOR = "Credential should be scoped with a valid terminator: 'aws4_request'"
DATE = "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "

SCOPES = {
    "D1-four-parts": (scoped(f"AKIDEXAMPLE/{DAY}/us-east-1/sagemaker"), FIVE),
    "D2-six-parts": (scoped(f"AKIDEXAMPLE/{GOOD.scope}/more"), FIVE),
    "D3-empty-key": (scoped(f"/{GOOD.scope}"), FIVE),
    "D4-date-not-8-digits": (scoped("AKIDEXAMPLE/2026112/us-east-1/sagemaker/aws4_request"), DATE),
    "D5-yesterday": (
        replace(GOOD, date="20261121", key_date="20261121").send(),
        f"{DATE}'20261121' != '20261122', from '20261122T075221Z'.",
    ),
    "D6-region-empty": (scoped(f"AKIDEXAMPLE/{DAY}//sagemaker/aws4_request"), FIVE),
    "D8-sagemaker-runtime": (replace(GOOD, service="sagemaker-runtime").send(), SERVICE),
    "D9-s3-scope-on-control": (replace(S3_GOOD, method="POST", path="/").send(), SERVICE),
    "D10-terminator": (replace(GOOD, terminator="aws4_request2").send(), TERMINATOR),
    "D11-terminator-upper-case": (replace(GOOD, terminator="AWS4_REQUEST").send(), TERMINATOR),
    "D12-region-upper-case": (replace(GOOD, region="US-EAST-1").send(), REGION),
    "D12-region-too-long": (replace(GOOD, region="r" * 33).send(), REGION),
    "D13-slash-in-key": (scoped(f"AKID/EXAMPLE/{GOOD.scope}"), FIVE),
    "D15-two-wrong-parts": (replace(GOOD, region="US", service="s4").send(), f"{REGION} {SERVICE}"),
}


@pytest.mark.parametrize("case", SCOPES)
def test_d_scope(case: str) -> None:
    request, sentence = SCOPES[case]
    verdict = judge(request)
    assert (verdict.status, verdict.code) == (400, "InvalidSignatureException")
    assert sentence in verdict.sentence
    assert judge(request, RUNTIME).status == 403


def test_d9_control_scope_at_s3() -> None:
    verdict = judge(replace(S3_GOOD, service="sagemaker", headers=S3_HEADERS).send(), S3)
    assert (verdict.status, verdict.code) == (400, "AuthorizationHeaderMalformed")
    assert verdict.sentence.endswith("scoped to correct service: 's3'.")


S3_HEADERS = [("Host", "localhost:8750"), ("x-amz-content-sha256", "UNSIGNED-PAYLOAD")]


def test_d7_s3_names_the_region_to_use() -> None:
    verdict = judge(replace(S3_GOOD, region="US").send(), S3)
    assert (verdict.status, verdict.code) == (400, "AuthorizationHeaderMalformed")
    assert verdict.sentence.endswith("the region 'US' is wrong; expecting 'us-east-1'")
    assert verdict.details["Region"] == "us-east-1"


def test_d6_any_plausible_region_is_the_callers_own() -> None:
    for region in ("eu-central-1", "us-gov-west-1", "cn-north-1", "local", "auto"):
        principal = judge(replace(GOOD, region=region).send()).principal
        assert principal is not None
        assert principal.region == region


def test_d14_a_signing_key_of_another_day() -> None:
    assert judge(replace(GOOD, key_date="20261121").send()).code == "InvalidSignatureException"


def test_d_a_good_scope_makes_the_principal() -> None:
    principal = judge(GOOD.send()).principal
    assert principal is not None
    assert (principal.account, principal.arn) == (KEY.account, KEY.arn)
    assert (principal.access_key_id, principal.region, principal.service) == (
        "AKIDEXAMPLE",
        "us-east-1",
        "sagemaker",
    )
