"""What is remembered between requests changes no decision: warm and cold, every verdict is the same."""

from __future__ import annotations

import importlib
import pkgutil
import time
from collections.abc import Callable
from dataclasses import replace
from functools import _lru_cache_wrapper
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.wire.sigv4 import (
    test_canonical,
    test_differential,
    test_header,
    test_keys,
    test_presigned,
    test_time,
)
from tests.wire.sigv4.signed import CONTROL, KEY, RUNTIME, S3, SESSION, Draft, Verdict, arrived, judge

import sagestead.wire.sigv4
from sagestead.domain.identity import Credential
from sagestead.wire.http import Headers, Request
from sagestead.wire.sigv4 import Breach, Rules
from sagestead.wire.sigv4.canonical import SignedHeaders, canonical_headers
from sagestead.wire.sigv4.header import Signer, _parse, parse_authorization
from sagestead.wire.sigv4.keys import Seal, seal, signing_key
from sagestead.wire.sigv4.scope import scope_of

HOST = ("Host", "localhost:8750")
INVOKE = Draft(
    path="/endpoints/hotels/invocations", headers=(HOST, ("Content-Type", "text/csv"), ("Accept", "text/csv"))
)
LISTINGS = [replace(test_canonical.GOOD, signed=names) for names in test_canonical.SIGNED_HEADERS.values()]
FIELD = st.tuples(st.sampled_from([b"A", b"a", b"Host", b"b"]), st.binary(max_size=4))
LONGER = 2_000
Case = tuple[Request, Rules, tuple[Credential, ...]]
KEYS = (KEY, SESSION)


def memos() -> list[_lru_cache_wrapper[Any]]:
    """Everything that the verifier remembers."""
    package = sagestead.wire.sigv4
    names = [f"{package.__name__}.{module.name}" for module in pkgutil.iter_modules(package.__path__)]
    things = [thing for name in names for thing in vars(importlib.import_module(name)).values()]
    return list({id(thing): thing for thing in things if isinstance(thing, _lru_cache_wrapper)}.values())


MEMOS = memos()


def cold(case: Case, now: float | None = None) -> Verdict:
    for memo in MEMOS:
        memo.cache_clear()
    return warm(case, now)


def warm(case: Case, now: float | None = None) -> Verdict:
    request, rules, keys = case
    return judge(request, rules, keys=keys) if now is None else judge(request, rules, keys=keys, now=now)


def corpus() -> list[Case]:
    """Good requests of every kind, and the changed ones of the neighbouring tests."""
    good = test_header.GOOD
    requests = [
        *(good.send(authorization=text or " ") for text in test_header.MALFORMED.values()),
        *(good.send(authorization=text) for text in test_header.ACCEPTED.values()),
        *test_header.TWICE.values(),
        *(request for request, _ in test_header.SCOPES.values()),
        *(
            replace(test_canonical.GOOD, signed=names).send()
            for names in test_canonical.SIGNED_HEADERS.values()
        ),
        *(
            replace(test_canonical.GOOD, headers=headers).send(
                authorization=test_canonical.GOOD.authorization()
            )
            for headers in test_canonical.CHANGED.values()
        ),
        *(
            replace(good, headers=(HOST, ("My-Header", value))).send()
            for value in test_canonical.VALUES.values()
        ),
        *(
            replace(good, headers=(HOST, ("X-Amz-Date", value)), send_date=False).send()
            for value in test_time.DATES.values()
        ),
        *(test_time.at(good, offset).send() for offset in (-301, -299, 299, 301)),
        *(draft.send() for draft in test_keys.TOKENS.values()),
        *(draft.send() for draft in test_keys.DRAFTS.values()),
        *(replace(INVOKE, path=path).send() for path, _ in test_canonical.PATHS.values()),
        *(replace(INVOKE, body=body).send() for body in (b"", b"1", b"2")),
        INVOKE.send(body=b"another"),
        replace(INVOKE, method="PUT").send(authorization=INVOKE.authorization()),
        replace(INVOKE, key=SESSION).send(),
        test_presigned.GOOD.presigned(),
        test_presigned.GOOD.presigned(more="&added=1"),
        test_presigned.GOOD.presigned(twice="X-Amz-Signature"),
    ]
    cases: list[Case] = [(request, rules, KEYS) for request in requests for rules in (CONTROL, RUNTIME, S3)]
    others = ((), (replace(KEY, secret="other"),), (replace(KEY, enabled=False),), (replace(KEY, arn="x"),))
    return cases + [(INVOKE.send(), RUNTIME, keys) for keys in others] * 3


CASES = corpus()
COLD = [cold(case) for case in CASES]


def test_the_corpus_holds_every_kind_of_verdict() -> None:
    assert {"ok", "InvalidSignatureException", "IncompleteSignatureException"} <= {v.code for v in COLD}
    assert sum(verdict.code == "ok" for verdict in COLD) > 40
    assert len({verdict.sentence for verdict in COLD}) > 40
    assert len(MEMOS) >= 9


@settings(max_examples=40, deadline=None)
@given(order=st.lists(st.integers(0, len(CASES) - 1), min_size=1, max_size=60))
def test_in_any_order_every_verdict_is_the_cold_one(order: list[int]) -> None:
    for at in order:
        assert warm(CASES[at]) == COLD[at]


@pytest.mark.parametrize("name", test_differential.SERVICES)
@pytest.mark.parametrize("place", ["header", "query"])
@settings(max_examples=10, deadline=None)
@given(parts=test_differential.PARTS, key=st.sampled_from([KEY, SESSION]))
def test_every_change_twice_between_good_requests(
    name: str, place: str, parts: dict[str, Any], key: Credential
) -> None:
    query = place == "query"
    rules, service = test_differential.SERVICES[name]
    parts["body"] = b"" if query else parts["body"]
    now = time.time()
    keys = (KEY, replace(SESSION, expires_at=None))
    good: Case = (test_differential.signed(parts, service, query=query, key=key), rules, keys)
    changed: list[Case] = [
        (request, rules, keys) for request in test_differential.changes(good[0], parts["body"], query=query)
    ]
    right, wrong = cold(good, now), [cold(case, now) for case in changed]
    assert right.code == "ok"
    assert all(verdict.code != "ok" for verdict in wrong)
    for _ in range(2):
        for case, verdict in zip(changed, wrong, strict=True):
            assert warm(good, now) == right
            assert warm(case, now) == verdict


def test_all_that_is_remembered_is_bounded_in_number() -> None:
    for memo in MEMOS:
        assert memo.cache_parameters()["maxsize"] in {256, 1024}


def test_what_is_longer_than_clients_send_is_read_but_not_remembered() -> None:
    for memo in MEMOS:
        memo.cache_clear()
    names = tuple(sorted({"host", "x-amz-date", *(f"x-{at:04}" for at in range(300))}))
    many = Draft(headers=(HOST, *((name, "1") for name in names if name.startswith("x-0"))), signed=names)
    assert judge(many.send()).code == "ok"
    long_key = replace(KEY, access_key_id="A" * LONGER)
    assert judge(replace(INVOKE, key=long_key).send(), keys=[long_key]).code == "ok"
    assert judge(replace(INVOKE, path="/" + "a" * LONGER).send()).code == "ok"
    assert judge(replace(INVOKE, headers=(("Host", "h" * LONGER),)).send()).code == "ok"
    sizes = {memo.__name__: memo.cache_info().currsize for memo in MEMOS}
    assert (sizes["_cached"], sizes["_listed"], sizes["_path"], sizes["_matches"]) == (2, 2, 2, 1)


@given(key=st.binary(min_size=32, max_size=32), texts=st.lists(st.binary(max_size=200), max_size=4))
def test_a_seal_is_hmac_sha256(key: bytes, texts: list[bytes]) -> None:
    import hmac  # noqa: PLC0415 - the reference, in this test only

    made = Seal(key)
    for text in [*texts, *texts]:
        assert made.sign(text) == hmac.digest(key, text, "sha256").hex().encode()


def test_a_seal_belongs_to_its_secret_and_scope() -> None:
    scope = b"20261122/us-east-1/sagemaker/aws4_request"
    other = scope.replace(b"east", b"west")
    signatures = {seal(secret, place).sign(b"text") for secret in ("one", "two") for place in (scope, other)}
    assert len(signatures) == 4
    assert seal("one", scope).sign(b"text") == Seal(signing_key("one", scope)).sign(b"text")


NAME = st.sampled_from([b"host", b"a", b"b%b", b"c%%", b"x-amz-date", b"z"])
VALUE = st.binary(max_size=12) | st.sampled_from([b"a  b", b"a\tb", b"a\nb", b"a b", b"", b"%b %s"])


@given(fields=st.dictionaries(NAME, VALUE, min_size=1), data=st.data())
def test_the_quick_form_of_signed_headers_is_the_exact_one(
    fields: dict[bytes, bytes], data: st.DataObject
) -> None:
    names = tuple(sorted(data.draw(st.sets(st.sampled_from(sorted(fields)), min_size=1))))
    signed = b";".join(names)
    exact = canonical_headers(fields, names) + b"\n" + signed + b"\n"
    assert SignedHeaders(signed, names).block(fields) == exact


def test_a_signature_under_another_name_is_not_taken_for_the_signature() -> None:
    good, seed = INVOKE.authorization(), INVOKE.seed()
    turned = good.replace(f"Signature={seed}", f"Signature=no, XSignature={seed}")
    assert parse_authorization(turned.encode())[1] == b"no"
    assert judge(INVOKE.send(authorization=good)).code == "ok"
    assert judge(INVOKE.send(authorization=turned)).code == "InvalidSignatureException"


WORDS = ["AWS4-HMAC-SHA256 ", "Credential=a/b/c/d/e", "SignedHeaders=host", "Signature=", "X=", ", ", "="]
TAIL = "0123456789abcdef" * 4
PIECE = st.sampled_from([*WORDS, *WORDS, TAIL, TAIL[1:], TAIL + "0", TAIL[:-1] + ",", "Bearer", "-", " "])
SHORT = "AWS4-HMAC-SHA256 Credential=a/b/c/d/e, SignedHeaders=host, Signature="


def outcome(read: Callable[[bytes], tuple[Signer, bytes]], value: bytes) -> object:
    """What was read, or the breach in its words."""
    try:
        signer, signature = read(value)
    except Breach as breach:
        return breach.fault, breach.sentence
    return signer.credential, signer.headers.names, signature


@given(
    text=st.lists(PIECE, max_size=9).map("".join)
    | st.lists(PIECE, max_size=3).map("".join).map(SHORT.__add__)
)
@example(text="Bearer")
@example(text=SHORT + TAIL[:-1] + ",")
@example(text=SHORT + TAIL[:-5] + ", X=1")
def test_the_remembered_header_reads_as_the_whole_one(text: str) -> None:
    value = text.encode()
    assert outcome(parse_authorization, value) == outcome(_parse, value)


def test_an_unsigned_payload_is_named_where_the_body_is_signed() -> None:
    for mode in ("UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"):
        draft = replace(INVOKE, headers=(HOST, ("x-amz-content-sha256", mode)), payload=mode)
        verdict = judge(draft.send(), RUNTIME)
        assert verdict.code == "InvalidSignatureException"
        assert verdict.sentence.startswith("x-amz-content-sha256 must be the SHA-256 of the body")


@given(fields=st.lists(FIELD, max_size=6))
def test_headers_answer_as_a_plain_list_does(fields: list[tuple[bytes, bytes]]) -> None:
    headers = Headers(iter(fields))
    plain = [(name.lower(), value.strip(b" \t")) for name, value in fields]
    assert headers.items() == plain
    for name in ("a", "A", "host", "HOST", "b", "missing"):
        values = [value for field, value in plain if field == name.lower().encode()]
        assert headers.raw(name) == values
        assert headers.get(name) == (values[0].decode("latin-1") if values else None)
        assert (name in headers) == bool(values)
        assert headers.joined.get(name.lower().encode()) == (b",".join(values) if values else None)


def test_what_headers_answer_is_the_callers_own() -> None:
    headers = arrived("GET", "/", [("a", "1"), ("A", "2"), ("b", "3")]).headers
    headers.raw("a").append(b"4")
    headers.raw("b").append(b"4")
    headers.items().clear()
    assert (headers.raw("a"), headers.raw("b"), len(headers.items())) == ([b"1", b"2"], [b"3"], 3)


def test_a_scope_is_split_the_same_at_any_length() -> None:
    for key in ("AKID", "A" * LONGER):
        scope = scope_of(f"{key}/20261122/us-east-1/s3/aws4_request".encode())
        assert (scope.access_key_id, scope.line) == (key, b"20261122/us-east-1/s3/aws4_request")
