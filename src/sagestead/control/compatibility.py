"""docs/compatibility.md, made from the dispatch tables: `python -m sagestead.control.compatibility`.

Rule: nobody writes that page by hand; a test makes it again and compares. The services that have no
dispatch table here (S3 and the runtime) are told in `ELSEWHERE`, which tests compare with their own tables.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path

from sagestead.control.operations import cloudwatch, iam, logs, sagemaker, sts
from sagestead.domain import model_server
from sagestead.wire.models import service_model

PAGE = Path("docs/compatibility.md")

TITLES = {
    "sagemaker": "SageMaker",
    "sagemaker-runtime": "SageMaker Runtime",
    "s3": "S3",
    "sts": "STS",
    "iam": "IAM",
    "logs": "CloudWatch Logs",
    "cloudwatch": "CloudWatch",
}

ELSEWHERE: Mapping[str, frozenset[str]] = {
    "sagemaker-runtime": frozenset({"InvokeEndpoint"}),
    "s3": frozenset(
        {
            "AbortMultipartUpload",
            "CompleteMultipartUpload",
            "CopyObject",
            "CreateBucket",
            "CreateMultipartUpload",
            "DeleteBucket",
            "DeleteBucketTagging",
            "DeleteObject",
            "DeleteObjectTagging",
            "DeleteObjects",
            "GetBucketAccelerateConfiguration",
            "GetBucketAcl",
            "GetBucketLocation",
            "GetBucketLogging",
            "GetBucketNotificationConfiguration",
            "GetBucketRequestPayment",
            "GetBucketTagging",
            "GetBucketVersioning",
            "GetObject",
            "GetObjectAcl",
            "GetObjectAttributes",
            "GetObjectTagging",
            "HeadBucket",
            "HeadObject",
            "ListBuckets",
            "ListMultipartUploads",
            "ListObjectVersions",
            "ListObjects",
            "ListObjectsV2",
            "ListParts",
            "PutBucketTagging",
            "PutBucketVersioning",
            "PutObject",
            "PutObjectTagging",
            "UploadPart",
            "UploadPartCopy",
        }
    ),
}

NOTES = {
    "CreateModelPackage": "without source algorithms, validation jobs, encryption and the marketplace",
    "Search": "training and tuning jobs, endpoints, models, model packages and their groups",
    "GetSearchSuggestions": "the same",
    "GetMetricData": "metrics of training jobs and endpoints; no math expressions",
    "GetMetricStatistics": "metrics of training jobs and endpoints; those of jobs also by the second",
    "FilterLogEvents": "patterns of words and quoted phrases; earliest events first",
    "CreateRole": "without permissions boundary",
    "ListRolePolicies": "always empty: inline policies cannot be made",
    "GetPolicyVersion": "a policy has one version, `v1`; documents of AWS's own policies are abridged",
    "SimulatePrincipalPolicy": "reads the policies attached to a role; no context entries, no boundaries",
    "AssumeRole": "without session policies, session tags and MFA",
    "ListMonitoringSchedules": "always empty: schedules cannot be made",
}

HEAD = """\
# Compatibility

This page is made from the dispatch tables (`python -m sagestead.control.compatibility`); a test compares the
two. What AWS has is taken from the service models of the botocore release that was installed then.

**done**: carried out; a parameter that is not carried out is refused by name in the error.
**refused**: answered with a client error that names the operation, without retries.

Every request must be signed. A key of an account may call every operation on that account's resources;
policies are kept, shown and simulated, but no operation asks them before it acts.
"""


def page(
    operations_of: Callable[[str], Sequence[str]] = lambda service: service_model(service).operations,
) -> str:
    """Return the whole page; `operations_of` gives the names of all operations of a service, in order."""
    known = {service: operations_of(service) for service in TITLES}
    sections = (line for service, names in known.items() for line in _section(service, names))
    return "\n".join([HEAD, *_overview(known), *sections, *_variables()])


def carried_out(service: str) -> Collection[str]:
    """Return the names of the operations of a service that are carried out."""
    tables = {
        "sagemaker": sagemaker.OPERATIONS,
        "sts": sts.OPERATIONS,
        "iam": iam.OPERATIONS,
        "logs": logs.OPERATIONS,
        "cloudwatch": cloudwatch.OPERATIONS,
    }
    return tables[service].keys() if service in tables else ELSEWHERE[service]


def _overview(known: Mapping[str, Sequence[str]]) -> Iterator[str]:
    yield "| service | done | refused |"
    yield "|---|---:|---:|"
    for service, names in known.items():
        done = len(carried_out(service))
        yield f"| {TITLES[service]} | {done} | {len(names) - done} |"
    yield ""


def _section(service: str, names: Sequence[str]) -> Iterator[str]:
    done = carried_out(service)
    yield f"## {TITLES[service]}"
    yield ""
    yield "| operation | status | remarks |"
    yield "|---|---|---|"
    yield from (f"| {name} | done | {NOTES.get(name, '')} |" for name in names if name in done)
    yield ""
    yield f"Refused: {', '.join(name for name in names if name not in done)}."
    yield ""


def _variables() -> Iterator[str]:
    yield "## Variables of model servers"
    yield ""
    yield "In the Environment of a model or transform job whose container runs a script. Any other variable"
    yield "is the script's own. A built-in algorithm answers on every core: the number of processes"
    yield "says nothing there, and a time of less than 60 seconds is refused."
    yield ""
    yield "| variable | here |"
    yield "|---|---|"
    yield from (f"| `{name}` | {meaning} |" for name, meaning in model_server.CARRIED_OUT.items())
    yield from (f"| `{name}` | says nothing: {why} |" for name, why in model_server.MEANINGLESS.items())
    yield from (f"| `{name}*` | refused: {remedy} |" for name, remedy in model_server.REFUSED.items())
    yield ""


def main() -> None:
    """Write the page into the repository that the program is started in."""
    arguments = argparse.ArgumentParser(description="Write docs/compatibility.md.")
    arguments.add_argument("--output", type=Path, default=PAGE)
    arguments.parse_args().output.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
