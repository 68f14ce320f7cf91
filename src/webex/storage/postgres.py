"""A storage in PostgreSQL, shared by any number of hosts, for both styles.

Every call is one statement and a transaction of its own, so it is atomic, never part of a transaction of the app, and
works through a pooler. Values and leases expire by the server's clock. The logic is written once (`SQLAsyncBinding`):
`bind` shows it as plain methods over blocking connections, `bind_async` as asynchronous ones.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from webex.errors import ConfigurationError, StorageError
from webex.extras import needed_by
from webex.runtime import drive
from webex.storage.codec import check_duration
from webex.storage.per_loop import PerLoop, PerProcess
from webex.storage.protocol import Binding, Capabilities, MaybeAwaitable
from webex.storage.wrappers import BlockingWrapper

with needed_by("PostgresStorage", "postgres"):
    import psycopg
    import psycopg.conninfo

from webex.storage import postgres_schema
from webex.storage.postgres_connections import (
    AsyncDriver,
    BlockingDriver,
    Database,
    GivenAsyncPool,
    GivenPool,
    Pool,
)
from webex.storage.postgres_errors import Place
from webex.storage.postgres_notifications import Listener, PostgresAsyncBinding, channel_of
from webex.storage.postgres_statements import LONGEST, PostgresStatements, Texts, unescaped
from webex.storage.server_facts import ServerFacts
from webex.storage.sql_binding import blocking_sleep, event_loop_sleep

if TYPE_CHECKING:
    from psycopg_pool import AsyncConnectionPool, ConnectionPool

__all__ = ["PostgresStorage"]

_DEFAULTS = {
    "connect_timeout": 10,
    "tcp_user_timeout": 15_000,  # milliseconds until a network that went away is noticed in mid-call
    "keepalives_idle": 30,
    "fallback_application_name": "webex",
}


class PostgresStorage:
    """Values in a PostgreSQL database: `PostgresStorage("postgresql://user@host/database")`.

    `source` is a URL (or a `key=value` text of libpq), or a `psycopg_pool.ConnectionPool` or `AsyncConnectionPool` of
    the app, which stays the app's to close; `async_pool` is the second of two pools, for an app that works in both
    styles. From a URL up to `pool_size` connections for each process and event loop are opened when they are needed;
    a call waits `busy_timeout` seconds for a free one. `close()`, or in an event loop `await aclose()`, closes them; a
    later call opens new ones. Safe for threads, processes and forks.

    `schema` is the schema of the tables. They are made on the first use; with `migrate=False` only by `migrate()`,
    and before that every call raises `StorageError`.

    A write returns when the server has it on disk. With `durable=False` it may be lost when the server crashes.

    `direct` is the URL of the server itself, for an app that reaches it through a pooler or its own pools: there one
    connection for each event loop that waits for notifications is made. From a URL it is the same one by default.
    """

    capabilities: Capabilities = Capabilities(
        ttl=True,
        scan=True,
        compare_and_swap=True,
        lease=True,
        durable=True,
        shared=True,
        bulk=True,
        relaxed=True,
        notifications=True,
    )

    def __init__(
        self,
        source: str | ConnectionPool[Any] | AsyncConnectionPool[Any],
        *,
        async_pool: AsyncConnectionPool[Any] | None = None,
        schema: str = "webex",
        migrate: bool = True,
        pool_size: int = 10,
        busy_timeout: float = 10.0,
        direct: str | None = None,
    ) -> None:
        check_duration(busy_timeout, "busy_timeout")
        if isinstance(pool_size, bool) or not isinstance(pool_size, int) or pool_size < 1:
            raise ConfigurationError(f"pool_size is a number of connections above zero, not {pool_size!r}")
        self.capabilities = replace(PostgresStorage.capabilities, loops=isinstance(source, str))
        self.crosses_forks: bool = isinstance(source, str)
        self.schema = schema
        self.busy_timeout = busy_timeout
        self._texts = Texts(postgres_schema.quoted(schema))
        self._writes = itertools.count(1)
        self._migrates = migrate
        self._migrated_in = 0  # the process that saw the tables at their newest version
        self._arguments = (source, async_pool, schema, migrate, pool_size, busy_timeout, direct)
        self._sync_pool: PerProcess[Pool] | None = None
        self._async_pool: PerLoop[Pool] | None = None
        blocking, asynchronous = self._sources(source, async_pool, pool_size, busy_timeout)
        listened = source if direct is None and isinstance(source, str) else direct
        address, parameters = (None, None) if listened is None else _parsed(listened)
        place = self.place if parameters is None else Place(parameters)
        self._listener = Listener(address, place, direct=direct is not None)
        self._blocking = Database(blocking, self.place, blocking_sleep) if blocking else None
        self._async = Database(asynchronous, self.place, event_loop_sleep) if asynchronous else None
        self.asynchronous: bool = blocking is None
        if asynchronous is not None:
            self.bind_async: Callable[[str], Binding] = self._bind_async

    def bind(self, namespace: str) -> Binding:
        """Return the namespace, with plain methods; over an `AsyncConnectionPool` alone with asynchronous ones."""
        if self._blocking is None:
            return self._bind_async(namespace)
        binding: Any = self._async_binding(self._blocking, namespace, blocking=True)
        return BlockingWrapper(binding)

    def _bind_async(self, namespace: str) -> Binding:
        assert self._async is not None
        return self._async_binding(self._async, namespace, blocking=False)

    def _async_binding(self, database: Database, namespace: str, *, blocking: bool) -> PostgresAsyncBinding:
        statements = PostgresStatements(database, self._texts, namespace, prepare=self._prepare)
        return PostgresAsyncBinding(
            statements,
            namespace,
            database=database,
            listener=self._listener,
            channel=channel_of(self.schema, namespace),
            writes=self._writes,
            longest=LONGEST,
            blocking=blocking,
        )

    def migrate(self) -> int:
        """Create the tables, or bring them to the newest version; return how many steps that took.

        Safe to call again, and from many processes at once. `migrate_async` does the same in an event loop.
        """
        return drive(self._migrate(self._needed(self._blocking, "migrate_async()")))

    async def migrate_async(self) -> int:
        """Create the tables, or bring them to the newest version; return how many steps that took."""
        return await self._migrate(self._needed(self._async, "migrate()"))

    def namespaces(self) -> MaybeAwaitable[list[str]]:
        """Return the names of all namespaces that hold something."""
        return self.namespaces_async() if self._blocking is None else drive(self._namespaces(self._blocking))

    async def namespaces_async(self) -> list[str]:
        """Return the names of all namespaces that hold something."""
        return await self._namespaces(self._needed(self._async, "namespaces()"))

    def server_facts(self) -> MaybeAwaitable[ServerFacts]:
        """Return the server's clock and the settings of its durability; in the style of `bind`."""
        if self._blocking is None:
            return self._server_facts(self._needed(self._async, "server_facts()"))
        return drive(self._server_facts(self._blocking))

    def close(self) -> None:
        """Close the connections of this process's blocking calls; a pool of the app stays open. Safe to call twice."""
        if self._sync_pool is not None:
            self._sync_pool.close()

    async def aclose(self) -> None:
        """Close the connections of the running event loop, and those of blocking calls. Safe to call twice."""
        if self._async_pool is not None:
            await self._async_pool.aclose()
        self.close()

    def __enter__(self) -> PostgresStorage:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> PostgresStorage:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __reduce__(self) -> tuple[Callable[..., PostgresStorage], tuple[Any, ...]]:
        source, *rest = self._arguments
        if not isinstance(source, str):
            raise TypeError("a PostgresStorage over a pool can't be pickled: make it in each process, or give a URL")
        return _again, (source, *rest)

    def __repr__(self) -> str:
        return f"PostgresStorage('postgresql://{self.place.hosts}/{self.place.database}', schema={self.schema!r})"

    def _sources(self, source: Any, async_pool: Any, size: int, timeout: float) -> tuple[Any, Any]:
        if isinstance(source, str):
            if async_pool is not None:
                raise ConfigurationError("PostgresStorage takes a URL, or pools: with a URL leave async_pool out")
            conninfo, parameters = _parsed(source)
            self.place: Place = Place(parameters)
            place = self.place
            self._sync_pool = sync = PerProcess(
                lambda: Pool(BlockingDriver(conninfo), place, size=size, timeout=timeout),
                lambda pool: drive(pool.close()),
            )
            self._async_pool = own = PerLoop(
                lambda: Pool(AsyncDriver(conninfo), place, size=size, timeout=timeout), Pool.close, Pool.abandon
            )

            async def blocking() -> Pool:
                return sync.get()

            return blocking, own.get
        given = [source] if async_pool is None else [source, async_pool]
        kinds = [_kind(pool) for pool in given]
        if None in kinds or len(set(kinds)) != len(kinds):
            raise ConfigurationError(
                "PostgresStorage takes a URL, a psycopg_pool.ConnectionPool, an AsyncConnectionPool, or one of each: "
                f"not {', '.join(type(pool).__name__ for pool in given)}"
            )
        self.place = Place(_parameters_of(given[0]))
        pools: dict[str | None, Any] = {}
        for kind, pool in zip(kinds, given, strict=True):
            pools[kind] = _same(GivenPool(pool, timeout) if kind == "blocking" else GivenAsyncPool(pool, timeout))
        return pools.get("blocking"), pools.get("async")

    def _needed(self, database: Database | None, other: str) -> Database:
        if database is None:
            raise ConfigurationError(f"{self!r} has no pool of this style: call {other} instead, or give it both pools")
        return database

    async def _namespaces(self, database: Database) -> list[str]:
        await self._prepare(database)
        found = await database.run(self._texts.namespaces, repeatable=True)
        return [unescaped(name) for (name,) in found.rows]

    async def _server_facts(self, database: Database) -> ServerFacts:
        names = ("synchronous_commit", "fsync", "full_page_writes", "synchronous_standby_names")
        columns = ", ".join(f"current_setting('{name}')" for name in names)
        query = f"SELECT extract(epoch FROM clock_timestamp())::float8, {columns}"  # noqa: S608  # names of ours
        found = await database.run(query, repeatable=True)
        moment, *values = found.rows[0]
        return ServerFacts("postgresql", float(moment), dict(zip(names, map(str, values), strict=True)))

    async def _prepare(self, database: Database) -> None:
        if self._migrated_in == os.getpid():
            return
        if self._migrates:
            missing = len(postgres_schema.MIGRATIONS) - await postgres_schema.check(database.run, self.schema)
            if missing:
                await self._migrate(database)
        elif await postgres_schema.check(database.run, self.schema) < len(postgres_schema.MIGRATIONS):
            raise StorageError(
                f"{self.place}: the tables in the schema {self.schema!r} are missing or old. Call storage.migrate() "
                f"once, or leave migrate=False out"
            )
        self._migrated_in = os.getpid()

    async def _migrate(self, database: Database) -> int:
        steps: int = await database.transaction(lambda run: postgres_schema.migrate(run, self.schema))
        self._migrated_in = os.getpid()
        return steps


def _parsed(url: str) -> tuple[str, dict[str, Any]]:
    scheme, separator, rest = url.partition("://")
    if separator:
        dialect = scheme.partition("+")[0]  # SQLAlchemy's way to name the driver
        if dialect not in ("postgresql", "postgres"):
            raise ConfigurationError(f"PostgresStorage takes a URL that begins with postgresql://, not {scheme}://")
        url = f"{dialect}://{rest}"
    given = _parameters_in(url)
    if given is None:
        raise ConfigurationError(
            "the URL of PostgresStorage can't be read: postgresql://user:password@host:5432/database, with what is "
            "special in the password percent-encoded"
        )
    parameters: dict[str, Any] = {**_DEFAULTS, **given, "client_encoding": "utf8"}
    return psycopg.conninfo.make_conninfo("", **parameters), given


def _parameters_in(url: str) -> dict[str, Any] | None:
    try:
        found = psycopg.conninfo.conninfo_to_dict(url)
    except psycopg.Error:  # its text shows the URL
        return None
    ports = str(found.get("port", "")).split(",")
    return found if all(not port or port.isdecimal() for port in ports) else None


def _kind(pool: Any) -> str | None:
    names = {base.__name__ for base in type(pool).__mro__}
    if names & {"ConnectionPool", "NullConnectionPool"}:
        return "blocking"
    return "async" if names & {"AsyncConnectionPool", "AsyncNullConnectionPool"} else None


def _parameters_of(pool: Any) -> dict[str, Any]:
    try:
        return {**psycopg.conninfo.conninfo_to_dict(pool.conninfo), **(pool.kwargs or {})}
    except (psycopg.Error, TypeError, AttributeError):
        return {}


def _same(source: Any) -> Callable[[], Any]:
    async def get() -> Any:
        return source

    return get


def _again(
    source: str,
    async_pool: None,
    schema: str,
    migrate: bool,
    pool_size: int,
    busy_timeout: float,
    direct: str | None = None,
) -> PostgresStorage:
    return PostgresStorage(
        source,
        async_pool=async_pool,
        schema=schema,
        migrate=migrate,
        pool_size=pool_size,
        busy_timeout=busy_timeout,
        direct=direct,
    )
