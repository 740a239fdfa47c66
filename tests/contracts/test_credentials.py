"""The law of `Credentials`, held against every adapter."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sagestead.domain.identity import Credential
from sagestead.ports import Credentials
from sagestead.store.credentials import SqlCredentials
from sagestead.store.database import Database, open_database

KEY = Credential("AKIAONE", "first secret", "123456789012", "arn:aws:iam::123456789012:root")
SESSION = replace(KEY, access_key_id="ASIATWO", session_token="token", expires_at=1234.5)


class TestSqlCredentials:
    @pytest.fixture
    def database(self, folder: Path) -> Iterator[Database]:
        database = open_database(folder)
        yield database
        database.close()

    @pytest.fixture
    def credentials(self, database: Database) -> Credentials:
        return SqlCredentials(database)

    def test_what_is_added_is_found(self, credentials: Credentials) -> None:
        credentials.add(KEY)
        credentials.add(SESSION)
        assert credentials.find("AKIAONE") == KEY
        assert credentials.find("ASIATWO") == SESSION
        assert credentials.find("akiaone") is None

    def test_only_long_term_keys_are_listed(self, credentials: Credentials) -> None:
        second = replace(KEY, access_key_id="AKIAANOTHER")
        for credential in (KEY, SESSION, second):
            credentials.add(credential)
        assert credentials.keys() == [KEY, second]

    def test_a_disabled_key_is_found_as_such_by_another_process(
        self, credentials: Credentials, folder: Path
    ) -> None:
        credentials.add(KEY)
        second = open_database(folder)
        other = SqlCredentials(second)
        assert other.find("AKIAONE") == KEY
        assert credentials.disable("AKIAONE")
        assert other.find("AKIAONE") == replace(KEY, enabled=False)
        assert not credentials.disable("AKIANONE")
        second.close()

    def test_sessions_long_expired_are_forgotten(self, credentials: Credentials) -> None:
        credentials.add(KEY)
        credentials.add(SESSION)
        credentials.add(replace(SESSION, access_key_id="ASIATHREE", expires_at=1234.5 + 86400))
        assert credentials.find("ASIATWO") is not None
        credentials.add(replace(SESSION, access_key_id="ASIAFOUR", expires_at=1234.5 + 8 * 86400))
        assert credentials.find("ASIATWO") is None
        assert credentials.find("ASIATHREE") is not None
        assert credentials.keys() == [KEY]
