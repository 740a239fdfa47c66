"""Metric series and their points."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the two tables."""
    op.create_table(
        "metric_series",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("region", sa.Text, nullable=False),
        sa.Column("namespace", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("dimensions", sa.Text, nullable=False),
        sa.Column("last_point", sa.BigInteger, nullable=False),
        sa.UniqueConstraint(
            "account", "region", "namespace", "dimensions", "name", name="metric_series_name"
        ),
    )
    op.create_index("metric_series_last", "metric_series", ["last_point"])
    op.create_table(
        "metric_points",
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


def downgrade() -> None:
    """Remove the two tables."""
    op.drop_table("metric_points")
    op.drop_table("metric_series")
