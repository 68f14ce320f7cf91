"""Notifications of a `PostgresStorage`: `pg_notify` as a statement like any other, LISTEN on a connection of its own.

LISTEN belongs to a session. A pooler that gives each transaction another session (pgbouncer's transaction mode) takes
it, and passes nothing on. Such a pooler is noticed by its number of the session, which is not the server's.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Final

import psycopg
import psycopg.sql

from webex.errors import StorageError
from webex.storage.codec import check_text
from webex.storage.postgres_connections import Database, connected
from webex.storage.postgres_errors import Place, explained
from webex.storage.postgres_statements import PostgresStatements, escaped, unescaped
from webex.storage.protocol import NoNotificationsError
from webex.storage.sql_binding import SQLAsyncBinding

__all__ = ["Listener", "PostgresAsyncBinding", "channel_of"]

_QUIET: Final = 30.0  # seconds without a notification, after which the connection is tried
_ANSWER: Final = 10.0


def channel_of(schema: str, namespace: str) -> str:
    """Return the channel of a namespace: a name may have 63 bytes."""
    names = "\0".join((schema, namespace))
    return f"webex_{hashlib.blake2b(names.encode(), digest_size=16).hexdigest()}"


class Listener:
    """Where a storage listens. `conninfo` is None when it has only pools of the app; `direct`: it is no pooler's."""

    def __init__(self, conninfo: str | None, place: Place, *, direct: bool) -> None:
        self._conninfo, self._place, self._direct = conninfo, place, direct

    async def listen(self, channel: str, quiet: float = _QUIET) -> AsyncGenerator[str | None, None]:
        """Yield what is told on a channel, and None at first; on a connection that is closed in the end."""
        if self._conninfo is None:
            raise self._none("over a pool of the app")
        try:
            connection = await connected(self._conninfo)
        except psycopg.Error as error:
            raise explained(error, self._place, connecting=True) from error
        try:
            if not self._direct and await _session_of(connection) != connection.info.backend_pid:
                raise self._none("through a pooler")
            await connection.execute(psycopg.sql.SQL("LISTEN {}").format(psycopg.sql.Identifier(channel)))
            yield None
            while True:
                async with aclosing(connection.notifies(timeout=quiet)) as found:
                    async for told in found:
                        yield unescaped(told.payload)
                async with asyncio.timeout(_ANSWER):
                    await _session_of(connection)
        except TimeoutError as error:
            raise StorageError(f"{self._place} did not answer in time") from error
        except psycopg.Error as error:
            raise explained(error, self._place, connecting=True) from error
        finally:
            await connection.close()

    def _none(self, how: str) -> NoNotificationsError:
        return NoNotificationsError(
            f"{self._place} tells nothing of changes {how}: give PostgresStorage direct=, the URL of the server itself"
        )


class PostgresAsyncBinding(SQLAsyncBinding):
    """One namespace of a `PostgresStorage`, with notifications."""

    def __init__(
        self,
        statements: PostgresStatements,
        namespace: str,
        *,
        database: Database,
        listener: Listener,
        channel: str,
        **settings: Any,
    ) -> None:
        super().__init__(statements, namespace, **settings)
        self._database, self._listener, self._channel = database, listener, channel

    async def notify(self, key: str) -> None:
        check_text(key, "key")
        await self._database.run("SELECT pg_notify(%s, %s)", (self._channel, escaped(key)), repeatable=True)

    def notifications(self) -> AsyncGenerator[str | None, None]:
        return self._listener.listen(self._channel)


async def _session_of(connection: psycopg.AsyncConnection[Any]) -> int:
    row = await (await connection.execute("SELECT pg_backend_pid()")).fetchone()
    assert row is not None
    return int(row[0])
