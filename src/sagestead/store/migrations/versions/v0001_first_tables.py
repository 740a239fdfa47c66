"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision: str | None = None


def upgrade() -> None:
    """Make every table of the first schema, and its counters."""
    _resources()
    _credentials()
    _routes()
    _logs()
    counters = op.create_table(
        "counters",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(counters, [{"name": "revision", "value": 1}, {"name": "routes", "value": 0}])


def downgrade() -> None:
    """Refuse: there is nothing before the first schema."""
    raise NotImplementedError("the first schema has no predecessor")


def _resources() -> None:
    op.create_table(
        "resources",
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
    )
    op.create_index("resources_created", "resources", ["kind", "account", "region", "created_at", "name"])
    op.create_index("resources_due", "resources", ["due_at"])


def _credentials() -> None:
    op.create_table(
        "credentials",
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


def _routes() -> None:
    op.create_table(
        "routes",
        sa.Column("account", sa.Text, primary_key=True),
        sa.Column("region", sa.Text, primary_key=True),
        sa.Column("endpoint", sa.Text, primary_key=True),
        sa.Column("variants", sa.JSON, nullable=False),
    )
    op.create_table(
        "front_doors",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("seen_at", sa.Double, nullable=False),
    )


def _logs() -> None:
    op.create_table(
        "log_streams",
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
    op.create_table(
        "log_events",
        sa.Column("stream_id", sa.Integer, primary_key=True),
        sa.Column("sequence", sa.BigInteger, primary_key=True),
        sa.Column("timestamp", sa.BigInteger, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
