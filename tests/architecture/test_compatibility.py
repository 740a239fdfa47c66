from __future__ import annotations

import re
from pathlib import Path

import pytest

from sagestead.control import compatibility
from sagestead.control.operations import sagemaker
from sagestead.s3.routes import ROUTES
from sagestead.wire.models import service_model

WRITTEN = (Path(__file__).parents[2] / compatibility.PAGE).read_text(encoding="utf-8")


def listed(service: str) -> list[str]:
    """Return the operations that the page names, done and refused, whatever botocore has by now."""
    section = WRITTEN.split(f"## {compatibility.TITLES[service]}\n")[1].split("\n## ")[0]
    refused = section.split("Refused: ")[1].split(".")[0].split(", ")
    return sorted(re.findall(r"^\| (\w+) \| done", section, re.MULTILINE) + refused)


def test_the_page_is_what_the_dispatch_tables_say() -> None:
    assert compatibility.page(listed) == WRITTEN, "run `python -m sagestead.control.compatibility`"


def test_the_page_names_every_operation_that_is_carried_out() -> None:
    for service in compatibility.TITLES:
        assert set(compatibility.carried_out(service)) <= set(listed(service))


@pytest.mark.parametrize("service", sorted(compatibility.TITLES))
def test_what_is_carried_out_is_an_operation_of_aws(service: str) -> None:
    model = service_model(service)
    assert [name for name in compatibility.carried_out(service) if name not in model] == []


def test_s3_has_the_operations_that_the_page_names() -> None:
    assert {route.name for route in ROUTES} == compatibility.ELSEWHERE["s3"]


def test_notes_are_about_operations_that_are_carried_out() -> None:
    done = {name for service in compatibility.TITLES for name in compatibility.carried_out(service)}
    assert set(compatibility.NOTES) <= done


def test_held_answers_have_the_member_that_is_watched() -> None:
    for operation, hold in sagemaker.HOLDS.items():
        output = service_model("sagemaker").operation(operation).output
        assert output is not None
        assert hold.transitional <= set(output.members[hold.member].enum)
