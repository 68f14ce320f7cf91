"""What the storages in SQL databases share: values, versions, leases, paging, sweeping, repeated statements.

A storage gives `Statements` of one namespace, each of which is atomic; `SQLAsyncBinding` makes a binding of them.
Versions and fencing tokens are random: a counter would come round again when a failover loses what was written last.
"""

from __future__ import annotations

import itertools
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from webex.errors import MissingKeyError, StorageError
from webex.http.timing import Backoff
from webex.runtime import drive
from webex.storage.codec import check_duration, check_namespace, check_text, decode, encode
from webex.storage.paths import after_prefix
from webex.storage.protocol import Json, Versioned

__all__ = [
    "CONFLICTS",
    "SWEEP_EVERY",
    "SWEPT_AT_ONCE",
    "AsyncLease",
    "BlockingLease",
    "Entry",
    "NotSentError",
    "SQLAsyncBinding",
    "Statements",
    "UnknownOutcomeError",
    "blocking_sleep",
    "code_of",
    "encoded",
    "event_loop_sleep",
    "repeated",
]

T = TypeVar("T")

SWEEP_EVERY = 32  # writes of what expires
SWEPT_AT_ONCE = 200  # rows
_READ_AT_ONCE = 500  # keys that one statement reads
_PATIENCE = 10.0  # seconds for which a statement is tried again
_FIRST_PAUSE, _LONGEST_PAUSE = 0.002, 0.1  # seconds between two tries
# A statement that the database gave up for the sake of another: 40001, 40P01 in PostgreSQL; 1020 (record has changed),
# 1205 (lock wait), 1213 (deadlock) in MariaDB and MySQL; another writer in SQLite.
CONFLICTS: Final[frozenset[str | int]] = frozenset(
    {
        *("40001", "40P01", 1020, 1205, 1213),
        *("SQLITE_BUSY", "SQLITE_BUSY_SNAPSHOT", "SQLITE_LOCKED", "SQLITE_LOCKED_SHAREDCACHE"),
    }
)


class UnknownOutcomeError(StorageError):
    """The connection was lost while a statement ran: it may have happened, or not."""


class NotSentError(UnknownOutcomeError):
    """The connection was lost before the statement was sent: it has not happened."""


class Entry(NamedTuple):
    """What is written under a key: the encoded value, its new version, and for how many seconds (None: for good)."""

    data: bytes
    version: str
    expires_in: float | None


class Statements(Protocol):
    """The statements over one namespace of a database. Each is atomic, and durable when it returns unless asked not to.

    Names are text as the caller gave it; a name that the database can't hold is a `StorageError`. A value that has
    expired counts as absent, and so does a lease. Expiry is by the database's clock.
    """

    async def read(self, key: str) -> tuple[bytes, str] | None: ...
    async def read_many(self, keys: Sequence[str]) -> list[tuple[str, bytes]]: ...
    async def expiry(self, key: str) -> list[float | None]:
        """Return, for a value that is there, the seconds that it has left or None; an empty list for none."""
        ...

    async def write(self, key: str, entry: Entry, *, durable: bool) -> None: ...
    async def add(self, key: str, entry: Entry, *, durable: bool) -> bool: ...
    async def swap(self, key: str, version: str, entry: Entry, *, durable: bool) -> bool: ...
    async def remove(self, key: str, *, durable: bool) -> None: ...
    async def take(self, key: str, version: str, *, durable: bool) -> bool: ...
    async def clear(self) -> None: ...
    async def names(self, first: str, end: str | None, limit: int, *, after: bool) -> list[str]:
        """Return up to `limit` keys from `first` on (or, `after` it) that are below `end`, in ascending order."""
        ...

    async def lease(self, name: str, token: str, ttl: float) -> bool: ...
    async def remaining(self, name: str) -> float | None: ...
    async def renew(self, name: str, token: str, ttl: float) -> bool: ...
    async def release(self, name: str, token: str) -> None: ...
    async def sweep(self) -> None:
        """Remove some of what has expired, in every namespace."""
        ...


class SQLAsyncBinding:
    """One namespace. `writes` counts the storage's writes of what expires; `longest` bounds durations, in seconds."""

    def __init__(
        self, statements: Statements, namespace: str, *, writes: itertools.count[int], longest: float, blocking: bool
    ) -> None:
        check_namespace(namespace)
        self._statements = statements
        self._name = namespace
        self._writes = writes
        self._longest = longest
        self._blocking = blocking

    async def get(self, key: str) -> Json:
        return (await self.get_versioned(key)).value

    async def get_versioned(self, key: str) -> Versioned:
        check_text(key, "key")
        found = await self._statements.read(key)
        if found is None:
            raise MissingKeyError(key, self._name)
        data, version = found
        return Versioned(decode(data), version)

    async def time_left(self, key: str) -> float | None:
        check_text(key, "key")
        found = await self._statements.expiry(key)
        if not found:
            raise MissingKeyError(key, self._name)
        return None if found[0] is None else max(0.0, found[0])

    async def get_many(self, keys: Sequence[str]) -> dict[str, Json]:
        for key in keys:
            check_text(key, "key")
        wanted = list(dict.fromkeys(keys))
        found: dict[str, Json] = {}
        for start in range(0, len(wanted), _READ_AT_ONCE):
            rows = await self._statements.read_many(wanted[start : start + _READ_AT_ONCE])
            found |= {key: decode(data) for key, data in rows}
        return found

    async def put(self, key: str, value: Json, *, expires_in: float | None = None, durable: bool = True) -> None:
        await self._statements.write(key, self._entry(key, value, expires_in), durable=durable)
        await self._sweep(expires_in)

    async def put_if_version(
        self, key: str, value: Json, version: str | None, *, expires_in: float | None = None, durable: bool = True
    ) -> str | None:
        entry = self._entry(key, value, expires_in)
        try:
            if version is None:
                won = await self._statements.add(key, entry, durable=durable)
            else:
                check_text(version, "version")
                won = await self._statements.swap(key, version, entry, durable=durable)
        except UnknownOutcomeError:
            # A caller that takes a swap which happened for one that failed would lose to itself.
            if not await self._has_version(key, entry.version):
                raise
            won = True
        await self._sweep(expires_in)
        return entry.version if won else None

    async def delete(self, key: str, *, durable: bool = True) -> None:
        check_text(key, "key")
        await self._statements.remove(key, durable=durable)

    async def delete_if_version(self, key: str, version: str, *, durable: bool = True) -> bool:
        check_text(key, "key")
        check_text(version, "version")
        return await self._statements.take(key, version, durable=durable)

    async def clear(self) -> None:
        await self._statements.clear()

    async def keys(self, prefix: str = "", *, page_size: int = 1000) -> AsyncIterator[list[str]]:
        check_text(prefix, "prefix")
        first, end, after = prefix, after_prefix(prefix), False
        while True:
            found = await self._statements.names(first, end, page_size, after=after)
            if found:
                yield found
            if len(found) < page_size:
                return
            first, after = found[-1], True

    async def try_lease(self, name: str, ttl: float) -> Any:
        check_text(name, "lease name")
        check_duration(ttl, "ttl")
        token = secrets.token_hex(16)
        if not await self._statements.lease(name, token, min(ttl, self._longest)):
            return None
        await self._sweep(ttl)
        return (BlockingLease if self._blocking else AsyncLease)(self, name, token)

    async def lease_remaining(self, name: str) -> float:
        check_text(name, "lease name")
        return max(0.0, await self._statements.remaining(name) or 0.0)

    async def renew(self, name: str, token: str, ttl: float) -> bool:
        check_duration(ttl, "ttl")
        return await self._statements.renew(name, token, min(ttl, self._longest))

    async def release(self, name: str, token: str) -> None:
        await self._statements.release(name, token)

    def _entry(self, key: str, value: Json, expires_in: float | None) -> Entry:
        check_text(key, "key")
        check_duration(expires_in, "expires_in")
        seconds = None if expires_in is None else min(float(expires_in), self._longest)
        return Entry(encode(value), secrets.token_hex(16), seconds)

    async def _has_version(self, key: str, version: str) -> bool:
        try:
            return (await self.get_versioned(key)).version == version
        except (MissingKeyError, StorageError):
            return False

    async def _sweep(self, expires_in: float | None) -> None:
        """Remove some of what expired: a writer of what expires does that now and then."""
        if expires_in is None or next(self._writes) % SWEEP_EVERY:
            return
        try:
            await self._statements.sweep()
        except StorageError:  # the write itself is done
            return


class _Lease:
    def __init__(self, binding: SQLAsyncBinding, name: str, token: str) -> None:
        self._binding = binding
        self.name = name
        self.token = token

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"


class BlockingLease(_Lease):
    """A lease with plain methods."""

    def renew(self, ttl: float) -> bool:
        return drive(self._binding.renew(self.name, self.token, ttl))

    def release(self) -> None:
        drive(self._binding.release(self.name, self.token))


class AsyncLease(_Lease):
    """A lease with asynchronous methods."""

    async def renew(self, ttl: float) -> bool:
        return await self._binding.renew(self.name, self.token, ttl)

    async def release(self) -> None:
        await self._binding.release(self.name, self.token)


async def repeated(
    once: Callable[[], Awaitable[T]],
    *,
    is_conflict: Callable[[Exception], bool],
    explained: Callable[[Exception], Exception],
    repeatable: bool,
    sleep: Callable[[float], Awaitable[None]],
    patience: float = _PATIENCE,
) -> T:
    """Return what the statement gives that `once` runs.

    One that the database gave up for the sake of another is run again, after pauses that grow, until `patience` seconds
    are over. Run again once is a `repeatable` one whose connection was lost, and one that was not sent. Other errors of
    the driver leave as what `explained` makes of them.
    """
    give_up = time.monotonic() + patience
    backoff = Backoff(_FIRST_PAUSE, _LONGEST_PAUSE)
    attempt = 0
    while True:
        attempt += 1
        try:
            return await once()
        except UnknownOutcomeError as error:
            if attempt > 1 or not (repeatable or isinstance(error, NotSentError)):
                raise
        except StorageError:
            raise
        except Exception as error:
            pause = backoff.next()
            if not is_conflict(error) or time.monotonic() + pause >= give_up:
                told = explained(error)
                if told is error:
                    raise
                raise told from error
            await sleep(pause)


async def event_loop_sleep(seconds: float) -> None:
    """Sleep in an event loop."""
    import asyncio

    await asyncio.sleep(seconds)


async def blocking_sleep(seconds: float) -> None:
    """Sleep in a thread of its own or in blocking style."""
    time.sleep(seconds)  # noqa: ASYNC251  # it is driven without an event loop


def code_of(cause: BaseException | None) -> Any:
    """Return a driver's own code: a SQLSTATE, a number, or the name that SQLite has for it."""
    state = getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)
    if state:
        return state
    number = cause.args[0] if cause is not None and cause.args else None
    return number if isinstance(number, int) else getattr(cause, "sqlite_errorname", None)


def encoded(text: str, what: str, longest: int, storage: str) -> bytes:
    """Return a name as the bytes that are stored; `StorageError` when it has more than `longest`."""
    check_text(text, what)
    data = text.encode()
    if len(data) > longest:
        raise StorageError(f"a {what} in a {storage} has at most {longest} bytes; this one has {len(data)}")
    return data
