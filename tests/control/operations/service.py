"""Operations as clients meet them: through the codec, on a real store and real objects."""

import json
from pathlib import Path
from typing import Any

import pytest

from sagestead.control.context import Context
from sagestead.control.operations.sagemaker import OPERATIONS as TABLE
from sagestead.domain.errors import Refusal
from sagestead.domain.identity import Principal
from sagestead.domain.resources import GLOBAL_REGION, Json, Key, Kind, Resource
from sagestead.objects.store import FolderObjects
from sagestead.ports import Change
from sagestead.store import SqlCredentials, SqlLogs, SqlMetrics, SqlResources, open_database
from sagestead.wire import awsjson

ACCOUNT, REGION = "123456789012", "us-east-1"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/service-role/Worker"
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
TRUST = {
    "Version": "2012-10-17",
    "Statement": {
        "Effect": "Allow",
        "Principal": {"Service": "sagemaker.amazonaws.com"},
        "Action": "sts:AssumeRole",
    },
}


class Service:
    """One account in one region. Every answer is checked against AWS's shape, and holds nothing empty."""

    def __init__(self, folder: Path) -> None:
        self.now = 1_000_000.0
        self.database = open_database(folder)
        self.resources = SqlResources(self.database, lambda: self.now)
        self.objects = FolderObjects(folder / "objects", lambda: self.now)
        self.folder = folder
        self.principal = Principal(ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root", "AKIA", REGION, "sagemaker")

    def close(self) -> None:
        self.objects.close()
        self.database.close()

    def call(self, operation: str, /, **request: Any) -> Any:
        body = json.dumps(request).encode()
        answer = TABLE[operation](self.context(), awsjson.decode("sagemaker", operation, body))
        assert awsjson.defects("sagemaker", operation, answer) == []
        encoded = awsjson.encode("sagemaker", operation, answer)
        return json.loads(encoded) if encoded else None

    def refusal(self, operation: str, /, **request: Any) -> tuple[str, str]:
        with pytest.raises(Refusal) as refused:
            self.call(operation, **request)
        return refused.value.code, refused.value.sentence

    def context(self) -> Context:
        return Context(
            principal=self.principal,
            request_id="r",
            now=self.now,
            resources=self.resources,
            objects=self.objects,
            credentials=SqlCredentials(self.database),
            logs=SqlLogs(self.database),
            metrics=SqlMetrics(self.database),
        )

    def put(self, bucket: str, key: str) -> None:
        if not self.objects.has_bucket(self.principal.account, bucket):
            self.objects.buckets.create(self.principal.account, bucket, self.principal.region)
        source = self.folder / "upload"
        source.write_bytes(b"data")
        self.objects.store(self.principal.account, bucket, key, source, "text/plain")

    def role(self, arn: str = ROLE, trust: Json = TRUST) -> None:
        path, _, name = arn.partition(":role")[2].rpartition("/")
        spec = {"RoleName": name, "Path": f"{path}/", "AssumeRolePolicyDocument": json.dumps(trust)}
        key = Key(Kind.ROLE, ACCOUNT, GLOBAL_REGION, name)
        self.resources.create(Resource(key, arn, spec, created_at=self.now))

    def record(self, kind: Kind, name: str) -> Resource:
        found = self.resources.get(Key(kind, self.principal.account, self.principal.region, name))
        assert found is not None
        return found

    def becomes(self, kind: Kind, name: str, status: str, **detail: Any) -> None:
        """What the reconciler writes when its work is done."""
        seen = self.record(kind, name)
        self.resources.update(seen, Change(due_at=None, status=status, detail={**seen.detail, **detail}))

    def due(self, kind: Kind, name: str, at: float) -> None:
        """The reconciler still has something to do."""
        self.resources.update(self.record(kind, name), Change(due_at=at, touch=False))

    def model(self, name: str = "cats", **container: Any) -> str:
        arn: str = self.call("CreateModel", ModelName=name, PrimaryContainer={"Image": IMAGE, **container})[
            "ModelArn"
        ]
        return arn

    def config(self, name: str = "config", **variant: Any) -> None:
        standard = {
            "VariantName": "AllTraffic",
            "ModelName": "cats",
            "InstanceType": "ml.m5.large",
            "InitialInstanceCount": 1,
        }
        self.call("CreateEndpointConfig", EndpointConfigName=name, ProductionVariants=[standard | variant])

    def endpoint(self, name: str = "pets", config: str = "config") -> None:
        self.call("CreateEndpoint", EndpointName=name, EndpointConfigName=config)
