"""A storage in this process's memory, with everything that the protocol has: for tests, scripts and caches."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Protocol

from webex.errors import MissingKeyError
from webex.storage.codec import check_duration, check_namespace, check_text, decode, encode
from webex.storage.forks import LONGEST_REST, survives_forks
from webex.storage.local_lease import LocalLease
from webex.storage.protocol import Capabilities, Json, Versioned

__all__ = ["MemoryStorage"]

_numbers = itertools.count(1)  # one for the process: a version or a fencing token is never given twice
_SWEEP_EVERY = 512  # writes


class MonotonicClock(Protocol):
    def monotonic(self) -> float: ...


class MemoryStorage:
    """Values in memory, kept as JSON, so that what was read and what was written never share state.

    Safe for any number of threads. `clock` is whatever has `monotonic()` (seconds); expiry and leases follow it. Two
    instances share nothing, and nothing survives the process.
    """

    capabilities: Capabilities = Capabilities(
        ttl=True, scan=True, compare_and_swap=True, lease=True, nonblocking=True, bulk=True
    )
    asynchronous = False

    def __init__(self, *, clock: MonotonicClock | None = None) -> None:
        self.clock: MonotonicClock = clock or time
        self.lock: threading.Lock = threading.Lock()
        self._rests = False
        self._namespaces: dict[str, _Space] = {}
        survives_forks(self)

    def bind(self, namespace: str) -> MemoryBinding:
        """Return the namespace; make it on first use."""
        check_namespace(namespace)
        with self.lock:
            space = self._namespaces.setdefault(namespace, _Space())
        return MemoryBinding(self, namespace, space)

    def namespaces(self) -> list[str]:
        """Return the names of all namespaces that hold something."""
        with self.lock:
            return sorted(name for name, space in self._namespaces.items() if space.entries)

    def __repr__(self) -> str:
        return f"MemoryStorage({len(self._namespaces)} namespaces)"

    def before_fork(self) -> None:
        self._rests = self.lock.acquire(timeout=LONGEST_REST)

    def after_fork(self, *, in_child: bool) -> None:
        if in_child:
            self.lock = threading.Lock()
        elif self._rests:
            self.lock.release()


class _Entry:
    __slots__ = ("data", "expires_at", "version")

    def __init__(self, data: bytes, version: str, expires_at: float | None) -> None:
        self.data = data
        self.version = version
        self.expires_at = expires_at


class _Space:
    __slots__ = ("entries", "leases", "writes")

    def __init__(self) -> None:
        self.entries: dict[str, _Entry] = {}
        self.leases: dict[str, tuple[str, float]] = {}  # name: (fencing token, expiry)
        self.writes: int = 0


class MemoryBinding:
    """One namespace of a `MemoryStorage`."""

    def __init__(self, storage: MemoryStorage, namespace: str, space: _Space) -> None:
        self._storage = storage
        self._namespace = namespace
        self._space = space

    def get(self, key: str) -> Json:
        return self.get_versioned(key).value

    def get_versioned(self, key: str) -> Versioned:
        with self._storage.lock:
            entry = self._live(key)
            if entry is None:
                raise MissingKeyError(key, self._namespace)
            data, version = entry.data, entry.version
        return Versioned(decode(data), version)

    def time_left(self, key: str) -> float | None:
        with self._storage.lock:
            entry = self._live(key)
            if entry is None:
                raise MissingKeyError(key, self._namespace)
            return None if entry.expires_at is None else entry.expires_at - self._now()

    def get_many(self, keys: Sequence[str]) -> dict[str, Json]:
        with self._storage.lock:
            found = {key: entry.data for key in keys if (entry := self._live(key)) is not None}
        return {key: decode(data) for key, data in found.items()}

    def put(self, key: str, value: Json, *, expires_in: float | None = None) -> None:
        entry = self._entry(key, value, expires_in)
        with self._storage.lock:
            self._write(key, entry)

    def put_if_version(
        self, key: str, value: Json, version: str | None, *, expires_in: float | None = None
    ) -> str | None:
        entry = self._entry(key, value, expires_in)
        with self._storage.lock:
            present = self._live(key)
            if (present.version if present else None) != version:
                return None
            self._write(key, entry)
        return entry.version

    def delete(self, key: str) -> None:
        with self._storage.lock:
            self._space.entries.pop(key, None)

    def delete_if_version(self, key: str, version: str) -> bool:
        with self._storage.lock:
            present = self._live(key)
            if present is None or present.version != version:
                return False
            del self._space.entries[key]
        return True

    def clear(self) -> None:
        with self._storage.lock:
            self._space.entries.clear()

    def keys(self, prefix: str = "", *, page_size: int = 1000) -> Iterator[list[str]]:
        with self._storage.lock:
            now = self._now()
            names = sorted(
                key for key, entry in self._space.entries.items() if key.startswith(prefix) and not _over(entry, now)
            )
        for start in range(0, len(names), page_size):
            yield names[start : start + page_size]

    def try_lease(self, name: str, ttl: float) -> LocalLease | None:
        check_text(name, "lease name")
        check_duration(ttl, "ttl")
        with self._storage.lock:
            now = self._now()
            held = self._space.leases.get(name)
            if held is not None and held[1] > now:
                return None
            token = _number()
            self._space.leases[name] = (token, now + ttl)
        return LocalLease(name, token, self._renew, self._release)

    def lease_remaining(self, name: str) -> float:
        with self._storage.lock:
            held = self._space.leases.get(name)
            return max(0.0, held[1] - self._now()) if held else 0.0

    def _renew(self, name: str, token: str, ttl: float) -> bool:
        check_duration(ttl, "ttl")
        with self._storage.lock:
            now = self._now()
            held = self._space.leases.get(name)
            if held is None or held[0] != token or held[1] <= now:
                return False
            self._space.leases[name] = (token, now + ttl)
        return True

    def _release(self, name: str, token: str) -> None:
        with self._storage.lock:
            held = self._space.leases.get(name)
            if held is not None and held[0] == token:
                del self._space.leases[name]

    def _now(self) -> float:
        return self._storage.clock.monotonic()

    def _entry(self, key: str, value: Json, expires_in: float | None) -> _Entry:
        check_text(key, "key")
        check_duration(expires_in, "expires_in")
        expires_at = None if expires_in is None else self._now() + expires_in
        return _Entry(encode(value), _number(), expires_at)

    def _live(self, key: str) -> _Entry | None:
        entry = self._space.entries.get(key)
        if entry is not None and entry.expires_at is not None and _over(entry, self._now()):
            del self._space.entries[key]
            return None
        return entry

    def _write(self, key: str, entry: _Entry) -> None:
        space = self._space
        space.entries[key] = entry
        space.writes += 1
        if space.writes >= max(_SWEEP_EVERY, len(space.entries)):  # so that a write costs the same however many rest
            now = self._now()
            space.entries = {key: entry for key, entry in space.entries.items() if not _over(entry, now)}
            space.leases = {name: held for name, held in space.leases.items() if held[1] > now}
            space.writes = 0


def _number() -> str:
    return f"{next(_numbers):016d}"


def _over(entry: _Entry, now: float) -> bool:
    return entry.expires_at is not None and entry.expires_at <= now
