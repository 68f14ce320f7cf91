"""The statements of a `SQLAlchemyStorage` over one namespace, each atomic."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Any, NamedTuple, Protocol

from webex.storage.sql_binding import SWEPT_AT_ONCE, Entry, encoded
from webex.storage.sqlalchemy_tables import NAME_BYTES, NAMESPACE_BYTES, Statements

import sqlalchemy as sa  # isort: skip  # after the module that tells of the missing extra
from sqlalchemy.exc import IntegrityError  # isort: skip

__all__ = ["Result", "Run", "SQLAlchemyStatements"]

_STORAGE = "SQLAlchemyStorage"


class Result(NamedTuple):
    """The rows that a statement returned, and how many it changed."""

    rows: list[Any]
    changed: int


class Run(Protocol):
    """Runs a statement in one style."""

    def __call__(self, statement: Any, /, *, repeatable: bool = False) -> Awaitable[Result]: ...


class SQLAlchemyStatements:
    """The statements of one namespace."""

    def __init__(self, run: Run, statements: Statements, namespace: str) -> None:
        self._run = run
        self._statements = statements
        self._namespace = encoded(namespace, "namespace", NAMESPACE_BYTES, _STORAGE)

    async def read(self, key: str) -> tuple[bytes, str] | None:
        values = self._statements.values
        query = sa.select(values.c.value, values.c.version).where(*self._at(key), self._statements.alive)
        found = (await self._run(query, repeatable=True)).rows
        return (bytes(found[0][0]), bytes(found[0][1]).decode()) if found else None

    async def read_many(self, keys: Sequence[str]) -> list[tuple[str, bytes]]:
        values = self._statements.values
        names = [_key(key) for key in keys]
        query = sa.select(values.c.key, values.c.value).where(
            values.c.namespace == self._namespace, values.c.key.in_(names), self._statements.alive
        )
        found = (await self._run(query, repeatable=True)).rows
        return [(bytes(key).decode(), bytes(value)) for key, value in found]

    async def expiry(self, key: str) -> list[float | None]:
        values = self._statements.values
        left = values.c.expires_at - self._statements.now
        query = sa.select(left).where(*self._at(key), self._statements.alive)
        return [_seconds(left) for (left,) in (await self._run(query, repeatable=True)).rows]

    async def write(self, key: str, entry: Entry, *, durable: bool) -> None:
        await self._run(self._statements.put(self._place(key), self._row(entry)))

    async def add(self, key: str, entry: Entry, *, durable: bool) -> bool:
        return await self._added(self._statements.values, self._place(key), self._row(entry))

    async def swap(self, key: str, version: str, entry: Entry, *, durable: bool) -> bool:
        swap = self._statements.swap(self._place(key), version.encode(), self._row(entry))
        return (await self._run(swap)).changed == 1

    async def remove(self, key: str, *, durable: bool) -> None:
        await self._run(sa.delete(self._statements.values).where(*self._at(key)))

    async def take(self, key: str, version: str, *, durable: bool) -> bool:
        return (await self._run(self._statements.take(self._place(key), version.encode()))).changed == 1

    async def clear(self) -> None:
        values = self._statements.values
        await self._run(sa.delete(values).where(values.c.namespace == self._namespace))

    async def names(self, first: str, end: str | None, limit: int, *, after: bool) -> list[str]:
        key = self._statements.values.c.key
        query = sa.select(key).where(
            self._statements.values.c.namespace == self._namespace,
            self._statements.alive,
            key > first.encode() if after else key >= first.encode(),
        )
        if end is not None:
            query = query.where(key < end.encode())
        found = (await self._run(query.order_by(key).limit(limit), repeatable=True)).rows
        return [bytes(name).decode() for (name,) in found]

    async def lease(self, name: str, token: str, ttl: float) -> bool:
        if await self.remaining(name):  # so that those who wait for a lease do not queue as writers
            return False
        row = {"token": token.encode(), "expires_at": self._statements.until(ttl)}
        return await self._added(self._statements.leases, self._lease_place(name), row)

    async def remaining(self, name: str) -> float | None:
        leases = self._statements.leases
        query = sa.select(leases.c.expires_at - self._statements.now).where(
            *self._statements.at(leases, self._lease_place(name)), leases.c.expires_at > self._statements.now
        )
        found = (await self._run(query, repeatable=True)).rows
        return float(found[0][0]) if found else None

    async def renew(self, name: str, token: str, ttl: float) -> bool:
        leases = self._statements.leases
        update = sa.update(leases).where(*self._held(name, token), leases.c.expires_at > self._statements.now)
        return (await self._run(update.values(expires_at=self._statements.until(ttl)))).changed == 1

    async def release(self, name: str, token: str) -> None:
        await self._run(sa.delete(self._statements.leases).where(*self._held(name, token)))

    async def sweep(self) -> None:
        for table in (self._statements.values, self._statements.leases):
            expired = table.c.expires_at <= self._statements.now
            name = table.c[table.primary_key.columns.keys()[1]]
            query = sa.select(table.c.namespace, name).where(expired).limit(SWEPT_AT_ONCE)
            for namespace, key in (await self._run(query, repeatable=True)).rows:
                await self._run(sa.delete(table).where(table.c.namespace == namespace, name == key, expired))

    async def _added(self, table: sa.Table, place: dict[str, bytes], row: dict[str, Any]) -> bool:
        """Return whether the row is there now: nothing was, or only what had expired."""
        if self._statements.upserts_by_condition:
            return bool((await self._run(self._statements.put_over_expired(table, place, row))).rows)
        if (await self._run(self._statements.replace_expired(table, place, row))).changed == 1:
            return True
        try:
            await self._run(self._statements.insert(table, place, row))
        except IntegrityError:
            return False
        return True

    def _held(self, name: str, token: str) -> list[Any]:
        leases = self._statements.leases
        return [*self._statements.at(leases, self._lease_place(name)), leases.c.token == token.encode()]

    def _place(self, key: str) -> dict[str, bytes]:
        return {"namespace": self._namespace, "key": _key(key)}

    def _lease_place(self, name: str) -> dict[str, bytes]:
        return {"namespace": self._namespace, "name": encoded(name, "lease name", NAME_BYTES, _STORAGE)}

    def _at(self, key: str) -> list[Any]:
        return self._statements.at(self._statements.values, self._place(key))

    def _row(self, entry: Entry) -> dict[str, Any]:
        expiry = self._statements.until(entry.expires_in)
        return {"value": entry.data, "version": entry.version.encode(), "expires_at": expiry}


def _seconds(value: Any) -> float | None:
    return None if value is None else float(value)


def _key(key: str) -> bytes:
    return encoded(key, "key", NAME_BYTES, _STORAGE)
