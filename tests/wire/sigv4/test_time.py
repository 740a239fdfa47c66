"""E: when a request was signed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.wire.sigv4.signed import CONTROL, NOW, RUNTIME, S3, STS, Draft, judge

from sagestead.wire.sigv4 import Rules
from sagestead.wire.sigv4.moments import seconds, stamp

GOOD = Draft()
S3_GOOD = Draft(service="s3", method="GET", path="/bucket/key", body=b"")
FORM = replace(GOOD, service="sts", body=b"Action=GetCallerIdentity")


def at(draft: Draft, offset: float) -> Draft:
    return replace(draft, stamp=stamp(NOW + offset))


def test_the_clock_of_these_tests() -> None:
    assert seconds(b"20261122T075221Z") == NOW


@pytest.mark.parametrize(
    ("draft", "rules", "offset"),
    [
        pytest.param(GOOD, CONTROL, -299, id="E1-control"),
        pytest.param(GOOD, RUNTIME, -299, id="E1-runtime"),
        pytest.param(GOOD, CONTROL, 299, id="E3"),
        pytest.param(S3_GOOD, S3, -899, id="E5"),
        pytest.param(S3_GOOD, S3, 899, id="E5-future"),
        pytest.param(FORM, STS, -899, id="E5-sts"),
    ],
)
def test_e_inside_the_window(draft: Draft, rules: Rules, offset: float) -> None:
    assert judge(at(draft, offset).send(), rules).code == "ok"


def test_e2_too_old() -> None:
    verdict = judge(at(GOOD, -301).send())
    assert (verdict.status, verdict.code) == (400, "InvalidSignatureException")
    assert verdict.sentence == (
        "Signature expired: 20261122T074720Z is now earlier than 20261122T074721Z (20261122T075221Z - 5 min.)"
    )
    assert judge(at(GOOD, -301).send(), RUNTIME).status == 403


def test_e4_too_new() -> None:
    verdict = judge(at(GOOD, 301).send())
    assert verdict.code == "InvalidSignatureException"
    assert verdict.sentence == (
        "Signature not yet current: 20261122T075722Z is still later than 20261122T075721Z "
        "(20261122T075221Z + 5 min.)"
    )


@pytest.mark.parametrize("offset", [-901, 901], ids=["E6", "E7"])
def test_e_s3_window(offset: float) -> None:
    verdict = judge(at(S3_GOOD, offset).send(), S3)
    assert (verdict.status, verdict.code) == (403, "RequestTimeTooSkewed")
    assert verdict.sentence == "The difference between the request time and the current time is too large."
    assert verdict.details["MaxAllowedSkewMilliseconds"] == "900000"
    assert verdict.details["ServerTime"] == "2026-11-22T07:52:21Z"


def test_e6_sts_window() -> None:
    verdict = judge(at(FORM, -901).send(), STS)
    assert (verdict.status, verdict.code) == (403, "SignatureDoesNotMatch")
    assert "15 min." in verdict.sentence


def with_date(value: str, **changes: object) -> Draft:
    headers = (("Host", "localhost:8750"), ("Date", value))
    return replace(GOOD, headers=headers, send_date=False, **changes)  # type: ignore[arg-type] # test table


@pytest.mark.parametrize(
    "value", ["Sun, 22 Nov 2026 07:52:21 GMT", "Sun, 22 Nov 2026 08:52:21 +0100", "20261122T075221Z"]
)
def test_e8_date_instead_of_x_amz_date(value: str) -> None:
    assert judge(with_date(value).send()).code == "ok"


def test_e9_x_amz_date_wins() -> None:
    headers = (("Host", "localhost:8750"), ("Date", "Sun, 22 Nov 2020 07:52:21 GMT"))
    assert judge(replace(GOOD, headers=headers).send()).code == "ok"


def test_e10_no_date() -> None:
    verdict = judge(replace(GOOD, send_date=False).send())
    assert verdict.code == "IncompleteSignatureException"
    assert "requires existence of either a 'X-Amz-Date' or a 'Date' header" in verdict.sentence
    s3 = judge(replace(S3_GOOD, send_date=False).send(), S3)
    assert (s3.status, s3.code) == (403, "AccessDenied")


DATES = {
    "E11-extended": "2026-11-22T07:52:21Z",
    "E12-day-only": "20261122",
    "E13-milliseconds": "20261122T075221.000Z",
    "E14-month-13": "20261322T075221Z",
    "E15-year-0": "00001122T075221Z",
    "E15-year-10000": "100001122T075221Z",
    "E16-leap-second": "20261122T075260Z",
    "E20-unicode-digits": "2026112\xb2T075221Z",
    "E-empty": "",
    "E-small-z": "20261122T075221z",
}


@pytest.mark.parametrize("case", DATES)
def test_e_x_amz_date_is_malformed(case: str) -> None:
    draft = replace(GOOD, headers=(("Host", "localhost:8750"), ("X-Amz-Date", DATES[case])), send_date=False)
    verdict = judge(draft.send())
    assert (verdict.status, verdict.code) == (400, "IncompleteSignatureException")


@pytest.mark.parametrize(
    "value", ["yesterday", "Sun, 99 Nov 2026 07:52:21 GMT", "x" * 4000, "1 1 1 1:1:1 \xb2"]
)
def test_e_date_is_malformed(value: str) -> None:
    assert judge(with_date(value).send()).code == "IncompleteSignatureException"


def test_e15_the_last_year() -> None:
    verdict = judge(replace(GOOD, stamp="99991231T235959Z").send())
    assert verdict.sentence.startswith("Signature not yet current")


def test_e17_x_amz_date_twice() -> None:
    draft = replace(GOOD, extra=[("X-Amz-Date", GOOD.stamp)])
    assert judge(draft.send()).code == "IncompleteSignatureException"


def test_e19_across_midnight() -> None:
    draft = replace(GOOD, stamp="20261121T235959Z")
    assert judge(draft.send(), now=seconds(b"20261122T000001Z")).code == "ok"
