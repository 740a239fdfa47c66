"""The model registry: versions, approval, metadata, and models made from packages."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.control.operations.service import ACCOUNT, IMAGE, Service

from sagestead.domain.resources import Kind

HOME = f"arn:aws:sagemaker:us-east-1:{ACCOUNT}"
GROUP = f"{HOME}:model-package-group/pets"
VERSION = f"{HOME}:model-package/pets/1"
URL = "s3://b/m/model.tar.gz"
SPECIFICATION = {
    "Containers": [{"Image": IMAGE, "ModelDataUrl": URL, "Environment": {"A": "1"}}],
    "SupportedContentTypes": ["text/csv"],
    "SupportedResponseMIMETypes": ["text/csv"],
    "SupportedRealtimeInferenceInstanceTypes": ["ml.c5.large"],
}


@pytest.fixture
def registry(service: Service) -> Service:
    service.put("b", "m/model.tar.gz")
    service.call("CreateModelPackageGroup", ModelPackageGroupName="Pets", ModelPackageGroupDescription="d")
    return service


def register(service: Service, **request: Any) -> str:
    members = {"ModelPackageGroupName": "Pets", "InferenceSpecification": SPECIFICATION, **request}
    arn: str = service.call("CreateModelPackage", **members)["ModelPackageArn"]
    return arn


def approve(service: Service, arn: str, status: str = "Approved") -> None:
    service.call("UpdateModelPackage", ModelPackageArn=arn, ModelApprovalStatus=status)


def test_a_group_is_described_and_listed(registry: Service) -> None:
    described = registry.call("DescribeModelPackageGroup", ModelPackageGroupName=GROUP)
    assert described == {
        "ModelPackageGroupName": "Pets",
        "ModelPackageGroupArn": GROUP,
        "ModelPackageGroupDescription": "d",
        "CreationTime": registry.now,
        "CreatedBy": {"IamIdentity": {"Arn": registry.principal.arn}},
        "ModelPackageGroupStatus": "Completed",
    }
    assert registry.call("DescribeModelPackageGroup", ModelPackageGroupName="Pets") == described
    (row,) = registry.call("ListModelPackageGroups")["ModelPackageGroupSummaryList"]
    assert row["ModelPackageGroupArn"] == GROUP
    shared = registry.call("ListModelPackageGroups", CrossAccountFilterOption="CrossAccount")
    assert shared["ModelPackageGroupSummaryList"] == []


def test_groups_are_refused_in_the_words_of_aws(registry: Service) -> None:
    said = registry.refusal("CreateModelPackageGroup", ModelPackageGroupName="PETS")
    assert said == ("ValidationException", f"Model Package Group already exists: {GROUP}")
    said = registry.refusal("DescribeModelPackageGroup", ModelPackageGroupName="dogs")
    assert said[1] == f"ModelPackageGroup {HOME}:model-package-group/dogs does not exist."
    register(registry)
    code, sentence = registry.refusal("DeleteModelPackageGroup", ModelPackageGroupName="Pets")
    assert code == "ConflictException"
    assert "still has model packages" in sentence


def test_a_version_is_described_with_what_was_registered(registry: Service) -> None:
    quality = {"ModelQuality": {"Statistics": {"ContentType": "application/json", "S3Uri": "s3://b/q"}}}
    arn = register(
        registry,
        ModelMetrics=quality,
        CustomerMetadataProperties={"auc": "0.9"},
        ModelPackageDescription="first",
        MetadataProperties={"CommitId": "abc"},
        CertifyForMarketplace=False,
        SkipModelValidation="None",
    )
    assert arn == VERSION
    described = registry.call("DescribeModelPackage", ModelPackageName=arn)
    container = described["InferenceSpecification"]["Containers"][0]
    assert container.pop("ModelDataETag") == registry.objects.stat(ACCOUNT, "b", "m/model.tar.gz").etag  # type: ignore[union-attr]  # it is there
    assert described == {
        "ModelPackageName": "Pets/1",
        "ModelPackageGroupName": "Pets",
        "ModelPackageVersion": 1,
        "ModelPackageArn": VERSION,
        "ModelPackageDescription": "first",
        "CreationTime": registry.now,
        "LastModifiedTime": registry.now,
        "CreatedBy": {"IamIdentity": {"Arn": registry.principal.arn}},
        "InferenceSpecification": SPECIFICATION,
        "ModelMetrics": quality,
        "MetadataProperties": {"CommitId": "abc"},
        "CustomerMetadataProperties": {"auc": "0.9"},
        "CertifyForMarketplace": False,
        "SkipModelValidation": "None",
        "ModelPackageStatus": "Completed",
        "ModelPackageStatusDetails": {"ValidationStatuses": []},
        "ModelApprovalStatus": "PendingManualApproval",
    }
    assert registry.call("DescribeModelPackage", ModelPackageName="Pets/1")["ModelPackageArn"] == VERSION


def test_numbers_of_versions_are_never_used_again(registry: Service) -> None:
    assert [register(registry)[-1] for _ in range(3)] == ["1", "2", "3"]
    registry.call("DeleteModelPackage", ModelPackageName=f"{HOME}:model-package/pets/3")
    registry.call("DeleteModelPackage", ModelPackageName=f"{HOME}:model-package/pets/2")
    assert register(registry)[-1] == "4"
    code, sentence = registry.refusal("DescribeModelPackage", ModelPackageName="Pets/3")
    assert (code, sentence) == (
        "ValidationException",
        f"ModelPackage {HOME}:model-package/pets/3 does not exist.",
    )


def test_a_request_with_the_same_token_makes_one_version(registry: Service) -> None:
    first = register(registry, ClientToken="t-1")
    assert register(registry, ClientToken="t-1") == first
    assert register(registry, ClientToken="t-2") != first
    code, sentence = registry.refusal(
        "CreateModelPackage", ModelPackageGroupName="Pets", SourceUri="x", ClientToken="t-1"
    )
    assert code == "ConflictException"
    assert "ClientToken 't-1' was used for another request" in sentence
    registry.call("DeleteModelPackage", ModelPackageName=first)
    assert register(registry, ClientToken="t-1").endswith("/3")


def test_a_number_that_was_noted_before_a_crash_is_the_one_that_the_token_makes(registry: Service) -> None:
    first = register(registry, ClientToken="t-1")
    registry.resources.delete(registry.record(Kind.MODEL_PACKAGE, "Pets/1"))  # as if it had never been stored
    assert register(registry, ClientToken="t-1") == first


def test_versions_made_at_the_same_time_have_numbers_of_their_own(registry: Service) -> None:
    with ThreadPoolExecutor(4) as threads:
        arns = list(threads.map(lambda _: register(registry), range(8)))
    assert sorted(arns) == [f"{HOME}:model-package/pets/{number}" for number in range(1, 9)]


def test_a_package_without_versions_needs_no_approval(registry: Service) -> None:
    members = {"ModelPackageName": "cats", "InferenceSpecification": SPECIFICATION}
    made = registry.call(
        "CreateModelPackage", **members, ModelApprovalStatus="PendingManualApproval", Tags=[]
    )
    assert made["ModelPackageArn"] == f"{HOME}:model-package/cats"
    described = registry.call("DescribeModelPackage", ModelPackageName="cats")
    assert not {"ModelApprovalStatus", "ModelPackageVersion", "ModelPackageGroupName"} & described.keys()
    registry.call("CreateModel", ModelName="m", PrimaryContainer={"ModelPackageName": "cats"})
    assert "already exists" in registry.refusal("CreateModelPackage", **members)[1]
    said = registry.refusal(
        "UpdateModelPackage", ModelPackageArn=made["ModelPackageArn"], ModelApprovalStatus="Approved"
    )
    assert "belongs to versions of a group" in said[1]


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        ({"ModelPackageName": "x"}, "Both ModelPackageName and ModelPackageGroupName are provided"),
        ({"InferenceSpecification": None}, "needs InferenceSpecification or SourceUri"),
        ({"ModelPackageGroupName": "dogs"}, "model-package-group/dogs does not exist."),
        ({"CertifyForMarketplace": True}, "CertifyForMarketplace true is not supported"),
        ({"SecurityConfig": {"KmsKeyId": "k"}}, "SecurityConfig is not supported"),
        ({"Tags": [{"Key": "a", "Value": "b"}]}, "Tags are not supported for versioned model packages"),
        (
            {"InferenceSpecification": {"Containers": [{"ModelDataUrl": URL}]}},
            "InferenceSpecification.Containers.1.Image is missing",
        ),
        (
            {"InferenceSpecification": {"Containers": [{"Image": IMAGE, "ProductId": "p"}]}},
            'InferenceSpecification.Containers.1.ProductId "p" is not supported',
        ),
        (
            {"InferenceSpecification": {"Containers": [{"Image": IMAGE, "ModelDataUrl": "s3://b/none"}]}},
            "Could not find model data at s3://b/none.",
        ),
    ],
)
def test_what_cannot_be_registered_is_refused(
    registry: Service, members: dict[str, Any], sentence: str
) -> None:
    request = {"ModelPackageGroupName": "Pets", "InferenceSpecification": SPECIFICATION, **members}
    said = registry.refusal("CreateModelPackage", **request)[1]
    assert sentence in said
    assert registry.call("ListModelPackages", ModelPackageGroupName="Pets")["ModelPackageSummaryList"] == []


def test_artifacts_may_come_later_if_nothing_is_to_be_validated(registry: Service) -> None:
    later = {"Containers": [{"Image": IMAGE, "ModelDataUrl": "s3://b/later"}]}
    arn = register(registry, InferenceSpecification=later, SkipModelValidation="All")
    approve(registry, arn)
    model = {"ModelName": "m", "PrimaryContainer": {"ModelPackageName": arn}}
    assert registry.refusal("CreateModel", **model)[1] == "Could not find model data at s3://b/later."
    registry.put("b", "later")
    registry.call("CreateModel", **model)


def test_metadata_is_merged_and_removed(registry: Service) -> None:
    arn = register(registry, CustomerMetadataProperties={"a": "1", "b": "2"})
    registry.now += 5
    registry.call(
        "UpdateModelPackage",
        ModelPackageArn=arn,
        CustomerMetadataProperties={"b": "3", "c": "4"},
        CustomerMetadataPropertiesToRemove=["a", "none"],
        ApprovalDescription="looks good",
        ModelLifeCycle={"Stage": "Production", "StageStatus": "Approved"},
        SourceUri="s3://b/code",
    )
    described = registry.call("DescribeModelPackage", ModelPackageName=arn)
    assert described["CustomerMetadataProperties"] == {"b": "3", "c": "4"}
    assert described["ApprovalDescription"] == "looks good"
    assert described["ModelLifeCycle"] == {"Stage": "Production", "StageStatus": "Approved"}
    assert described["SourceUri"] == "s3://b/code"
    assert described["LastModifiedTime"] == registry.now
    many = {f"k{number}": "v" for number in range(49)}
    said = registry.refusal("UpdateModelPackage", ModelPackageArn=arn, CustomerMetadataProperties=many)
    assert "CustomerMetadataProperties can have 50 entries, not 51" in said[1]


def test_an_additional_specification_is_added_once_and_can_be_chosen(registry: Service) -> None:
    arn = register(registry)
    approve(registry, arn)
    other = {"Name": "other", "Containers": [{"Image": IMAGE, "Environment": {"B": "2"}}]}
    for _ in range(2):
        registry.call(
            "UpdateModelPackage", ModelPackageArn=arn, AdditionalInferenceSpecificationsToAdd=[other]
        )
    described = registry.call("DescribeModelPackage", ModelPackageName=arn)
    assert described["AdditionalInferenceSpecifications"] == [other]
    container = {"ModelPackageName": arn, "InferenceSpecificationName": "other"}
    registry.call("CreateModel", ModelName="cats", PrimaryContainer=container)
    registry.config()
    registry.endpoint()
    (variant,) = registry.record(Kind.ENDPOINT, "pets").spec["ProductionVariants"]
    assert variant["Container"] == {"Image": IMAGE, "Environment": {"B": "2"}}
    container["InferenceSpecificationName"] = "none"
    said = registry.refusal("CreateModel", ModelName="dogs", PrimaryContainer=container)
    assert "has no additional inference specification 'none'" in said[1]


def test_a_model_is_made_from_an_approved_version_only(registry: Service) -> None:
    arn = register(registry)
    model = {"ModelName": "cats", "PrimaryContainer": {"ModelPackageName": arn, "Environment": {"B": "2"}}}
    code, sentence = registry.refusal("CreateModel", **model)
    assert code == "ValidationException"
    assert f"{arn} has ModelApprovalStatus PendingManualApproval" in sentence
    approve(registry, arn)
    registry.call("CreateModel", **model)
    registry.call("DeleteModelPackage", ModelPackageName=arn)  # the model keeps what it needs
    assert registry.call("DescribeModel", ModelName="cats")["PrimaryContainer"] == model["PrimaryContainer"]
    registry.config()
    registry.endpoint()
    (variant,) = registry.record(Kind.ENDPOINT, "pets").spec["ProductionVariants"]
    assert variant["Container"] == {
        "Image": IMAGE,
        "ModelDataUrl": URL,
        "Environment": {"A": "1", "B": "2"},
    }


def test_a_model_needs_the_bytes_that_were_registered(registry: Service) -> None:
    arn = register(registry, ModelApprovalStatus="Approved")
    source = registry.folder / "upload"
    source.write_bytes(b"others")
    registry.objects.store(ACCOUNT, "b", "m/model.tar.gz", source, "text/plain")
    said = registry.refusal("CreateModel", ModelName="cats", PrimaryContainer={"ModelPackageName": arn})
    assert "is not what was registered" in said[1]


def test_a_container_is_a_package_or_an_image(registry: Service) -> None:
    container = {"ModelPackageName": "Pets/1", "Image": IMAGE}
    said = registry.refusal("CreateModel", ModelName="cats", PrimaryContainer=container)
    assert "PrimaryContainer.Image" in said[1]
    assert "the package says it" in said[1]


def test_a_package_may_be_made_of_a_model(registry: Service) -> None:
    model = registry.model(ModelDataUrl=URL, Environment={"A": "1"})
    arn = registry.call("CreateModelPackage", ModelPackageGroupName="Pets", SourceUri=model)[
        "ModelPackageArn"
    ]
    (container,) = registry.call("DescribeModelPackage", ModelPackageName=arn)["InferenceSpecification"][
        "Containers"
    ]
    assert (container["Image"], container["ModelDataUrl"]) == (IMAGE, URL)


def test_packages_are_listed_by_group_kind_and_approval(registry: Service) -> None:
    for number in range(12):
        registry.now += 1
        register(registry, ModelApprovalStatus="Approved" if number == 10 else "Rejected")
    registry.call("CreateModelPackage", ModelPackageName="cats", InferenceSpecification=SPECIFICATION)

    def listed(**request: Any) -> list[Any]:
        rows = registry.call("ListModelPackages", **request)["ModelPackageSummaryList"]
        return [row.get("ModelPackageVersion", row["ModelPackageName"]) for row in rows]

    assert listed(ModelPackageGroupName="Pets", SortBy="Name", MaxResults=100) == list(range(1, 13))
    assert listed(ModelPackageGroupName=GROUP, SortOrder="Descending", MaxResults=2) == [12, 11]
    assert listed(ModelPackageGroupName="Pets", ModelApprovalStatus="Approved") == [11]
    assert listed() == ["cats"]
    assert listed(ModelPackageType="Versioned", MaxResults=1) == [1]
    assert len(listed(ModelPackageType="Both", MaxResults=100)) == 13
    page = registry.call("ListModelPackages", ModelPackageGroupName="Pets")
    more = registry.call("ListModelPackages", ModelPackageGroupName="Pets", NextToken=page["NextToken"])
    assert [row["ModelPackageVersion"] for row in more["ModelPackageSummaryList"]] == [11, 12]


def test_several_packages_are_described_at_once(registry: Service) -> None:
    arn, absent = register(registry), f"{HOME}:model-package/pets/9"
    answer = registry.call("BatchDescribeModelPackage", ModelPackageArnList=[arn, absent])
    assert answer["ModelPackageSummaries"][arn]["ModelPackageVersion"] == 1
    assert answer["BatchDescribeModelPackageErrorMap"] == {
        absent: {
            "ErrorCode": "ValidationException",
            "ErrorResponse": f"ModelPackage {absent} does not exist.",
        }
    }


def test_names_of_other_regions_and_accounts_are_not_found(registry: Service) -> None:
    register(registry)
    elsewhere = VERSION.replace("us-east-1", "eu-west-1")
    assert (
        "correct region: us-east-1" in registry.refusal("DescribeModelPackage", ModelPackageName=elsewhere)[1]
    )
    theirs = VERSION.replace(ACCOUNT, "999999999999")
    assert registry.refusal("DescribeModelPackage", ModelPackageName=theirs)[1] == (
        f"ModelPackage {theirs} does not exist."
    )


def test_groups_have_tags_and_versions_have_none(registry: Service) -> None:
    rule = {"Key": "sagestead:deploy-on-approval", "Value": "pets"}
    assert registry.call("AddTags", ResourceArn=GROUP, Tags=[rule])["Tags"] == [rule]
    said = registry.refusal("AddTags", ResourceArn=GROUP, Tags=[{**rule, "Value": "no endpoint"}])
    assert "names no endpoint" in said[1]
    arn = register(registry)
    assert registry.call("ListTags", ResourceArn=arn)["Tags"] == []
    assert "tag their group" in registry.refusal("AddTags", ResourceArn=arn, Tags=[rule])[1]
