"""`SQLAlchemyStorage` over SQLite, which needs no server: the suite, the app's tables and transactions, refusals."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import StaticPool

from tests.storage.sqlalchemy_storages import made
from webex.errors import ConfigurationError, StorageError
from webex.storage import SQLAlchemyStorage
from webex.storage.conformance import StorageConformance
from webex.storage.sqlalchemy import add_tables


class OnSQLite(StorageConformance):
    many = 100

    @pytest.fixture(autouse=True)
    def _place(self, tmp_path: Path) -> None:
        self.file = tmp_path / "app.db"

    def url(self, style: str) -> str:
        return f"{'sqlite+aiosqlite' if style == 'async' else 'sqlite'}:///{self.file}"

    def make_storage(self) -> object:
        made(self.url("blocking"), "blocking", "webex_", create=True).close()
        return made(self.url(self.style or ""), self.style or "", "webex_")


@pytest.mark.services  # it needs none, but writers of one SQLite file wait for each other and for the disk
class TestBlocking(OnSQLite):
    style = "blocking"


@pytest.mark.services
class TestEventLoop(OnSQLite):
    style = "async"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[sa.Engine]:
    made_up = sa.create_engine(f"sqlite:///{tmp_path / 'app.db'}")
    yield made_up
    made_up.dispose()


def test_write_survives_the_rollback_of_the_request(engine: sa.Engine) -> None:
    storage = SQLAlchemyStorage(engine)
    storage.create_tables()
    with engine.connect() as request:
        request.execute(sa.text("SELECT 1"))
        storage.bind("credentials").put("key", "token")
        request.rollback()
    assert storage.bind("credentials").get("key") == "token"


def test_tables_are_in_the_metadata_of_the_app(engine: sa.Engine) -> None:
    metadata = sa.MetaData()
    tables = add_tables(metadata, prefix="bot_")
    storage = SQLAlchemyStorage(engine, metadata=metadata, prefix="bot_")
    assert set(metadata.tables) == {"bot_values", "bot_leases"}
    assert storage.tables.values is tables.values
    metadata.create_all(engine)
    storage.bind("credentials").put("key", 1)
    assert sa.inspect(engine).get_table_names() == ["bot_leases", "bot_values"]


def test_missing_tables_are_reported(engine: sa.Engine) -> None:
    with pytest.raises(StorageError, match=r"create_tables\(\)"):
        SQLAlchemyStorage(engine).bind("credentials").get("key")


def test_errors_show_no_value(engine: sa.Engine) -> None:
    storage = SQLAlchemyStorage(engine)
    secret = "s3" + "cret"  # no line of the source shows it
    with pytest.raises(StorageError) as failed:
        storage.bind("credentials").put("key", secret)
    assert secret not in "".join(traceback.format_exception(failed.value))


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
def test_database_in_memory_is_refused(url: str) -> None:
    for engine in (sa.create_engine(url), sa.create_engine(url, poolclass=StaticPool)):
        with pytest.raises(ConfigurationError, match=r"MemoryStorage\(\)"):
            SQLAlchemyStorage(engine)


def test_an_invalid_engine_is_refused(engine: sa.Engine) -> None:
    for given in (["sqlite:///app.db"], [engine, engine], [None], [object()]):
        with pytest.raises(ConfigurationError, match="an Engine, an AsyncEngine, or one of each"):
            SQLAlchemyStorage(*given)  # type: ignore[arg-type]  # that is the test


def test_two_engines_support_both_styles(engine: sa.Engine, tmp_path: Path) -> None:
    other = create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'app.db'}")
    storage = SQLAlchemyStorage(engine, other)
    storage.create_tables()
    storage.bind("credentials").put("key", 1)

    async def read() -> Any:
        try:
            return await storage.bind_async("credentials").get("key"), await storage.namespaces_async()
        finally:
            await other.dispose()

    assert asyncio.run(read()) == (1, ["credentials"])
    assert storage.namespaces() == ["credentials"]


def test_key_too_long_is_refused(engine: sa.Engine) -> None:
    storage = SQLAlchemyStorage(engine)
    storage.create_tables()
    with pytest.raises(StorageError, match="at most 2560 bytes"):
        storage.bind("credentials").put("ü" * 1300, 1)
