"""How `store.db` came to be, step by step: one Alembic revision per change of the tables."""
