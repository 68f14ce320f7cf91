"""`DjangoStorage` passes the suite over SQLite, PostgreSQL and MariaDB, in both styles."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.storage.django_storages import database, empty, make_tables, opened
from tests.storage.services.conftest import cut_mariadb, cut_postgres
from tests.support.services import need
from webex.storage import EncryptedStorage, conformance

pytestmark = pytest.mark.services


@pytest.fixture(params=["sqlite", "postgres", "mariadb"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, Any]]:
    with database(request.param, tmp_path) as settings:
        make_tables(settings)
        yield settings


@pytest.mark.parametrize("pool", [10, 1], ids=["pool of ten", "pool of one"])
@pytest.mark.parametrize("style", ["blocking", "async"])
def test_conforms(place: dict[str, Any], style: Any, pool: int) -> None:
    def make() -> object:
        empty()
        return opened(place, pool)

    def cut() -> None:
        if "postgresql" in place["ENGINE"]:
            host, port = need("postgres").address
            cut_postgres(f"postgresql://postgres@{host}:{port}/test", "datname = %s", place["NAME"])
        else:
            cut_mariadb(need("mariadb").address, place["NAME"])

    on_sqlite = "sqlite" in place["ENGINE"]
    many = 100 if on_sqlite or pool == 1 else 2000  # writers of one SQLite file wait for the disk
    again = functools.partial(opened, place, pool)
    options: Any = {} if on_sqlite else {"cut": cut, "server_clock": True}
    report = conformance.verify(make, style=style, open_again=again, many=many, **options)
    needs_server = {"survives_a_cut", "survives_a_cut_in_mid_call", "lives_by_the_clock_of_the_server"}
    of_event_loops = {one.name for one in conformance.BEHAVIOURS if one.event_loop}
    of_notifications = {one.name for one in conformance.BEHAVIOURS if "notifications" in one.needs}
    assert {one.name for one in report.skipped} == {
        "writes_relaxed",
        *of_notifications,
        *(needs_server if on_sqlite else ()),
        *(of_event_loops if style == "blocking" else ()),
    }


@pytest.mark.parametrize("style", ["blocking", "async"])
def test_encrypted_conforms(place: dict[str, Any], style: Any) -> None:
    key = EncryptedStorage.generate_key()

    def make() -> object:
        empty()
        return EncryptedStorage(opened(place), keys=[key])

    conformance.verify(make, style=style, many=50)


def test_names_equal_under_a_collation_are_distinct(place: dict[str, Any]) -> None:
    names = ["a", "A", "á", "a ", "a\u0301", "ａ", "ss", "ß", "\U0001f512", "\U0001f513"]
    storage = opened(place)
    for name in names:
        storage.bind(name).put(name, name)
        assert storage.bind(name).try_lease(name, 60) is not None
    for name in names:
        assert list(storage.bind(name).keys()) == [[name]]
        assert storage.bind(name).get(name) == name
    assert storage.namespaces() == sorted(names)
    storage.close()


def test_import_of_the_mysql_backend_loads_no_module_of_pymysql_again() -> None:
    import importlib

    import pymysql

    importlib.import_module("django.db.backends.mysql.base")
    assert pymysql.err.OperationalError is pymysql.OperationalError
