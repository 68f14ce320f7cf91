"""A storage over a store of py-key-value (`AsyncKeyValue`): Memcached, MongoDB, DynamoDB and more; asynchronous only.

Such a store has neither compare-and-swap nor leases, so that a token is refreshed once within a process only.
"""

from __future__ import annotations

import inspect
import math
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

from webex.errors import ConfigurationError, MissingKeyError, StorageError, WebexError
from webex.storage.codec import check_duration, check_namespace, check_text, decode, encode
from webex.storage.protocol import Binding, Capabilities, Json, PlainBinding

__all__ = ["KeyValueStorage"]

_JSON, _EXPIRES = "json", "expires_at"
_MOST_KEYS = 10_000  # that a store of py-key-value lists


class KeyValueStorage:
    """Values in a store of py-key-value: `KeyValueStorage(store)`, for asynchronous clients only.

    Each namespace is a collection. There is no compare-and-swap and no lease: two processes may refresh a token at the
    same time, and a warning says so when the first client is made. Where processes share the store use one of the
    other storages, or one process. Keys are listed where the store lists them, up to 10,000 of a namespace; beyond
    that `StorageError`. Values expire by the clock of the process that reads. The store is the app's to close, and
    belongs to one event loop.
    """

    asynchronous: bool = True

    def __init__(self, store: Any) -> None:
        missing = [name for name in ("get", "get_many", "put", "delete") if not _is_async(getattr(store, name, None))]
        if isinstance(store, type) or missing:
            raise ConfigurationError(
                f"KeyValueStorage takes a store of py-key-value (key_value.aio), not {type(store).__name__}"
                + (f": it has no asynchronous {', '.join(missing)}" if missing else ", a class: make one")
            )
        self.store: Any = store
        can_list = callable(getattr(store, "keys", None))
        self.capabilities: Capabilities = Capabilities(ttl=True, scan=can_list, bulk=True)
        if callable(getattr(store, "collections", None)):
            self.namespaces: Any = self._namespaces

    def bind(self, namespace: str) -> PlainBinding | Binding:
        """Return the namespace, with asynchronous methods."""
        check_namespace(namespace)
        return KeyValueBinding(self.store, namespace)

    async def _namespaces(self) -> list[str]:
        """Return the names of all namespaces that hold something, or did."""
        return sorted(await self.store.collections(limit=_MOST_KEYS))

    def __repr__(self) -> str:
        return f"KeyValueStorage({type(self.store).__name__})"


class KeyValueBinding:
    """One namespace, which is a collection."""

    def __init__(self, store: Any, namespace: str) -> None:
        self._store = store
        self._namespace = namespace

    async def get(self, key: str) -> Json:
        check_text(key, "key")
        is_there, value = _read(await self._store.get(key, collection=self._namespace))
        if not is_there:
            raise MissingKeyError(key, self._namespace)
        return value

    async def get_many(self, keys: Sequence[str]) -> dict[str, Json]:
        for key in keys:
            check_text(key, "key")
        wanted = list(dict.fromkeys(keys))
        stored = await self._store.get_many(wanted, collection=self._namespace) if wanted else []
        read = {key: _read(record) for key, record in zip(wanted, stored, strict=True)}
        return {key: value for key, (is_there, value) in read.items() if is_there}

    async def put(self, key: str, value: Json, *, expires_in: float | None = None) -> None:
        check_text(key, "key")
        check_duration(expires_in, "expires_in")
        record: dict[str, Any] = {_JSON: encode(value).decode()}
        if expires_in is None:
            await self._store.put(key, record, collection=self._namespace)
            return
        record[_EXPIRES] = time.time() + expires_in  # a store may round its own up or down
        await self._store.put(key, record, collection=self._namespace, ttl=math.ceil(expires_in))

    async def delete(self, key: str) -> None:
        check_text(key, "key")
        await self._store.delete(key, collection=self._namespace)

    async def clear(self) -> None:
        if callable(getattr(self._store, "keys", None)):
            while found := await self._store.keys(self._namespace, limit=_MOST_KEYS):
                await self._store.delete_many(found, collection=self._namespace)
        elif callable(getattr(self._store, "destroy_collection", None)):
            await self._store.destroy_collection(self._namespace)
        else:
            raise StorageError(
                f"{type(self._store).__name__} can neither list the keys of a collection nor remove it: this namespace "
                f"can't be cleared"
            )

    async def keys(self, prefix: str = "", *, page_size: int = 1000) -> AsyncIterator[list[str]]:
        check_text(prefix, "prefix")
        found = await self._store.keys(self._namespace, limit=_MOST_KEYS)
        if len(found) >= _MOST_KEYS:
            raise StorageError(
                f"{type(self._store).__name__} lists at most {_MOST_KEYS:,} keys of a collection, and "
                f"{self._namespace!r} has more"
            )
        matching = sorted(key for key in found if key.startswith(prefix))
        for start in range(0, len(matching), page_size):
            page = matching[start : start + page_size]
            alive = await self.get_many(page)
            if present := [key for key in page if key in alive]:
                yield present


def _read(record: Any) -> tuple[bool, Json]:
    """Return whether there is a value that has not expired, and the value."""
    if record is None:
        return False, None
    try:
        data, expires_at = record[_JSON], record.get(_EXPIRES)
        if expires_at is not None and float(expires_at) <= time.time():
            return False, None
        return True, decode(str(data).encode())
    except WebexError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError):
        raise StorageError("a stored record is not one of KeyValueStorage: another program wrote it") from None


def _is_async(method: Any) -> bool:
    return inspect.iscoroutinefunction(method)
