"""The model registry with the SageMaker Python SDK 2.x, unmodified."""

from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.compat

Run = Callable[..., str]

REGISTRY = """
import os, json, sagemaker
from sagemaker.estimator import Estimator
from sagemaker.inputs import TrainingInput
from sagemaker.model import ModelPackage
from sagemaker.model_metrics import MetricsSource, ModelMetrics
from sagemaker.serializers import CSVSerializer
session = sagemaker.Session()
bucket, role = session.default_bucket(), os.environ["SAGEMAKER_ROLE_ARN"]
train = session.upload_data("train.csv", bucket, "registry")
row = open("test.csv").read().splitlines()[0]
image = sagemaker.image_uris.retrieve("xgboost", session.boto_region_name, "1.7-1")
estimator = Estimator(image, role, 1, "ml.m5.xlarge", sagemaker_session=session,
    hyperparameters={"objective": "binary:logistic", "num_round": 3})
estimator.fit({"train": TrainingInput(train, content_type="csv")}, wait=True, logs=False)
quality = MetricsSource(content_type="application/json", s3_uri=f"s3://{bucket}/registry/quality.json")
shared = dict(content_types=["text/csv"], response_types=["text/csv"], inference_instances=["ml.m5.large"],
    transform_instances=["ml.m5.large"], model_package_group_name="sdk2-hotels")
first = estimator.register(**shared, approval_status="Approved", description="from the estimator")
second = estimator.create_model().register(**shared, model_metrics=ModelMetrics(model_statistics=quality),
    customer_metadata_properties={"team": "hotels"})
print("ARNS", first.model_package_arn, second.model_package_arn)
client = session.sagemaker_client
described = client.describe_model_package(ModelPackageName=second.model_package_arn)
statistics = described["ModelMetrics"]["ModelQuality"]["Statistics"]
print("DESCRIBED", described["ModelApprovalStatus"], statistics["S3Uri"])
package = ModelPackage(role=role, model_package_arn=second.model_package_arn, sagemaker_session=session)
predictor = package.deploy(1, "ml.m5.large", endpoint_name="sdk2-registry", wait=False) \\
    or sagemaker.Predictor("sdk2-registry", session)
session.wait_for_endpoint("sdk2-registry", poll=1)
predictor.serializer = CSVSerializer()
print("PREDICTED", predictor.predict(row).decode())
status = client.describe_model_package(ModelPackageName=second.model_package_arn)["ModelApprovalStatus"]
print("APPROVED", status)
package.update_customer_metadata({"stage": "live"})
newest = session.get_most_recently_created_approved_model_package("sdk2-hotels")
print("NEWEST", newest.model_package_arn)
transformer = package.transformer(1, "ml.m5.large", accept="text/csv", assemble_with="Line",
    output_path=f"s3://{bucket}/registry/out")
transformer.transform(session.upload_data("test.csv", bucket, "registry"), content_type="text/csv",
    split_type="Line", wait=True, logs=False)
out = session.read_s3_file(bucket, "registry/out/test.csv.out")
print("ROWS", len(out.splitlines()))
found = session.search("ModelPackage", search_expression={"Filters": [
    {"Name": "CustomerMetadataProperties.stage", "Operator": "Equals", "Value": "live"}]})
print("FOUND", found["Results"][0]["ModelPackage"]["ModelPackageVersion"])
predictor.delete_endpoint()
package.delete_model()
"""


def test_estimators_and_models_are_registered_and_packages_deployed(
    run: Run, interpreter: Callable[[str], Path], hotels: object, tmp_path: Path
) -> None:
    for name in ("train", "test"):
        (tmp_path / f"{name}.csv").write_bytes(getattr(hotels, name))
    said = run(interpreter("sdk2"), "-W", "ignore", "-c", REGISTRY)
    first, second = said.split("ARNS ")[1].split()[:2]
    assert first.endswith(":model-package/sdk2-hotels/1")
    assert second.endswith(":model-package/sdk2-hotels/2")
    assert "DESCRIBED PendingManualApproval s3://" in said
    assert 0.0 < float(said.split("PREDICTED ")[1].split()[0]) < 1.0
    assert "APPROVED Approved" in said
    assert f"NEWEST {second}" in said
    assert "ROWS 500" in said
    assert "FOUND 2" in said
