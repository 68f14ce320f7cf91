"""A storage in one SQLite file, shared by any number of threads and processes of one machine.

Reads never wait for writers (write-ahead log) and take microseconds, so event-loop style makes them on its own thread.
Writers take turns; SQLite itself never waits (`busy_timeout=0`): a binding of `bind` asks again by itself, one of
`bind_nonwaiting` leaves that to its caller's runtime. Values expire by the machine's wall clock, leases by the seconds
since it started: all processes that can share the file have both in common, and setting the clock moves no lease.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

from webex.errors import ConfigurationError, MissingKeyError, StorageError
from webex.http.timing import Backoff
from webex.storage.boot_clock import boot_id, boot_time
from webex.storage.codec import check_duration, check_namespace, check_text, decode, encode
from webex.storage.local_lease import LocalLease
from webex.storage.paths import after_prefix
from webex.storage.protocol import BusyError, Capabilities, Json, Versioned
from webex.storage.sqlite_connections import Connections

__all__ = ["SQLiteBinding", "SQLiteStorage"]

T = TypeVar("T")

_READS = frozenset({"get", "get_versioned", "lease_remaining", "keys"})
_QUICK_WRITES = _READS | {"put", "put_if_version", "delete", "delete_if_version"}
_MOST_AT_ONCE = 500  # keys that one statement reads
_FIRST_PAUSE = 0.001
_LONGEST_PAUSE = 0.05

_GET = (
    "SELECT value, version FROM webex_values WHERE namespace = ? AND key = ? AND (expires_at IS NULL OR expires_at > ?)"
)
_EXPIRY = (
    "SELECT expires_at FROM webex_values WHERE namespace = ? AND key = ? AND (expires_at IS NULL OR expires_at > ?)"
)
_GET_MANY = (
    "SELECT key, value FROM webex_values WHERE namespace = ? AND (expires_at IS NULL OR expires_at > ?) AND key IN ("
)
_PUT = (
    "INSERT INTO webex_values (namespace, key, value, version, expires_at) VALUES (?, ?, ?, ?, ?) "
    "ON CONFLICT (namespace, key) DO UPDATE SET "
    "value = excluded.value, version = excluded.version, expires_at = excluded.expires_at"
)
_DELETE = "DELETE FROM webex_values WHERE namespace = ? AND key = ?"
_SWEEP = "DELETE FROM webex_values WHERE rowid IN (SELECT rowid FROM webex_values WHERE expires_at <= ? LIMIT 64)"
_KEYS_FROM = (
    "SELECT key FROM webex_values WHERE namespace = ? AND key >= ? AND key < ? "
    "AND (expires_at IS NULL OR expires_at > ?) ORDER BY key LIMIT ?"
)
_KEYS_AFTER = _KEYS_FROM.replace("key >= ?", "key > ?")
_HELD = "SELECT ttl, expires_at, boot FROM webex_leases WHERE namespace = ? AND name = ?"


class WallClock(Protocol):
    def time(self) -> float: ...


class SQLiteStorage:
    """Values in the SQLite file at `path`, made on the first use with mode 0600.

    `busy_timeout` is the seconds after which a write that never gets its turn fails with `StorageError`; `clock` has
    `time()` (seconds since the epoch) for what expires, and may have `monotonic()` for leases, which follow the seconds
    since the machine started otherwise. Safe for threads, processes and forks. `close()`, or leaving a
    `with`, lets go of the file; a later call opens it again. Tables are called `webex_…`, so the file may be one that
    the app uses itself.

    `ConfigurationError` for a path that can't be one; `StorageError` says what to do about a file that is damaged,
    read-only or of another program.
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
    )
    asynchronous = False

    def __init__(
        self, path: str | os.PathLike[str], *, busy_timeout: float = 10.0, clock: WallClock | None = None
    ) -> None:
        given = os.fspath(path)
        if not isinstance(given, str) or not given:
            raise ConfigurationError("SQLiteStorage needs the path of a file, such as SQLiteStorage('webex.db')")
        if given == ":memory:":
            raise ConfigurationError("SQLiteStorage keeps a file; for a storage in memory use MemoryStorage()")
        if given.startswith("file:") or "://" in given:
            raise ConfigurationError(f"SQLiteStorage takes the path of a file, not a URI: {given}")
        check_duration(busy_timeout, "busy_timeout")
        self.path: str = os.path.abspath(os.path.expanduser(given))
        self.busy_timeout = busy_timeout
        self.clock: WallClock = clock or time
        own: Callable[[], float] | None = getattr(clock, "monotonic", None)
        self.lease_clock: Callable[[], float] = own or boot_time
        self.boot: str = "-" if own else boot_id()
        self.connections: Connections = Connections(self.path)

    def bind(self, namespace: str) -> SQLiteBinding:
        """Return the namespace. Its methods wait for their turn, `busy_timeout` seconds at most."""
        return SQLiteBinding(self, namespace, waits=True)

    def bind_nonwaiting(self, namespace: str) -> SQLiteBinding:
        """Return the namespace. Its methods raise `BusyError` when it is not their turn."""
        return SQLiteBinding(self, namespace, waits=False)

    def namespaces(self) -> list[str]:
        """Return the names of all namespaces that hold something."""
        return SQLiteBinding(self, "*", waits=True).all_namespaces()

    def close(self) -> None:
        """Let go of the file, in this process. Safe to call twice; a later call opens it again."""
        self.connections.close()

    def __enter__(self) -> SQLiteStorage:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Callable[[str], SQLiteStorage], tuple[str]]:
        return SQLiteStorage, (self.path,)

    def __repr__(self) -> str:
        return f"SQLiteStorage({self.path!r})"


class SQLiteBinding:
    """One namespace of a `SQLiteStorage`.

    A write returns when the disk has it, so that it survives a power failure; with `durable=False` it survives only
    the process, and costs microseconds. Leases are never durable.
    """

    nonblocking_methods = _READS

    def __init__(self, storage: SQLiteStorage, namespace: str, *, waits: bool) -> None:
        check_namespace(namespace)
        self._storage = storage
        self._namespace = namespace
        self._waits = waits

    @property
    def quick_methods(self) -> frozenset[str]:
        """The methods that take microseconds with `durable=False`, as long as the disk is not slow."""
        return _QUICK_WRITES if not self._waits and self._storage.connections.is_quick else _READS

    def all_namespaces(self) -> list[str]:
        """Return the names of all namespaces of the file that hold something."""
        query = "SELECT DISTINCT namespace FROM webex_values ORDER BY namespace"
        return self._read(lambda db: [name for (name,) in db.execute(query)])

    def get(self, key: str) -> Json:
        return self.get_versioned(key).value

    def get_versioned(self, key: str) -> Versioned:
        check_text(key, "key")
        row = self._read(lambda db: db.execute(_GET, (self._namespace, key, self._now())).fetchone())
        if row is None:
            raise MissingKeyError(key, self._namespace)
        return Versioned(decode(row[0]), row[1])

    def time_left(self, key: str) -> float | None:
        check_text(key, "key")
        now = self._now()
        row = self._read(lambda db: db.execute(_EXPIRY, (self._namespace, key, now)).fetchone())
        if row is None:
            raise MissingKeyError(key, self._namespace)
        return None if row[0] is None else float(row[0]) - now

    def get_many(self, keys: Sequence[str]) -> dict[str, Json]:
        for key in keys:
            check_text(key, "key")
        found: dict[str, Json] = {}
        for start in range(0, len(keys), _MOST_AT_ONCE):
            found.update(self._get_some(keys[start : start + _MOST_AT_ONCE]))
        return found

    def put(self, key: str, value: Json, *, expires_in: float | None = None, durable: bool = True) -> None:
        self._write(self._putting(key, value, expires_in), durable)

    def put_if_version(
        self, key: str, value: Json, version: str | None, *, expires_in: float | None = None, durable: bool = True
    ) -> str | None:
        write = self._putting(key, value, expires_in)

        def swap(db: sqlite3.Connection) -> str | None:
            return write(db) if self._version(db, key) == version else None

        return self._write(swap, durable)

    def delete(self, key: str, *, durable: bool = True) -> None:
        check_text(key, "key")
        self._write(lambda db: db.execute(_DELETE, (self._namespace, key)), durable)

    def delete_if_version(self, key: str, version: str, *, durable: bool = True) -> bool:
        check_text(key, "key")

        def remove(db: sqlite3.Connection) -> bool:
            if self._version(db, key) != version:
                return False
            db.execute(_DELETE, (self._namespace, key))
            return True

        return self._write(remove, durable)

    def clear(self) -> None:
        self._write(lambda db: db.execute("DELETE FROM webex_values WHERE namespace = ?", (self._namespace,)), True)

    def keys(self, prefix: str = "", *, page_size: int = 1000) -> Iterator[list[str]]:
        check_text(prefix, "prefix")
        end = after_prefix(prefix) or b""  # in SQLite every text is less than any blob
        query, first = _KEYS_FROM, prefix
        while True:
            page = self._page(query, first, end, page_size)
            if page:
                yield page
            if len(page) < page_size:
                return
            query, first = _KEYS_AFTER, page[-1]

    def try_lease(self, name: str, ttl: float) -> LocalLease | None:
        check_text(name, "lease name")
        check_duration(ttl, "ttl")
        if self.lease_remaining(name) > 0:  # so that those who wait for a lease do not queue as writers
            return None

        def take(db: sqlite3.Connection) -> LocalLease | None:
            now, boot = self._storage.lease_clock(), self._storage.boot
            if _remaining(db.execute(_HELD, (self._namespace, name)).fetchone(), now, boot) > 0:
                return None
            db.execute("DELETE FROM webex_leases WHERE expires_at <= ? OR boot <> ?", (now, boot))
            db.execute("UPDATE webex_state SET leases = leases + 1")
            (number,) = db.execute("SELECT leases FROM webex_state").fetchone()
            token = f"{number:016d}"
            db.execute(
                "INSERT OR REPLACE INTO webex_leases (namespace, name, token, ttl, expires_at, boot) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                (self._namespace, name, token, ttl, now + ttl, boot),
            )
            return LocalLease(name, token, self._renew, self._release)

        return self._write(take, False)

    def lease_remaining(self, name: str) -> float:
        check_text(name, "lease name")
        row = self._read(lambda db: db.execute(_HELD, (self._namespace, name)).fetchone())
        return _remaining(row, self._storage.lease_clock(), self._storage.boot)

    def _renew(self, name: str, token: str, ttl: float) -> bool:
        check_duration(ttl, "ttl")

        def renew(db: sqlite3.Connection) -> bool:
            now = self._storage.lease_clock()
            changed = db.execute(
                "UPDATE webex_leases SET ttl = ?, expires_at = ? "
                "WHERE namespace = ? AND name = ? AND token = ? AND expires_at > ? AND boot = ?",
                (ttl, now + ttl, self._namespace, name, token, now, self._storage.boot),
            )
            return changed.rowcount == 1

        return self._write(renew, False)

    def _release(self, name: str, token: str) -> None:
        self._write(
            lambda db: db.execute(
                "DELETE FROM webex_leases WHERE namespace = ? AND name = ? AND token = ?",
                (self._namespace, name, token),
            ),
            False,
        )

    def _now(self) -> float:
        return self._storage.clock.time()

    def _page(self, query: str, first: str, end: str | bytes, size: int) -> list[str]:
        arguments = (self._namespace, first, end, self._now(), size)
        return [key for (key,) in self._read(lambda db: db.execute(query, arguments).fetchall())]

    def _get_some(self, keys: Sequence[str]) -> list[tuple[str, Json]]:
        query = f"{_GET_MANY}{','.join('?' * len(keys))})"
        arguments = (self._namespace, self._now(), *keys)
        rows = self._read(lambda db: db.execute(query, arguments).fetchall())
        return [(key, decode(value)) for key, value in rows]

    def _putting(self, key: str, value: Json, expires_in: float | None) -> Callable[[sqlite3.Connection], str]:
        check_text(key, "key")
        check_duration(expires_in, "expires_in")
        data = encode(value)
        version = secrets.token_hex(8)

        def put(db: sqlite3.Connection) -> str:
            expires_at = None
            if expires_in is not None:
                now = self._now()
                expires_at = now + expires_in
                db.execute(_SWEEP, (now,))  # who adds what expires takes away what expired
            db.execute(_PUT, (self._namespace, key, data, version, expires_at))
            return version

        return put

    def _version(self, db: sqlite3.Connection, key: str) -> str | None:
        row = db.execute(_GET, (self._namespace, key, self._now())).fetchone()
        return None if row is None else row[1]

    def _read(self, function: Callable[[sqlite3.Connection], T]) -> T:
        return self._in_turn(lambda: self._storage.connections.read(function))

    def _write(self, function: Callable[[sqlite3.Connection], T], durable: bool) -> T:
        if durable or self._waits:
            return self._in_turn(lambda: self._storage.connections.write(function, durable=durable))
        return self._storage.connections.write(function, durable=False, turn=0.0)  # perhaps on an event loop

    def _in_turn(self, attempt: Callable[[], T]) -> T:
        if not self._waits:
            return attempt()
        give_up: float | None = None
        backoff: Backoff | None = None
        while True:
            try:
                return attempt()
            except BusyError as busy:
                now = time.monotonic()
                if give_up is None:
                    give_up = now + self._storage.busy_timeout
                elif now >= give_up:
                    raise StorageError(
                        f"it was never our turn to write within {self._storage.busy_timeout:g} s: {busy}. "
                        f"Look for a process that keeps a transaction open on that file"
                    ) from busy
                backoff = backoff or Backoff(_FIRST_PAUSE, _LONGEST_PAUSE)
                time.sleep(backoff.next())


def _remaining(row: tuple[float, float, str] | None, now: float, boot: str) -> float:
    if row is None:
        return 0.0
    ttl, expires_at, of_boot = row
    left = expires_at - now
    # Its holder ended with the machine: seen by the boot, and where that has no name by more time than it was given.
    return 0.0 if of_boot != boot or left > ttl + 1.0 else max(0.0, left)
