"""The model registry with the resources of SageMaker's SDK 3.x.

Its own `ModelPackage.create` reads a member that CreateModelPackage does not answer, so versions are made
with boto3, as its users do.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.compat

SCRIPT = """
import os, boto3
from sagemaker.core.resources import Model, ModelPackage, ModelPackageGroup
from sagemaker.core.shapes import ContainerDefinition
image = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
group = ModelPackageGroup.create(model_package_group_name="sdk3-hotels")
arn = boto3.client("sagemaker").create_model_package(ModelPackageGroupName="sdk3-hotels",
    InferenceSpecification={"Containers": [{"Image": image}]})["ModelPackageArn"]
package = ModelPackage.get(arn)
print("STATUS", group.model_package_group_status, package.model_approval_status)
package.update(model_approval_status="Approved")
package.refresh()
print("APPROVED", package.model_approval_status)
found = ModelPackage.get_all(model_package_group_name="sdk3-hotels")
assert [one.model_package_arn for one in found] == [arn]
model = Model.create(model_name="sdk3-packaged", execution_role_arn=os.environ["SAGEMAKER_ROLE_ARN"],
    primary_container=ContainerDefinition(model_package_name=arn))
print("MODEL", model.model_arn)
model.delete()
package.delete()
group.delete()
"""


def test_versions_are_read_approved_listed_and_made_into_models(
    run: Callable[..., str], interpreter: Callable[[str], Path]
) -> None:
    said = run(interpreter("sdk3"), "-W", "ignore", "-c", SCRIPT)
    assert "STATUS Completed PendingManualApproval" in said
    assert "APPROVED Approved" in said
    assert ":model/sdk3-packaged" in said
