"""`sagestead status`: what runs, and what it holds."""

from __future__ import annotations

import time
from datetime import timedelta

from rich.table import Column, Table

from sagestead.cli.client import client
from sagestead.cli.terminal import DataOption, console, refuse, running_server

NOUNS = (
    ("list_endpoints", "Endpoints", "EndpointName", "EndpointStatus"),
    ("list_training_jobs", "TrainingJobSummaries", "TrainingJobName", "TrainingJobStatus"),
    ("list_transform_jobs", "TransformJobSummaries", "TransformJobName", "TransformJobStatus"),
    ("list_models", "Models", "ModelName", None),
)


def status(data: DataOption = None) -> None:
    """Say where the server listens and list its newest endpoints, jobs and models."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - only when it is needed: `up` starts faster

    folder, server = running_server(data)
    sagemaker = client(folder, server, "sagemaker")
    columns = (Column(name, overflow="fold") for name in ("Kind", "Name", "Status"))
    table = Table(*columns)
    try:
        for operation, member, name, state in NOUNS:
            answer = getattr(sagemaker, operation)(
                SortBy="CreationTime", SortOrder="Descending", MaxResults=10
            )
            for row in answer[member]:
                table.add_row(member.removesuffix("Summaries"), row[name], row[state] if state else "")
    except (BotoCoreError, ClientError) as error:
        refuse(f"The server at {server.url} does not answer: {error}. 'sagestead doctor' says more.")
    console.print(f"{server.url}, account {server.account}, region {server.region}", soft_wrap=True)
    console.print(table if table.row_count else "No endpoints, jobs or models yet.")
    up_for = timedelta(seconds=int(time.time() - server.started_at))
    console.print(f"Process {server.pid}, up for {up_for}, data in {folder.root}", soft_wrap=True)
