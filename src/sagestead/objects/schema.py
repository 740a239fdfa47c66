"""The tables of the object index, by schema version (`PRAGMA user_version`).

Rule: `MIGRATIONS[n]` turns version n into n + 1 and is never changed once released. Keys are BLOBs, the
UTF-8 of the key, so that SQLite orders them as S3 does.
"""

from __future__ import annotations

import sqlite3

_FIRST = """
CREATE TABLE buckets (
  id INTEGER PRIMARY KEY,
  account TEXT NOT NULL,
  name TEXT NOT NULL,
  region TEXT NOT NULL,
  created_at REAL NOT NULL,
  versioning TEXT NOT NULL DEFAULT '',
  tags TEXT,
  UNIQUE (account, name)
);
CREATE TABLE versions (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  bucket INTEGER NOT NULL REFERENCES buckets (id),
  key BLOB NOT NULL,
  version_id TEXT NOT NULL,
  is_current INTEGER NOT NULL,
  is_marker INTEGER NOT NULL,
  size INTEGER NOT NULL,
  etag TEXT NOT NULL,
  modified_at REAL NOT NULL,
  headers TEXT NOT NULL,
  metadata TEXT NOT NULL,
  tags TEXT NOT NULL,
  checksums TEXT NOT NULL,
  checksum_type TEXT NOT NULL,
  multipart INTEGER NOT NULL,
  UNIQUE (bucket, key, version_id)
);
CREATE UNIQUE INDEX current_version ON versions (bucket, key) WHERE is_current = 1;
CREATE UNIQUE INDEX visible_object ON versions (bucket, key) WHERE is_current = 1 AND is_marker = 0;
CREATE UNIQUE INDEX key_history ON versions (bucket, key, seq DESC);
CREATE TABLE segments (
  version INTEGER NOT NULL REFERENCES versions (seq) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  blob TEXT NOT NULL,
  size INTEGER NOT NULL,
  sha256 TEXT NOT NULL,
  checksums TEXT NOT NULL,
  PRIMARY KEY (version, position)
) WITHOUT ROWID;
CREATE TABLE uploads (
  id TEXT PRIMARY KEY,
  bucket INTEGER NOT NULL REFERENCES buckets (id),
  key BLOB NOT NULL,
  started_at REAL NOT NULL,
  headers TEXT NOT NULL,
  metadata TEXT NOT NULL,
  tags TEXT NOT NULL,
  algorithm TEXT NOT NULL,
  checksum_type TEXT NOT NULL
);
CREATE INDEX uploads_by_key ON uploads (bucket, key, id);
CREATE TABLE parts (
  upload TEXT NOT NULL REFERENCES uploads (id) ON DELETE CASCADE,
  number INTEGER NOT NULL,
  blob TEXT NOT NULL,
  size INTEGER NOT NULL,
  sha256 TEXT NOT NULL,
  checksums TEXT NOT NULL,
  etag TEXT NOT NULL,
  modified_at REAL NOT NULL,
  PRIMARY KEY (upload, number)
) WITHOUT ROWID;
CREATE TABLE completions (
  upload TEXT PRIMARY KEY,
  bucket INTEGER NOT NULL REFERENCES buckets (id) ON DELETE CASCADE,
  key BLOB NOT NULL,
  request TEXT NOT NULL,
  version INTEGER NOT NULL,
  completed_at REAL NOT NULL
);
CREATE INDEX completions_by_age ON completions (completed_at);
"""

MIGRATIONS = (_FIRST,)


class NewerSchema(Exception):  # noqa: N818 - says what the database is
    """The database was written by a newer release; this one must not touch it."""


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the database to the newest schema; two processes may do so at once."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        for number in range(version, len(MIGRATIONS)):
            for statement in filter(str.strip, MIGRATIONS[number].split(";")):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number + 1}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    if version > len(MIGRATIONS):
        raise NewerSchema(f"the object index has schema {version}; this release knows {len(MIGRATIONS)}")
