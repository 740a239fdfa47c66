"""The adapters of the ports, opened once a process."""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass

from sqlalchemy.exc import DBAPIError

from sagestead.objects.store import FolderObjects
from sagestead.settings import Settings
from sagestead.store.credentials import SqlCredentials
from sagestead.store.database import Database, UnknownSchema, open_database
from sagestead.store.logs import SqlLogs
from sagestead.store.metrics import SqlMetrics
from sagestead.store.resources import SqlResources
from sagestead.store.routes import SqlRoutes


class Unusable(Exception):  # noqa: N818 - says what is wrong with the folder, the program is fine
    """The data folder cannot be opened; the text is one sentence with the remedy."""


@dataclass(frozen=True, slots=True)
class Adapters:
    """The outside, opened once a process."""

    database: Database
    resources: SqlResources
    routes: SqlRoutes
    credentials: SqlCredentials
    logs: SqlLogs
    metrics: SqlMetrics
    objects: FolderObjects


def open_adapters(settings: Settings, listener: str | None = None) -> Adapters:
    """Open the store and the object store of the data folder.

    Args:
        settings: say where it is.
        listener: the name of this process, if it waits for the writes of others.

    Raises:
        Unusable: a file there is not ours, is damaged, or cannot be written.
    """
    try:
        return _open(settings, listener)
    except (UnknownSchema, DBAPIError, sqlite3.Error, OSError) as error:
        reason = error.orig if isinstance(error, DBAPIError) else error
        raise Unusable(
            f"The data folder {settings.folder.root} cannot be opened ({reason}); "
            "name another with --data, or restore it from a copy."
        ) from error


def _open(settings: Settings, listener: str | None) -> Adapters:
    database = open_database(settings.folder.root, listener)
    return Adapters(
        database=database,
        resources=SqlResources(database),
        routes=SqlRoutes(database),
        credentials=SqlCredentials(database),
        logs=SqlLogs(database),
        metrics=SqlMetrics(database),
        objects=FolderObjects(settings.folder.objects, time.time),
    )
