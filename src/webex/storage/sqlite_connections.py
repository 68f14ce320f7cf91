"""Connections to one SQLite file, each of which belongs to one process and one thread.

SQLite's locks are POSIX locks with a memory in the process: a connection that crosses a `fork()`, used or merely closed
in the child, breaks the locks of the parent, and even a new one in the child inherits wrong beliefs about who holds
what. So every connection is closed before the process forks, and parent and child open new ones when they next need
them. Where a fork happened behind Python's back, the child leaves the inherited ones alone for ever.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import stat
import tempfile
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from webex.errors import ConfigurationError, StorageError
from webex.storage.forks import LONGEST_REST, survives_forks
from webex.storage.protocol import BusyError

__all__ = ["Connections"]

T = TypeVar("T")

_logger = logging.getLogger("webex.storage")

SCHEMA = 1
_TABLES = """
CREATE TABLE webex_state (id INTEGER PRIMARY KEY CHECK (id = 1), schema INTEGER NOT NULL, leases INTEGER NOT NULL);
CREATE TABLE webex_values (
    namespace TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, version TEXT NOT NULL, expires_at REAL,
    PRIMARY KEY (namespace, key)
);
CREATE INDEX webex_values_expiry ON webex_values (expires_at) WHERE expires_at IS NOT NULL;
CREATE TABLE webex_leases (
    namespace TEXT NOT NULL, name TEXT NOT NULL, token TEXT NOT NULL, ttl REAL NOT NULL, expires_at REAL NOT NULL,
    boot TEXT NOT NULL DEFAULT '', PRIMARY KEY (namespace, name)
) WITHOUT ROWID;
CREATE INDEX webex_leases_expiry ON webex_leases (expires_at);
"""
_TURN = 0.05  # seconds that a thread waits for another thread of this process before it says that it is busy
_CHECKPOINT_PAGES = 1000  # pages of the write-ahead log after which a commit copies it back (SQLite's own default)
_CHECKPOINT_WRITES = 500  # quick commits after which a worker thread does that for them
_SLOW = 0.02  # seconds: a quick commit that takes longer met a slow disk
_REST = 1.0  # seconds for which quick commits then go to worker threads
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL}
_PRIVATE = stat.S_IRUSR | stat.S_IWUSR


class Connections:
    """Runs functions on the calling thread's connection to the file at `path`; opens it on the first use."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._checkpointing: threading.Thread | None = None
        self._quick_writes = 0
        self._slow_until = 0.0  # monotonic
        self._start()
        survives_forks(self)

    def read(self, function: Callable[[sqlite3.Connection], T]) -> T:
        """Run `function(connection)`, which runs single statements and sees what was last committed."""
        record = self._mine()
        with record.lock:
            try:
                return function(record.connected())
            except sqlite3.Error as error:
                raise self._explained(record, error) from error

    @property
    def is_quick(self) -> bool:
        """Whether a commit that is not durable takes microseconds now, so that an event loop may make it itself."""
        return time.monotonic() >= self._slow_until

    def write(self, function: Callable[[sqlite3.Connection], T], *, durable: bool, turn: float = _TURN) -> T:
        """Return what `function(connection)` returns, run in a transaction that excludes every other writer.

        With `durable` the commit waits until the disk has it; without, it only appends to the write-ahead log, and a
        worker thread copies the log back now and then. `BusyError` after `turn` seconds in which another writer had
        the file; nothing has happened then.
        """
        result = self._write(function, durable, turn)
        if not durable:
            self._quick_writes += 1
            if self._quick_writes >= _CHECKPOINT_WRITES:
                self._quick_writes = 0
                self._checkpoint_soon()
        return result

    def _write(self, function: Callable[[sqlite3.Connection], T], durable: bool, turn: float) -> T:
        record = self._mine()
        # Threads of this process queue here, which is fair and costs nothing; SQLite can only be asked again and again.
        if not self._writing.acquire(timeout=turn):
            raise BusyError(f"another thread of this process is writing to {self.path}")
        try:
            with record.lock:
                try:
                    connection = record.connected()
                    record.set_synchronous(full=durable)
                    began = time.monotonic()
                    connection.execute("BEGIN IMMEDIATE")
                    try:
                        result = function(connection)
                        connection.execute("COMMIT")
                    except BaseException:
                        if connection.in_transaction:
                            connection.execute("ROLLBACK")
                        raise
                    if not durable and (now := time.monotonic()) - began > _SLOW:
                        self._slow_until = now + _REST
                    return result
                except sqlite3.Error as error:
                    raise self._explained(record, error) from error
        finally:
            self._writing.release()

    def _checkpoint_soon(self) -> None:
        running = self._checkpointing
        if running is not None and running.is_alive():
            return
        worker = threading.Thread(target=self._checkpoint, name="webex-sqlite-checkpoint", daemon=True)
        with contextlib.suppress(RuntimeError):  # the interpreter is ending: closing the last connection does it
            worker.start()
            self._checkpointing = worker

    def _checkpoint(self) -> None:
        """Copy the write-ahead log back into the file, as far as no reader needs it; runs in a worker thread."""
        with contextlib.suppress(StorageError):
            self.read(lambda db: db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall())
        record = self._mine()
        with record.lock:
            record.close()

    def close(self) -> None:
        """Close all connections of this process; the next use opens a new one."""
        self._belongs_here()
        running, self._checkpointing = self._checkpointing, None
        if running is not None and running is not threading.current_thread():
            running.join()
        with self._registry:
            records = list(self._records)
        for record in records:
            with record.lock:
                record.close()

    def before_fork(self) -> None:
        self._held.clear()
        self._hold(self._writing)
        self._hold(self._registry)
        for record in list(self._records):
            if self._hold(record.lock):
                record.close()

    def _hold(self, lock: threading.Lock) -> bool:
        held = lock.acquire(timeout=LONGEST_REST)
        if held:
            self._held.append(lock)
        return held

    def after_fork(self, *, in_child: bool) -> None:
        if in_child:
            self._start()
            return
        while self._held:
            self._held.pop().release()

    def _start(self) -> None:
        self._pid = os.getpid()
        self._local = threading.local()
        self._writing = threading.Lock()
        self._registry = threading.Lock()
        self._records: weakref.WeakSet[_Record] = weakref.WeakSet()
        self._held: list[threading.Lock] = []
        self._checkpointing = None
        self._quick_writes = 0
        self._slow_until = 0.0

    def _belongs_here(self) -> None:
        if self._pid != os.getpid():
            self._start()

    def _mine(self) -> _Record:
        self._belongs_here()
        record: _Record | None = getattr(self._local, "record", None)
        if record is None:
            record = self._local.record = _Record(self.path)
            with self._registry:
                self._records.add(record)
        return record

    def _explained(self, record: _Record, error: sqlite3.Error) -> StorageError:
        code = getattr(error, "sqlite_errorcode", None)
        kind = 0 if code is None else code & 0xFF
        if kind in _BUSY:
            return BusyError(f"another process is writing to {self.path}")
        record.close()  # whatever is wrong with the file, the next try looks at it anew
        return StorageError(f"{_REASONS.get(kind, 'SQLite failed')}: {self.path}. {_ADVICE.get(kind, str(error))}")


_REASONS = {
    sqlite3.SQLITE_CORRUPT: "the database is damaged",
    sqlite3.SQLITE_NOTADB: "the file is not an SQLite database",
    sqlite3.SQLITE_READONLY: "the database is read-only for this process",
    sqlite3.SQLITE_PERM: "the database is not accessible to this process",
    sqlite3.SQLITE_CANTOPEN: "the database can't be opened",
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_IOERR: "the disk failed to read or write the database",
    sqlite3.SQLITE_TOOBIG: "the value is too large for the database",
}
_OWNER = "Make the file and its directory writable for the user that the process runs as"
_ADVICE = {
    sqlite3.SQLITE_CORRUPT: "Restore it from a copy, or move it away: users then sign in again",
    sqlite3.SQLITE_NOTADB: "Move it away or choose another path; a database encrypted by another tool can't be read",
    sqlite3.SQLITE_READONLY: _OWNER,
    sqlite3.SQLITE_PERM: _OWNER,
    sqlite3.SQLITE_CANTOPEN: f"{_OWNER}; SQLite keeps two more files beside it",
    sqlite3.SQLITE_FULL: "Free some space",
    sqlite3.SQLITE_IOERR: "Look at the disk, and keep the file on a local one: network file systems have no safe locks",
    sqlite3.SQLITE_TOOBIG: "Store less under one key",
}


class _Record:
    """The connection of one thread of one process; `lock` is held while it is used, so that a fork can wait."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.pid = os.getpid()
        self.lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._full: bool | None = None

    def connected(self) -> sqlite3.Connection:
        if self._connection is not None and self._file != _identity(self.path):
            self.close()  # the file was deleted or replaced: what is open is no longer what others see
        if self._connection is None:
            self._connection = _open(self.path)
            self._file = _identity(self.path)
            self._full = None
        return self._connection

    def set_synchronous(self, *, full: bool) -> None:
        if self._full is not full and self._connection is not None:
            self._connection.execute("PRAGMA synchronous=FULL" if full else "PRAGMA synchronous=NORMAL")
            # A checkpoint waits for the disk: a quick commit leaves it to a durable one, or to the worker thread.
            self._connection.execute(f"PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES if full else 0}").fetchall()
            self._full = full

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if self.pid == os.getpid():
            connection.close()
        else:
            _leave_alone(connection)

    def __del__(self) -> None:
        self.close()


_left_alone: list[sqlite3.Connection] = []


def _leave_alone(connection: sqlite3.Connection) -> None:
    """Keep an inherited connection from ever being closed, also while the interpreter ends."""
    _left_alone.append(connection)
    with contextlib.suppress(ImportError, AttributeError):
        import ctypes

        ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _open(path: str) -> sqlite3.Connection:
    _prepare_file(path)
    connection = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA trusted_schema=OFF")
        connection.execute("PRAGMA secure_delete=ON")  # a token that was deleted is gone from the file
        connection.execute("PRAGMA journal_size_limit=4194304")
        schema = _schema(connection)
        (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
        if mode != "wal":
            (mode,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
            if mode != "wal":
                raise StorageError(
                    f"{path} can't be shared safely: the file system has no shared memory for SQLite's write-ahead "
                    f"log (journal mode stays {mode}). Keep the file on a local disk"
                )
        if schema is None:
            schema = _create(connection)
        if schema != SCHEMA:
            raise StorageError(
                f"{path} has the layout {schema}, this version of webex knows {SCHEMA}: upgrade webex, or use another "
                "file"
            )
        _add_boot(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _schema(connection: sqlite3.Connection) -> int | None:
    known = connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'webex_state'").fetchone()
    if known is None:
        return None
    (schema,) = connection.execute("SELECT schema FROM webex_state").fetchone()
    return int(schema)


def _add_boot(connection: sqlite3.Connection) -> None:
    """Give the table of leases of version 0.1.0 the column that later versions need."""
    query = "SELECT 1 FROM pragma_table_info('webex_leases') WHERE name = 'boot'"
    if connection.execute(query).fetchone() is not None:
        return
    try:
        connection.execute("BEGIN IMMEDIATE")
        try:
            if connection.execute(query).fetchone() is None:  # another process may have been first
                connection.execute("ALTER TABLE webex_leases ADD COLUMN boot TEXT NOT NULL DEFAULT ''")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_READONLY:  # reading values needs no leases
            raise


def _create(connection: sqlite3.Connection) -> int:
    connection.execute("BEGIN IMMEDIATE")
    try:
        schema = _schema(connection)  # another process may have been first
        if schema is None:
            for statement in _TABLES.split(";"):
                connection.execute(statement)
            connection.execute("INSERT INTO webex_state VALUES (1, ?, 0)", (SCHEMA,))
            schema = SCHEMA
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return schema


def _prepare_file(path: str) -> None:
    """See that there is a regular file: a new one is readable by its owner only, an existing one stays as it is.

    What SQLite puts beside the file gets the file's own mode. Links are followed, as SQLite does.
    """
    real = os.path.realpath(path)
    directory = os.path.dirname(real)
    if not os.path.isdir(directory):
        raise ConfigurationError(
            f"the directory of the storage {path} does not exist: create {directory}, or change path"
        )
    mode = _mode(real)
    if mode is None:
        if os.name == "posix":
            _create_private(real, directory)
        return
    if stat.S_ISDIR(mode):
        raise ConfigurationError(f"the storage {path} is a directory: name a file in it, such as {path}/webex.db")
    if not stat.S_ISREG(mode):
        raise ConfigurationError(f"the storage {path} is no regular file (a device, pipe or socket): choose another")
    if os.name == "posix" and mode & 0o077 and real not in _told:
        _told.add(real)
        _logger.warning("others can read the storage %s; its mode is left as it is: chmod 600 if it holds tokens", path)


_told: set[str] = set()


def _mode(path: str) -> int | None:
    """Return the type and mode of what is at a path; None when nothing is, or it can't be seen."""
    try:
        return os.stat(path).st_mode
    except OSError:
        return None


def _create_private(path: str, directory: str) -> None:
    # Made elsewhere and linked, because to close a file that SQLite has open would drop SQLite's locks (POSIX).
    try:
        descriptor, made = tempfile.mkstemp(prefix=".webex-", dir=directory)
    except OSError as error:
        raise StorageError(f"the storage {path} can't be created ({error.strerror}). {_OWNER}") from error
    os.close(descriptor)
    try:
        os.link(made, path)
    except FileExistsError:
        pass
    except OSError:  # a file system without links
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, _PRIVATE))
    finally:
        Path(made).unlink()
