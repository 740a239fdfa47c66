"""UBJSON has many ways to write the same document; all are read alike."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sagestead.forest.documents import Malformed
from sagestead.forest.ubjson import read_ubjson

Document = dict[str, Any]


def length(size: int, marker: str) -> bytes:
    """Return a length of a type."""
    return marker.encode() + struct.pack({"L": ">q", "l": ">i", "I": ">h"}[marker], size)


def written(value: Any, marker: str) -> bytes:
    """Return a document in which every length has one type; XGBoost's is L."""
    if isinstance(value, dict):
        members = [
            length(len(name.encode()), marker) + name.encode() + written(each, marker)
            for name, each in value.items()
        ]
        return b"{" + b"".join(members) + b"}"
    if isinstance(value, str):
        return b"S" + length(len(value.encode()), marker) + value.encode()
    if isinstance(value, int):
        return b"l" + struct.pack(">i", value)
    kind, form = ("d", ">f4") if isinstance(value, np.ndarray) else ("I", ">i2")
    numbers = np.asarray(value, form)
    return b"[$" + kind.encode() + b"#" + length(len(numbers), marker) + numbers.tobytes()


def plain(value: Any) -> Any:
    """Return a document as Python's own lists and floats, with their types."""
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    return (str(value.dtype), value.tolist()) if isinstance(value, np.ndarray) else value


FLOATS = st.lists(st.floats(width=32, allow_nan=False), max_size=4).map(lambda found: np.array(found, ">f4"))
LEAVES = st.one_of(
    st.text(max_size=5), st.integers(-9, 9), st.lists(st.integers(-300, 300), max_size=4), FLOATS
)
DOCUMENTS = st.recursive(
    st.dictionaries(st.text(max_size=4), LEAVES, max_size=5),
    lambda below: st.dictionaries(st.text(max_size=4), st.one_of(below, LEAVES), max_size=4),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(DOCUMENTS)
def test_the_type_of_a_length_changes_nothing(document: Document) -> None:
    quick, slow, short = (plain(read_ubjson(written(document, marker))) for marker in "LlI")

    assert quick == slow == short


@settings(max_examples=150, deadline=None)
@given(DOCUMENTS, st.data())
def test_half_a_document_is_refused_whichever_way_it_is_read(document: Document, data: st.DataObject) -> None:
    for marker in "LI":
        content = written(document, marker)
        cut = data.draw(st.integers(0, len(content) - 1))
        with pytest.raises(Malformed):
            read_ubjson(content[:cut])


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"{" + b"L" + struct.pack(">q", -1) + b"a" * 30 + b"}", "a length leads beyond its end"),
        (b"{" + b"L" + struct.pack(">q", 1 << 62) + b"a}", "a length leads beyond its end"),
        (b"{" + length(1, "L") + b"aS" + length(-3, "L") + b"}" * 9, "a length leads beyond its end"),
        (b"{" + length(1, "L") + b"a[$D#" + length(1 << 61, "L") + b"}", "a length leads beyond its end"),
        (b"{" + length(1, "L") + b"a[$D#" + length(5, "L") + b"}" * 20, "it ends too early"),
        (b"{" + 2 * (length(1, "L") + b"aS" + length(0, "L")) + b"}", "a key appears twice"),
        (b"{" + length(1, "L") + b"\xffS" + length(0, "L") + b"}", "it is not UTF-8"),
        (b"{" + length(1, "L") + b"aS" + length(1, "L") + b"\xff}", "it is not UTF-8"),
        (b"{" + length(1, "L") + b"a?}", "it holds the unknown type"),
        ((b"{" + length(1, "L") + b"a") * 40 + b"Z" + b"}" * 40, "it is nested too deeply"),
    ],
)
def test_what_is_wrong_is_said(content: bytes, why: str) -> None:
    with pytest.raises(Malformed, match=why):
        read_ubjson(content)
