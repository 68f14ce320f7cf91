"""Connections of a `DjangoStorage`'s own, beside those that Django keeps for requests.

They are made from the settings of the project's database, always in autocommit, and used by no request: what is written
here is neither part of a transaction of the request nor taken back with it. Statements go to the driver without
Django's own wrapper of cursors, which would log them with their values when `DEBUG` is on.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

from django.db import Error, IntegrityError, connections
from django.db.utils import load_backend

from webex.errors import StorageError
from webex.storage.sql_binding import UnknownOutcomeError, code_of

__all__ = ["Connections", "Places", "Result", "explained"]

_QUIET = 30.0  # seconds after which an idle connection is tried before it is used
_LONGEST_IDLE = 300.0  # seconds after which a connection that was not needed is closed
_MISSING_TABLE = ("42P01", 1146)


class Result(NamedTuple):
    """The rows that a statement returned, and how many it changed."""

    rows: list[Any]
    changed: int


class Places:
    """A semaphore whose places are given in the order of the requests: no newcomer overtakes one that waits."""

    def __init__(self, count: int) -> None:
        self._guard = threading.Lock()
        self._free = count
        self._waiting: deque[threading.Event] = deque()

    def acquire(self, timeout: float) -> bool:
        """Take a place within so many seconds; False when there was none."""
        with self._guard:
            if self._free:
                self._free -= 1
                return True
            turn = threading.Event()
            self._waiting.append(turn)
        try:
            if turn.wait(timeout):
                return True
        except BaseException:
            if not self._withdraw(turn):
                self.release()
            raise
        return not self._withdraw(turn)

    def release(self) -> None:
        """Give a place back: to the one that has waited longest, if any."""
        with self._guard:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._free += 1

    def _withdraw(self, turn: threading.Event) -> bool:
        """Leave the queue; False when the place was given at that moment."""
        with self._guard:
            if turn.is_set():
                return False
            self._waiting.remove(turn)
            return True


class Connections:
    """Up to `size` connections to the database with this alias, for any thread; a call waits `timeout` s for one."""

    def __init__(self, alias: str, *, size: int, timeout: float) -> None:
        known: Any = connections.settings
        # An SQLite file has one writer, for which readers wait too: the driver would poll for its turn, in no order.
        is_sqlite = load_backend(known[alias]["ENGINE"]).DatabaseWrapper.vendor == "sqlite"
        self._alias = alias
        self._size = 1 if is_sqlite else size
        self._advice = "" if is_sqlite else ". Raise pool_size"
        self._timeout = timeout
        self._places = Places(self._size)
        self._idle: deque[tuple[Any, float]] = deque()  # the one used last at the right
        self._closed = False

    def run(self, query: str, parameters: Sequence[Any]) -> Result:
        """Return what the statement gives, which is a transaction of its own."""
        if not self._places.acquire(timeout=self._timeout):
            raise StorageError(
                f"the database {self._alias!r}: all {self._size} connections of DjangoStorage were in use for "
                f"{self._timeout:g} s{self._advice}"
            )
        try:
            wrapper = self._idle_one() or self._opened()
            try:
                result = self._execute(wrapper, query, parameters)
            except Error as error:
                self._give_back_after(wrapper, error)
                raise
            except BaseException:
                self._discard(wrapper)
                raise
            self._give_back(wrapper)
            return result
        finally:
            self._places.release()

    def close(self) -> None:
        """Close the idle connections now, and those in use as they come back."""
        self._closed = True
        self._discard_idle()

    def _execute(self, wrapper: Any, query: str, parameters: Sequence[Any]) -> Result:
        with wrapper.wrap_database_errors:
            cursor = wrapper.create_cursor()
            try:
                cursor.execute(query, parameters)
                return Result(list(cursor.fetchall()) if cursor.description else [], cursor.rowcount)
            finally:
                with contextlib.suppress(Exception):  # of a connection that is gone
                    cursor.close()

    def _opened(self) -> Any:
        known: Any = connections.settings
        settings = known[self._alias]
        options = {name: value for name, value in settings["OPTIONS"].items() if name != "pool"}
        own = {**settings, "OPTIONS": options, "AUTOCOMMIT": True, "CONN_MAX_AGE": None, "CONN_HEALTH_CHECKS": False}
        wrapper = load_backend(settings["ENGINE"]).DatabaseWrapper(own, self._alias)
        wrapper.inc_thread_sharing()  # one thread after the other uses it
        try:
            wrapper.ensure_connection()
        except Error as error:
            raise explained(error, self._alias, "no connection could be made") from error
        return wrapper

    def _idle_one(self) -> Any:
        while True:
            try:
                wrapper, since = self._idle.pop()
            except IndexError:
                return None
            if time.monotonic() - since <= _QUIET or _is_usable(wrapper):
                return wrapper
            self._discard(wrapper)

    def _give_back_after(self, wrapper: Any, error: Exception) -> None:
        if not isinstance(error, IntegrityError) and not _is_usable(wrapper):
            self._discard(wrapper)
            self._discard_idle()  # what cut this one has cut the others too, as a rule
            raise UnknownOutcomeError(str(explained(error, self._alias, "the connection was lost"))) from error
        self._give_back(wrapper)

    def _give_back(self, wrapper: Any) -> None:
        if self._closed:
            self._discard(wrapper)
            return
        self._idle.append((wrapper, time.monotonic()))
        with contextlib.suppress(IndexError):
            while time.monotonic() - self._idle[0][1] > _LONGEST_IDLE:
                self._discard(self._idle.popleft()[0])

    def _discard_idle(self) -> None:
        with contextlib.suppress(IndexError):
            while True:
                self._discard(self._idle.pop()[0])

    def _discard(self, wrapper: Any) -> None:
        with contextlib.suppress(Exception):  # the connection is gone already
            wrapper.close()


def explained(error: Exception, alias: str, what: str = "") -> StorageError:
    """Return what happened, without what the driver says: it may quote the values."""
    cause = error.__cause__ or error
    code = code_of(cause)
    if code in _MISSING_TABLE or "no such table" in str(cause):
        return StorageError(
            f"the database {alias!r}: the tables of DjangoStorage are missing: put 'webex.storage.django' into "
            f"INSTALLED_APPS and run manage.py migrate --database {alias}"
        )
    told = f": {what}" if what else " failed"
    return StorageError(f"the database {alias!r}{told}: {type(cause).__name__}{f' ({code})' if code else ''}")


def _is_usable(wrapper: Any) -> bool:
    try:
        return wrapper.connection is not None and bool(wrapper.is_usable())
    except Exception:  # whatever a driver raises for a connection that is gone
        return False
