"""A storage in a database that the app reaches by SQLAlchemy 2: PostgreSQL, MariaDB, MySQL, SQLite; both styles.

Every call takes a connection of its own from the engine and runs single statements in autocommit, so that a request of
the app which rolls back takes no token with it. The logic is written once (`SQLAsyncBinding`): `bind` shows it as plain
methods over an `Engine`, `bind_async` as asynchronous ones over an `AsyncEngine`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from webex.errors import ConfigurationError, StorageError
from webex.runtime import drive
from webex.storage.forks import survives_forks
from webex.storage.protocol import Binding, Capabilities, MaybeAwaitable
from webex.storage.server_facts import ServerFacts
from webex.storage.sql_binding import (
    CONFLICTS,
    NotSentError,
    SQLAsyncBinding,
    UnknownOutcomeError,
    blocking_sleep,
    code_of,
    event_loop_sleep,
    repeated,
)
from webex.storage.sqlalchemy_statements import Result, Run, SQLAlchemyStatements
from webex.storage.sqlalchemy_tables import Statements, Tables, add_tables, durability_settings
from webex.storage.wrappers import BlockingWrapper

import sqlalchemy as sa  # isort: skip  # after the module that tells of the missing extra
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError, SQLAlchemyError  # isort: skip
from sqlalchemy.pool import SingletonThreadPool, StaticPool  # isort: skip

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

__all__ = ["SQLAlchemyStorage", "add_tables"]

_LONGEST = 1e12  # seconds; what is added to the time of day has to stay exact


class SQLAlchemyStorage:
    """Values in two tables of the app's database: `SQLAlchemyStorage(engine)`.

    `engine` is an `Engine`, or an `AsyncEngine`; with `async_engine` as the second of two it serves both styles. They
    stay the app's to dispose of. An `AsyncEngine` belongs to one event loop, as everywhere in SQLAlchemy. The engine's
    pool needs a connection more than the requests that hold one themselves.

    The tables `<prefix>values` and `<prefix>leases` are put into `metadata` (the app's own, for Alembic), in `schema`
    if one is given; `create_tables()`, or `await create_tables_async()`, makes those that are missing.

    `ConfigurationError` for an SQLite database in memory, whose connections can't be the storage's own.
    """

    capabilities: Capabilities = Capabilities(
        ttl=True, scan=True, compare_and_swap=True, lease=True, durable=True, shared=True, bulk=True
    )

    def __init__(
        self,
        engine: sa.Engine | AsyncEngine,
        async_engine: AsyncEngine | None = None,
        *,
        metadata: sa.MetaData | None = None,
        prefix: str = "webex_",
        schema: str | None = None,
    ) -> None:
        given = [engine] if async_engine is None else [engine, async_engine]
        blocking = [one for one in given if isinstance(one, sa.Engine)]
        asynchronous = [one for one in given if not isinstance(one, sa.Engine) and _is_async(one)]
        if len(blocking) + len(asynchronous) != len(given) or len(blocking) > 1 or len(asynchronous) > 1:
            raise ConfigurationError(
                "SQLAlchemyStorage takes an Engine, an AsyncEngine, or one of each: "
                f"not {', '.join(type(one).__name__ for one in given)}"
            )
        engines: list[sa.Engine] = [*blocking, *(one.sync_engine for one in asynchronous)]
        for one in engines:
            if isinstance(one.pool, SingletonThreadPool | StaticPool):
                raise ConfigurationError(
                    "SQLAlchemyStorage needs connections of its own, which an SQLite database in memory does not have: "
                    "use MemoryStorage(), or a file"
                )
        self.tables: Tables = add_tables(sa.MetaData() if metadata is None else metadata, prefix=prefix, schema=schema)
        self._engines = engines
        self._engine = blocking[0] if blocking else None
        self._async_engine = asynchronous[0] if asynchronous else None
        self._place = engines[0].url.render_as_string(hide_password=True)
        self._statements = Statements(engines[0].dialect.name, self.tables)
        self._writes = itertools.count(1)
        # Autocommit takes two trips there, and a connection that is cut while it is switched off again is lost.
        self._commits = engines[0].dialect.name in ("mysql", "mariadb")
        self._driver_error: type[Exception] = engines[0].dialect.loaded_dbapi.Error  # where SQLAlchemy does not wrap it
        self.asynchronous: bool = not blocking
        if asynchronous:
            self.bind_async: Callable[[str], Binding] = self._bind_async
        survives_forks(self)

    def bind(self, namespace: str) -> Binding:
        """Return the namespace, with plain methods; over an `AsyncEngine` alone with asynchronous ones."""
        if self._engine is None:
            return self._bind_async(namespace)
        binding: Any = self._async_binding(self._run_blocking, namespace, blocking=True)
        return BlockingWrapper(binding)

    def _bind_async(self, namespace: str) -> Binding:
        return self._async_binding(self._run_async, namespace, blocking=False)

    def _async_binding(self, run: Run, namespace: str, *, blocking: bool) -> SQLAsyncBinding:
        statements = SQLAlchemyStatements(run, self._statements, namespace)
        return SQLAsyncBinding(statements, namespace, writes=self._writes, longest=_LONGEST, blocking=blocking)

    def create_tables(self) -> None:
        """Create the tables that are missing; for an app that has no migrations of its own."""
        if self._engine is None:
            raise ConfigurationError(f"{self!r} has no Engine: await create_tables_async()")
        try:
            with self._engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
                self._create(connection)
        except SQLAlchemyError as error:
            raise self._explained(error) from error

    async def create_tables_async(self) -> None:
        """Create the tables that are missing; for an app that has no migrations of its own."""
        if self._async_engine is None:
            raise ConfigurationError(f"{self!r} has no AsyncEngine: call create_tables()")
        try:
            async with self._async_engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
                await connection.run_sync(self._create)
        except SQLAlchemyError as error:
            raise self._explained(error) from error

    def namespaces(self) -> MaybeAwaitable[list[str]]:
        """Return the names of all namespaces that hold something."""
        return drive(self._namespaces(self._run_blocking)) if self._engine is not None else self.namespaces_async()

    async def namespaces_async(self) -> list[str]:
        """Return the names of all namespaces that hold something."""
        return await self._namespaces(self._run_async)

    def server_facts(self) -> MaybeAwaitable[ServerFacts]:
        """Return the database's clock and the settings of its durability; in the style of `bind`."""
        if self._engine is None:
            return self._server_facts(self._run_async)
        return drive(self._server_facts(self._run_blocking))

    def before_fork(self) -> None:
        """Leave the connections as they are: the parent goes on with them."""

    def after_fork(self, *, in_child: bool) -> None:
        """Have the child open connections of its own, and leave those of the parent alone."""
        if in_child:
            for engine in self._engines:
                engine.dispose(close=False)

    def __repr__(self) -> str:
        return f"SQLAlchemyStorage({self._place!r})"

    def _create(self, connection: sa.Connection) -> None:
        for table in (self.tables.values, self.tables.leases):
            try:
                table.create(connection, checkfirst=True)
            except DBAPIError:  # another process may have been first
                if not sa.inspect(connection).has_table(table.name, schema=table.schema):
                    raise

    async def _namespaces(self, run: Run) -> list[str]:
        values = self.tables.values
        query = sa.select(values.c.namespace).where(self._statements.alive).distinct().order_by(values.c.namespace)
        return [bytes(name).decode() for (name,) in (await run(query)).rows]

    async def _server_facts(self, run: Run) -> ServerFacts:
        dialect = self._engines[0].dialect.name
        kind: Literal["postgresql", "mysql", "sqlite"]
        kind = "mysql" if dialect == "mariadb" else dialect  # type: ignore[assignment]  # one of DIALECTS
        names = durability_settings(dialect)
        row = (await run(sa.select(self._statements.now, *names.values()))).rows[0]
        return ServerFacts(kind, float(row[0]), dict(zip(names, map(str, row[1:]), strict=True)))

    async def _run_blocking(self, statement: Any, /, *, repeatable: bool = False) -> Result:
        async def once() -> Result:
            assert self._engine is not None
            connection = None
            try:
                with self._engine.connect() as connection:
                    if self._commits:
                        result = _result(connection.execute(statement))
                        connection.commit()
                        return result
                    try:
                        connection.execution_options(isolation_level="AUTOCOMMIT")
                    except self._driver_error as error:
                        connection.invalidate(error)
                        raise self._not_sent(error) from error
                    return _result(connection.execute(statement))
            except DBAPIError as error:
                if connection is not None and error.connection_invalidated:
                    raise UnknownOutcomeError(str(self._explained(error))) from error
                raise
            except NotSentError:
                self._engine.dispose()
                raise

        return await repeated(
            once, is_conflict=_is_conflict, explained=self._told, repeatable=repeatable, sleep=blocking_sleep
        )

    async def _run_async(self, statement: Any, /, *, repeatable: bool = False) -> Result:
        # A driver that is cancelled in mid-call may keep its connection for ever (aiosqlite): it runs to its end.
        import asyncio

        task = asyncio.ensure_future(self._run_to_end(statement, repeatable))
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return await asyncio.shield(task)

    async def _run_to_end(self, statement: Any, repeatable: bool) -> Result:
        engine = self._async_engine
        if engine is None:
            raise ConfigurationError(f"{self!r} has no AsyncEngine: give it one, or call the methods of bind()")

        async def once() -> Result:
            connection = None
            try:
                async with engine.connect() as connection:
                    if self._commits:
                        result = _result(await connection.execute(statement))
                        await connection.commit()
                        return result
                    try:
                        await connection.execution_options(isolation_level="AUTOCOMMIT")
                    except self._driver_error as error:
                        await connection.invalidate(error)
                        raise self._not_sent(error) from error
                    return _result(await connection.execute(statement))
            except DBAPIError as error:
                if connection is not None and error.connection_invalidated:
                    raise UnknownOutcomeError(str(self._explained(error))) from error
                raise
            except NotSentError:
                await engine.dispose()
                raise

        return await repeated(
            once, is_conflict=_is_conflict, explained=self._told, repeatable=repeatable, sleep=event_loop_sleep
        )

    def _not_sent(self, error: Exception) -> NotSentError:
        # Setting a connection of the pool to autocommit may meet one that was cut, as the others may have been.
        code = code_of(error)
        return NotSentError(f"{self._place} failed: {type(error).__name__}{f' ({code})' if code else ''}")

    def _told(self, error: Exception) -> Exception:
        if isinstance(error, IntegrityError) or not isinstance(error, SQLAlchemyError):
            return error
        return self._explained(error)

    def _explained(self, error: SQLAlchemyError) -> StorageError:
        # SQLAlchemy's own text quotes the statement with its values, and the driver's may: neither is shown.
        error.hide_parameters = True  # type: ignore[attr-defined]  # of the errors that have parameters
        cause = getattr(error, "orig", None) or error
        if isinstance(error, DBAPIError) and _is_missing_table(cause):
            return StorageError(f"{self._place}: the tables are missing: call create_tables() once, or run Alembic")
        connecting = (
            isinstance(error, OperationalError) and error.statement is None and not error.connection_invalidated
        )
        if connecting:  # so no value is in the text
            told = " ".join(str(cause).split())
            return StorageError(
                f"{self._place}: no connection could be made ({self._cleared(told)}). Look at the server, the network "
                "and the URL"
            )
        code = code_of(cause)
        return StorageError(f"{self._place} failed: {type(cause).__name__}{f' ({code})' if code else ''}")

    def _cleared(self, text: str) -> str:
        for engine in self._engines:
            if engine.url.password:
                text = text.replace(str(engine.url.password), "***")
        return text


def _result(cursor: Any) -> Result:
    return Result(list(cursor) if cursor.returns_rows else [], cursor.rowcount)


def _is_async(engine: object) -> bool:
    return any(base.__name__ == "AsyncEngine" for base in type(engine).__mro__)


def _is_conflict(error: Exception) -> bool:
    return isinstance(error, DBAPIError) and error.orig is not None and code_of(error.orig) in CONFLICTS


def _is_missing_table(cause: BaseException) -> bool:
    return code_of(cause) in ("42P01", 1146) or "no such table" in str(cause)
