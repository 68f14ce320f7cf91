"""The statements of a `PostgresStorage`, each atomic and a transaction of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from webex.storage.postgres_connections import Database
from webex.storage.sql_binding import SWEPT_AT_ONCE, Entry

__all__ = ["LONGEST", "PostgresStatements", "Texts", "escaped", "unescaped"]

LONGEST: Final = 1e11  # seconds: about 3,000 years, which PostgreSQL's dates can hold


class Texts:
    """The statements of one schema; `relaxed` ones do not wait for the disk."""

    def __init__(self, schema: str) -> None:
        values, leases = f"{schema}.webex_values", f"{schema}.webex_leases"
        alive = "(expires_at IS NULL OR expires_at > clock_timestamp())"
        place = "namespace = %s AND key = %s"
        expiry = "clock_timestamp() + make_interval(secs => %s::float8)"
        # Setting it locally ends with the transaction, which is this statement.
        relaxed = "(SELECT set_config('synchronous_commit', 'off', true)) = 'off'"
        columns = "(namespace, key, value, version, expires_at)"
        new = "value = excluded.value, version = excluded.version, expires_at = excluded.expires_at"
        insert = f"INSERT INTO {values} AS stored {columns} SELECT %s, %s, %s, %s, {expiry}"
        conflict = f" ON CONFLICT (namespace, key) DO UPDATE SET {new}"
        update = f"UPDATE {values} SET value = %s, version = %s, expires_at = {expiry} WHERE {place} AND version = %s"
        self.get: str = f"SELECT value, version FROM {values} WHERE {place} AND {alive}"
        self.get_many: str = (
            f"SELECT key, value FROM {values} WHERE namespace = %s AND key = ANY(%s::text[]) AND {alive}"
        )
        self.expiry: str = (
            f"SELECT extract(epoch FROM expires_at - clock_timestamp())::float8 FROM {values} WHERE {place} AND {alive}"
        )
        self.put: tuple[str, str] = _both(insert, f" WHERE {relaxed}", conflict)
        self.add: tuple[str, str] = _both(
            insert, f" WHERE {relaxed}", f"{conflict} WHERE stored.expires_at <= clock_timestamp()"
        )
        self.swap: tuple[str, str] = _both(f"{update} AND {alive}", f" AND {relaxed}")
        self.delete: tuple[str, str] = _both(f"DELETE FROM {values} WHERE {place}", f" AND {relaxed}")
        self.take: tuple[str, str] = _both(
            f"DELETE FROM {values} WHERE {place} AND version = %s AND {alive}", f" AND {relaxed}"
        )
        self.clear: str = f"DELETE FROM {values} WHERE namespace = %s"
        self.namespaces: str = f"SELECT DISTINCT namespace FROM {values} WHERE {alive} ORDER BY namespace"
        self.keys: str = f"SELECT key FROM {values} WHERE namespace = %s AND {alive}"
        held = "namespace = %s AND name = %s"
        self.try_lease: str = (
            f"INSERT INTO {leases} AS held (namespace, name, token, expires_at) SELECT %s, %s, %s, {expiry} "
            f"WHERE NOT EXISTS (SELECT FROM {leases} WHERE {held} AND expires_at > clock_timestamp()) "
            "ON CONFLICT (namespace, name) DO UPDATE SET token = excluded.token, expires_at = excluded.expires_at "
            "WHERE held.expires_at <= clock_timestamp()"
        )
        self.renew: str = (
            f"UPDATE {leases} SET expires_at = {expiry} WHERE {held} AND token = %s AND expires_at > clock_timestamp()"
        )
        self.release: str = f"DELETE FROM {leases} WHERE {held} AND token = %s"
        self.remaining: str = (
            f"SELECT extract(epoch FROM expires_at - clock_timestamp())::float8 FROM {leases} WHERE {held}"
        )
        self.sweeps: list[str] = [
            f"DELETE FROM {table} WHERE ctid = ANY(ARRAY(SELECT ctid FROM {table} "
            f"WHERE expires_at <= (SELECT clock_timestamp()) ORDER BY expires_at LIMIT {SWEPT_AT_ONCE} "
            f"FOR UPDATE SKIP LOCKED)) AND expires_at <= clock_timestamp() AND {relaxed}"
            for table in (values, leases)
        ]


class PostgresStatements:
    """The statements of one namespace."""

    def __init__(
        self,
        database: Database,
        texts: Texts,
        namespace: str,
        *,
        prepare: Callable[[Database], Awaitable[None]],
    ) -> None:
        self._database = database
        self._texts = texts
        self._prepare = prepare  # sees that the tables are there
        self._namespace = escaped(namespace)

    async def read(self, key: str) -> tuple[bytes, str] | None:
        found = await self._run(self._texts.get, self._namespace, escaped(key), repeatable=True)
        return (found[0][0], found[0][1]) if found else None

    async def read_many(self, keys: Sequence[str]) -> list[tuple[str, bytes]]:
        wanted = [escaped(key) for key in keys]
        found = await self._run(self._texts.get_many, self._namespace, wanted, repeatable=True)
        return [(unescaped(key), value) for key, value in found]

    async def expiry(self, key: str) -> list[float | None]:
        found = await self._run(self._texts.expiry, self._namespace, escaped(key), repeatable=True)
        return [left for (left,) in found]

    async def write(self, key: str, entry: Entry, *, durable: bool) -> None:
        await self._count(self._texts.put[durable], *self._row(key, entry))

    async def add(self, key: str, entry: Entry, *, durable: bool) -> bool:
        return await self._count(self._texts.add[durable], *self._row(key, entry)) == 1

    async def swap(self, key: str, version: str, entry: Entry, *, durable: bool) -> bool:
        place = (self._namespace, escaped(key), escaped(version))
        return await self._count(self._texts.swap[durable], *entry, *place) == 1

    async def remove(self, key: str, *, durable: bool) -> None:
        await self._count(self._texts.delete[durable], self._namespace, escaped(key))

    async def take(self, key: str, version: str, *, durable: bool) -> bool:
        return await self._count(self._texts.take[durable], self._namespace, escaped(key), escaped(version)) == 1

    async def clear(self) -> None:
        await self._count(self._texts.clear, self._namespace)

    async def names(self, first: str, end: str | None, limit: int, *, after: bool) -> list[str]:
        query = f"{self._texts.keys} AND key {'>' if after else '>='} %s" + ("" if end is None else " AND key < %s")
        bounds = [escaped(first)] if end is None else [escaped(first), escaped(end)]
        found = await self._run(f"{query} ORDER BY key LIMIT %s", self._namespace, *bounds, limit, repeatable=True)
        return [unescaped(key) for (key,) in found]

    async def lease(self, name: str, token: str, ttl: float) -> bool:
        place = (self._namespace, escaped(name))
        return await self._count(self._texts.try_lease, *place, token, ttl, *place) == 1

    async def remaining(self, name: str) -> float | None:
        found = await self._run(self._texts.remaining, self._namespace, escaped(name), repeatable=True)
        return float(found[0][0]) if found else None

    async def renew(self, name: str, token: str, ttl: float) -> bool:
        return await self._count(self._texts.renew, ttl, self._namespace, escaped(name), token) == 1

    async def release(self, name: str, token: str) -> None:
        await self._count(self._texts.release, self._namespace, escaped(name), token)

    async def sweep(self) -> None:
        for sweep in self._texts.sweeps:
            await self._database.run(sweep)

    def _row(self, key: str, entry: Entry) -> tuple[Any, ...]:
        return self._namespace, escaped(key), *entry

    async def _run(self, query: str, *parameters: Any, repeatable: bool = False) -> list[tuple[Any, ...]]:
        await self._prepare(self._database)
        return (await self._database.run(query, parameters, repeatable=repeatable)).rows

    async def _count(self, query: str, *parameters: Any) -> int:
        await self._prepare(self._database)
        return (await self._database.run(query, parameters)).changed


def _both(before: str, relaxed: str, after: str = "") -> tuple[str, str]:
    """Return the statement that need not be durable and the one that is: `durable` is the index."""
    return before + relaxed + after, before + after


def escaped(text: str) -> str:
    """Return a text without NUL, which PostgreSQL's has not; different ones stay different, and in their order."""
    return text.replace("\x01", "\x01\x02").replace("\0", "\x01\x01")


def unescaped(text: str) -> str:
    return text.replace("\x01\x01", "\0").replace("\x01\x02", "\x01")
