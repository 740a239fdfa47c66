"""The tables as SQLAlchemy sees them; `migrations/` makes them, and a test holds the two together."""

from __future__ import annotations

import sqlalchemy as sa

HEAD = "0003"
"""The schema that this program reads and writes: the newest revision in `migrations/versions`."""

metadata = sa.MetaData()

resources = sa.Table(
    "resources",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("account", sa.Text, nullable=False),
    sa.Column("region", sa.Text, nullable=False),
    sa.Column("folded", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("arn", sa.Text, nullable=False),
    sa.Column("spec", sa.JSON, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("detail", sa.JSON, nullable=False),
    sa.Column("tags", sa.JSON, nullable=False),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("modified_at", sa.Double, nullable=False),
    sa.Column("due_at", sa.Double),
    sa.Column("lease", sa.Text),
    sa.Column("leased_until", sa.Double),
    sa.UniqueConstraint("kind", "account", "region", "folded", name="resources_name"),
    sa.Index("resources_created", "kind", "account", "region", "created_at", "name"),
    sa.Index("resources_due", "due_at"),
)

credentials = sa.Table(
    "credentials",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("access_key_id", sa.Text, nullable=False),
    sa.Column("secret", sa.Text, nullable=False),
    sa.Column("account", sa.Text, nullable=False),
    sa.Column("arn", sa.Text, nullable=False),
    sa.Column("session_token", sa.Text),
    sa.Column("expires_at", sa.Double),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.UniqueConstraint("access_key_id", name="credentials_access_key_id"),
)

routes = sa.Table(
    "routes",
    metadata,
    sa.Column("account", sa.Text, primary_key=True),
    sa.Column("region", sa.Text, primary_key=True),
    sa.Column("endpoint", sa.Text, primary_key=True),
    sa.Column("variants", sa.JSON, nullable=False),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("withdrawn", sa.Boolean, nullable=False),
    sa.Index("routes_changed", "withdrawn", "revision"),
)

front_doors = sa.Table(
    "front_doors",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("seen_at", sa.Double, nullable=False),
)

log_streams = sa.Table(
    "log_streams",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("account", sa.Text, nullable=False),
    sa.Column("region", sa.Text, nullable=False),
    sa.Column("log_group", sa.Text, nullable=False),
    sa.Column("stream", sa.Text, nullable=False),
    sa.Column("created", sa.BigInteger, nullable=False),
    sa.Column("events", sa.BigInteger, nullable=False),
    sa.Column("first_event", sa.BigInteger),
    sa.Column("last_event", sa.BigInteger),
    sa.UniqueConstraint("account", "region", "log_group", "stream", name="log_streams_name"),
)

log_events = sa.Table(
    "log_events",
    metadata,
    sa.Column("stream_id", sa.Integer, primary_key=True),
    sa.Column("sequence", sa.BigInteger, primary_key=True),
    sa.Column("timestamp", sa.BigInteger, nullable=False),
    sa.Column("message", sa.Text, nullable=False),
    sqlite_with_rowid=False,
)

metric_series = sa.Table(
    "metric_series",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("account", sa.Text, nullable=False),
    sa.Column("region", sa.Text, nullable=False),
    sa.Column("namespace", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("dimensions", sa.Text, nullable=False),
    sa.Column("last_point", sa.BigInteger, nullable=False),
    sa.UniqueConstraint("account", "region", "namespace", "dimensions", "name", name="metric_series_name"),
    sa.Index("metric_series_last", "last_point"),
)

metric_points = sa.Table(
    "metric_points",
    metadata,
    sa.Column("series_id", sa.Integer, primary_key=True),
    sa.Column("writer", sa.Text, primary_key=True),
    sa.Column("sequence", sa.BigInteger, primary_key=True),
    sa.Column("timestamp", sa.BigInteger, nullable=False),
    sa.Column("samples", sa.Double, nullable=False),
    sa.Column("total", sa.Double, nullable=False),
    sa.Column("least", sa.Double, nullable=False),
    sa.Column("most", sa.Double, nullable=False),
    sqlite_with_rowid=False,
)

counters = sa.Table(
    "counters",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.BigInteger, nullable=False),
)
