"""`PostgresStorage` passes the suite in both styles, from a URL and over pools of the app."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool, ConnectionPool

from tests.storage.services.conftest import cut_postgres, drop_schema
from tests.support.postgres_server import PgBouncer, PostgresServer
from tests.support.services import need
from webex.storage import EncryptedStorage, PostgresStorage, conformance, scoped
from webex.storage.conformance import StorageConformance

pytestmark = pytest.mark.services

KEYS = [EncryptedStorage.generate_key()]


class OnPostgres(StorageConformance):
    server_clock = True

    @pytest.fixture(autouse=True)
    def _place(self, postgres_url: str, schema: str) -> None:
        self.url, self.schema = f"{postgres_url}?application_name={schema}", schema

    def cut(self) -> None:  # type: ignore[override]  # a method in place of the attribute
        cut_postgres(self.url, "application_name = %s", self.schema)

    def make_storage(self) -> object:
        return PostgresStorage(self.url, schema=self.schema)

    @property
    def open_again(self) -> Callable[[], object]:  # type: ignore[override]  # made for each test
        return functools.partial(PostgresStorage, self.url, schema=self.schema)


class TestBlocking(OnPostgres):
    style = "blocking"


class TestEventLoop(OnPostgres):
    style = "async"


@pytest.mark.parametrize(("wrapper", "style"), [("encrypted", "async"), ("scoped", "blocking")])
def test_wrapped_storage_conforms(postgres_url: str, schema: str, wrapper: str, style: Any) -> None:
    def make() -> object:
        drop_schema(postgres_url, schema)
        storage = PostgresStorage(postgres_url, schema=schema)
        if wrapper == "encrypted":
            return EncryptedStorage(storage, keys=KEYS)
        with storage:
            storage.bind("namespace").put("other/key", "not of this scope")
        return scoped(storage, "client", "a/b")

    conformance.verify(make, style=style)


class Given(PostgresStorage):
    """Closes the pools, which are the app's, with the storage: each behaviour makes new ones."""

    def __init__(self, *pools: Any, schema: str) -> None:
        super().__init__(pools[0], async_pool=pools[1] if pools[1:] else None, schema=schema)
        self.pools = pools

    def close(self) -> None:
        for pool in self.pools:
            if isinstance(pool, ConnectionPool):
                pool.close()

    async def aclose(self) -> None:
        for pool in self.pools:
            if isinstance(pool, AsyncConnectionPool):
                await pool.close()
        self.close()


@pytest.mark.parametrize(("kind", "autocommit"), [("blocking", False), ("async", True), ("both", False)])
def test_pools_of_the_app_conform(postgres_url: str, schema: str, kind: str, autocommit: bool) -> None:
    options: dict[str, Any] = {
        "kwargs": {"autocommit": autocommit, "row_factory": dict_row, "prepare_threshold": 0},
        "min_size": 1,
        "open": False,
    }

    def make_blocking() -> object:
        drop_schema(postgres_url, schema)
        pool = ConnectionPool(postgres_url, **options)
        pool.open()
        return Given(pool, schema=schema)

    async def make() -> object:
        drop_schema(postgres_url, schema)
        pool = AsyncConnectionPool(postgres_url, **options)
        await pool.open()
        if kind == "async":
            return Given(pool, schema=schema)
        blocking = ConnectionPool(postgres_url, **options)
        blocking.open()
        return Given(pool, blocking, schema=schema)

    if kind == "blocking":
        conformance.verify(make_blocking, style="blocking")
    else:
        conformance.verify(make, style="async")


@pytest.fixture(scope="module")
def strict_server() -> Iterator[PostgresServer]:
    with PostgresServer("default_transaction_isolation = 'serializable'") as server:
        yield server


def test_server_with_a_stricter_isolation_conforms(strict_server: PostgresServer) -> None:
    def make() -> object:
        drop_schema(strict_server.url, "webex")
        return PostgresStorage(strict_server.url)

    conformance.verify(make, style="blocking")


@pytest.fixture(scope="module")
def bouncer() -> Iterator[str]:
    with PgBouncer(need("postgres")) as pooler:
        yield pooler.url("test")


@pytest.mark.parametrize("style", ["blocking", "async"])
def test_pgbouncer_in_transaction_mode_conforms(bouncer: str, postgres_url: str, schema: str, style: Any) -> None:
    def make() -> object:
        drop_schema(postgres_url, schema)
        return PostgresStorage(bouncer, schema=schema)

    conformance.verify(make, style=style)


def test_pool_of_one_connection_conforms(postgres_url: str, schema: str) -> None:
    def make() -> object:
        drop_schema(postgres_url, schema)
        return PostgresStorage(postgres_url, schema=schema, pool_size=1)

    conformance.verify(make, style="async")
