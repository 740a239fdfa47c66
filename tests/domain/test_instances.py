from __future__ import annotations

import botocore.session
import pytest

from sagestead.domain.instances import threads, vcpus


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("ml.t2.medium", 2),
        ("ml.t3.large", 2),
        ("ml.m4.xlarge", 4),
        ("ml.m4.10xlarge", 40),
        ("ml.m5.24xlarge", 96),
        ("ml.c4.8xlarge", 36),
        ("ml.c5.9xlarge", 36),
        ("ml.c5.18xlarge", 72),
        ("ml.m7i.48xlarge", 192),
        ("ml.c7g.medium", 1),
        ("ml.m6gd.16xlarge", 64),
        ("ml.g5.48xlarge", 192),
        ("ml.p3.2xlarge", 8),
        ("ml.p5.4xlarge", 16),
        ("ml.inf1.6xlarge", 24),
        ("ml.trn1.32xlarge", 128),
    ],
)
def test_vcpus_are_those_of_the_table(name: str, count: int) -> None:
    assert vcpus(name) == count


@pytest.mark.parametrize("name", ["local", "", "m5.xlarge", "ml.m5", "ml.m5.huge", "ml.m5.0000001xlarge"])
def test_other_names_have_none_and_use_the_host(name: str) -> None:
    assert vcpus(name) is None
    assert threads(name, 6) == 6


def test_threads_are_the_smaller_of_type_and_host() -> None:
    assert threads("ml.m5.xlarge", 2) == 2
    assert threads("ml.m5.xlarge", 16) == 4


@pytest.mark.parametrize(
    "shape", ["TrainingInstanceType", "ProductionVariantInstanceType", "TransformInstanceType"]
)
def test_every_type_of_the_service_model_has_a_number(shape: str) -> None:
    model = botocore.session.get_session().get_service_model("sagemaker")
    assert [name for name in model.shape_for(shape).enum if not vcpus(name)] == []
