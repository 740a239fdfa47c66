"""Run by Alembic: the connection, with its transaction already open, comes from `store.database`."""

from __future__ import annotations

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
