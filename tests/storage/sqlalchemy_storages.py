"""A `SQLAlchemyStorage` with an engine of its own, which other processes can make too."""

from __future__ import annotations

import secrets
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from webex.storage.sqlalchemy import SQLAlchemyStorage

__all__ = ["WithEngine", "made", "table_prefix"]


def table_prefix() -> str:
    """What the names of a test's own tables begin with."""
    return f"webex_test_{secrets.token_hex(6)}_"


class WithEngine(SQLAlchemyStorage):
    """Disposes of the engine, which is the app's, with the storage: each behaviour makes a new one."""

    def close(self) -> None:
        for engine in self._engines:
            engine.dispose()

    async def aclose(self) -> None:
        engine: Any = self._async_engine
        if engine is not None:
            await engine.dispose()
        if self._engine is not None:
            self._engine.dispose()


def made(url: str, style: str, prefix: str, *, create: bool = False, pool: int = 10) -> WithEngine:
    """The storage of one style in the database at the URL."""
    options: dict[str, Any] = {"pool_size": pool, "max_overflow": 0}
    if style == "async":
        return WithEngine(create_async_engine(url, **options), prefix=prefix)
    storage = WithEngine(sa.create_engine(url, **options), prefix=prefix)
    if create:
        storage.create_tables()
    return storage
