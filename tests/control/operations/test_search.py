"""Search as clients meet it: records, filters, orders, pages, suggestions and refusals."""

from dataclasses import replace
from typing import Any

import pytest
from tests.control.operations.service import ACCOUNT, IMAGE, Service

from sagestead.control.operations import search
from sagestead.domain.resources import Key, Kind, Resource, resource_arn
from sagestead.ports import Change

COUNT = 25


@pytest.fixture
def jobs(service: Service) -> Service:
    """Training jobs j00 to j24; a third has no metric yet."""
    for number in range(COUNT):
        service.now += 1
        key = Key(Kind.TRAINING_JOB, ACCOUNT, "us-east-1", f"j{number:02}")
        spec = {
            "TrainingJobName": key.name,
            "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
            "HyperParameters": {"eta": f"0.{number % 5}", "booster": "gbtree"},
            "InputDataConfig": [
                {
                    "ChannelName": "train",
                    "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://b/{number}"}},
                }
            ],
            "OutputDataConfig": {"S3OutputPath": "s3://b/out"},
            "RoleArn": "arn:aws:iam::123456789012:role/r",
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30},
            "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
        }
        metrics = [
            {"MetricName": "validation:auc", "Value": 0.5 + (number * 7 % COUNT) / 100, "Timestamp": 1.0}
        ]
        detail = {
            "SecondaryStatus": "Completed",
            "SecondaryStatusTransitions": [],
            **({"FinalMetricDataList": metrics} if number % 3 else {}),
        }
        drafted = Resource(key, resource_arn(key), spec, "Completed", detail, created_at=service.now)
        service.resources.create(replace(drafted, tags={"team.x": "a" if number % 2 else "b"}))
    return service


def found(service: Service, resource: str = "TrainingJob", **request: Any) -> list[str]:
    """The names of everything found, page by page."""
    names: list[str] = []
    while True:
        answer = service.call("Search", Resource=resource, **request)
        names += [one[resource][f"{resource}Name"] for one in answer["Results"]]
        if "NextToken" not in answer:
            return names
        request["NextToken"] = answer["NextToken"]


def where(*filters: tuple[str, ...], operator: str = "And") -> dict[str, Any]:
    members = ("Name", "Operator", "Value")
    return {"Filters": [dict(zip(members, one, strict=False)) for one in filters], "Operator": operator}


def test_a_record_is_the_describe_answer_with_tags(jobs: Service) -> None:
    (result,) = jobs.call(
        "Search", Resource="TrainingJob", SearchExpression=where(("TrainingJobName", "Equals", "j01"))
    )["Results"]
    record = result["TrainingJob"]
    assert record["Tags"] == [{"Key": "team.x", "Value": "a"}]
    described = jobs.call("DescribeTrainingJob", TrainingJobName="j01")
    assert {name: record[name] for name in record if name != "Tags"}.items() <= described.items()
    assert record["ModelArtifacts"] == {"S3ModelArtifacts": "s3://b/out/j01/output/model.tar.gz"}


def test_the_newest_change_comes_first_unless_an_order_is_asked_for(jobs: Service) -> None:
    everything = [f"j{number:02}" for number in range(COUNT)]
    assert found(jobs) == everything[::-1]
    assert found(jobs, SortBy="CreationTime", SortOrder="Ascending", MaxResults=7) == everything
    assert found(jobs, SortBy="TrainingJobName", MaxResults=100) == everything[::-1]
    jobs.now += 100
    seen = jobs.record(Kind.TRAINING_JOB, "j03")
    jobs.resources.update(seen, Change(None, detail=seen.detail))
    assert found(jobs)[0] == "j03"


def test_metrics_hyperparameters_and_tags_are_filtered_and_sorted_by(jobs: Service) -> None:
    best = found(jobs, SortBy="Metrics.validation:auc", MaxResults=4)
    metric = {f"j{number:02}": number * 7 % COUNT for number in range(COUNT) if number % 3}
    with_metric = sorted(metric, key=lambda name: -metric[name])
    without = [f"j{number:02}" for number in range(0, COUNT, 3)]
    assert best == with_metric + without
    assert found(jobs, SearchExpression=where(("Metrics.validation:auc", "GreaterThan", "0.7"))) == sorted(
        (name for name, value in metric.items() if value > 20), reverse=True
    )
    low = where(("HyperParameters.eta", "LessThanOrEqualTo", "0.1"), ("Tags.team.x", "Equals", "b"))
    assert found(jobs, SearchExpression=low, SortOrder="Ascending") == ["j00", "j06", "j10", "j16", "j20"]
    address = where(("InputDataConfig.DataSource.S3DataSource.S3Uri", "Contains", "b/2"))
    assert found(jobs, SearchExpression=address, SortOrder="Ascending") == [
        "j02",
        "j20",
        "j21",
        "j22",
        "j23",
        "j24",
    ]
    either = {
        "SubExpressions": [where(("TrainingJobName", "In", "j01,j02"))],
        **where(("TrainingJobName", "Equals", "j09"), operator="Or"),
    }
    assert found(jobs, SearchExpression=either) == ["j09", "j02", "j01"]


def test_reading_in_batches_finds_the_same(jobs: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    some = where(("Tags.team.x", "Equals", "a"))
    whole = [
        found(jobs, SearchExpression=some, SortBy=order) for order in ("CreationTime", "HyperParameters.eta")
    ]
    monkeypatch.setattr(search, "BATCH", 2)
    assert [
        found(jobs, SearchExpression=some, SortBy=order, MaxResults=3)
        for order in ("CreationTime", "HyperParameters.eta")
    ] == whole


@pytest.mark.parametrize(
    ("request_members", "sentence"),
    [
        (
            {"Resource": "Pipeline"},
            'Resource "Pipeline" is not supported by this server: search one of TrainingJob',
        ),
        ({"SearchExpression": where(("Colour", "Exists"))}, "Unknown property 'Colour' of TrainingJob"),
        (
            {"SearchExpression": where(("InputDataConfig.Colour", "Exists"))},
            "Unknown property 'InputDataConfig.Col",
        ),
        (
            {"SearchExpression": where(("TrainingJobName.x", "Exists"))},
            "Unknown property 'TrainingJobName.x'",
        ),
        ({"SortBy": "Colour"}, "Unknown property 'Colour'"),
        ({"NextToken": "bad"}, "Invalid NextToken"),
        ({"VisibilityConditions": [{"Key": "a", "Value": "b"}]}, "VisibilityConditions is not supported"),
    ],
)
def test_what_cannot_be_searched_is_refused(
    jobs: Service, request_members: dict[str, Any], sentence: str
) -> None:
    code, said = jobs.refusal("Search", **{"Resource": "TrainingJob", **request_members})
    assert code == "ValidationException"
    assert sentence in said


def test_a_token_serves_only_the_search_it_came_from(jobs: Service) -> None:
    token = jobs.call("Search", Resource="TrainingJob", SortBy="Metrics.validation:auc")["NextToken"]
    assert "NextToken" in jobs.refusal("Search", Resource="TrainingJob", NextToken=token)[1]


def test_models_packages_groups_and_endpoints_are_found(service: Service) -> None:
    service.model("cats")
    service.config()
    service.endpoint()
    service.call("CreateModelPackageGroup", ModelPackageGroupName="Pets")
    specification = {"Containers": [{"Image": IMAGE}]}
    for status in ("Approved", "Rejected"):
        service.call(
            "CreateModelPackage",
            ModelPackageGroupName="Pets",
            InferenceSpecification=specification,
            ModelApprovalStatus=status,
            CustomerMetadataProperties={"auc": "0.9"},
        )
    (model,) = service.call("Search", Resource="Model")["Results"]
    assert model["Model"]["Model"]["ModelName"] == "cats"
    creating = where(
        ("EndpointStatus", "Equals", "Creating"), ("ProductionVariants.VariantName", "NotExists")
    )
    assert found(service, "Endpoint", SearchExpression=creating) == ["pets"]
    by_group = where(("ModelPackageGroupName", "Equals", "Pets"))
    assert found(service, "ModelPackageGroup", SearchExpression=by_group) == ["Pets"]
    assert (
        found(
            service, "ModelPackageGroup", SearchExpression=where(("ModelPackageGroupName", "Equals", "pets"))
        )
        == []
    )
    approved = where(
        ("ModelPackageGroupName", "Equals", "Pets"), ("ModelApprovalStatus", "Equals", "Approved")
    )
    assert found(service, "ModelPackage", SearchExpression=approved) == ["Pets/1"]
    second = where(
        ("ModelPackageVersion", "GreaterThan", "1"), ("CustomerMetadataProperties.auc", "Equals", "0.9")
    )
    assert found(service, "ModelPackage", SearchExpression=second) == ["Pets/2"]
    assert found(service, "HyperParameterTuningJob") == []


def test_suggestions_name_members_and_the_keys_in_use(jobs: Service) -> None:
    def suggested(hint: str) -> list[str]:
        query = {"PropertyNameQuery": {"PropertyNameHint": hint}}
        answer = jobs.call("GetSearchSuggestions", Resource="TrainingJob", SuggestionQuery=query)
        return [one["PropertyName"] for one in answer["PropertyNameSuggestions"]]

    assert suggested("hyper") == ["HyperParameters.booster", "HyperParameters.eta"]
    assert suggested("Metrics") == ["Metrics.validation:auc"]
    assert suggested("Tags.") == ["Tags.team.x"]
    assert "InputDataConfig.DataSource.S3DataSource.S3Uri" in suggested("InputDataConfig.")
    for name in suggested("")[:100]:
        assert len(found(jobs, SearchExpression=where((name, "Exists")))) <= COUNT
