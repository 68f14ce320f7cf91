"""Databases of a test's own for a `DjangoStorage`, which other processes can open too."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.django_site import sqlite, use_database
from tests.support.services import need

use_database("webex", sqlite(Path("nowhere.db")))  # before anything of Django is imported that looks at the settings

from django.core.management import call_command  # noqa: E402
from django.db import connections  # noqa: E402

from webex.storage.django import DjangoStorage  # noqa: E402

__all__ = ["ALIAS", "database", "empty", "make_tables", "opened"]

ALIAS = "webex"


@contextmanager
def database(kind: str, folder: Path) -> Iterator[dict[str, Any]]:
    """The settings of an empty database of its own on the server of this kind; it is dropped in the end."""
    if kind == "sqlite":
        yield sqlite(folder / "app.db")
    else:
        name = f"webex_test_{secrets.token_hex(6)}"
        host, port = need(kind).address
        place: dict[str, Any] = {"HOST": host, "PORT": port}
        if kind == "postgres":
            place |= {"ENGINE": "django.db.backends.postgresql", "USER": "postgres"}
            server = {**place, "NAME": "postgres"}
        else:
            place |= {"ENGINE": "django.db.backends.mysql", "USER": "root"}
            server = {**place, "NAME": "test"}
        _execute(server, f"CREATE DATABASE {name}" + (" CHARACTER SET utf8mb4" if kind == "mariadb" else ""))
        try:
            yield {**place, "NAME": name}
        finally:
            _execute(server, f"DROP DATABASE {name}" + (" WITH (FORCE)" if kind == "postgres" else ""))
    use_database(ALIAS, sqlite(Path("nowhere.db")))


def _execute(server: dict[str, Any], statement: str) -> None:
    use_database(ALIAS, server)
    with connections[ALIAS].cursor() as cursor:
        cursor.execute(statement)
    connections[ALIAS].close()


def make_tables(settings: dict[str, Any]) -> None:
    """Point the alias to the database, and run the migrations there."""
    use_database(ALIAS, settings)
    call_command("migrate", "webex_storage", database=ALIAS, verbosity=0)
    connections[ALIAS].close()


def empty() -> None:
    """Remove what the tables hold."""

    def work() -> None:
        with connections[ALIAS].cursor() as cursor:
            cursor.execute("DELETE FROM webex_storage_value")
            cursor.execute("DELETE FROM webex_storage_lease")
        connections[ALIAS].close()

    _in_thread(work)


def _in_thread(work: Callable[[], None]) -> None:
    """Call it where no event loop runs: Django refuses to block one."""
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def opened(settings: dict[str, Any], pool: int = 10) -> DjangoStorage:
    """The storage in that database, in this process or another."""
    if connections.settings.get(ALIAS, {}).get("NAME") != settings["NAME"]:
        _in_thread(lambda: use_database(ALIAS, settings))
    return DjangoStorage(ALIAS, pool_size=pool)
