"""Routes know when they changed, and withdrawn ones are remembered for a while."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the table anew: SQLite adds no column that must have a value. Its rows count as changed now."""
    op.rename_table("routes", "routes_before")
    op.create_table(
        "routes",
        sa.Column("account", sa.Text, primary_key=True),
        sa.Column("region", sa.Text, primary_key=True),
        sa.Column("endpoint", sa.Text, primary_key=True),
        sa.Column("variants", sa.JSON, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("withdrawn", sa.Boolean, nullable=False),
    )
    op.execute(
        "INSERT INTO routes SELECT account, region, endpoint, variants, value, 0 "
        "FROM routes_before JOIN counters ON name = 'routes'"
    )
    op.drop_table("routes_before")
    op.create_index("routes_changed", "routes", ["withdrawn", "revision"])


def downgrade() -> None:
    """Refuse: an older program would serve withdrawn routes."""
    raise NotImplementedError("an older program would take withdrawn routes for routes")
