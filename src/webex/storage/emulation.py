"""What stands in for capabilities that an adapter lacks: expiry kept in the value, versions, leases of this process.

Versions made here are digests of the value, so that nothing but the value has to be stored; comparing and swapping is
safe among the threads and tasks of this process, not against another one.
"""

from __future__ import annotations

import hashlib
import logging
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from webex.http.timing import Backoff
from webex.runtime.protocol import Runtime
from webex.storage.codec import check_duration, encode
from webex.storage.memory import MemoryBinding, MemoryStorage
from webex.storage.protocol import Json, Storage

__all__ = ["Emulation", "emulation_for", "unwrap", "version_of", "wrap"]

_logger = logging.getLogger("webex.storage")

_EXPIRES, _VALUE = "webex:expires_at", "webex:value"
_LOCK_TTL = 60.0  # a task that died while it held a key's lock can't hold it for ever
_PAUSE = 0.002

_ordered = msgspec.json.Encoder(order="sorted")


def wrap(value: Json, expires_in: float | None, now: float) -> Json:
    """Wrap a value for an adapter without expiry; one that never expires is stored as it is."""
    if expires_in is None and not _is_wrapped(value):
        return value
    check_duration(expires_in, "expires_in")
    return {_EXPIRES: None if expires_in is None else now + expires_in, _VALUE: value}


def unwrap(value: Json, now: float) -> tuple[bool, Json]:
    """Whether what was stored is still alive, and the value."""
    if not _is_wrapped(value):
        return True, value
    expires_at = value[_EXPIRES]
    return expires_at is None or expires_at > now, value[_VALUE]


def version_of(value: Json) -> str:
    """Compute a version for an adapter that has none."""
    encode(value)  # refuses what is not plain data
    return hashlib.sha256(_ordered.encode(value)).hexdigest()


def _is_wrapped(value: Json) -> bool:
    return isinstance(value, dict) and value.keys() == {_EXPIRES, _VALUE}


class Emulation:
    """The leases and locks that this process keeps for one storage."""

    def __init__(self) -> None:
        self._memory = MemoryStorage()

    def leases(self, namespace: str) -> MemoryBinding:
        """Where the leases of a namespace are kept."""
        return self._memory.bind("lease:" + namespace)

    @asynccontextmanager
    async def alone(self, namespace: str, key: str, runtime: Runtime) -> AsyncIterator[None]:
        """Keep all other threads and loops of this process out, for the same key."""
        locks = self._memory.bind("lock:" + namespace)
        backoff = Backoff(_PAUSE, _PAUSE)
        while (held := locks.try_lease(key, _LOCK_TTL)) is None:
            await runtime.sleep(backoff.next())
        try:
            yield
        finally:
            held.release()

    def warn_once(self, storage: Storage) -> None:
        """Say once for each kind of adapter what holds within this process only."""
        capabilities = storage.capabilities
        missing = [
            text
            for has, text in (
                (capabilities.compare_and_swap, "compare-and-swap"),
                (capabilities.lease, "leases"),
            )
            if not has
        ]
        innermost: object = storage
        while (inner := getattr(innermost, "adapter", None) or getattr(innermost, "inner", None)) is not None:
            innermost = inner
        kind = type(innermost)
        if not missing or kind in _warned:
            return
        _warned.add(kind)
        _logger.warning(
            "The storage adapter %s has no %s: a token is refreshed once within this process, but two processes may "
            "refresh it at the same time. Use SQLiteStorage, or add the methods, when more than one process shares it.",
            kind.__qualname__,
            " and no ".join(missing),
        )


_warned: weakref.WeakSet[type] = weakref.WeakSet()
_emulations: weakref.WeakKeyDictionary[Storage, Emulation] = weakref.WeakKeyDictionary()


def emulation_for(storage: Storage) -> Emulation:
    """Return the one emulation of this storage, however many clients use it."""
    emulation = _emulations.get(storage)
    if emulation is None:
        emulation = _emulations.setdefault(storage, Emulation())
    return emulation
