"""The resources of SageMaker's SDK 3.x (`sagemaker-core`), which reject answers with empty structures."""

from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.compat

SCRIPT = """
import os
from sagemaker.core.resources import Endpoint, EndpointConfig, Model, TrainingJob
from sagemaker.core.shapes import (AlgorithmSpecification, Channel, ContainerDefinition, DataSource,
    OutputDataConfig, ProductionVariant, ResourceConfig, S3DataSource, StoppingCondition)
import boto3
bucket = "sagemaker-us-east-1-123456789012"
s3 = boto3.client("s3")
s3.create_bucket(Bucket=bucket)
for name in ("train", "test"):
    s3.upload_file(f"{name}.csv", bucket, f"sdk3/{name}.csv")
image = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
role = os.environ["SAGEMAKER_ROLE_ARN"]
job = TrainingJob.create(training_job_name="sdk3",
    algorithm_specification=AlgorithmSpecification(training_image=image, training_input_mode="File"),
    role_arn=role, hyper_parameters={"objective": "binary:logistic", "num_round": "5"},
    input_data_config=[Channel(channel_name="train", content_type="csv", data_source=DataSource(
        s3_data_source=S3DataSource(s3_data_type="S3Prefix", s3_uri=f"s3://{bucket}/sdk3/train.csv")))],
    output_data_config=OutputDataConfig(s3_output_path=f"s3://{bucket}/sdk3"),
    resource_config=ResourceConfig(instance_type="ml.m5.large", instance_count=1, volume_size_in_gb=30),
    stopping_condition=StoppingCondition(max_runtime_in_seconds=600))
job.wait(poll=1)
Model.create(model_name="sdk3", execution_role_arn=role, primary_container=ContainerDefinition(
    image=image, model_data_url=job.model_artifacts.s3_model_artifacts))
newest = next(iter(Model.get_all()))
assert newest.model_name == "sdk3", newest
EndpointConfig.create(endpoint_config_name="sdk3", production_variants=[ProductionVariant(
    variant_name="AllTraffic", model_name="sdk3", instance_type="ml.m5.large", initial_instance_count=1)])
endpoint = Endpoint.create(endpoint_name="sdk3", endpoint_config_name="sdk3")
endpoint.wait_for_status("InService", poll=1)
answer = endpoint.invoke(body=open("test.csv").readline(), content_type="text/csv")
body = answer.body.read() if hasattr(answer, "body") else answer["Body"].read()
print("PREDICTED", body.decode())
endpoint.delete()
endpoint.wait_for_delete(poll=1)
EndpointConfig.get("sdk3").delete()
Model.get("sdk3").delete()
"""


def test_create_wait_invoke_delete(
    run: Callable[..., str], interpreter: Callable[[str], Path], hotels: object, tmp_path: Path
) -> None:
    for name in ("train", "test"):
        (tmp_path / f"{name}.csv").write_bytes(getattr(hotels, name))
    said = run(interpreter("sdk3"), "-W", "ignore", "-c", SCRIPT)
    assert 0.0 < float(said.split("PREDICTED ")[1].split()[0]) < 1.0
