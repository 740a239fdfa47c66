"""CloudWatch with boto3 against a real server, as the SDK's TrainingJobAnalytics asks it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
BUCKET = "measured"
NAMESPACE = "/aws/sagemaker/TrainingJobs"
ROUNDS = 40
LIMIT = 60.0
JOB = "measured"
DIMENSIONS = [{"Name": "TrainingJobName", "Value": JOB}]


class Hotels(Protocol):
    train: bytes
    validation: bytes


@pytest.fixture(scope="module")
def job(client: Callable[..., Any], environment: dict[str, str], hotels: Hotels) -> Any:
    """A training job that has ended, described."""
    sagemaker, s3 = client("sagemaker"), client("s3")
    s3.create_bucket(Bucket=BUCKET)
    for channel in ("train", "validation"):
        s3.put_object(Bucket=BUCKET, Key=f"{channel}.csv", Body=getattr(hotels, channel))
    channels = [
        {
            "ChannelName": channel,
            "ContentType": "csv",
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/{channel}"}},
        }
        for channel in ("train", "validation")
    ]
    sagemaker.create_training_job(
        TrainingJobName=JOB,
        AlgorithmSpecification={"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        RoleArn=environment["SAGEMAKER_ROLE_ARN"],
        HyperParameters={
            "objective": "binary:logistic",
            "num_round": str(ROUNDS),
            "eval_metric": "auc,logloss",
        },
        InputDataConfig=channels,
        OutputDataConfig={"S3OutputPath": f"s3://{BUCKET}/out"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30},
        StoppingCondition={"MaxRuntimeInSeconds": 600},
    )
    deadline = time.monotonic() + LIMIT
    while (answer := sagemaker.describe_training_job(TrainingJobName=JOB))["TrainingJobStatus"] in {
        "InProgress",
        "Stopping",
    }:
        assert time.monotonic() < deadline, answer
    assert answer["TrainingJobStatus"] == "Completed", answer
    return answer


def span(job: Any) -> dict[str, Any]:
    return {"StartTime": job["TrainingStartTime"], "EndTime": job["TrainingEndTime"] + timedelta(minutes=1)}


def test_every_value_that_was_printed_is_a_measurement(job: Any, client: Callable[..., Any]) -> None:
    answer = client("cloudwatch").get_metric_statistics(
        Namespace=NAMESPACE,
        MetricName="validation:auc",
        Dimensions=DIMENSIONS,
        Period=60,
        Statistics=["SampleCount", "Maximum", "Average"],
        **span(job),
    )
    points = answer["Datapoints"]
    assert sum(point["SampleCount"] for point in points) == ROUNDS
    assert 0.5 < points[0]["Average"] <= points[0]["Maximum"] <= 1
    minute = job["TrainingStartTime"].replace(second=0, microsecond=0)
    assert minute <= points[0]["Timestamp"] <= job["TrainingEndTime"]


def test_the_last_values_are_those_that_the_log_ends_with(job: Any, client: Callable[..., Any]) -> None:
    logs, final = client("logs"), {one["MetricName"]: one for one in job["FinalMetricDataList"]}
    assert set(final) == {"train:auc", "validation:auc", "train:logloss", "validation:logloss"}
    (stream,) = logs.describe_log_streams(logGroupName=NAMESPACE, logStreamNamePrefix=f"{JOB}/")["logStreams"]
    events = logs.get_log_events(
        logGroupName=NAMESPACE, logStreamName=stream["logStreamName"], startFromHead=True
    )["events"]
    last = [event["message"] for event in events if event["message"].startswith(f"[{ROUNDS - 1}]")][-1]
    printed = dict(part.split(":") for part in last.split("#011")[1:])
    for name, one in final.items():
        assert one["Value"] == pytest.approx(float(printed[name.replace(":", "-")]), rel=1e-6)
        assert job["TrainingStartTime"] - timedelta(seconds=1) <= one["Timestamp"] <= job["TrainingEndTime"]
    queries = [
        {
            "Id": f"m{number}",
            "MetricStat": {
                "Metric": {"Namespace": NAMESPACE, "MetricName": name, "Dimensions": DIMENSIONS},
                "Period": 1,
                "Stat": "Minimum",
            },
        }
        for number, name in enumerate(final)
    ]
    results = client("cloudwatch").get_metric_data(MetricDataQueries=queries, **span(job))[
        "MetricDataResults"
    ]
    assert [one["Label"] for one in results] == list(final)
    loss = results[list(final).index("train:logloss")]
    assert min(loss["Values"]) == pytest.approx(final["train:logloss"]["Value"], rel=1e-6)


def test_the_metrics_of_a_job_are_listed(job: Any, client: Callable[..., Any]) -> None:
    assert job
    pages = client("cloudwatch").get_paginator("list_metrics").paginate(
        Namespace=NAMESPACE, Dimensions=DIMENSIONS
    )  # fmt: skip
    names = [one["MetricName"] for page in pages for one in page["Metrics"]]
    assert names == ["train:auc", "train:logloss", "validation:auc", "validation:logloss"]


def test_what_is_refused_is_named(client: Callable[..., Any]) -> None:
    cloudwatch, now = client("cloudwatch"), datetime.now(UTC)
    with pytest.raises(cloudwatch.exceptions.InvalidParameterValueException, match="Expression of"):
        cloudwatch.get_metric_data(
            MetricDataQueries=[{"Id": "e1", "Expression": "SELECT 1"}],
            StartTime=now - timedelta(minutes=1),
            EndTime=now,
        )


def test_clients_that_speak_the_query_protocol_are_answered(job: Any, environment: dict[str, str]) -> None:
    asked = {
        "Action": "GetMetricStatistics",
        "Version": "2010-08-01",
        "Namespace": NAMESPACE,
        "MetricName": "train:auc",
        "Dimensions.member.1.Name": "TrainingJobName",
        "Dimensions.member.1.Value": JOB,
        "StartTime": job["TrainingStartTime"].astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "EndTime": (job["TrainingEndTime"].astimezone(UTC) + timedelta(minutes=1)).isoformat(),
        "Period": "3600",
        "Statistics.member.1": "SampleCount",
    }
    draft = AWSRequest("POST", environment["AWS_ENDPOINT_URL"] + "/", data=urlencode(asked).encode())
    draft.headers["Content-Type"] = "application/x-www-form-urlencoded; charset=utf-8"
    key = Credentials(environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"])
    SigV4Auth(key, "monitoring", "us-east-1").add_auth(draft)
    request = Request(draft.url, data=draft.body, headers=dict(draft.headers.items()), method="POST")
    with urlopen(request) as answer:
        text = answer.read().decode()
    assert f"<SampleCount>{ROUNDS}.0</SampleCount><Unit>None</Unit>" in text
    assert text.startswith("<GetMetricStatisticsResponse xmlns=")


def test_invocations_of_an_endpoint_are_counted(
    job: Any, client: Callable[..., Any], environment: dict[str, str]
) -> None:
    sagemaker, runtime, cloudwatch = client("sagemaker"), client("sagemaker-runtime"), client("cloudwatch")
    container = {"Image": IMAGE, "ModelDataUrl": job["ModelArtifacts"]["S3ModelArtifacts"]}
    role = environment["SAGEMAKER_ROLE_ARN"]
    sagemaker.create_model(ModelName=JOB, ExecutionRoleArn=role, PrimaryContainer=container)
    variant = {"VariantName": "v", "ModelName": JOB, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(EndpointConfigName=JOB, ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName=JOB, EndpointConfigName=JOB)
    deadline = time.monotonic() + LIMIT
    while sagemaker.describe_endpoint(EndpointName=JOB)["EndpointStatus"] == "Creating":
        assert time.monotonic() < deadline
    asked = {
        "Namespace": "AWS/SageMaker",
        "Dimensions": [{"Name": "VariantName", "Value": "v"}, {"Name": "EndpointName", "Value": JOB}],
        "StartTime": datetime.now(UTC) - timedelta(minutes=1),
        "EndTime": datetime.now(UTC) + timedelta(hours=1),
        "Period": 3600,
    }
    row = b",".join([b"1"] * 17)
    for _ in range(3):
        runtime.invoke_endpoint(EndpointName=JOB, ContentType="text/csv", Body=row)
    with pytest.raises(runtime.exceptions.ModelError):
        runtime.invoke_endpoint(EndpointName=JOB, ContentType="text/csv", Body=b"not,a,number")
    while (
        not (
            found := cloudwatch.get_metric_statistics(MetricName="Invocations", Statistics=["Sum"], **asked)
        )["Datapoints"]
        or sum(one["Sum"] for one in found["Datapoints"]) < 4
    ):
        assert time.monotonic() < deadline
    (errors,) = cloudwatch.get_metric_statistics(
        MetricName="InvocationModelErrors", Statistics=["Sum", "Average"], **asked
    )["Datapoints"]
    assert (errors["Sum"], errors["Average"], errors["Unit"]) == (1.0, 0.25, "None")
    (latency,) = cloudwatch.get_metric_statistics(
        MetricName="ModelLatency", Statistics=["Minimum", "Maximum"], Unit="Microseconds", **asked
    )["Datapoints"]
    assert 0 < latency["Minimum"] <= latency["Maximum"] < 60e6
    with pytest.raises(cloudwatch.exceptions.InvalidParameterValueException, match="OverheadLatency of AWS"):
        cloudwatch.get_metric_statistics(MetricName="OverheadLatency", Statistics=["Sum"], **asked)
