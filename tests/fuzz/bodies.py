"""Bodies of requests, and objects that a batch transform divides and joins."""

from __future__ import annotations

import io
import json
import struct
from functools import cache

import numpy as np
import pytest
from tests.algorithms.xgboost.test_plain_bodies import EDGES, HALFWAY, NEW, OLD, bits
from tests.fuzz.models import files, folder
from tests.fuzz.target import Target, need, outcome

from sagestead.algorithms.xgboost import decoding
from sagestead.algorithms.xgboost.decoding import Matrix, Undecodable, decode
from sagestead.algorithms.xgboost.equal_records import equal_dense_records
from sagestead.algorithms.xgboost.recordio import Record, Tensor, frame, write_record
from sagestead.domain.errors import Invalid
from sagestead.domain.images import BuiltInImage
from sagestead.domain.transform import TransformObject, TransformTask
from sagestead.forest.compiling import kernels
from sagestead.forest.files import read
from sagestead.forest.scoring import Scorer, Unscorable
from sagestead.worker.transform.joining import Unjoinable, joining_of
from sagestead.worker.transform.payloads import Division, Payload, Unreadable
from sagestead.worker.transform.reading import portions

_NUMBERS = [*EDGES, *HALFWAY]


def csv_bodies() -> list[bytes]:
    """Return tables of every delimiter and width."""
    random = np.random.default_rng(5)
    tables = []
    for delimiter in (",", ",", "\t", ";", " ", ":"):
        for width in (1, 2, 5, 41):
            cells = [_NUMBERS[place] for place in random.integers(0, len(_NUMBERS), 3 * width)]
            plain = [f"{cell:.4f}" for cell in random.normal(size=3 * width)]
            for each in (cells, plain, cells[:width] + plain[width:]):
                rows = [delimiter.join(each[at : at + width]) for at in range(0, 3 * width, width)]
                tables.append("\n".join(rows).encode())
    return [*tables, tables[0].replace(b"\n", b"\r\n"), b"1, 2\n 3,4", b"x", b'"a",1\n"b",2']


def libsvm_bodies() -> list[bytes]:
    """Return libsvm with labels, gaps, large columns and blanks."""
    return [
        b"1 1:2 3:4\n\n0 2:1e-3",
        b"1:2\r\n1:3",
        b"0 0:1 5:2.5 70000:3\n1 1:nan",
        b"1 999999999:1\n0 5:2",
        b"-1 2:1 1:2\n1 3:4 3:5",
        b"\xc3\xa9 1:2\n 1:2 ",
        b" ".join(b"%d:%d.25" % (column, column) for column in range(1, 60)),
    ]


def record_bodies() -> list[bytes]:
    """Return dense and sparse records."""
    tensors = [
        Tensor(np.arange(3, dtype=np.float32)),
        Tensor(np.arange(3, dtype=np.float64)),
        Tensor(np.arange(3, dtype=np.int32)),
        Tensor(np.array([1.5], np.float32), np.array([7], np.uint64), (9,)),
        Tensor(np.zeros(0, np.float32)),
    ]
    one = [frame(write_record(Record({"values": tensor}))) for tensor in tensors]
    label = {"values": Tensor(np.array([1], np.float32))}
    return [*one, *(each * 3 for each in one), frame(write_record(Record({"values": tensors[0]}, label)))]


def _decoded(body: bytes, kind: str, image: BuiltInImage) -> Matrix | str:
    return outcome(lambda: decode(body, kind, image).matrix, Undecodable)


def _same(body: bytes, kind: str, image: BuiltInImage) -> Matrix | None:
    """Read a body as it is read, and by Python alone; returns the matrix unless it is refused."""
    found = _decoded(body, kind, image)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoding, "kernels", lambda: None)
        patch.setattr(decoding, "equal_dense_records", lambda _: None)
        expected = _decoded(body, kind, image)
    if isinstance(expected, str) or isinstance(found, str):
        need(isinstance(found, str) and found == expected, "both refuse in the same words")
        return None
    need(bits(found) == bits(expected), "both read the same bits")
    return found


def read_csv(body: bytes) -> None:
    """The kernels read the same CSV, or leave it; a row of it is scored as its numbers are."""
    if not body:
        return
    matrix = _same(body, "text/csv", NEW)
    ready = kernels()
    if matrix is None or ready is None:
        return
    text = ready.written(np.ascontiguousarray(matrix, np.float32), b"<", b" ", b">").tobytes()
    rows = (f"<{' '.join(map(repr, row))}>" for row in matrix.tolist())
    need(text.decode() == "".join(rows), "numbers are printed as repr prints them")


@cache
def _scorer() -> Scorer:
    models = [read(content) for content in files()]
    return Scorer.of(next(model for model in models if model.groups == 1 and model.trees))


def score_row(body: bytes) -> None:
    """One call from text to prediction says what decoding and scoring say."""
    found, several = _scorer().score_row(body), _scorer().score_csv(body)
    if several is not None:
        expected = _scorer().score(decode(body, "text/csv", NEW).matrix)
        need(several.tobytes() == expected.tobytes(), "the same predictions")
    if found is not None:
        need(several is not None and several.tolist() == [found], "the same prediction")


def read_libsvm(body: bytes) -> None:
    """The kernels read the same libsvm, or leave it, with columns from 0 and from 1."""
    if body:
        for image in (NEW, OLD):
            _same(body, "text/libsvm", image)


def read_records(body: bytes) -> None:
    """Equal records are read at once as they are one by one, or left."""
    if not body:
        return
    equal_dense_records(body)
    matrix = _same(body, "application/x-recordio-protobuf", NEW)
    if isinstance(matrix, np.ndarray):
        outcome(lambda: _scorer().score(matrix), Unscorable)


def _divided(source: io.BufferedIOBase, division: Division) -> list[Payload] | str:
    def whole() -> list[Payload]:
        return [payload for portion in portions(source, division) for payload in portion]

    return outcome(whole, Unreadable)


def objects() -> list[bytes]:
    """Return objects of all ways of splitting: which one, how large payloads are, and the content."""
    frames = record_bodies()
    record = struct.pack("<Q", 3) + b"crc!" + b"abc" + b"crc!"
    return [
        b"\0\x05a,b\nc\n\nlonger line\n",
        b"\1\x05a\r\nb\r\n\r\n",
        b"\2\x40" + frames[0] * 3,
        b"\3\x40" + frames[1] + frames[0],
        b"\4\x40" + record * 2,
        b"\5\x20whole",
    ]


def divide(data: bytes) -> None:
    """Records stay whole, in order and below the limit, however the object is read."""
    how, size, content = data[:1] or b"\0", data[1:2] or b"\1", data[2:]
    split = ("Line", "Line", "RecordIO", "RecordIO", "TFRecord", "None")[how[0] % 6]
    target = size[0] + 1
    division = Division(split, bool(how[0] & 1), target, target + 40)  # type: ignore[arg-type] # one of its words
    found = _divided(io.BytesIO(content), division)
    if isinstance(found, str):
        return
    need(all(len(payload.body) <= division.limit + 100 for payload in found), "payloads are limited")
    if split != "Line":
        return
    joined = b"\n".join(payload.body for payload in found)
    need(joined.rstrip(b"\r\n") == content.rstrip(b"\r\n"), "no byte is lost")
    path = folder() / "out" / "object"
    path.write_bytes(content)
    with path.open("rb") as file:
        again = _divided(file, division)
    path.unlink()
    need(not isinstance(again, str), "a file is divided as a stream is")
    need([each.body for each in again] == [each.body for each in found], "into the same payloads")  # type: ignore[union-attr] # checked


def tasks() -> list[bytes]:
    """Return data processing: type, filters, join, then records and inferences."""
    return [
        json.dumps([media, before, after, join]).encode() + b"\0" + records + b"\0" + inferences
        for media, records, inferences in (
            ("text/csv", b'1,"a,b",3\n4,5,6', b"0.5\n0.25"),
            ("application/jsonlines", b'{"a":[1,2]}\n{"a":[3]}', b'{"p":1}\n2'),
            ("application/json", b'{"a":{"b":1}}', b"[1,2]"),
        )
        for before, after, join in (
            ("$", "$", True),
            ("$[1:]", "$[0,-1]", False),
            ("$.a", "$.SageMakerOutput", True),
        )
    ]


def join(data: bytes) -> None:
    """Records are filtered and joined one by one, or named in a refusal."""
    about, _, rest = data.partition(b"\0")
    records, _, inferences = rest.partition(b"\0")
    try:
        media, before, after, joins = (str(each) for each in json.loads(about))
        task = TransformTask(
            [TransformObject("s3://b/k", "in", "out")],
            content_type=media,
            split_type="None" if media == "application/json" else "Line",
            assemble_with="None" if media == "application/json" else "Line",
            input_filter=before,
            output_filter=after,
            join_source="Input" if joins == "True" else "None",
        )
        joining = joining_of(task)
    except (ValueError, TypeError, RecursionError, Invalid):
        return
    if joining is None:
        return
    read = outcome(lambda: joining.records(records), Unjoinable)
    answers = outcome(lambda: joining.records(inferences), Unjoinable)
    if isinstance(read, list):
        outcome(lambda: joining.sent(read), Unjoinable)
        if isinstance(answers, list):
            written = outcome(lambda: joining.written(read, answers), Unjoinable)
            need(isinstance(written, str) or len(written) == len(answers), "a line for each record")


_CELLS = (b",", b"\n", b"\r\n", b" ", b"e", b"-", b".", b"_", b'"', b"nan", b"inf", b":", b"1e39", b"0.5,")

TARGETS = {
    "csv": Target(csv_bodies, read_csv, 6000, _CELLS),
    "row": Target(csv_bodies, score_row, 4000, (*_CELLS, b"0.25,0.5,1,2,3")),
    "libsvm": Target(libsvm_bodies, read_libsvm, 3000, (*_CELLS, b" 7:", b"999999999:")),
    "records": Target(
        record_bodies, read_records, 3000, (b"\x0a", b"\x12", b"\x1a", b"\n#\xd7\xce", b"values")
    ),
    "divide": Target(objects, divide, 3000, (b"\n#\xd7\xce", b"\x03\0\0\0\0\0\0\0", b"\n\n", b"\r")),
    "join": Target(
        tasks, join, 2000, (b"$", b"$[", b"..", b"['a']", b":", b"*", b"[" * 100, b'"', b",", b"\0")
    ),
}
