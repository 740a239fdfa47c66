"""`sagestead jobs`: what runs, what waits, how far it is and how long it will take.

Rule: only the public API is asked, and nothing that it would hold until the job changes: Search, lists and
log lines.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Column, Table

from sagestead.cli.client import client
from sagestead.cli.progress import (
    UNDER_WAY,
    Row,
    clock,
    queued,
    training_row,
    tuning_row,
    unmeasured_row,
)
from sagestead.cli.terminal import DataOption, console, refuse, running_server

PAUSE = 1.0
NEWEST = 20
"""How many ended jobs of a kind `--all` shows."""

LAST_LINES = 20
_GROUP = "/aws/sagemaker/"
_NEWEST_FIRST = {"SortBy": "CreationTime", "SortOrder": "Descending"}


def jobs(
    *,
    watch: Annotated[bool, typer.Option("--watch", help="Go on until Ctrl-C.")] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Show the newest jobs that have ended, too.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON; times are in seconds.")] = False,
    data: DataOption = None,
) -> None:
    """Say which jobs run and wait, how far they are, and how long they will take."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - only when it is needed: `up` starts faster

    if watch and as_json:
        refuse("--watch and --json exclude each other; give one of them.")
    folder, server = running_server(data)
    view = View(client(folder, server, "sagemaker"), client(folder, server, "logs"), everything=everything)
    try:
        if as_json:
            typer.echo(json.dumps([asdict(row) for row in view.rows()], indent=2))
        elif watch:
            with Live(table(view.rows()), console=console, auto_refresh=False) as live:
                while True:
                    time.sleep(PAUSE)
                    live.update(table(view.rows()), refresh=True)
        else:
            rows = view.rows()
            console.print(table(rows) if rows else "No job runs or waits.")
    except KeyboardInterrupt:
        return
    except (BotoCoreError, ClientError) as error:
        refuse(f"The server at {server.url} does not answer: {error}. 'sagestead doctor' says more.")


class View:
    """Asks a server for its jobs."""

    def __init__(self, sagemaker: Any, logs: Any, *, everything: bool) -> None:  # noqa: ANN401 - botocore's clients are made at run time
        self._sagemaker = sagemaker
        self._logs = logs
        self._everything = everything

    def rows(self) -> list[Row]:
        """Return the jobs as they are now."""
        now, cores = time.time(), os.cpu_count() or 1
        trainings = list(self._searched("TrainingJob", "TrainingJobStatus"))
        return queued(
            [
                *(training_row(job, self._last_lines(job), now, cores) for job in trainings),
                *(
                    tuning_row(job, now)
                    for job in self._searched("HyperParameterTuningJob", "HyperParameterTuningJobStatus")
                ),
                *(
                    unmeasured_row(kind, job, now, works=self._works(kind, job))
                    for kind in ("transform", "processing")
                    for job in self._listed(kind)
                ),
            ]
        )

    def _searched(self, resource: str, status: str) -> Iterator[Any]:
        under_way = {"Name": status, "Operator": "In", "Value": ",".join(UNDER_WAY)}
        pages = self._sagemaker.get_paginator("search").paginate(
            Resource=resource,
            SearchExpression={"Filters": [under_way]},
            SortBy="CreationTime",
            SortOrder="Ascending",
        )
        yield from (result[resource] for page in pages for result in page["Results"])
        if self._everything:
            ended = [{**under_way, "Operator": "NotEquals", "Value": value} for value in UNDER_WAY]
            newest = self._sagemaker.search(
                Resource=resource,
                SearchExpression={"Filters": ended},
                SortBy="CreationTime",
                SortOrder="Descending",
                MaxResults=NEWEST,
            )
            yield from (result[resource] for result in newest["Results"])

    def _listed(self, kind: str) -> Iterator[Any]:
        word = kind.capitalize()
        pages = self._sagemaker.get_paginator(f"list_{kind}_jobs")
        for status in UNDER_WAY:
            for page in pages.paginate(StatusEquals=status):
                yield from page[f"{word}JobSummaries"]
        if self._everything:
            newest = getattr(self._sagemaker, f"list_{kind}_jobs")(MaxResults=NEWEST, **_NEWEST_FIRST)
            yield from (
                job for job in newest[f"{word}JobSummaries"] if job[f"{word}JobStatus"] not in UNDER_WAY
            )

    def _last_lines(self, job: Any) -> list[str]:  # noqa: ANN401 - an answer
        """Return the last lines of the first host of a training job; none before it has begun."""
        stream = f"{job['TrainingJobName']}/algo-1-{int(job['CreationTime'].timestamp())}"
        try:
            events = self._logs.get_log_events(
                logGroupName=f"{_GROUP}TrainingJobs", logStreamName=stream, limit=LAST_LINES
            )["events"]
        except self._logs.exceptions.ResourceNotFoundException:
            return []
        return [event["message"] for event in events]

    def _works(self, kind: str, job: Any) -> bool:  # noqa: ANN401 - an answer
        """Say whether an instance of a job has begun: then it has a log stream."""
        word = kind.capitalize()
        try:
            streams = self._logs.describe_log_streams(
                logGroupName=f"{_GROUP}{word}Jobs",
                logStreamNamePrefix=f"{job[f'{word}JobName']}/",
                limit=1,
            )["logStreams"]
        except self._logs.exceptions.ResourceNotFoundException:
            return False
        return bool(streams)


def table(rows: list[Row]) -> Table:
    """Return the jobs as a table."""
    found = Table(
        Column("Queue", justify="right"),
        Column("Kind"),
        Column("Name", overflow="fold"),
        Column("Status"),
        Column("Progress", min_width=10),
        Column("", justify="right"),
        Column("Elapsed", justify="right"),
        Column("Left", justify="right"),
        Column("Cores", justify="right"),
    )
    for row in rows:
        total = row.total or 0
        found.add_row(
            _text(row.position),
            row.kind,
            row.name,
            row.stage if row.status == "InProgress" and row.stage else row.status,
            ProgressBar(total, min(row.done or 0, total), width=10) if total else "",
            f"{row.done or 0}/{total}" if total else _text(row.done),
            clock(row.elapsed),
            clock(row.remaining),
            _text(row.cores),
        )
    return found


def _text(number: int | None) -> str:
    return "" if number is None else str(number)
