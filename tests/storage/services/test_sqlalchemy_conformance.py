"""`SQLAlchemyStorage` passes the suite over PostgreSQL and MariaDB, in both styles."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from tests.storage.services.conftest import cut_mariadb, cut_postgres
from tests.storage.sqlalchemy_storages import made, table_prefix
from tests.support.services import need
from webex.storage import EncryptedStorage, conformance

pytestmark = pytest.mark.services

DRIVERS = {
    ("postgres", "blocking"): "postgresql+psycopg",
    ("postgres", "async"): "postgresql+psycopg_async",
    ("mariadb", "blocking"): "mysql+pymysql",
    ("mariadb", "async"): "mysql+aiomysql",
}
USERS = {"postgres": "postgres", "mariadb": "root"}


def url_of(name: str, style: str) -> str:
    host, port = need(name).address
    return f"{DRIVERS[name, style]}://{USERS[name]}@{host}:{port}/test"


@pytest.fixture(params=["postgres", "mariadb"])
def server(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def prefix(server: str) -> Iterator[str]:
    """What the names of this test's tables begin with; they are dropped in the end."""
    made_up = table_prefix()
    yield made_up
    drop_tables(url_of(server, "blocking"), made_up)


def drop_tables(url: str, prefix: str, database: str = "test") -> None:
    engine = sa.create_engine(f"{url.rpartition('/')[0]}/{database}")
    with engine.begin() as connection:
        for name in ("values", "leases"):
            connection.execute(sa.text(f"DROP TABLE IF EXISTS {prefix}{name}"))
    engine.dispose()


@pytest.mark.parametrize("pool", [10, 1], ids=["pool of ten", "pool of one"])
@pytest.mark.parametrize("style", ["blocking", "async"])
def test_conforms(server: str, prefix: str, style: Any, pool: int) -> None:
    blocking = url_of(server, "blocking")
    with own_database(server, prefix) as database:

        def make() -> object:
            drop_tables(blocking, prefix, database)
            made(f"{blocking.rpartition('/')[0]}/{database}", "blocking", prefix, create=True).close()
            return again()

        def cut() -> None:
            if server == "postgres":
                host, port = need(server).address
                cut_postgres(f"postgresql://postgres@{host}:{port}/test", "datname = %s", database)
            else:
                cut_mariadb(need(server).address, database)

        again = functools.partial(
            made, f"{url_of(server, style).rpartition('/')[0]}/{database}", style, prefix, pool=pool
        )
        conformance.verify(
            make, style=style, open_again=again, cut=cut, server_clock=True, many=2000 if pool > 1 else 200
        )


@pytest.mark.parametrize("style", ["blocking", "async"])
def test_encrypted_conforms(server: str, prefix: str, style: Any) -> None:
    key = EncryptedStorage.generate_key()

    def make() -> object:
        drop_tables(url_of(server, "blocking"), prefix)
        made(url_of(server, "blocking"), "blocking", prefix, create=True).close()
        return EncryptedStorage(made(url_of(server, style), style, prefix), keys=[key])

    conformance.verify(make, style=style, many=100)


@contextlib.contextmanager
def own_database(server: str, name: str) -> Iterator[str]:
    """A database of the test's own, so that it cuts no connections of others."""
    name = name.rstrip("_")
    engine = sa.create_engine(url_of(server, "blocking"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    try:
        yield name
    finally:
        with engine.connect() as connection:
            connection.execute(sa.text(f"DROP DATABASE {name}" + (" WITH (FORCE)" if server == "postgres" else "")))
        engine.dispose()


def test_names_equal_under_a_collation_are_distinct(server: str, prefix: str) -> None:
    names = ["a", "A", "á", "a ", "a\u0301", "ａ", "ss", "ß", "\U0001f512", "\U0001f513"]
    storage = made(url_of(server, "blocking"), "blocking", prefix, create=True)
    for name in names:
        storage.bind(name).put(name, name)
        assert storage.bind(name).try_lease(name, 60) is not None
    for name in names:
        assert list(storage.bind(name).keys()) == [[name]]
        assert storage.bind(name).get(name) == name
    assert storage.namespaces() == sorted(names)
    storage.close()
