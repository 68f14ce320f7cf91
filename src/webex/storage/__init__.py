"""Where state rests: adapters, the encrypting wrapper, and the suite that any adapter must pass.

`MemoryStorage` for tests and scripts, `SQLiteStorage` for one machine, `EncryptedStorage` around either or around
yours. Whatever has `get`, `put`, `delete` and `clear` is an adapter: see `as_storage`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from webex.errors import MissingKeyError, StorageError

if TYPE_CHECKING:
    import webex.storage.conformance as conformance  # noqa: PLR0402  # the other form confuses mypy here
    from webex.storage.access import StorageAccess
    from webex.storage.adapt import as_storage
    from webex.storage.django.storage import DjangoStorage
    from webex.storage.encrypted import EncryptedStorage, EnvelopeKey, ReencryptProgress
    from webex.storage.key_value import KeyValueStorage
    from webex.storage.keyring import KeyringStorage
    from webex.storage.memory import MemoryStorage
    from webex.storage.migrating import MigratingStorage, MigrationReport
    from webex.storage.paths import path, split_path
    from webex.storage.postgres import PostgresStorage
    from webex.storage.protocol import Capabilities, Lease, NoNotificationsError, Storage, Versioned
    from webex.storage.redis import RedisStorage
    from webex.storage.scope import scoped
    from webex.storage.server_facts import ServerFacts
    from webex.storage.sqlalchemy import SQLAlchemyStorage
    from webex.storage.sqlite import SQLiteStorage
    from webex.storage.storage_set import StorageSet

_LAZY_EXPORTS = {
    "Capabilities": "protocol",
    "DjangoStorage": "django",
    "EncryptedStorage": "encrypted",
    "EnvelopeKey": "encrypted",
    "KeyValueStorage": "key_value",
    "KeyringStorage": "keyring",
    "Lease": "protocol",
    "MemoryStorage": "memory",
    "MigratingStorage": "migrating",
    "MigrationReport": "migrating",
    "NoNotificationsError": "protocol",
    "PostgresStorage": "postgres",
    "RedisStorage": "redis",
    "ReencryptProgress": "encrypted",
    "SQLAlchemyStorage": "sqlalchemy",
    "SQLiteStorage": "sqlite",
    "ServerFacts": "server_facts",
    "Storage": "protocol",
    "StorageAccess": "access",
    "StorageSet": "storage_set",
    "Versioned": "protocol",
    "as_storage": "adapt",
    "path": "paths",
    "scoped": "scope",
    "split_path": "paths",
}

__all__ = [
    "Capabilities",
    "DjangoStorage",
    "EncryptedStorage",
    "EnvelopeKey",
    "KeyValueStorage",
    "KeyringStorage",
    "Lease",
    "MemoryStorage",
    "MigratingStorage",
    "MigrationReport",
    "MissingKeyError",
    "NoNotificationsError",
    "PostgresStorage",
    "RedisStorage",
    "ReencryptProgress",
    "SQLAlchemyStorage",
    "SQLiteStorage",
    "ServerFacts",
    "Storage",
    "StorageAccess",
    "StorageError",
    "StorageSet",
    "Versioned",
    "as_storage",
    "conformance",
    "path",
    "scoped",
    "split_path",
]


def __getattr__(name: str) -> Any:
    if name == "conformance":
        return import_module("webex.storage.conformance")
    home = _LAZY_EXPORTS.get(name)
    if home is None:
        raise AttributeError(f"module 'webex.storage' has no attribute {name!r}")
    value = getattr(import_module(f"webex.storage.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
