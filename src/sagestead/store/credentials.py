"""Keys and sessions in SQL. They are read anew at every call, so a disabled key is found so at once."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from sagestead.domain.identity import Credential
from sagestead.store.database import Database
from sagestead.store.tables import credentials

KEPT_SECONDS = 7 * 86400.0
"""Sessions that expired so much earlier than a new one are forgotten when that one is added."""


class SqlCredentials:
    """`Credentials` on a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, access_key_id: str) -> Credential | None:
        """Return the credential, or None."""
        query = sa.select(credentials).where(credentials.c.access_key_id == access_key_id)
        with self._database.read() as connection:
            row = connection.execute(query).first()
        return None if row is None else _credential(row)

    def add(self, credential: Credential) -> None:
        """Store a key pair or a session's temporary credentials."""
        values = {
            "access_key_id": credential.access_key_id,
            "secret": credential.secret,
            "account": credential.account,
            "arn": credential.arn,
            "session_token": credential.session_token,
            "expires_at": credential.expires_at,
            "enabled": credential.enabled,
        }
        with self._database.write() as connection:
            if credential.expires_at is not None:
                bygone = credentials.c.expires_at < credential.expires_at - KEPT_SECONDS
                connection.execute(sa.delete(credentials).where(bygone))
            connection.execute(sa.insert(credentials).values(values))

    def disable(self, access_key_id: str) -> bool:
        """Disable a key; False when there is none."""
        statement = sa.update(credentials).where(credentials.c.access_key_id == access_key_id)
        with self._database.write() as connection:
            return connection.execute(statement.values(enabled=False)).rowcount == 1

    def keys(self) -> list[Credential]:
        """Return the long-term keys, oldest first."""
        query = sa.select(credentials).where(credentials.c.session_token.is_(None))
        with self._database.read() as connection:
            return [_credential(row) for row in connection.execute(query.order_by(credentials.c.id))]


def _credential(row: sa.Row[Any]) -> Credential:
    return Credential(
        access_key_id=row.access_key_id,
        secret=row.secret,
        account=row.account,
        arn=row.arn,
        session_token=row.session_token,
        expires_at=row.expires_at,
        enabled=row.enabled,
    )
