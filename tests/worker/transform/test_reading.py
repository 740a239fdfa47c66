from __future__ import annotations

import gzip
import io
import os
import struct
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sagestead.domain.transform import TransformObject, TransformTask
from sagestead.worker.contract import Answer, Invocation
from sagestead.worker.transform import transform
from sagestead.worker.transform.bad_records import find_bad
from sagestead.worker.transform.payloads import Division, Payload, Unreadable
from sagestead.worker.transform.reading import Source, opened, portions

LINES = st.lists(st.binary(max_size=12).map(lambda line: line.replace(b"\n", b"").strip(b"\r")), max_size=40)
MAGIC = 0xCED7230A


def divide(content: bytes, division: Division) -> list[Payload]:
    return [payload for portion in portions(io.BytesIO(content), division) for payload in portion]


@given(LINES, st.integers(1, 60), st.booleans(), st.booleans())
@settings(max_examples=300)
def test_lines_stay_whole_and_in_order(
    lines: list[bytes],
    target: int,
    single: bool,  # noqa: FBT001 - hypothesis passes it
    ends: bool,  # noqa: FBT001 - hypothesis passes it
) -> None:
    content = b"\n".join(lines) + (b"\n" if ends else b"")
    payloads = divide(content, Division("Line", single, target, 1000))
    joined = b"\n".join(payload.body for payload in payloads)
    assert joined.rstrip(b"\r\n") == content.rstrip(b"\r\n")
    assert [payload.first for payload in payloads] == [
        1 + sum(payload.count for payload in payloads[:place]) for place in range(len(payloads))
    ]
    for payload in payloads:
        assert payload.body.count(b"\n") + 1 == payload.count
        assert len(payload.body) <= target or payload.count == 1
        assert payload.count == 1 or not single


@given(LINES, st.integers(1, 60), st.integers(1, 60), st.booleans())
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_plain_file_gives_the_same_payloads_as_a_stream(
    tmp_path: Path,
    lines: list[bytes],
    target: int,
    more: int,
    ends: bool,  # noqa: FBT001 - hypothesis passes it
) -> None:
    content = b"\n".join(lines) + (b"\n" if ends else b"")
    division = Division("Line", single=False, target=target, limit=target + more)
    (tmp_path / "object").write_bytes(content)

    def seen(source: Source) -> list[tuple[bytes, int, int]] | tuple[str, int]:
        try:
            found = [payload for portion in portions(source, division) for payload in portion]
            return [(payload.body, payload.first, payload.count) for payload in found]
        except Unreadable as error:
            return str(error), error.record

    with opened(tmp_path / "object", "None") as file:
        assert seen(file) == seen(io.BytesIO(content))


def test_newlines_far_apart_are_found_in_a_plain_file(tmp_path: Path) -> None:
    content = b"a" * 300_000 + b"\n" + b"b" * 200_000 + b"\nc\n" + b"d" * 150_000 + b"\n\n"
    (tmp_path / "object").write_bytes(content)
    with opened(tmp_path / "object", "None") as file:
        found = [
            payload
            for portion in portions(file, Division("Line", single=False, target=210_000, limit=400_000))
            for payload in portion
        ]
        assert [(payload.body[:2], len(payload.body), payload.first, payload.count) for payload in found] == [
            (b"aa", 300_000, 1, 1),
            (b"bb", 200_002, 2, 2),
            (b"dd", 150_000, 4, 1),
        ]


def test_an_object_that_becomes_shorter_while_it_is_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "object").write_bytes(b"1\n" * 1000)
    with opened(tmp_path / "object", "None") as file:
        first, second, *_ = portions(file, Division("Line", single=False, target=100, limit=100))
        os.truncate(tmp_path / "object", 120)
        assert next(iter(first)).first == 1
        with pytest.raises(Unreadable, match="shorter"):
            list(second)


def recordio(content: bytes) -> bytes:
    return struct.pack("<II", MAGIC, len(content)) + content + b"\0" * (-len(content) % 4)


def tfrecord(content: bytes) -> bytes:
    return struct.pack("<QI", len(content), 1) + content + struct.pack("<I", 2)


FRAMED = st.lists(st.binary(min_size=1, max_size=30), max_size=20)


@given(FRAMED, st.integers(1, 200), st.booleans(), st.sampled_from(["RecordIO", "TFRecord"]))
@settings(max_examples=200)
def test_frames_stay_whole_and_in_order(
    records: list[bytes],
    target: int,
    single: bool,  # noqa: FBT001 - hypothesis passes it
    split: Literal["RecordIO", "TFRecord"],
) -> None:
    framed = [(recordio if split == "RecordIO" else tfrecord)(record) for record in records]
    payloads = divide(b"".join(framed), Division(split, single, target, 1000))
    if single:
        assert [payload.body for payload in payloads] == records
        return
    assert b"".join(payload.body for payload in payloads) == b"".join(framed)
    assert all(len(payload.body) <= target or payload.count == 1 for payload in payloads)
    assert sum(payload.count for payload in payloads) == len(records)


@given(st.binary(max_size=200), st.sampled_from(["None", "Line", "RecordIO", "TFRecord"]), st.booleans())
def test_any_bytes_are_divided_or_refused(
    content: bytes,
    split: Literal["None", "Line", "RecordIO", "TFRecord"],
    single: bool,  # noqa: FBT001 - hypothesis passes it
) -> None:
    try:
        payloads = divide(content, Division(split, single, 20, 50))
    except Unreadable:
        return
    assert all(len(payload.body) <= 50 + 8 * payload.count + 8 for payload in payloads)


class Lengths:
    """Answers one line for each line: how long it is."""

    parallel = True

    def invoke(self, invocation: Invocation) -> Answer:
        lines = invocation.body.split(b"\n")
        return Answer(200, "text/csv", "".join(f"{len(line)}\n" for line in lines).encode())


@given(
    st.lists(st.integers(1, 30).map(lambda length: b"x" * length), min_size=1, max_size=60),
    st.integers(1, 100),
    st.sampled_from(["MultiRecord", "SingleRecord"]),
    st.booleans(),
    st.integers(1, 4),
)
@settings(max_examples=60, deadline=None)
def test_the_output_does_not_depend_on_the_division(  # noqa: PLR0913, PLR0917 - what hypothesis varies
    tmp_path_factory: pytest.TempPathFactory,
    lines: list[bytes],
    accepted: int,
    strategy: Literal["MultiRecord", "SingleRecord"],
    packed: bool,  # noqa: FBT001 - hypothesis passes it
    concurrent: int,
) -> None:
    folder = tmp_path_factory.mktemp("run")
    content = b"\n".join(lines)
    (folder / "in").write_bytes(gzip.compress(content, 1) if packed else content)
    task = TransformTask(
        [TransformObject("s3://b/k", "in", "out")],
        compression="Gzip" if packed else "None",
        split_type="Line",
        assemble_with="Line",
        strategy=strategy,
        max_payload_mb=1,
        max_concurrent=concurrent,
    )
    result = transform(task, Lengths(), folder, {"MAX_CONTENT_LENGTH": str(accepted)}, lambda _line: None)
    assert result.failed == []
    assert (folder / "out").read_bytes() == b"".join(b"%d\n" % len(line) for line in lines)


def test_a_damaged_gzip(tmp_path: Path) -> None:
    packed = gzip.compress(b"a\n" * 1000)
    for content in (packed[:-5], packed[:20], b"x" + packed):
        (tmp_path / "in").write_bytes(content)
        with pytest.raises(Unreadable, match="not a whole gzip"), opened(tmp_path / "in", "Gzip") as source:
            list(portions(source, Division("Line", single=False, target=100, limit=100)))


@given(st.sets(st.integers(0, 199)), st.integers(1, 200), st.integers(1, 12))
def test_bad_records_are_found(bad: set[int], length: int, most: int) -> None:
    bad = {index for index in bad if index < length}
    if not bad:
        return
    asked = []

    def ask(part: list[int]) -> str | None:
        asked.append(part)
        return "bad" if bad.intersection(part) else None

    found = find_bad(list(range(length)), "bad", lambda part: ask(list(part)), most)
    assert found == [(index, "bad") for index in sorted(bad)[:most]]
    assert len(asked) <= 2 * 9 * most
