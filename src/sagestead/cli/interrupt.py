"""`sagestead interrupt`: takes the instances of a managed spot training job back, as AWS may at any time."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from sagestead.cli.keys import opened
from sagestead.cli.terminal import DataOption, console, refuse, running_server
from sagestead.domain.resources import Key, Kind, Resource
from sagestead.domain.training import interrupted, is_interruptible
from sagestead.ports import Change, Resources, Stale


def interrupt(
    job: Annotated[str, typer.Argument(help="Name of the training job.")],
    seconds: Annotated[float, typer.Option("--for", help="When there are instances again.")] = 0.0,
    data: DataOption = None,
) -> None:
    """Take back the instances of a managed spot training job; it goes on from its checkpoints, on others."""
    _, server = running_server(data)
    key = Key(Kind.TRAINING_JOB, server.account, server.region, job)
    with opened(data) as adapters:
        _take_back(adapters.resources, key, seconds)
    console.print(f"The instances of {job} are taken back.", soft_wrap=True)


def _take_back(resources: Resources, key: Key, seconds: float) -> None:
    while True:
        seen = resources.get(key)
        if seen is None:
            refuse(f"There is no training job {key.name}; 'sagestead status' shows those there are.")
        if not is_interruptible(seen.status, seen.detail, seen.spec):
            refuse(_reason(seen))
        now = time.time()
        try:
            resources.update(seen, Change(now, detail=interrupted(seen.detail, now, seconds), touch=False))
        except Stale:
            continue
        return


def _reason(job: Resource) -> str:
    if not job.spec.get("EnableManagedSpotTraining"):
        return (
            f"{job.key.name} is no managed spot training job, so nobody takes its instances back; "
            "create it with EnableManagedSpotTraining."
        )
    stage = job.detail.get("SecondaryStatus", job.status)
    return f"{job.key.name} is {stage}: it has no instances that could be taken back."
