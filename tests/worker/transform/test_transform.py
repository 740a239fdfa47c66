from __future__ import annotations

import gzip
import json
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sagestead.domain.transform import BadRecord, TransformObject, TransformResult, TransformTask
from sagestead.worker.contract import Answer, Invocation
from sagestead.worker.transform import transform

Run = Callable[..., TransformResult]


class Doubling:
    """A model of CSV: twice the first cell; refuses what is no number, and rows of unequal width."""

    parallel = True

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    def invoke(self, invocation: Invocation) -> Answer:
        self.bodies.append(invocation.body)
        rows = [line.split(",") for line in invocation.body.decode().split("\n")]
        if any(len(row) != len(rows[0]) for row in rows):
            return Answer(415, "text/html", b"Loading failed:\n <class 'ValueError'>\n inhomogeneous shape")
        try:
            numbers = [float(row[0]) * 2 for row in rows]
        except ValueError as error:
            return Answer(415, "text/html", f"Loading failed:\n <class 'ValueError'>\n {error}".encode())
        return Answer(200, "text/csv", "".join(f"{number}\n" for number in numbers).encode())


class Echo:
    """Answers with what it was asked."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.asked: list[Invocation] = []

    def invoke(self, invocation: Invocation) -> Answer:
        self.asked.append(invocation)
        return Answer(self.status, "application/octet-stream", invocation.body)


class Silent:
    """Answers nothing."""

    def invoke(self, _invocation: Invocation) -> Answer:
        return Answer(204, "text/html", b"")


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def run(tmp_path: Path, lines: list[str]) -> Run:
    def make(
        model: Any, *contents: bytes, stop: Callable[[], bool] = lambda: False, **task: Any
    ) -> TransformResult:
        objects = []
        for number, content in enumerate(contents):
            (tmp_path / f"in{number}").write_bytes(content)
            objects.append(
                TransformObject(f"s3://bucket/in/{number}.csv", f"in{number}", f"out/{number}.out")
            )
        environment = task.pop("environment", {})
        return transform(TransformTask(objects, **task), model, tmp_path, environment, lines.append, stop)

    return make


def written(tmp_path: Path, number: int = 0) -> bytes:
    return (tmp_path / f"out/{number}.out").read_bytes()


def test_lines_in_multi_record_payloads(run: Run, tmp_path: Path, lines: list[str]) -> None:
    model = Doubling()
    result = run(
        model, b"1,9\n2,9\n3,9\n", b"4,9", content_type="text/csv", split_type="Line", assemble_with="Line"
    )
    assert result == TransformResult(["s3://bucket/in/0.csv", "s3://bucket/in/1.csv"], [], [], None)
    assert (written(tmp_path), written(tmp_path, 1)) == (b"2.0\n4.0\n6.0\n", b"8.0\n")
    assert sorted(model.bodies) == [b"1,9\n2,9\n3,9", b"4,9"]
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}:\[sagemaker logs\]: "
        r"MaxConcurrentTransforms=\d+, MaxPayloadInMB=6, BatchStrategy=MULTI_RECORD",
        lines[0],
    )


def test_single_records(run: Run, tmp_path: Path, lines: list[str]) -> None:
    model = Echo()
    run(model, b"a\nb\n\n", split_type="Line", strategy="SingleRecord", max_concurrent=1, max_payload_mb=1)
    assert written(tmp_path) == b"ab"
    assert [each.body for each in model.asked] == [b"a", b"b"]
    run(model, b"a\nb\n", split_type="Line", strategy="SingleRecord", assemble_with="Line", accept="x/y")
    assert written(tmp_path) == b"a\nb\n"
    assert model.asked[-1].accept == "x/y"
    assert lines[0].endswith("MaxConcurrentTransforms=1, MaxPayloadInMB=1, BatchStrategy=SINGLE_RECORD")


def test_whole_objects_and_gzip(run: Run, tmp_path: Path) -> None:
    model = Echo()
    run(model, gzip.compress(b"x\ny\n"), b"", compression="Gzip")
    assert written(tmp_path) == b"x\ny\n"
    result = run(model, b"not gzip", compression="Gzip")
    assert result.failed == ["s3://bucket/in/0.csv"]
    assert "is not a whole gzip file" in str(result.reason)
    assert not (tmp_path / "out/0.out").exists()


def test_payload_limits(run: Run, tmp_path: Path) -> None:
    row = b"x" * 99 + b"\n"
    model = Echo()
    run(model, row * 30_000, split_type="Line", max_payload_mb=1, assemble_with="Line")
    assert written(tmp_path) == row * 30_000
    assert [len(each.body) for each in model.asked] == [1_048_499, 1_048_499, 902_999]
    result = run(model, row + b"y" * (1 << 20) + b"z\n", split_type="Line", max_payload_mb=1)
    assert result.bad_records == [
        BadRecord(
            "s3://bucket/in/0.csv",
            2,
            "Too much data for max payload size: a record has more than 1048576 bytes.",
        )
    ]
    result = run(model, b"y" * (1 << 20) + b"z", max_payload_mb=1)
    assert str(result.reason).startswith(
        "ClientError: See job logs for more information. First bad records: s3://"
    )
    run(model, b"y" * (7 << 20) + b"\nz", split_type="Line", max_payload_mb=0)
    assert [len(each.body) for each in model.asked[-2:]] == [7 << 20, 1]


def test_bad_records_are_named(run: Run, tmp_path: Path, lines: list[str]) -> None:
    rows = [str(number) for number in range(1, 301)]
    rows[6], rows[250] = "x", "y,y"
    content = "\n".join(rows).encode()
    result = run(Doubling(), content, b"1", content_type="text/csv", split_type="Line")
    assert result.done == ["s3://bucket/in/1.csv"]
    assert result.failed == ["s3://bucket/in/0.csv"]
    assert result.bad_records == [
        BadRecord("s3://bucket/in/0.csv", 7, "could not convert string to float: 'x'"),
        BadRecord("s3://bucket/in/0.csv", 251, "could not convert string to float: 'y'"),
    ]
    assert result.reason == (
        "ClientError: See job logs for more information. First bad records: "
        "s3://bucket/in/0.csv line 7: could not convert string to float: 'x'; "
        "s3://bucket/in/0.csv line 251: could not convert string to float: 'y'"
    )
    assert not (tmp_path / "out/0.out").exists()
    assert written(tmp_path, 1) == b"2.0\n"
    texts = [line.partition(":[sagemaker logs]: ")[2] for line in lines]
    assert texts[1:7] == [
        "bucket/in/0.csv: ClientError: 415",
        "bucket/in/0.csv: ",
        "bucket/in/0.csv: Message:",
        "bucket/in/0.csv: Loading failed:",
        "bucket/in/0.csv:  <class 'ValueError'>",
        "bucket/in/0.csv:  inhomogeneous shape",
    ]


def test_records_that_are_only_wrong_together(run: Run) -> None:
    content = b"1,1\n" * 5 + b"2\n" * 3
    result = run(Doubling(), content, content_type="text/csv", split_type="Line")
    assert result.bad_records == [BadRecord("s3://bucket/in/0.csv", 6, "inhomogeneous shape")]


def test_the_first_ten(run: Run) -> None:
    result = run(Doubling(), b"1\n" + b"x\n" * 50, b"y", content_type="text/csv", split_type="Line")
    assert [bad.line for bad in result.bad_records] == list(range(2, 12))
    assert len(result.failed) == 2
    single = run(Doubling(), b"1\n" + b"x\n" * 50, split_type="Line", strategy="SingleRecord")
    assert [bad.line for bad in single.bad_records] == list(range(2, 12))


def test_a_failing_model(run: Run, lines: list[str]) -> None:
    result = run(Echo(503), b"a\nb\n", split_type="Line")
    assert result.bad_records == [BadRecord("s3://bucket/in/0.csv", 0, "b")]
    assert str(result.reason).startswith("AlgorithmError: See job logs for more information")
    assert lines[1].endswith(": bucket/in/0.csv: Bad HTTP status received from algorithm: 503")


def test_join_and_filters_of_csv(run: Run, tmp_path: Path) -> None:
    task = {"content_type": "text/csv", "accept": "text/csv", "split_type": "Line", "assemble_with": "Line"}
    model = Doubling()
    run(
        model,
        b'id1,1\n"a ""b"", c",2\n',
        input_filter="$[1:]",
        join_source="Input",
        output_filter="$[0,-1]",
        **task,
    )
    assert written(tmp_path) == b'id1,2.0\n"a ""b"", c",4.0\n'
    assert model.bodies[-1] == b"1\n2"
    run(Doubling(), b"1,b\r\n2,d\r\n", join_source="Input", **task)
    assert written(tmp_path) == b"1,b,2.0\n2,d,4.0\n"
    run(Doubling(), b"1,b\n", output_filter="$[0]", **task)
    assert written(tmp_path) == b"2.0\n"
    result = run(Doubling(), b"a,1\na\n", input_filter="$[1]", **task)
    assert result.bad_records == [BadRecord("s3://bucket/in/0.csv", 2, "$[1]: there is no element 1 among 1")]
    single = run(Doubling(), b"a,1\na,x\n", input_filter="$[1]", strategy="SingleRecord", **task)
    assert single.bad_records == [
        BadRecord("s3://bucket/in/0.csv", 2, "could not convert string to float: 'x'")
    ]


def test_join_of_json_lines_and_json(run: Run, tmp_path: Path) -> None:
    task = {"content_type": "application/jsonlines", "split_type": "Line", "assemble_with": "Line"}
    run(Echo(), b'{"id": 1, "f": [1, 2]}\n[3]\n', join_source="Input", **task)
    first, second = written(tmp_path).splitlines()
    assert json.loads(first) == {"id": 1, "f": [1, 2], "SageMakerOutput": {"id": 1, "f": [1, 2]}}
    assert second == b'{"SageMakerInput":[3],"SageMakerOutput":[3]}'
    run(Echo(), b'{"id": 1, "f": [1, 2]}\n', input_filter="$.f", join_source="Input",
        output_filter="$['id','SageMakerOutput']", **task)  # fmt: skip
    assert written(tmp_path) == b'{"id":1,"SageMakerOutput":[1,2]}\n'
    run(
        Echo(),
        b'{"f":\n [1, 2]}',
        content_type="application/json",
        join_source="Input",
        output_filter="$.SageMakerOutput.f[0]",
    )
    assert written(tmp_path) == b"1"
    result = run(Echo(), b"{\n", output_filter="$.x", **task)
    assert result.bad_records == [BadRecord("s3://bucket/in/0.csv", 1, "Fail to parse: it is not JSON")]


def test_join_needs_as_many_answers_as_records(run: Run) -> None:
    task = {
        "content_type": "text/csv",
        "split_type": "Line",
        "assemble_with": "Line",
        "join_source": "Input",
    }
    result = run(Doubling(), b"1\n2", **task)
    assert result.reason is None
    result = run(Silent(), b"1\n2", **task)
    assert "Fail to join: the model answered 0 records for 2 records of input" in str(result.reason)


def test_data_processing_that_cannot_be_is_said_before_anything_is_read(run: Run) -> None:
    result = run(Echo(), b"1", content_type="image/png", join_source="Input")
    assert result.failed == ["s3://bucket/in/0.csv"]
    assert str(result.reason).startswith("ClientError: TransformInput.ContentType 'image/png' cannot be")


def recordio(content: bytes, flag: int = 0) -> bytes:
    return struct.pack("<II", 0xCED7230A, flag << 29 | len(content)) + content + b"\0" * (-len(content) % 4)


def test_recordio(run: Run, tmp_path: Path) -> None:
    content = recordio(b"one") + recordio(b"tw", 1) + recordio(b"o", 3) + recordio(b"three")
    run(Echo(), content, split_type="RecordIO")
    assert written(tmp_path) == content
    model = Echo()
    run(model, content, split_type="RecordIO", strategy="SingleRecord")
    assert [each.body for each in model.asked] == [
        b"one",
        b"tw" + struct.pack("<I", 0xCED7230A) + b"o",
        b"three",
    ]
    result = run(Echo(), recordio(b"one") + b"garbage!", split_type="RecordIO")
    assert result.bad_records[0].line == 2


def test_refused_frames_are_named_by_their_payload(run: Run) -> None:
    result = run(Echo(400), recordio(b"one") + recordio(b"two"), split_type="RecordIO")
    assert result.bad_records[0].line == 1
    assert result.bad_records[0].cause.startswith("among records 1 to 2: ")
    single = run(
        Echo(400), recordio(b"one") + recordio(b"two"), split_type="RecordIO", strategy="SingleRecord"
    )
    assert [(bad.line, bad.cause) for bad in single.bad_records] == [(1, "one"), (2, "two")]


def test_tfrecord(run: Run, tmp_path: Path) -> None:
    content = b"".join(
        struct.pack("<QI", len(each), 7) + each + struct.pack("<I", 7) for each in (b"one", b"two!")
    )
    run(Echo(), content, split_type="TFRecord")
    assert written(tmp_path) == content
    run(Echo(), content, split_type="TFRecord", strategy="SingleRecord", assemble_with="Line")
    assert written(tmp_path) == b"one\ntwo!\n"
    result = run(Echo(), content[:-1], split_type="TFRecord")
    assert "ends in the middle of a record" in str(result.reason)
    result = run(Echo(), struct.pack("<QI", 1 << 60, 0), split_type="TFRecord")
    assert "Too much data for max payload size" in str(result.reason)


def test_many_objects_are_worked_on_at_a_time_and_reported_in_order(
    run: Run, tmp_path: Path, lines: list[str]
) -> None:
    contents = [b"no\n" if number % 10 == 7 else b"%d\n" % number * (number % 5 + 1) for number in range(60)]
    result = run(Doubling(), *contents, content_type="text/csv", split_type="Line", assemble_with="Line")
    bad = [number for number in range(60) if number % 10 == 7]
    assert result.failed == [f"s3://bucket/in/{number}.csv" for number in bad]
    assert result.done == [f"s3://bucket/in/{number}.csv" for number in range(60) if number not in bad]
    assert [each.source for each in result.bad_records] == result.failed
    assert [line.split()[2] for line in lines if "ClientError" in line] == [
        f"bucket/in/{number}.csv:" for number in bad
    ]
    for number in set(range(60)) - set(bad):
        assert written(tmp_path, number) == b"%.1f\n" % (2 * number) * (number % 5 + 1)


def test_stopping_leaves_no_output_of_unfinished_objects(run: Run, tmp_path: Path) -> None:
    asked: list[int] = []

    def stop() -> bool:
        asked.append(1)
        return len(asked) > 4

    result = run(Echo(), b"1", b"2", b"3", b"4", stop=stop)
    assert result.done == ["s3://bucket/in/0.csv", "s3://bucket/in/1.csv"]
    assert result.failed == ["s3://bucket/in/2.csv", "s3://bucket/in/3.csv"]
    assert result.reason is None
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["0.out", "1.out"]
