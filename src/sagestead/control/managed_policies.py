"""AWS-managed policies: the names that clients attach, and what each one allows.

Rule: a name in this table exists, any other does not. The documents are abridged: they allow what the
policy of that name allows within the services that answer here, and of others what SDKs check a role for
before they start a job in it.
"""

from __future__ import annotations

from dataclasses import dataclass

from sagestead.domain.resources import Json

PREFIX = "arn:aws:iam::aws:policy"
CREATED_AT = 1423180800.0  # 2015-02-06, when AWS published the first ones

_JOB_ACTIONS = (
    "cloudwatch:*",
    "ec2:CreateNetworkInterface",
    "ec2:CreateNetworkInterfacePermission",
    "ec2:DeleteNetworkInterface",
    "ec2:DeleteNetworkInterfacePermission",
    "ec2:DescribeDhcpOptions",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeVpcs",
    "ecr:Batch*",
    "ecr:Describe*",
    "ecr:Get*",
    "ecr:List*",
    "iam:GetRole",
    "iam:ListRoles",
    "iam:PassRole",
    "logs:*",
)
_OBJECT_ACTIONS = (
    "s3:AbortMultipartUpload",
    "s3:CreateBucket",
    "s3:DeleteObject",
    "s3:GetBucketLocation",
    "s3:GetObject",
    "s3:List*",
    "s3:PutObject",
)
_READ_ACTIONS = ("cloudwatch:Get*", "cloudwatch:List*", "ecr:Get*", "ecr:List*", "iam:Get*", "iam:List*")
_SEE_LOGS = ("logs:Describe*", "logs:FilterLogEvents", "logs:Get*")


@dataclass(frozen=True, slots=True)
class ManagedPolicy:
    """One AWS-managed policy."""

    name: str
    path: str
    statement: Json

    @property
    def arn(self) -> str:
        """The ARN, which belongs to no account."""
        return f"{PREFIX}{self.path}{self.name}"

    @property
    def document(self) -> Json:
        """The document of the default version."""
        return {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Resource": "*", **self.statement}],
        }


def _allow(*actions: str) -> Json:
    return {"Action": list(actions)}


_TABLE: dict[str, Json] = {
    "/AdministratorAccess": _allow("*"),
    "/PowerUserAccess": {"NotAction": ["iam:*", "organizations:*", "account:*"]},
    "/ReadOnlyAccess": _allow(
        *_READ_ACTIONS,
        *_SEE_LOGS,
        "s3:Get*",
        "s3:List*",
        "sagemaker:Describe*",
        "sagemaker:List*",
        "sts:Get*",
    ),
    "/IAMFullAccess": _allow("iam:*"),
    "/IAMReadOnlyAccess": _allow("iam:Get*", "iam:List*", "iam:Simulate*"),
    "/AmazonS3FullAccess": _allow("s3:*"),
    "/AmazonS3ReadOnlyAccess": _allow("s3:Get*", "s3:List*", "s3:Describe*"),
    "/AmazonSageMakerFullAccess": _allow("sagemaker:*", *_JOB_ACTIONS, *_OBJECT_ACTIONS),
    "/AmazonSageMakerReadOnly": _allow("sagemaker:Describe*", "sagemaker:List*", "sagemaker:BatchGetMetrics"),
    "/AmazonSageMakerCanvasFullAccess": _allow("sagemaker:*", *_JOB_ACTIONS, *_OBJECT_ACTIONS),
    "/AmazonSageMakerFeatureStoreAccess": _allow("s3:PutObject", "s3:GetBucketAcl", "s3:PutObjectAcl"),
    "/AmazonSageMakerModelRegistryFullAccess": _allow("sagemaker:*ModelPackage*", "s3:GetObject", "ecr:Get*"),
    "/AmazonSageMakerPipelinesIntegrations": _allow("sagemaker:*Pipeline*", "lambda:*", "sqs:*", "events:*"),
    "/AmazonSageMakerModelGovernanceUseAccess": _allow("sagemaker:*ModelCard*", "sagemaker:List*"),
    "/AmazonEC2ContainerRegistryFullAccess": _allow("ecr:*"),
    "/AmazonEC2ContainerRegistryPowerUser": _allow("ecr:Batch*", "ecr:Get*", "ecr:List*", "ecr:Put*"),
    "/AmazonEC2ContainerRegistryReadOnly": _allow("ecr:Batch*", "ecr:Get*", "ecr:List*", "ecr:Describe*"),
    "/CloudWatchFullAccess": _allow("cloudwatch:*", "logs:*"),
    "/CloudWatchReadOnlyAccess": _allow("cloudwatch:Get*", "cloudwatch:List*", *_SEE_LOGS),
    "/CloudWatchLogsFullAccess": _allow("logs:*", "cloudwatch:GenerateQuery"),
    "/CloudWatchLogsReadOnlyAccess": _allow(*_SEE_LOGS),
    "/service-role/AmazonSageMakerPartnerServiceCatalogProductsLambdaServiceRolePolicy": _allow(
        "sagemaker:*"
    ),
    "/service-role/AmazonSageMakerServiceCatalogProductsUseRolePolicy": _allow("sagemaker:*", *_JOB_ACTIONS),
    "/service-role/AWSLambdaBasicExecutionRole": _allow("logs:CreateLog*", "logs:PutLogEvents"),
    "/job-function/DataScientist": _allow("sagemaker:*", *_JOB_ACTIONS, *_OBJECT_ACTIONS),
    "/job-function/ViewOnlyAccess": _allow(*_READ_ACTIONS, *_SEE_LOGS, "s3:List*", "sagemaker:List*"),
}


def _policy(place: str, statement: Json) -> ManagedPolicy:
    path, _, name = place.rpartition("/")
    return ManagedPolicy(name, f"{path}/", statement)


MANAGED_POLICIES = {
    policy.arn: policy for policy in (_policy(place, statement) for place, statement in _TABLE.items())
}
