"""`DjangoStorage` over SQLite, which needs no server: the app, its tables, routers and refusals."""

from __future__ import annotations

import asyncio
import contextlib
import io
import itertools
import logging
import pickle
import sqlite3
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.storage.django_storages import ALIAS, database, make_tables, opened
from tests.support.django_site import sqlite, use_database
from webex.errors import ConfigurationError, StorageError
from webex.storage import DjangoStorage, conformance
from webex.storage.django.connections import Connections, Places

from django.core.management import call_command  # isort: skip  # after Django was set up
from django.db import connections, transaction  # isort: skip
from django.test import override_settings  # isort: skip


@pytest.fixture
def place(tmp_path: Path) -> Iterator[dict[str, Any]]:
    with database("sqlite", tmp_path) as settings:
        make_tables(settings)
        yield settings


@pytest.fixture
def storage(place: dict[str, Any]) -> Iterator[DjangoStorage]:
    made = opened(place)
    yield made
    made.close()


def test_quick_behaviours_hold(place: dict[str, Any]) -> None:
    for case in conformance.cases(lambda: opened(place)):
        if case.behaviour.name in (
            "keeps_every_json_type",
            "swaps_by_version",
            "leases_to_one",
            "lists_in_pages",
            "expires",
        ):
            case()


def test_migration_is_complete() -> None:
    call_command("makemigrations", "webex_storage", check=True, dry_run=True, verbosity=0)


def test_write_survives_the_rollback_of_the_request(storage: DjangoStorage) -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic(using=ALIAS):
        connections[ALIAS].cursor().execute("SELECT 1")
        storage.bind("credentials").put("key", "token")
        raise ZeroDivisionError
    assert storage.bind("credentials").get("key") == "token"


def test_both_styles_share_the_values(storage: DjangoStorage) -> None:
    async def write() -> list[str]:
        await storage.bind_async("credentials").put("key", [1])
        return await storage.namespaces_async()

    assert asyncio.run(write()) == ["credentials"]
    assert storage.bind("credentials").get("key") == [1]
    assert storage.namespaces() == ["credentials"]


class Router:
    def db_for_write(self, model: Any, **_: Any) -> str | None:
        return ALIAS if model._meta.app_label == "webex_storage" else None

    def db_for_read(self, model: Any, **_: Any) -> str | None:
        return "default"  # such as a replica, which may be late

    def allow_migrate(self, db: str, app_label: str, **_: Any) -> bool | None:
        return db == ALIAS if app_label == "webex_storage" else None


def test_database_routers_choose_the_database(place: dict[str, Any]) -> None:
    with override_settings(DATABASE_ROUTERS=[Router()]):
        storage = DjangoStorage()
        assert storage.alias == ALIAS
        storage.bind("credentials").put("key", 1)
        assert storage.bind("credentials").get("key") == 1
        storage.close()
    assert DjangoStorage().alias == "default"
    assert opened(place).bind("credentials").get("key") == 1


def test_missing_tables_are_reported(tmp_path: Path) -> None:
    with database("sqlite", tmp_path) as settings:
        storage = opened(settings)
        with pytest.raises(StorageError, match=r"manage.py migrate --database webex"):
            storage.bind("credentials").get("key")
        storage.close()


def test_unreachable_database_error_hides_its_path(tmp_path: Path) -> None:
    use_database(ALIAS, sqlite(tmp_path / "missing" / "app.db"))
    with pytest.raises(StorageError, match="no connection could be made"):
        DjangoStorage(ALIAS).bind("credentials").get("key")


def test_debug_logs_no_value(storage: DjangoStorage, caplog: pytest.LogCaptureFixture) -> None:
    secret = "s3" + "cret"
    with override_settings(DEBUG=True), caplog.at_level(logging.DEBUG):
        storage.bind("credentials").put("key", secret)
        assert storage.bind("credentials").get("key") == secret
    assert secret not in caplog.text
    assert not connections[ALIAS].queries


def test_errors_show_no_value(tmp_path: Path) -> None:
    secret = "s3" + "cret"
    with database("sqlite", tmp_path) as settings:
        storage = opened(settings)
        with pytest.raises(StorageError) as failed:
            storage.bind("credentials").put("key", secret)
        storage.close()
    assert secret not in "".join(traceback.format_exception(failed.value))


def test_invalid_configurations_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="DATABASES has no 'other'"):
        DjangoStorage("other").bind("credentials").get("key")
    use_database(ALIAS, sqlite(Path(":memory:")))
    with pytest.raises(ConfigurationError, match=r"MemoryStorage\(\)"):
        DjangoStorage(ALIAS).bind("credentials").get("key")
    for given in ({"pool_size": 0}, {"using": 1}, {"pool_size": True}):
        with pytest.raises(ConfigurationError):
            DjangoStorage(**given)  # type: ignore[arg-type]  # that is the test


def test_key_too_long_is_refused(storage: DjangoStorage) -> None:
    with pytest.raises(StorageError, match="at most 2560 bytes"):
        storage.bind("credentials").put("ü" * 1300, 1)


def test_full_pool_is_reported(place: dict[str, Any]) -> None:
    storage = DjangoStorage(ALIAS, pool_size=1, busy_timeout=0.05)
    storage.bind("credentials").put("key", 1)
    pool = storage._connections.get()
    assert pool._places.acquire(timeout=1)
    with pytest.raises(StorageError, match="all 1 connections of DjangoStorage were in use"):
        storage.bind("credentials").get("key")
    pool._places.release()
    assert storage.bind("credentials").get("key") == 1
    storage.close()


def test_threads_share_the_pool(storage: DjangoStorage) -> None:
    def write(number: int) -> None:
        storage.bind("credentials").put(f"key{number}", number)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    names = [f"key{number}" for number in range(4)]
    assert list(storage.bind("credentials").keys()) == [names]


def test_storage_can_be_pickled_and_shows_its_alias(storage: DjangoStorage) -> None:
    storage.bind("credentials").put("key", 1)
    assert pickle.loads(pickle.dumps(storage)).bind("credentials").get("key") == 1
    assert repr(storage) == "DjangoStorage('webex')"
    assert repr(DjangoStorage()) == "DjangoStorage()"


def test_sql_of_the_migration_names_both_tables() -> None:
    out = io.StringIO()
    call_command("sqlmigrate", "webex_storage", "0001", stdout=out)
    assert {"webex_storage_value", "webex_storage_lease"} <= set(out.getvalue().replace('"', " ").split())


def test_write_waits_for_another_writer_of_the_file(place: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process holds the file for longer than the driver waits, many times over."""
    use_database(ALIAS, {**place, "OPTIONS": {"timeout": 0.001}})
    storage = DjangoStorage(ALIAS, busy_timeout=60)
    tries, enough = itertools.count(1), threading.Event()
    run = Connections.run

    def counted(self: Connections, query: str, parameters: Any) -> Any:
        if next(tries) == 30:
            enough.set()
        return run(self, query, parameters)

    monkeypatch.setattr(Connections, "run", counted)
    errors: list[Exception] = []

    def write() -> None:
        try:
            storage.bind("credentials").put("key", 1)
        except StorageError as error:
            errors.append(error)
            enough.set()

    other = sqlite3.connect(place["NAME"], isolation_level=None)
    with contextlib.closing(other):
        other.execute("BEGIN EXCLUSIVE")
        thread = threading.Thread(target=write)
        thread.start()
        assert enough.wait(60)
        other.execute("ROLLBACK")
        thread.join()
    assert not errors
    assert storage.bind("credentials").get("key") == 1
    storage.close()


def test_crowd_takes_turns_over_one_connection(place: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []
    connect = Connections._opened

    def counted(self: Connections) -> Any:
        made.append(self)
        return connect(self)

    monkeypatch.setattr(Connections, "_opened", counted)
    storage = opened(place)
    for case in conformance.cases(lambda: storage):
        if case.behaviour.name == "serves_a_crowd":
            case()
    storage.close()
    assert len(made) == 1


def test_places_are_given_in_order() -> None:
    places = Places(1)
    assert places.acquire(0)
    given: list[str] = []
    threads = []
    for name in ("first", "second"):

        def wait(name: str = name) -> None:
            assert places.acquire(60)
            given.append(name)
            places.release()

        threads.append(threading.Thread(target=wait))
        threads[-1].start()
        while len(places._waiting) < len(threads):
            threading.Event().wait(0.001)
    assert not places.acquire(0)  # it was not given within the time
    places.release()
    places.acquire(60)
    given.append("newcomer")
    places.release()
    for thread in threads:
        thread.join()
    assert given == ["first", "second", "newcomer"]
