from __future__ import annotations

import time

import pytest

from sagestead.wire.models import service_model
from sagestead.wire.patterns import compiled
from sagestead.wire.shapes import Shape

UNITS = ("a", "-", "a-", " ", "0", "/", "_", "1.", "s3://a", "arn:aws:")


def patterns() -> list[str]:
    found: set[str] = set()

    def collect(shape: Shape, seen: set[str]) -> None:
        if shape.name in seen:
            return
        seen.add(shape.name)
        found.update([shape.pattern] if shape.pattern else [])
        for part in (*shape.members.values(), shape.key, shape.item):
            if part is not None:
                collect(part, seen)

    for service in ("sagemaker", "iam", "sts", "logs"):
        model = service_model(service)
        seen: set[str] = set()
        for name in model.operations:
            request = model.operation(name).input
            if request is not None:
                collect(request, seen)
    return sorted(found)


def test_every_pattern_of_every_service_is_bounded_in_time() -> None:
    for pattern in patterns():
        matches = compiled(pattern).fullmatch
        begun = time.process_time()
        for unit in UNITS:
            for tail in ("", "!", "\n"):
                matches(unit * (256 // len(unit)) + tail)
        assert time.process_time() - begun < 1, pattern


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        (r"([\p{L}\p{Z}\p{N}_.:/=+\-@]*)", "Größe 日本 ½ @", True),
        (r"([\p{L}\p{Z}\p{N}_.:/=+\-@]*)", "a;b", False),
        (r"[\p{L}]+", "\U0001d49c", True),
        (r".*", "a\u2028b", False),
        (r"\d+", "\u0661", False),
        (r"\w+", "é", False),
        (r"[\w-_]*", "a-_b", True),
        (r"[\w-_]*", "a.b", False),
        (r"[\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF\t]*", "a😀\t", True),
        (r"[\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF\t]*", "a\x01", False),
        (r"([\p{L}_.:\/=+\-@]*)${1,128}", "abc", True),
        (r"[\p{Alnum}\-]+", "a-1", True),
        (r"[!#-\[\]-~]+", "[]", True),
        (r"a$", "a\n", False),
        (r"[a-z0-9]([-a-z0-9]*[a-z0-9]){0,39}?", "a" * 60, True),
        (r"[a-z0-9]([-a-z0-9]*[a-z0-9]){0,39}?", "a-", False),
    ],
)
def test_patterns_keep_javas_meaning(pattern: str, text: str, *, fits: bool) -> None:
    assert (compiled(pattern).fullmatch(text) is not None) == fits
