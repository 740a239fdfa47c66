"""`sagestead deploy`: an endpoint serves a model package. Speaks the public API only.

Rule: names say what they stand for, so that a command given twice does nothing the second time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated, Any

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from sagestead.cli.client import client
from sagestead.cli.terminal import DataOption, console, refuse, running_server
from sagestead.domain.resources import Json
from sagestead.planning.deployment import names_of, new_variant

POLL_SECONDS = 0.2


def deploy(  # noqa: PLR0913, PLR0917 - one for each option
    package: Annotated[str, typer.Option(help="ARN of the model package, or <group>/<version>.")],
    endpoint: Annotated[
        str | None, typer.Option(help="Endpoint to create or update; else it has the group's name.")
    ] = None,
    instance_type: Annotated[
        str | None, typer.Option(help="Else the endpoint's, else the first one that the package names.")
    ] = None,
    instance_count: Annotated[int | None, typer.Option(help="Else the endpoint's, else 1.", min=1)] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the endpoint serves it.")] = False,  # noqa: FBT002 - typer's way to declare a flag
    data: DataOption = None,
) -> None:
    """Create or update an endpoint so that it serves an approved model package."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - only when it is needed: `up` starts faster

    folder, server = running_server(data)
    sagemaker = client(folder, server, "sagemaker")
    try:
        found = _package(sagemaker, package)
        name = endpoint or found.get("ModelPackageGroupName") or found["ModelPackageName"]
        current = _endpoint(sagemaker, name)
        config = _prepare(
            sagemaker, found, _variant(sagemaker, found, current, instance_type, instance_count)
        )
        _serve(sagemaker, name, current, config)
        if wait:
            _follow(sagemaker, name, config)
    except ClientError as error:
        refuse(error.response["Error"]["Message"])
    except BotoCoreError as error:
        refuse(f"The server at {server.url} does not answer: {error}. 'sagestead doctor' says more.")


def _package(sagemaker: Any, package: str) -> Json:  # noqa: ANN401 - botocore's clients are made at run time
    """Return the package; exits with a sentence unless it may be deployed."""
    found: Json = sagemaker.describe_model_package(ModelPackageName=package)
    arn, status = found["ModelPackageArn"], found.get("ModelApprovalStatus", "Approved")
    if status != "Approved":
        refuse(f"{arn} has ModelApprovalStatus {status}. Approve it with UpdateModelPackage, then deploy it.")
    if "InferenceSpecification" not in found:
        refuse(f"{arn} has no InferenceSpecification; give it one with UpdateModelPackage.")
    return found


def _endpoint(sagemaker: Any, name: str) -> Json | None:  # noqa: ANN401 - as above
    """Return the endpoint as it is, or None."""
    from botocore.exceptions import ClientError  # noqa: PLC0415 - only when it is needed: `up` starts faster

    try:
        found: Json = sagemaker.describe_endpoint(EndpointName=name)
    except ClientError as error:
        if error.response["Error"]["Message"].startswith("Could not find endpoint"):
            return None
        raise
    return found


def _variant(
    sagemaker: Any,  # noqa: ANN401 - as above
    package: Json,
    endpoint: Json | None,
    instance_type: str | None,
    count: int | None,
) -> Json:
    """Return the production variant: what the options say, else the endpoint's, else the package's."""
    if endpoint is None:
        return new_variant(package["InferenceSpecification"], instance_type, count or 1)
    config = sagemaker.describe_endpoint_config(EndpointConfigName=endpoint["EndpointConfigName"])
    if len(config["ProductionVariants"]) > 1:
        refuse(f"Endpoint {endpoint['EndpointName']} has several variants; update it with UpdateEndpoint.")
    (before,) = config["ProductionVariants"]
    counts = {
        one["VariantName"]: one["DesiredInstanceCount"] for one in endpoint.get("ProductionVariants", [])
    }
    return {
        "VariantName": before["VariantName"],
        "InstanceType": instance_type or before["InstanceType"],
        "InitialInstanceCount": count or counts.get(before["VariantName"], before["InitialInstanceCount"]),
    }


def _prepare(sagemaker: Any, package: Json, variant: Json) -> str:  # noqa: ANN401 - as above
    """Make the model and the endpoint configuration, unless they are there; returns the latter's name."""
    arn = package["ModelPackageArn"]
    created_at = package["CreationTime"].timestamp()
    names = names_of(arn, created_at, package["InferenceSpecification"], variant)
    container = {"ModelPackageName": arn}
    is_new = _make(lambda: sagemaker.create_model(ModelName=names.model, PrimaryContainer=container))
    console.print(f"Model {names.model} {'is made' if is_new else 'is there'}", soft_wrap=True)
    variants = [{**variant, "ModelName": names.model}]
    is_new = _make(
        lambda: sagemaker.create_endpoint_config(EndpointConfigName=names.config, ProductionVariants=variants)
    )
    shown = f"{names.config} ({variant['InitialInstanceCount']} x {variant['InstanceType']})"
    console.print(f"Endpoint configuration {shown} {'is made' if is_new else 'is there'}", soft_wrap=True)
    return names.config


def _serve(sagemaker: Any, name: str, endpoint: Json | None, config: str) -> None:  # noqa: ANN401 - as above
    """Ask the endpoint to serve the configuration, unless it does."""
    if endpoint is None:
        sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
        console.print(f"Endpoint {name} is being created", soft_wrap=True)
    elif endpoint["EndpointConfigName"] == config and endpoint["EndpointStatus"] == "InService":
        console.print(f"Endpoint {name} serves it already", soft_wrap=True)
    else:
        sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=config, RetainDeploymentConfig=True)
        console.print(f"Endpoint {name} is being updated; what served goes on until then", soft_wrap=True)


def _follow(sagemaker: Any, name: str, config: str) -> None:  # noqa: ANN401 - as above
    """Show the endpoint's status until it rests; exits with its reason when it does not serve this."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(f"Endpoint {name}")
        while True:
            found = sagemaker.describe_endpoint(EndpointName=name)
            status = found["EndpointStatus"]
            progress.update(task, description=f"Endpoint {name} is {status}")
            if status in {"InService", "Failed"}:
                break
            time.sleep(POLL_SECONDS)
    if status == "Failed" or found["EndpointConfigName"] != config:
        refuse(f"Endpoint {name} does not serve it: {found.get('FailureReason', 'it was changed meanwhile')}")
    console.print(Text.assemble(("Endpoint ", "green"), (name, "bold green"), (" serves it", "green")))


def _make(create: Callable[[], object]) -> bool:
    """Create something; False when it is there already."""
    from botocore.exceptions import ClientError  # noqa: PLC0415 - only when it is needed: `up` starts faster

    try:
        create()
    except ClientError as error:
        if error.response["Error"]["Message"].startswith("Cannot create already existing"):
            return False
        raise
    return True
