"""The SQL store: every resource, route, key, log line and metric."""

from sagestead.store.credentials import SqlCredentials
from sagestead.store.database import Database, UnknownSchema, open_database
from sagestead.store.logs import SqlLogs
from sagestead.store.metrics import SqlMetrics
from sagestead.store.resources import SqlResources
from sagestead.store.routes import SqlRoutes

__all__ = [
    "Database",
    "SqlCredentials",
    "SqlLogs",
    "SqlMetrics",
    "SqlResources",
    "SqlRoutes",
    "UnknownSchema",
    "open_database",
]
