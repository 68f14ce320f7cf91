"""Open the storage that a command line or `WEBEX_STORAGE` names."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from webex.extras import needed_by
from webex.importing import import_named
from webex.runtime import BlockingRuntime
from webex.storage import EncryptedStorage, SQLiteStorage, StorageAccess

if TYPE_CHECKING:
    from webex.storage import Storage

__all__ = ["KEYS_VARIABLE", "encryption_keys", "keys_of_environment", "opened", "storage_option"]

KEYS_VARIABLE: Final = "WEBEX_STORAGE_KEYS"
_REDIS: Final = ("redis", "rediss", "unix", "sentinel", "redis+cluster", "rediss+cluster", "valkey")
HELP: Final = (
    "Where it is: a file of SQLite, a URL (redis://, sentinel://, postgresql://, or one of SQLAlchemy such as "
    "mysql+pymysql://), or module:name of a storage or of a function that makes one. Default: WEBEX_STORAGE."
)
storage_option: Final = click.option("--storage", "address", envvar="WEBEX_STORAGE", metavar="ADDRESS", help=HELP)


def keys_of_environment() -> list[str]:
    """Return the encryption keys of `WEBEX_STORAGE_KEYS`, which are separated by spaces or commas."""
    return os.environ.get(KEYS_VARIABLE, "").replace(",", " ").split()


def encryption_keys() -> list[str]:
    """Return the keys of the environment; a usage error without any."""
    keys = keys_of_environment()
    if not keys:
        raise click.UsageError(f"Set {KEYS_VARIABLE} to the keys, the new one first, with spaces between them.")
    return keys


@contextmanager
def opened(address: str | None, *, encrypted: bool = True, create: bool = False) -> Iterator[StorageAccess]:
    """Open a storage in blocking style, and close it again; with keys in the environment it is an encrypted one.

    A file of SQLite has to be there, unless `create` is set. A function of the app that makes an encrypted storage
    keeps its own keys.
    """
    if not address:
        raise click.UsageError("Which storage? Give --storage ADDRESS, or set WEBEX_STORAGE.")
    with ExitStack() as closing:
        inner = _made(address, closing, create=create)
        keys = keys_of_environment() if encrypted and not isinstance(inner, EncryptedStorage) else []
        storage: Any = EncryptedStorage(inner, keys) if keys else inner
        yield StorageAccess(storage, BlockingRuntime())


def _made(address: str, closing: ExitStack, *, create: bool) -> Any:
    scheme, mark, _ = address.partition("://")
    if mark and "+" in scheme and scheme not in _REDIS:
        return _over_sqlalchemy(address, closing)
    storage = _own(address, scheme if mark else "", create=create)
    close = getattr(storage, "close", None)
    if callable(close):
        closing.callback(close)
    return storage


def _own(address: str, scheme: str, *, create: bool) -> Any:
    if not scheme:
        module, colon, name = address.partition(":")
        if colon and name and all(part.isidentifier() for part in (*module.split("."), *name.split("."))):
            return _named(address)
        return _file(address, create=create)
    if scheme == "sqlite":
        return _file(address.removeprefix("sqlite://").removeprefix("/"), create=create)
    if scheme in _REDIS:
        from webex.storage import RedisStorage

        return RedisStorage(address)
    if scheme in ("postgresql", "postgres"):
        from webex.storage import PostgresStorage

        return PostgresStorage(address, migrate=create)
    raise click.UsageError(f"No storage has addresses that begin with {scheme}://. {HELP.partition(' Default')[0]}")


def _file(name: str, *, create: bool) -> Storage:
    path = Path(name)
    if not create and not path.is_file():
        raise click.UsageError(f"There is no file {name!r}. A function of your own is named as module:function.")
    return SQLiteStorage(path)


def _named(address: str) -> Any:
    try:
        found: Any = import_named(address)
    except ImportError as error:
        raise click.UsageError(f"{address} can't be imported: {error}") from None
    return found if hasattr(found, "bind") and not isinstance(found, type) else found()


def _over_sqlalchemy(url: str, closing: ExitStack) -> Any:
    with needed_by("An address of SQLAlchemy", extra="sqlalchemy"):
        import sqlalchemy as sa
        from sqlalchemy.exc import ArgumentError

    from webex.storage import SQLAlchemyStorage

    try:
        engine = sa.create_engine(url, pool_pre_ping=True)
    except ArgumentError:
        raise click.UsageError("The address is no URL of SQLAlchemy: dialect+driver://user@host/database.") from None
    except ModuleNotFoundError as error:  # the driver
        raise click.UsageError(
            f"The address needs {error.name}, which is not installed: install the driver that has it."
        ) from None
    closing.callback(engine.dispose)  # the storage leaves the engine to the app, which is this program
    return SQLAlchemyStorage(engine)
