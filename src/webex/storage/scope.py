"""A part of a storage as a storage of its own: every key and lease name gets a prefix, and `clear` keeps to it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from typing import Any

from webex.errors import MissingKeyError, StorageError
from webex.storage.paths import path
from webex.storage.protocol import Binding, Capabilities, Json, Lease, PlainBinding, Storage, Versioned
from webex.storage.wrappers import WrappedLease, in_style, pages_of, settle

__all__ = ["ScopedStorage", "prefixed", "scoped"]

_PAGE = 1000


def scoped(storage: object, *parts: str) -> ScopedStorage:
    """Return the storage of one tenant or person: keys begin with `path(*parts)`, others are out of reach.

    ```python
    mine = scoped(storage, client_id, user_key)
    mine.bind("notes").put("colour", "blue")  # stored as "<client id>/<user key>/colour"
    ```

    `clear` removes the scope's keys only, for which the storage needs the capability `scan`.
    """
    from webex.storage.adapt import as_storage

    return ScopedStorage(as_storage(storage), path(*parts, ""))


class ScopedStorage:
    """What `scoped` returns."""

    def __init__(self, inner: Storage, prefix: str) -> None:
        from webex.storage.adapt import is_asynchronous

        self.inner = inner
        self._prefix = prefix
        self.capabilities: Capabilities = inner.capabilities
        self.asynchronous: bool = is_asynchronous(inner)
        for name in ("busy_timeout", "close", "aclose", "namespaces", "namespaces_async"):
            if hasattr(inner, name):
                setattr(self, name, getattr(inner, name))
        if hasattr(inner, "bind_nonwaiting"):
            self.bind_nonwaiting: Callable[[str], Binding] = self._bind_nonwaiting
        if hasattr(inner, "bind_async"):
            self.bind_async: Callable[[str], Binding] = self._bind_async

    def bind(self, namespace: str) -> Binding:
        return self._scope(self.inner.bind(namespace), namespace)

    def _bind_nonwaiting(self, namespace: str) -> Binding:
        return self._scope(self.inner.bind_nonwaiting(namespace), namespace)  # type: ignore[attr-defined]  # optional

    def _bind_async(self, namespace: str) -> Binding:
        return self._scope(self.inner.bind_async(namespace), namespace, asynchronous=True)  # type: ignore[attr-defined]  # optional

    def _scope(self, binding: Binding | PlainBinding, namespace: str, *, asynchronous: bool | None = None) -> Binding:
        return prefixed(
            binding,
            self._prefix,
            namespace=namespace,
            capabilities=self.capabilities,
            asynchronous=self.asynchronous if asynchronous is None else asynchronous,
        )

    def __repr__(self) -> str:
        return f"ScopedStorage({self.inner!r}, {self._prefix!r})"


def prefixed(
    binding: Binding | PlainBinding,
    prefix: str,
    *,
    namespace: str,
    capabilities: Capabilities,
    asynchronous: bool,
    listing: Callable[[], Any] | None = None,
) -> Binding:
    """Return a binding whose keys all begin with `prefix` in the given one, in the same style.

    `listing` gives all its keys, where it can't list by prefix.
    """
    async_binding = PrefixedAsyncBinding(binding, prefix, namespace, can_scan=capabilities.scan, listing=listing)
    return in_style(async_binding, asynchronous=asynchronous, wrapped=binding)


class PrefixedAsyncBinding:
    """Add a prefix to every key of a binding."""

    def __init__(
        self, inner: Any, prefix: str, namespace: str, *, can_scan: bool, listing: Callable[[], Any] | None
    ) -> None:
        self._inner = inner
        self._prefix = prefix
        self._namespace = namespace
        self._can_scan = can_scan
        self._listing = listing

    async def get(self, key: str) -> Json:
        try:
            return await settle(self._inner.get(self._prefix + key))
        except KeyError:
            raise MissingKeyError(key, self._namespace) from None

    async def time_left(self, key: str) -> float | None:
        left: float | None = await settle(self._inner.time_left(self._prefix + key))
        return left

    async def get_many(self, keys: Sequence[str]) -> dict[str, Json]:
        found = await settle(self._inner.get_many([self._prefix + key for key in keys]))
        return {key[len(self._prefix) :]: value for key, value in found.items()}

    async def put(self, key: str, value: Json, **options: Any) -> None:
        await settle(self._inner.put(self._prefix + key, value, **options))

    async def delete(self, key: str, **options: Any) -> None:
        await settle(self._inner.delete(self._prefix + key, **options))

    async def clear(self) -> None:
        async for page in self._pages("", _PAGE):
            for key in page:
                await settle(self._inner.delete(key))

    async def keys(self, prefix: str = "", *, page_size: int = _PAGE) -> AsyncIterator[list[str]]:
        async for page in self._pages(prefix, page_size):
            yield [key[len(self._prefix) :] for key in page]

    async def _pages(self, prefix: str, page_size: int) -> AsyncIterator[list[str]]:
        wanted = self._prefix + prefix
        if self._can_scan:
            pages = pages_of(self._inner, wanted, page_size)
            try:
                async for page in pages:
                    yield page
            finally:
                await pages.aclose()  # type: ignore[attr-defined]  # it is a generator
            return
        if self._listing is None:
            raise StorageError(
                "this storage can't tell which keys it holds, so one namespace or scope of it can't be listed or "
                "cleared: give the adapter bind(namespace), or keys()"
            )
        found = self._listing()
        every = [key async for key in found] if hasattr(found, "__aiter__") else list(await settle(found))
        matching = sorted(key for key in every if key.startswith(wanted))
        for start in range(0, len(matching), page_size):
            yield matching[start : start + page_size]

    async def get_versioned(self, key: str) -> Versioned:
        try:
            found: Versioned = await settle(self._inner.get_versioned(self._prefix + key))
        except KeyError:
            raise MissingKeyError(key, self._namespace) from None
        return found

    async def put_if_version(self, key: str, value: Json, version: str | None, **options: Any) -> str | None:
        written: str | None = await settle(self._inner.put_if_version(self._prefix + key, value, version, **options))
        return written

    async def delete_if_version(self, key: str, version: str, **options: Any) -> bool:
        return bool(await settle(self._inner.delete_if_version(self._prefix + key, version, **options)))

    async def try_lease(self, name: str, ttl: float) -> Lease | None:
        inner: Lease | None = await settle(self._inner.try_lease(self._prefix + name, ttl))
        return None if inner is None else WrappedLease(name, inner)

    async def lease_remaining(self, name: str) -> float:
        return float(await settle(self._inner.lease_remaining(self._prefix + name)))

    async def notify(self, key: str) -> None:
        await settle(self._inner.notify(self._prefix + key))

    async def notifications(self) -> AsyncGenerator[str | None, None]:
        async with aclosing(self._inner.notifications()) as told:
            async for key in told:
                if key is None:
                    yield None
                elif key.startswith(self._prefix):
                    yield key[len(self._prefix) :]
