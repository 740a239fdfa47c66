from __future__ import annotations

from typing import Any

import pytest

from sagestead.domain.data_processing import processing_of
from sagestead.domain.errors import Invalid
from sagestead.domain.transform import TransformTask

CSV = {"content_type": "text/csv", "split_type": "Line", "assemble_with": "Line"}
JSON = {"content_type": "application/json"}


@pytest.mark.parametrize(
    ("task", "sentence"),
    [
        ({"content_type": "image/png", "join_source": "Input"}, "'image/png' cannot be filtered or joined"),
        ({"output_filter": "$[0]"}, "ContentType '' cannot be filtered or joined"),
        ({**CSV, "accept": "application/json", "join_source": "Input"}, "Accept 'application/json' differs"),
        ({**CSV, "accept": "application/jsonlines", "input_filter": "$[0]"}, "differs from"),
        ({**CSV, "split_type": "None", "input_filter": "$[0]"}, "needs TransformInput.SplitType Line; it is"),
        ({**CSV, "split_type": "RecordIO", "output_filter": "$[0]"}, "it is RecordIO"),
        ({**CSV, "assemble_with": "None", "join_source": "Input"}, "needs TransformOutput.AssembleWith Line"),
        ({**CSV, "input_filter": "$.a"}, "DataProcessing.InputFilter '$.a' cannot be applied to CSV"),
        ({**CSV, "output_filter": "$[0]['a']"}, "DataProcessing.OutputFilter '$[0]['a']' cannot be applied"),
        ({**CSV, "input_filter": "$["}, "DataProcessing.InputFilter '$[' is not a supported JSONPath"),
        ({**JSON, "split_type": "Line", "join_source": "Input"}, "needs TransformInput.SplitType None, or"),
        ({**JSON, "split_type": "TFRecord", "input_filter": "$.a"}, "SplitType is TFRecord"),
    ],
)
def test_what_would_fail_on_every_object_is_refused(task: dict[str, Any], sentence: str) -> None:
    with pytest.raises(Invalid) as caught:
        processing_of(TransformTask([], **task))
    assert sentence in caught.value.sentence


@pytest.mark.parametrize(
    ("task", "form"),
    [
        ({"content_type": "image/png"}, None),
        ({**CSV, "content_type": "Text/CSV; charset=utf-8", "join_source": "Input"}, "csv"),
        ({**CSV, "assemble_with": "None", "input_filter": "$[1:]", "accept": "text/csv;x=y"}, "csv"),
        ({**CSV, "content_type": "application/jsonlines", "output_filter": "$.SageMakerOutput"}, "jsonlines"),
        ({**JSON, "join_source": "Input"}, "json"),
        ({**JSON, "split_type": "Line", "strategy": "SingleRecord", "input_filter": "$.a"}, "json"),
    ],
)
def test_what_goes_together(task: dict[str, Any], form: str | None) -> None:
    found = processing_of(TransformTask([], **task))
    assert (found.form if found else None) == form
