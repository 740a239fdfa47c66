"""The adapters of the ports, opened once a process."""

from __future__ import annotations

import time
from dataclasses import dataclass

from sagestead.objects.store import FolderObjects
from sagestead.settings import Settings
from sagestead.store.credentials import SqlCredentials
from sagestead.store.database import Database, open_database
from sagestead.store.logs import SqlLogs
from sagestead.store.resources import SqlResources
from sagestead.store.routes import SqlRoutes


@dataclass(frozen=True, slots=True)
class Adapters:
    """The outside, opened once a process."""

    database: Database
    resources: SqlResources
    routes: SqlRoutes
    credentials: SqlCredentials
    logs: SqlLogs
    objects: FolderObjects


def open_adapters(settings: Settings) -> Adapters:
    """Open the store and the object store of the data folder."""
    database = open_database(settings.folder.root)
    return Adapters(
        database=database,
        resources=SqlResources(database),
        routes=SqlRoutes(database),
        credentials=SqlCredentials(database),
        logs=SqlLogs(database),
        objects=FolderObjects(settings.folder.objects, time.time),
    )
