"""Connections to PostgreSQL, in both styles, by one logic.

`Database` runs single statements, each a transaction of its own, on connections that no other caller uses meanwhile.
They come from a pool of ours, which has no threads or tasks: a connection is opened when a call finds none, and kept.
So a server that is down is told at once, and nothing has to be stopped before a fork. Or they come from a pool of the
app.

No state is left in a session and no statement is prepared on the server, so that a pooler may give each transaction
another session (pgbouncer's transaction mode).
"""

from __future__ import annotations

import contextlib
import os
import select
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, NamedTuple, Protocol

import psycopg
from psycopg.rows import tuple_row

from webex.errors import StorageError
from webex.storage.postgres_errors import Place, explained
from webex.storage.sql_binding import CONFLICTS, UnknownOutcomeError, code_of, repeated

__all__ = [
    "AsyncDriver",
    "BlockingDriver",
    "Database",
    "GivenAsyncPool",
    "GivenPool",
    "Pool",
    "Result",
    "Source",
    "connected",
]

_QUIET = 30.0  # seconds after which an idle connection is tried before it is used: a firewall may have dropped it
_LONGEST_IDLE = 300.0  # seconds after which a connection that was not needed is closed


class Result(NamedTuple):
    """The rows that a statement returned, and how many it changed."""

    rows: list[tuple[Any, ...]]
    changed: int


class Driver(Protocol):
    """What differs between the styles. The methods of a blocking one never suspend."""

    async def connect(self) -> Any: ...
    async def close(self, connection: Any) -> None: ...
    async def execute(self, connection: Any, query: str, parameters: Sequence[Any]) -> Result: ...
    def places(self, count: int, timeout: float) -> Places: ...


class Places(Protocol):
    async def take(self) -> bool: ...
    def give_back(self) -> None: ...


class Source(Protocol):
    """Where connections come from."""

    driver: Driver

    def connection(self) -> AbstractAsyncContextManager[Any]: ...


class BlockingDriver:
    """psycopg's blocking connections."""

    def __init__(self, conninfo: str = "") -> None:
        self._conninfo = conninfo

    async def connect(self) -> Any:
        return psycopg.connect(self._conninfo, autocommit=True, prepare_threshold=None)

    async def close(self, connection: Any) -> None:
        connection.close()

    async def execute(self, connection: Any, query: str, parameters: Sequence[Any]) -> Result:
        with connection.cursor(row_factory=tuple_row) as cursor:
            cursor.execute(query, parameters, prepare=False)
            return Result(cursor.fetchall() if cursor.description else [], cursor.rowcount)

    def places(self, count: int, timeout: float) -> Places:
        import threading

        semaphore = threading.Semaphore(count)

        class ThreadPlaces:
            async def take(self) -> bool:
                return semaphore.acquire(timeout=timeout)

            def give_back(self) -> None:
                semaphore.release()

        return ThreadPlaces()


async def connected(conninfo: str) -> psycopg.AsyncConnection[Any]:
    """Connect in event-loop style. A cancelled attempt is closed at once."""
    import asyncio

    try:
        return await psycopg.AsyncConnection.connect(conninfo, autocommit=True, prepare_threshold=None)
    except asyncio.CancelledError as error:
        # The connection is in psycopg's frames, and they would live as long as the error.
        raise error.with_traceback(None) from None


class AsyncDriver:
    """psycopg's asynchronous connections."""

    def __init__(self, conninfo: str = "") -> None:
        self._conninfo = conninfo

    async def connect(self) -> Any:
        return await connected(self._conninfo)

    async def close(self, connection: Any) -> None:
        await connection.close()

    async def execute(self, connection: Any, query: str, parameters: Sequence[Any]) -> Result:
        async with connection.cursor(row_factory=tuple_row) as cursor:
            await cursor.execute(query, parameters, prepare=False)
            return Result(await cursor.fetchall() if cursor.description else [], cursor.rowcount)

    def places(self, count: int, timeout: float) -> Places:
        import asyncio

        semaphore = asyncio.Semaphore(count)

        class TaskPlaces:
            async def take(self) -> bool:
                try:
                    async with asyncio.timeout(timeout):
                        await semaphore.acquire()
                except TimeoutError:
                    return False
                return True

            def give_back(self) -> None:
                semaphore.release()

        return TaskPlaces()


class Pool:
    """Up to `size` connections; `timeout` is the seconds that a call waits for one of them."""

    def __init__(self, driver: Driver, place: Place, *, size: int, timeout: float) -> None:
        self.driver = driver
        self._place = place
        self._size = size
        self._timeout = timeout
        self._places = driver.places(size, timeout)
        self._idle: deque[tuple[Any, float]] = deque()  # the one used last at the right
        self._closed = False
        self._pid = os.getpid()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        if not await self._places.take():
            raise StorageError(
                f"{self._place}: all {self._size} connections of the pool were in use for {self._timeout:g} s. "
                f"Raise pool_size"
            )
        try:
            connection = await self._idle_one() or await self._opened()
            usable = False
            try:
                try:
                    yield connection
                    usable = True
                except psycopg.Error:
                    usable = True
                    raise
            finally:  # after a cancellation an answer may still be under way
                idle = connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
                if usable and idle and not self._closed:
                    self._idle.append((connection, time.monotonic()))
                else:
                    await self.driver.close(connection)
                await self._shrink()
        finally:
            self._places.give_back()

    async def close(self) -> None:
        """Close the idle connections now, and those in use as they come back."""
        self._closed = True
        while self._idle:
            await self.driver.close(self._idle.pop()[0])

    def abandon(self) -> None:
        """Close the connections of an event loop that is closed."""
        self._closed = True
        while self._idle and self._pid == os.getpid():
            self._idle.pop()[0].pgconn.finish()

    async def _opened(self) -> Any:
        try:
            return await self.driver.connect()
        except psycopg.Error as error:
            raise explained(error, self._place, connecting=True) from error

    async def _idle_one(self) -> Any:
        while True:
            try:
                connection, since = self._idle.pop()
            except IndexError:
                return None
            try:
                if connection.closed:
                    continue
                if time.monotonic() - since > _QUIET or _has_news(connection.fileno()):
                    await self.driver.execute(connection, "SELECT 1", ())
                return connection
            except psycopg.Error:
                await self.driver.close(connection)
            except BaseException:
                await self.driver.close(connection)
                raise

    async def _shrink(self) -> None:
        with contextlib.suppress(IndexError):
            while time.monotonic() - self._idle[0][1] > _LONGEST_IDLE:
                await self.driver.close(self._idle.popleft()[0])


def _check_process(pid: int) -> None:
    """Keep a forked child off its parent's connections: each would take the answers of the other."""
    if pid != os.getpid():
        raise StorageError(
            "the connection pool that was handed in was made before this process was forked: make the pool, and the "
            "storage over it, in the child, or give PostgresStorage a URL"
        )


class GivenPool:
    """A `psycopg_pool.ConnectionPool` of the app."""

    driver: Driver = BlockingDriver()

    def __init__(self, pool: Any, timeout: float) -> None:
        self._pool = pool
        self._timeout = timeout
        self._pid = os.getpid()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        _check_process(self._pid)
        with self._pool.connection(timeout=self._timeout) as connection:
            yield connection


class GivenAsyncPool:
    """A `psycopg_pool.AsyncConnectionPool` of the app."""

    driver: Driver = AsyncDriver()

    def __init__(self, pool: Any, timeout: float) -> None:
        self._pool = pool
        self._timeout = timeout
        self._pid = os.getpid()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        _check_process(self._pid)
        async with self._pool.connection(timeout=self._timeout) as connection:
            yield connection


class Database:
    """Runs statements of one storage, each as a transaction of its own."""

    def __init__(self, source: Callable[[], Any], place: Place, sleep: Callable[[float], Awaitable[None]]) -> None:
        self._source = source  # gives the `Source` of this process and loop, awaited
        self._sleep = sleep
        self._place = place

    async def run(self, query: str, parameters: Sequence[Any] = (), *, repeatable: bool = False) -> Result:
        """Return what the statement gives.

        One that PostgreSQL gave up for the sake of another (possible where the server's default isolation is stricter
        than READ COMMITTED) is run again, and so is a `repeatable` one whose connection was lost. Another one whose
        connection was lost raises `UnknownOutcomeError`.
        """
        return await repeated(
            lambda: self._once(query, parameters),
            is_conflict=lambda error: code_of(error) in CONFLICTS,
            explained=self._explained,
            repeatable=repeatable,
            sleep=self._sleep,
        )

    async def transaction(self, work: Callable[[Callable[..., Any]], Any]) -> Any:
        """Return what `work(run)` gives, all of whose statements become one transaction."""
        try:
            source = await self._source()
            async with source.connection() as connection:

                async def run(query: str, parameters: Sequence[Any] = ()) -> Result:
                    result: Result = await source.driver.execute(connection, query, parameters)
                    return result

                await run("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE")
                try:
                    result = await work(run)
                    await run("COMMIT")
                except Exception:
                    with contextlib.suppress(psycopg.Error):
                        await run("ROLLBACK")
                    raise
                return result
        except psycopg.Error as error:
            raise explained(error, self._place) from error

    def _explained(self, error: Exception) -> Exception:
        return explained(error, self._place) if isinstance(error, psycopg.Error) else error

    async def _once(self, query: str, parameters: Sequence[Any]) -> Result:
        source = await self._source()
        connection: Any = None
        try:
            async with source.connection() as connection:
                result: Result = await source.driver.execute(connection, query, parameters)
                return result
        except psycopg.OperationalError as error:
            if connection is not None and connection.closed:
                lost = explained(error, self._place, connecting=True)
                raise UnknownOutcomeError(str(lost)) from error
            raise


def _has_news(descriptor: int) -> bool:
    """Whether something arrived on an idle connection: as a rule, that the server closed it."""
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(0))
    return bool(select.select([descriptor], [], [], 0)[0])
