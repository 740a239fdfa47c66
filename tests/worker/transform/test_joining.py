from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagestead.domain.transform import TransformTask
from sagestead.worker.transform.joining import Joining, Unjoinable, joining_of


def joining(form: str, **task: Any) -> Joining:
    if form != "application/json":
        task |= {"split_type": "Line", "assemble_with": "Line"}
    found = joining_of(TransformTask([], content_type=form, **task))
    assert found is not None
    return found


CELLS = st.lists(st.text(st.sampled_from('ab1 ,"ü'), max_size=5), min_size=1, max_size=5)


def written(cells: list[str]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow(cells)
    return out.getvalue()


@given(st.lists(CELLS, min_size=1, max_size=6), st.integers(-1, 0))
def test_cells_survive_a_join(rows: list[list[str]], index: int) -> None:
    whole = joining("text/csv", join_source="Input")
    records = whole.records("\n".join(map(written, rows)).encode())
    inferences = [str(number) for number in range(len(rows))]
    joined = whole.written(records, inferences)
    parsed = list(csv.reader(joined, strict=True))
    assert parsed == [[*row, inference] for row, inference in zip(rows, inferences, strict=True)]
    chosen = joining("text/csv", join_source="Input", output_filter=f"$[{index}]").written(
        records, inferences
    )
    for text, row in zip(chosen, parsed, strict=True):
        assert (next(csv.reader([text])) if text else [""]) == [row[index]]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(JSON, JSON)
def test_json_survives_a_join(record: Any, inference: Any) -> None:
    (text,) = joining("application/jsonlines", join_source="Input").written(
        [json.dumps(record)], [json.dumps(inference)]
    )
    expected = record if isinstance(record, dict) else {"SageMakerInput": record}
    assert json.loads(text) == {**expected, "SageMakerOutput": inference}
    assert "\n" not in text


def test_half_a_surrogate_pair_stays_an_escape() -> None:
    (text,) = joining("application/jsonlines", output_filter="$[0]").written([], ['["\\ud800"]'])
    assert text == '"\\ud800"'


def test_the_line_that_is_not_utf_8() -> None:
    with pytest.raises(Unjoinable, match="not UTF-8") as caught:
        joining("text/csv", join_source="Input").records(b"a\nb\n\xff,c")
    assert caught.value.place == 2


def test_unterminated_quotes_are_refused() -> None:
    with pytest.raises(Unjoinable) as caught:
        joining("text/csv", input_filter="$[0]").sent(["a,b", '"a,b'])
    assert caught.value.place == 1
    with pytest.raises(Unjoinable):
        joining("text/csv", join_source="Input").written(['"a'], ['b",1'])
    assert joining("text/csv", join_source="Input").written([""], ['"b"']) == [",b"]


def test_a_joined_object_overwrites_an_older_output() -> None:
    (text,) = joining("application/json", join_source="Input").written(['{"SageMakerOutput": 1}'], ["2"])
    assert text == '{"SageMakerOutput":2}'
