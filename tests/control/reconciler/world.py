"""A whole control process for tests: real store, real objects, real engine, the reconciler on a thread."""

from __future__ import annotations

import json
import socket
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from sagestead.control.context import Context
from sagestead.control.reconciler.loop import Reconciler
from sagestead.domain.identity import Principal
from sagestead.domain.logs import LogStream
from sagestead.domain.resources import Json, Key, Kind, Resource, resource_arn
from sagestead.domain.routes import Route
from sagestead.domain.runs import RunPhase, RunState
from sagestead.domain.training import enter
from sagestead.engines.process.engine import ProcessEngine
from sagestead.objects.store import FolderObjects
from sagestead.optimizer import suggest
from sagestead.planning.programs import Program
from sagestead.ports import Change, Stale
from sagestead.store.credentials import SqlCredentials
from sagestead.store.database import Database, open_database
from sagestead.store.logs import SqlLogs
from sagestead.store.metrics import SqlMetrics
from sagestead.store.resources import SqlResources
from sagestead.store.routes import SqlRoutes
from sagestead.wire.frames import AnswerFrame, Decoder, RequestFrame, encode

T = TypeVar("T")

ACCOUNT = "123456789012"
REGION = "eu-west-1"
IMAGE = "141502667606.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-xgboost:1.7-1"
PROGRAMS = {
    "worker": {"xgboost": Program(load="jobs:load", train="jobs:train")},
    "inline": {"xgboost": Program(load="jobs:load", train="jobs:train", prepare="jobs:prepare")},
    "relaid": {"xgboost": Program(load="jobs:load", train="jobs:train", prepare="jobs:prepare", layout="2")},
}
DEADLINE = 60.0


@dataclass
class World:
    folder: Path
    database: Database
    resources: SqlResources
    routes: SqlRoutes
    logs: SqlLogs
    objects: FolderObjects
    engine: ProcessEngine
    _pause: threading.Event = field(default_factory=threading.Event)

    def until(self, look: Callable[[], T | None]) -> T:
        deadline = time.monotonic() + DEADLINE
        while time.monotonic() < deadline:
            found = look()
            if found:
                return found
            self._pause.wait(0.01)
        raise AssertionError("it did not happen in time")

    def create(self, kind: Kind, name: str, status: str, spec: Json, detail: Json | None = None) -> Resource:
        key = Key(kind, ACCOUNT, REGION, name)
        now = round(time.time(), 3)
        draft = Resource(key, resource_arn(key), spec, status, detail or {}, created_at=now, due_at=now)
        return self.resources.create(draft)

    def change(self, kind: Kind, name: str, status: str, spec: Json | None = None, **more: Any) -> None:
        while True:
            seen = self.get(kind, name)
            assert seen is not None
            try:
                self.resources.update(seen, Change(time.time(), spec=spec, status=status, **more))
            except Stale:
                continue
            return

    def get(self, kind: Kind, name: str) -> Resource | None:
        return self.resources.get(Key(kind, ACCOUNT, REGION, name))

    def reaches(self, kind: Kind, name: str, *statuses: str) -> Resource:
        def look() -> Resource | None:
            found = self.get(kind, name)
            return found if found is not None and found.status in statuses else None

        return self.until(look)

    def put(self, bucket: str, key: str, content: bytes) -> None:
        path = self.folder / "upload"
        path.write_bytes(content)
        self.objects.store(ACCOUNT, bucket, key, path, "text/plain")

    def put_model(self, key: str, greeting: bytes) -> str:
        inside = self.folder / "greeting"
        inside.write_bytes(greeting)
        archive = self.folder / "model.tar.gz"
        with tarfile.open(archive, "w:gz") as tar:
            tar.add(inside, "greeting")
        self.objects.store(ACCOUNT, "bucket", key, archive, "application/x-gzip")
        return f"s3://bucket/{key}"

    def read(self, bucket: str, key: str) -> bytes:
        return self.objects.read(ACCOUNT, bucket, key, 1 << 20)

    def keys(self, bucket: str, prefix: str) -> list[str]:
        return [item.key for item in self.objects.list(ACCOUNT, bucket, prefix)]

    def route(self, name: str) -> Route | None:
        return self.routes.find(ACCOUNT, REGION, name)

    def runs(self, owner: Resource) -> list[RunState]:
        return self.engine.runs(owner.arn)

    def ready(self, owner: Resource, count: int) -> list[RunState]:
        def look() -> list[RunState] | None:
            found = [run for run in self.runs(owner) if run.phase is RunPhase.READY]
            return found if len(found) == count else None

        return self.until(look)

    def lines(self, group: str, stream_prefix: str) -> list[str]:
        found = self.logs.streams(ACCOUNT, REGION, group, stream_prefix)
        return [
            event.message
            for summary in found
            for event in self.logs.events(summary.stream, 0, 10_000, None, None)
        ]

    def streams(self, group: str) -> list[LogStream]:
        return [summary.stream for summary in self.logs.streams(ACCOUNT, REGION, group, "")]

    def act_for(self, principal: Principal) -> Context:
        now = round(time.time(), 3)
        credentials = SqlCredentials(self.database)
        return Context(
            principal,
            "test",
            now,
            self.resources,
            self.objects,
            credentials,
            self.logs,
            SqlMetrics(self.database),
        )

    @contextmanager
    def reconciling(self, hosting: str = "worker") -> Iterator[None]:
        stopping = threading.Event()
        reconciler = Reconciler(
            self.resources,
            self.routes,
            self.engine,
            self.objects,
            self.logs,
            SqlMetrics(self.database),
            time.time,
            PROGRAMS[hosting],
            2,
            suggest,
            self.act_for,
        )
        thread = threading.Thread(target=reconciler.run, args=(stopping,))
        thread.start()
        try:
            yield
        finally:
            stopping.set()
            thread.join()


@contextmanager
def opened(folder: Path) -> Iterator[World]:
    database = open_database(folder)
    objects = FolderObjects(folder / "objects", time.time)
    engine = ProcessEngine(folder / "runs", time.time)
    engine.start()
    world = World(
        folder, database, SqlResources(database), SqlRoutes(database), SqlLogs(database), objects, engine
    )
    try:
        yield world
    finally:
        for place in list(engine._places.every()):
            spec = engine_spec(place.path)
            if spec:
                engine.forget(spec)
        engine.close()
        objects.close()
        database.close()


def engine_spec(path: Path) -> str | None:
    try:
        run_id: str = json.loads((path / "spec.json").read_text())["run_id"]
    except FileNotFoundError:
        return None
    return run_id


def ask(address: str, body: bytes) -> bytes:
    """Send one request to an instance and return the answer's body."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(DEADLINE)
        connection.connect(address)
        connection.sendall(encode(RequestFrame(1, body)))
        decoder = Decoder()
        while True:
            for frame in decoder.feed(connection.recv(1 << 16)):
                if isinstance(frame, AnswerFrame):
                    return frame.body


def variant(
    model_data: str | None, name: str = "AllTraffic", count: int = 1, weight: float = 1.0, **more: Any
) -> Json:
    container: Json = {"Image": more.pop("image", IMAGE)}
    if model_data is not None:
        container["ModelDataUrl"] = model_data
    return {
        "VariantName": name,
        "ModelName": "m",
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": count,
        "InitialVariantWeight": weight,
        "DesiredInstanceCount": count,
        "DesiredWeight": weight,
        "Container": container,
        **more,
    }


def endpoint_spec(config: str, *variants: Json) -> Json:
    return {"EndpointConfigName": config, "ProductionVariants": list(variants)}


def training_spec(script: str = "", **more: Any) -> Json:
    return {
        "TrainingJobName": "t",
        "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/r",
        "HyperParameters": {"script": script},
        "InputDataConfig": [
            {
                "ChannelName": "train",
                "ContentType": "csv",
                "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://bucket/data/"}},
            }
        ],
        "OutputDataConfig": {"S3OutputPath": "s3://bucket/out"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30},
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
        **more,
    }


def training_detail() -> Json:
    return enter({}, "Starting", round(time.time(), 3))
