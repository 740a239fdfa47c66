"""An AWS SDK in another language: JavaScript's, version 3."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.compat

ROOT = Path(__file__).parents[2]
PACKAGES = ("@aws-sdk/client-s3@3", "@aws-sdk/client-sagemaker@3", "@aws-sdk/client-sagemaker-runtime@3",
            "@aws-sdk/client-sts@3", "@aws-sdk/client-iam@3")  # fmt: skip

SCRIPT = """
import { S3Client, CreateBucketCommand, PutObjectCommand, GetObjectCommand, ListObjectsV2Command }
  from "@aws-sdk/client-s3";
import { SageMakerClient, ListModelsCommand, DescribeModelCommand } from "@aws-sdk/client-sagemaker";
import { SageMakerRuntimeClient, InvokeEndpointCommand } from "@aws-sdk/client-sagemaker-runtime";
import { STSClient, GetCallerIdentityCommand } from "@aws-sdk/client-sts";
import { IAMClient, GetRoleCommand } from "@aws-sdk/client-iam";

const s3 = new S3Client({ forcePathStyle: true });
await s3.send(new CreateBucketCommand({ Bucket: "javascript" }));
await s3.send(new PutObjectCommand({ Bucket: "javascript", Key: "a b/ü.txt", Body: "hello" }));
const got = await s3.send(new GetObjectCommand({ Bucket: "javascript", Key: "a b/ü.txt" }));
console.log("S3", await got.Body.transformToString());
console.log("KEYS", (await s3.send(new ListObjectsV2Command({ Bucket: "javascript" }))).KeyCount);
console.log("STS", (await new STSClient({}).send(new GetCallerIdentityCommand({}))).Account);
const role = await new IAMClient({}).send(new GetRoleCommand({ RoleName: "SagesteadExecutionRole" }));
console.log("ROLE", role.Role.Arn);
const sagemaker = new SageMakerClient({});
console.log("MODELS", Array.isArray((await sagemaker.send(new ListModelsCommand({}))).Models));
try { await sagemaker.send(new DescribeModelCommand({ ModelName: "absent" })); }
catch (error) { console.log("ERROR", error.name, error.message); }
try {
  await new SageMakerRuntimeClient({}).send(
    new InvokeEndpointCommand({ EndpointName: "absent", Body: "1", ContentType: "text/csv" }));
} catch (error) { console.log("RUNTIME", error.name); }
"""


def test_clients_of_javascript(run: Callable[..., str]) -> None:
    if shutil.which("npm") is None:
        pytest.skip("Node.js is absent (Debian: apt install nodejs npm)")
    place = ROOT / ".venvs" / "javascript"
    if not (place / "complete").exists():
        place.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            ["npm", "install", "--silent", "--no-audit", "--no-fund", *PACKAGES], check=True, cwd=place
        )
        (place / "complete").touch()
    (place / "client.mjs").write_text(SCRIPT)
    said = run("node", "client.mjs", cwd=place).splitlines()
    assert said[:5] == [
        "S3 hello",
        "KEYS 1",
        "STS 123456789012",
        "ROLE arn:aws:iam::123456789012:role/SagesteadExecutionRole",
        "MODELS true",
    ]
    assert said[5].startswith("ERROR ValidationException Could not find model")
    assert said[6].startswith("RUNTIME ValidationError")
