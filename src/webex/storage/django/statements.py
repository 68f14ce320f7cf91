"""The statements of a `DjangoStorage` in the SQL of each database, each atomic.

Names are kept as the bytes of their UTF-8, and so compared byte for byte whatever the collation. Times are seconds
since the epoch by the server's clock.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from django.db import IntegrityError

from webex.errors import ConfigurationError
from webex.storage.django.connections import Result
from webex.storage.django.models import NAME_BYTES, NAMESPACE_BYTES, StoredLease, StoredValue
from webex.storage.sql_binding import SWEPT_AT_ONCE, Entry, encoded

__all__ = ["DjangoStatements", "Run", "Texts"]

Run = Callable[..., Awaitable[Result]]

_NOW = {
    "postgresql": "CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS double precision)",
    "mysql": "(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) / 1e6)",
    "sqlite": "((julianday('now') - 2440587.5) * 86400.0)",
}


class Table:
    """One of the two tables: its name, its columns, quoted, and the statements that both have."""

    def __init__(self, model: Any, columns: Sequence[str], vendor: str, quote: Callable[[str], str]) -> None:
        self.name: str = quote(model._meta.db_table)
        names = [quote(column) for column in columns]
        self.place: str = f"{names[0]} = %s AND {names[1]} = %s"
        self.second: str = names[1]
        self.content: list[str] = names[2:-1]
        self.now: str = _NOW[vendor]
        self.expiry: str = f"{self.now} + %s"
        self.expired: str = f"{names[-1]} <= {self.now}"
        self.is_mysql: bool = vendor == "mysql"
        self._names = names

    def insert(self, *, forever: bool) -> str:
        """Return the plain INSERT, up to its end."""
        values = ", ".join(["%s"] * (len(self._names) - 1))
        expiry = "NULL" if forever else self.expiry
        return f"INSERT INTO {self.name} ({', '.join(self._names)}) VALUES ({values}, {expiry})"

    def upsert(self, *, forever: bool, over_expired: bool = False) -> str:
        """Return the INSERT that replaces what is there, or only what has expired."""
        replaced = self._names[2:]
        if self.is_mysql:
            return f"{self.insert(forever=forever)} ON DUPLICATE KEY UPDATE " + ", ".join(
                f"{name} = VALUES({name})" for name in replaced
            )
        update = ", ".join(f"{name} = excluded.{name}" for name in replaced)
        condition = f" WHERE {self.name}.{self.expired}" if over_expired else ""
        conflict = f"ON CONFLICT ({', '.join(self._names[:2])}) DO UPDATE SET {update}{condition}"
        return f"{self.insert(forever=forever)} {conflict}"

    def update(self, *, forever: bool) -> str:
        """Return the UPDATE of one row, up to further conditions."""
        changed = ", ".join(f"{name} = %s" for name in self.content)
        expiry = "NULL" if forever else self.expiry
        return f"UPDATE {self.name} SET {changed}, {self._names[-1]} = {expiry} WHERE {self.place}"


class Texts:
    """What the statements of one database have in common."""

    def __init__(self, vendor: str, quote: Callable[[str], str]) -> None:
        if vendor not in _NOW:
            raise ConfigurationError(
                f"DjangoStorage works with PostgreSQL, MariaDB, MySQL and SQLite, not with {vendor}"
            )
        self.values: Table = Table(StoredValue, ("namespace", "key", "value", "version", "expires_at"), vendor, quote)
        self.leases: Table = Table(StoredLease, ("namespace", "name", "token", "expires_at"), vendor, quote)
        self.expires_at: str = quote("expires_at")
        self.namespace: str = quote("namespace")
        self.version: str = quote("version")
        self.value: str = quote("value")
        self.token: str = quote("token")
        self.now: str = _NOW[vendor]
        self.alive: str = f"({self.expires_at} IS NULL OR {self.expires_at} > {self.now})"
        self.namespaces: str = (
            f"SELECT DISTINCT {self.namespace} FROM {self.values.name} WHERE {self.alive} ORDER BY {self.namespace}"
        )


class DjangoStatements:
    """The statements of one namespace."""

    def __init__(self, run: Run, texts: Callable[[], Texts], namespace: str) -> None:
        self._run = run
        self._texts = texts  # known when the app registry is
        self._namespace = encoded(namespace, "namespace", NAMESPACE_BYTES, "DjangoStorage")

    async def read(self, key: str) -> tuple[bytes, str] | None:
        texts = self._texts()
        query = f"SELECT {texts.value}, {texts.version} FROM {texts.values.name} WHERE {texts.values.place}"
        found = (await self._run(f"{query} AND {texts.alive}", self._place(key), repeatable=True)).rows
        return (bytes(found[0][0]), bytes(found[0][1]).decode()) if found else None

    async def read_many(self, keys: Sequence[str]) -> list[tuple[str, bytes]]:
        if not keys:
            return []
        texts = self._texts()
        names = [_key(key) for key in keys]
        query = (
            f"SELECT {texts.values.second}, {texts.value} FROM {texts.values.name} WHERE {texts.namespace} = %s AND "
            f"{texts.values.second} IN ({', '.join(['%s'] * len(names))}) AND {texts.alive}"
        )
        found = (await self._run(query, [self._namespace, *names], repeatable=True)).rows
        return [(bytes(key).decode(), bytes(value)) for key, value in found]

    async def expiry(self, key: str) -> list[float | None]:
        texts = self._texts()
        left = f"{texts.expires_at} - {texts.now}"
        query = f"SELECT {left} FROM {texts.values.name} WHERE {texts.values.place} AND {texts.alive}"
        found = (await self._run(query, self._place(key), repeatable=True)).rows
        return [None if left is None else float(left) for (left,) in found]

    async def write(self, key: str, entry: Entry, *, durable: bool) -> None:
        query = self._texts().values.upsert(forever=entry.expires_in is None)
        await self._run(query, [*self._place(key), *_content(entry), *_expiry(entry)])

    async def add(self, key: str, entry: Entry, *, durable: bool) -> bool:
        forever = entry.expires_in is None
        return await self._added(self._texts().values, self._place(key), _content(entry), _expiry(entry), forever)

    async def swap(self, key: str, version: str, entry: Entry, *, durable: bool) -> bool:
        texts = self._texts()
        update = texts.values.update(forever=entry.expires_in is None)
        query = f"{update} AND {texts.version} = %s AND {texts.alive}"
        parameters = [*_content(entry), *_expiry(entry), *self._place(key), version.encode()]
        return (await self._run(query, parameters)).changed == 1

    async def remove(self, key: str, *, durable: bool) -> None:
        values = self._texts().values
        await self._run(f"DELETE FROM {values.name} WHERE {values.place}", self._place(key))

    async def take(self, key: str, version: str, *, durable: bool) -> bool:
        texts = self._texts()
        query = f"DELETE FROM {texts.values.name} WHERE {texts.values.place} AND {texts.version} = %s AND {texts.alive}"
        return (await self._run(query, [*self._place(key), version.encode()])).changed == 1

    async def clear(self) -> None:
        texts = self._texts()
        await self._run(f"DELETE FROM {texts.values.name} WHERE {texts.namespace} = %s", [self._namespace])

    async def names(self, first: str, end: str | None, limit: int, *, after: bool) -> list[str]:
        texts = self._texts()
        key = texts.values.second
        query = f"SELECT {key} FROM {texts.values.name} WHERE {texts.namespace} = %s AND {texts.alive}"
        query += f" AND {key} {'>' if after else '>='} %s" + ("" if end is None else f" AND {key} < %s")
        parameters = [self._namespace, first.encode(), *([] if end is None else [end.encode()])]
        found = (await self._run(f"{query} ORDER BY {key} LIMIT {limit:d}", parameters, repeatable=True)).rows
        return [bytes(name).decode() for (name,) in found]

    async def lease(self, name: str, token: str, ttl: float) -> bool:
        if await self.remaining(name):  # so that those who wait for a lease do not queue as writers
            return False
        return await self._added(self._texts().leases, self._lease_place(name), [token.encode()], [ttl], False)

    async def remaining(self, name: str) -> float | None:
        texts = self._texts()
        left = f"{texts.expires_at} - {texts.now}"
        query = (
            f"SELECT {left} FROM {texts.leases.name} WHERE {texts.leases.place} AND {texts.expires_at} > {texts.now}"
        )
        found = (await self._run(query, self._lease_place(name), repeatable=True)).rows
        return float(found[0][0]) if found else None

    async def renew(self, name: str, token: str, ttl: float) -> bool:
        texts, leases = self._texts(), self._texts().leases
        query = f"UPDATE {leases.name} SET {texts.expires_at} = {leases.expiry} WHERE {leases.place}"
        query += f" AND {texts.token} = %s AND {texts.expires_at} > {texts.now}"
        return (await self._run(query, [ttl, *self._lease_place(name), token.encode()])).changed == 1

    async def release(self, name: str, token: str) -> None:
        texts = self._texts()
        query = f"DELETE FROM {texts.leases.name} WHERE {texts.leases.place} AND {texts.token} = %s"
        await self._run(query, [*self._lease_place(name), token.encode()])

    async def sweep(self) -> None:
        texts = self._texts()
        for table in (texts.values, texts.leases):
            query = f"SELECT {texts.namespace}, {table.second} FROM {table.name} WHERE {table.expired}"
            found = await self._run(f"{query} LIMIT {SWEPT_AT_ONCE}", [], repeatable=True)
            for namespace, name in found.rows:
                delete = f"DELETE FROM {table.name} WHERE {table.place} AND {table.expired}"
                await self._run(delete, [bytes(namespace), bytes(name)])

    async def _added(
        self, table: Table, place: list[bytes], content: list[bytes], expiry: list[float], forever: bool
    ) -> bool:
        """Return whether the row is there now: nothing was, or only what had expired."""
        if not table.is_mysql:
            query = table.upsert(forever=forever, over_expired=True)
            return (await self._run(query, [*place, *content, *expiry])).changed == 1
        replace = f"{table.update(forever=forever)} AND {table.expired}"
        if (await self._run(replace, [*content, *expiry, *place])).changed == 1:
            return True
        try:
            await self._run(table.insert(forever=forever), [*place, *content, *expiry])
        except IntegrityError:
            return False
        return True

    def _place(self, key: str) -> list[bytes]:
        return [self._namespace, _key(key)]

    def _lease_place(self, name: str) -> list[bytes]:
        return [self._namespace, encoded(name, "lease name", NAME_BYTES, "DjangoStorage")]


def _key(key: str) -> bytes:
    return encoded(key, "key", NAME_BYTES, "DjangoStorage")


def _content(entry: Entry) -> list[bytes]:
    return [entry.data, entry.version.encode()]


def _expiry(entry: Entry) -> list[float]:
    return [] if entry.expires_in is None else [entry.expires_in]
