"""Storages that tests name on a command line."""

from __future__ import annotations

import os
import time
from typing import Any

import sqlalchemy as sa

from tests.support.plain_storage import Plain
from webex.storage import EncryptedStorage, MemoryStorage, ServerFacts, SQLAlchemyStorage, SQLiteStorage, StorageError

shared = MemoryStorage()


def file() -> SQLiteStorage:
    """A storage whose place the environment tells."""
    return SQLiteStorage(os.environ["STORAGE_OF_THE_TEST"])


def encrypted_file() -> EncryptedStorage:
    """The same, with the keys of the environment."""
    return EncryptedStorage(file(), [os.environ["WEBEX_STORAGE_KEYS"]])


def encrypted_tables() -> EncryptedStorage:
    """An encrypted storage in tables of SQLAlchemy."""
    engine = sa.create_engine(f"sqlite+pysqlite:///{os.environ['STORAGE_OF_THE_TEST']}")
    return EncryptedStorage(SQLAlchemyStorage(engine), [EncryptedStorage.generate_key()])


def plain() -> Plain:
    """A storage without leases."""
    return Plain()


class AnHourAhead(MemoryStorage):
    """A storage whose server's clock is an hour ahead."""

    def server_facts(self) -> ServerFacts:
        return ServerFacts("redis", time.time() + 3600)


class _AwayBinding:
    def __getattr__(self, name: str) -> Any:
        def fail(*_: Any, **__: Any) -> None:
            raise StorageError("Redis at redis://db.example.com:6379/0 can't be reached (ConnectionError)")

        return fail


class Away(MemoryStorage):
    """A storage whose server does not answer."""

    def bind(self, namespace: str) -> Any:
        return _AwayBinding()


def an_hour_ahead() -> AnHourAhead:
    return AnHourAhead()


def away() -> Away:
    return Away()
