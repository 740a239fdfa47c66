"""F, G and H: which headers are signed, and the canonical form of path and query."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.wire.sigv4.signed import CONTROL, S3, Draft, Pairs, judge

HOST = ("Host", "localhost:8750")
TARGET = ("X-Amz-Target", "SageMaker.ListModels")
GOOD = Draft(headers=(HOST, TARGET, ("Content-Type", "application/x-amz-json-1.1")))
ALL = ("content-type", "host", "x-amz-date", "x-amz-target")
MISMATCH = "InvalidSignatureException"
S3_GOOD = Draft(service="s3", method="PUT", path="/bucket/key", body=b"data")


def test_f_the_request_that_is_changed_below_is_good() -> None:
    assert judge(GOOD.send()).code == "ok"


SIGNED_HEADERS = {
    "F1-host-not-signed": ("x-amz-date", "x-amz-target"),
    "F2-upper-case": ("Host", "x-amz-date", "x-amz-target"),
    "F3-unsorted": ("x-amz-date", "host", "x-amz-target"),
    "F4-duplicate": ("host", "host", "x-amz-date", "x-amz-target"),
    "F5-absent-header": ("host", "x-absent", "x-amz-date", "x-amz-target"),
    "F-empty-name": ("", "host", "x-amz-target"),
}


@pytest.mark.parametrize("case", SIGNED_HEADERS)
def test_f_signed_headers_list(case: str) -> None:
    verdict = judge(replace(GOOD, signed=SIGNED_HEADERS[case]).send())
    assert (verdict.status, verdict.code) == (400, "IncompleteSignatureException")


def tampered(headers: Pairs) -> Draft:
    """A draft whose signature was made for GOOD's headers, sent with others."""
    return replace(GOOD, headers=headers)


CHANGED = {
    "F7-target-changed": (HOST, ("X-Amz-Target", "SageMaker.DeleteModel"), GOOD.headers[2]),
    "F9-content-type-changed": (HOST, TARGET, ("Content-Type", "text/plain")),
    "F-host-changed": (("Host", "elsewhere:8750"), *GOOD.headers[1:]),
    "F16-emptied": (HOST, TARGET, ("Content-Type", "")),
}


@pytest.mark.parametrize("case", CHANGED)
def test_f_changed_after_signing(case: str) -> None:
    request = tampered(CHANGED[case]).send(authorization=GOOD.authorization())
    assert judge(request).code == MISMATCH


def test_f8_target_must_be_signed() -> None:
    unsigned = replace(GOOD, signed=("content-type", "host", "x-amz-date"))
    for target in ("SageMaker.ListModels", "SageMaker.DeleteModel"):
        verdict = judge(replace(unsigned, headers=(HOST, ("X-Amz-Target", target), GOOD.headers[2])).send())
        assert (verdict.status, verdict.code) == (400, MISMATCH)
        assert "'X-Amz-Target' must be a 'SignedHeader'" in verdict.sentence


def test_f10_token_added_after_signing() -> None:
    added = replace(GOOD, extra=[("X-Amz-Security-Token", "anything")])
    assert judge(added.send()).code == "UnrecognizedClientException"


@pytest.mark.parametrize("name", ["Target-Model", "Target-Variant", "Inference-Component"])
def test_f11_runtime_headers_changed(name: str) -> None:
    field = f"X-Amzn-SageMaker-{name}"
    signed = replace(GOOD, headers=(HOST, (field, "one")))
    sent = replace(GOOD, headers=(HOST, (field, "two")))
    assert judge(signed.send()).code == "ok"
    assert judge(sent.send(authorization=signed.authorization())).code == MISMATCH


VALUES = {
    "F12-spaces": "  a   b  \t c ",
    "F13-quotes": '"a   b"',
    "F16-empty": "",
    "F17-latin-1": "caf\xe9",
}


@pytest.mark.parametrize("case", VALUES)
def test_f_unusual_values_are_accepted(case: str) -> None:
    assert judge(replace(GOOD, headers=(HOST, ("My-Header", VALUES[case]))).send()).code == "ok"


def test_f14_f15_repeated_headers_keep_their_order() -> None:
    one, two = ("My-Header", "one"), ("My-Header", "two")
    signed = replace(GOOD, headers=(HOST, one, two))
    assert judge(signed.send()).code == "ok"
    turned = replace(GOOD, headers=(HOST, two, one))
    assert judge(turned.send(authorization=signed.authorization())).code == MISMATCH


def test_f6_s3_wants_every_amazon_header_signed() -> None:
    verdict = judge(replace(S3_GOOD, extra=[("x-amz-acl", "public-read")]).send(), S3)
    assert (verdict.status, verdict.code) == (403, "AccessDenied")
    assert verdict.sentence == "There were headers present in the request which were not signed"
    assert verdict.details["HeadersNotSigned"] == "x-amz-acl"


def test_the_name_of_an_unsigned_header_need_not_be_text() -> None:
    draft = Draft(service="s3", method="GET", path="/b/k", body=b"", extra=[("x-amz-\xff", "1")])
    assert judge(draft.send(), S3).details["HeadersNotSigned"] == "x-amz-\xff"


@pytest.mark.parametrize("host", ["localhost", "localhost:8750", "localhost:443", "127.0.0.1", "[::1]:8750"])
def test_f18_f19_hosts(host: str) -> None:
    assert judge(replace(GOOD, headers=(("Host", host),)).send()).code == "ok"


@pytest.mark.parametrize("host", ["a/b", "a?b", "a b", "", "a:b:c", "a@b"])
def test_f20_host_with_more_than_a_name(host: str) -> None:
    verdict = judge(replace(GOOD, headers=(("Host", host),)).send())
    assert verdict.status == 400
    assert judge(replace(S3_GOOD, headers=(("Host", host),)).send(), S3).status == 400


def test_f21_two_hosts() -> None:
    assert judge(replace(GOOD, headers=(HOST, HOST)).send()).status == 400


def test_f23_headers_that_sdks_leave_unsigned_may_change() -> None:
    names = ("User-Agent", "Expect", "Connection", "Transfer-Encoding", "X-Amzn-Trace-Id", "amz-sdk-request")
    assert judge(replace(GOOD, extra=[(name, "anything") for name in names]).send()).code == "ok"
    assert judge(replace(S3_GOOD, extra=[(name, "anything") for name in names]).send(), S3).code == "ok"


PATHS = {
    "G1-root": ("/", "/"),
    "G2-slashes": ("//", "/"),
    "G2-slashes-inside": ("/a//b", "/a/b"),
    "G3-dot": ("/./", "/"),
    "G4-dots": ("/a/../b", "/b"),
    "G6-double-encoding": ("/a%20b", "/a%2520b"),
    "G8-lower-case-escape": ("/a%2fb", "/a%252fb"),
    "G9-encoded-unreserved": ("/%7Ea", "/%257Ea"),
    "G10-plus": ("/a+b", "/a%2Bb"),
    "G11-slash-in-name": ("/endpoints/a%2Fb/invocations", "/endpoints/a%252Fb/invocations"),
    "G-trailing-slash": ("/a/", "/a/"),
    "G-raw-utf8": ("/\xc3\xa9", "/%C3%A9"),
    "G-encoded-dots-are-no-dots": ("/a/%2E%2E/b", "/a/%252E%252E/b"),
}


@pytest.mark.parametrize("case", PATHS)
def test_g_path(case: str) -> None:
    path, canonical = PATHS[case]
    assert judge(replace(GOOD, path=path, canonical_path=canonical).send()).code == "ok"


def test_g7_single_encoding_is_a_mismatch() -> None:
    assert judge(replace(GOOD, path="/a%20b", canonical_path="/a%20b").send()).code == MISMATCH


@pytest.mark.parametrize("target", ["/..", "/a/../..", "/%zz", "/a%", "/a%2", "*", "/?a=%zz", "/?a=%"])
def test_g5_g16_g17_targets_that_are_not_well_formed(target: str) -> None:
    path, _, query = target.partition("?")
    verdict = judge(replace(GOOD, path=path, query=query).send())
    assert (verdict.status, verdict.code) == (400, "MalformedQueryString")


QUERIES = {
    "G12-sorted-after-encoding": ("a-=1&a%7C=3&aa=2", "a%7C=3&a-=1&aa=2"),
    "G13-values-sorted": ("a=2&a=1&a=10", "a=1&a=10&a=2"),
    "G14-no-equals": ("k", "k="),
    "G15-plus-is-a-plus": ("a=b+c", "a=b%2Bc"),
    "G18-semicolon": ("a=1;b=2", "a=1%3Bb%3D2"),
    "G-tilde-decoded": ("a=%7E%2d", "a=~-"),
    "G-raw-utf8": ("\xc3\xa9=1", "%C3%A9=1"),
    "G-value-with-equals": ("a=b=c", "a=b%3Dc"),
}


@pytest.mark.parametrize("case", QUERIES)
def test_g_query(case: str) -> None:
    query, canonical = QUERIES[case]
    assert judge(replace(GOOD, query=query, canonical_query=canonical).send()).code == "ok"


def test_g15_plus_is_not_a_space() -> None:
    assert judge(replace(GOOD, query="a=b+c", canonical_query="a=b%20c").send()).code == MISMATCH


def test_g19_composed_and_decomposed_text_differ() -> None:
    composed, decomposed = "a=%C3%A9", "a=e%CC%81"
    assert judge(replace(GOOD, query=decomposed).send()).code == "ok"
    assert judge(replace(GOOD, query=decomposed, canonical_query=composed).send()).code == MISMATCH


def test_g20_long_query() -> None:
    assert judge(replace(GOOD, query="a=" + "x" * 102_400).send()).status == 400
    assert judge(replace(GOOD, query="a=" + "x" * 60_000).send()).code == "ok"


KEYS = {
    "H1-slashes": ("/b/a//b", None),
    "H2-dot": ("/b/a/./b", None),
    "H3-dots": ("/b/a/../b", None),
    "H3-dots-above-root": ("/b/../../c", None),
    "H4-leading-slash": ("/b//key", None),
    "H5-sent-encoded": ("/b/%20%2B%25%26%3D%3F%23~%2A%27%28%29%21", None),
    "H5-sent-raw": ("/b/+&=*'()!", "/b/%2B%26%3D%2A%27%28%29%21"),
    "H6-literal-escape": ("/b/a%2520b", None),
    "H7-long-key": ("/b/" + "k" * 1025, None),
    "H8-utf8": ("/b/%C3%A9", None),
    "H8-utf8-raw": ("/b/\xc3\xa9", "/b/%C3%A9"),
    "H8-invalid-utf8": ("/b/%FF", None),
    "H9-nul": ("/b/%00", None),
    "H13-trailing-slash": ("/b/folder/", None),
    "H-lower-case-escape": ("/b/%c3%a9", "/b/%C3%A9"),
    "H-encoded-slash": ("/b/a%2Fb", "/b/a/b"),
}


@pytest.mark.parametrize("case", KEYS)
def test_h_key(case: str) -> None:
    path, canonical = KEYS[case]
    assert judge(replace(S3_GOOD, path=path, canonical_path=canonical).send(), S3).code == "ok"


def test_h3_h14_a_proxy_that_normalises_is_noticed() -> None:
    for signed, sent in (("/b/a//b", "/b/a/b"), ("/b/a/../b", "/b/b"), ("/b/a/./b", "/b/a/b")):
        draft = replace(S3_GOOD, path=sent, canonical_path=signed)
        verdict = judge(draft.send(), S3)
        assert (verdict.status, verdict.code) == (403, "SignatureDoesNotMatch")
        assert str(verdict.details["CanonicalRequest"]).startswith(f"PUT\n{sent}\n")


@pytest.mark.parametrize("path", ["/b/%", "/b/%g0"])
def test_h_broken_escape(path: str) -> None:
    verdict = judge(replace(S3_GOOD, path=path).send(), S3)
    assert (verdict.status, verdict.code) == (400, "InvalidURI")


@pytest.mark.parametrize(
    "query", ["acl", "uploads", "versionId=null", "list-type=2&prefix=a%2Fb&delimiter=%2F"]
)
def test_h11_h12_subresources(query: str) -> None:
    assert judge(replace(S3_GOOD, query=query).send(), S3).code == "ok"
    other = replace(S3_GOOD, query=query)
    sent = replace(S3_GOOD, query="policy").send(authorization=other.authorization())
    assert judge(sent, S3).code == "SignatureDoesNotMatch"


def test_h_control_plane_paths_are_not_s3_paths() -> None:
    assert judge(replace(GOOD, path="/a//b").send(), CONTROL).code == MISMATCH
