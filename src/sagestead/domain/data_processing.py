"""Which filters, joins, formats and ways of splitting go together in a batch transform.

Rule: a transform job is refused when it is made for what would fail on every object (spec: batch-transform.md
section 5): records are filtered and joined in one format, and one by one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sagestead.domain.errors import Invalid
from sagestead.domain.jsonpath import Path, parse
from sagestead.domain.transform import TransformTask

Form = Literal["csv", "json", "jsonlines"]

_FORMS: dict[str, Form] = {
    "text/csv": "csv",
    "application/json": "json",
    "application/jsonlines": "jsonlines",
}


@dataclass(frozen=True, slots=True)
class Processing:
    """What happens to a record: `before` the model, joined with its answer (if it `joins`), and `after`."""

    form: Form
    before: Path
    after: Path
    joins: bool


def processing_of(task: TransformTask) -> Processing | None:
    """Return the data processing of a task, None when it has none.

    Raises:
        Invalid: a path is not understood, or content type, accept, splitting and filters do not go together.
    """
    before = parse(task.input_filter, "DataProcessing.InputFilter")
    after = parse(task.output_filter, "DataProcessing.OutputFilter")
    joins = task.join_source == "Input"
    if before.is_everything and after.is_everything and not joins:
        return None
    media = _media_type(task.content_type)
    form = _FORMS.get(media)
    if form is None:
        raise Invalid(
            f"TransformInput.ContentType '{task.content_type or ''}' cannot be filtered or joined by "
            f"DataProcessing; give one of {', '.join(_FORMS)}."
        )
    if task.accept and _media_type(task.accept) != media:
        raise Invalid(
            f"TransformOutput.Accept '{task.accept}' differs from TransformInput.ContentType '{media}'; "
            "DataProcessing needs both to be the same."
        )
    _check_splitting(task, media, form, joins=joins)
    for field, path in (("InputFilter", before), ("OutputFilter", after)):
        if form == "csv" and not path.selects_columns:
            raise Invalid(
                f"DataProcessing.{field} '{path.text}' cannot be applied to CSV; "
                "use indexes such as $[0] or $[1:]."
            )
    return Processing(form, before, after, joins)


def _check_splitting(task: TransformTask, media: str, form: Form, *, joins: bool) -> None:
    """Refuse what would not give the filters one record at a time."""
    if form == "json":
        alone = task.split_type == "Line" and task.strategy == "SingleRecord"
        if task.split_type != "None" and not alone:
            raise Invalid(
                f"DataProcessing of {media} needs TransformInput.SplitType None, or Line with BatchStrategy "
                f"SingleRecord; SplitType is {task.split_type}. Give application/jsonlines for one record "
                "a line."
            )
        return
    if task.split_type != "Line":
        raise Invalid(
            f"DataProcessing of {media} needs TransformInput.SplitType Line; it is {task.split_type}."
        )
    if joins and task.assemble_with != "Line":
        raise Invalid(
            f"DataProcessing.JoinSource Input needs TransformOutput.AssembleWith Line for {media}; "
            f"it is {task.assemble_with}."
        )


def _media_type(value: str | None) -> str:
    return (value or "").partition(";")[0].strip().lower()
