"""A part of a storage as a storage of its own: every key and lease name gets a prefix, and `clear` keeps to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

from webex.errors import MissingKeyError, StorageError
from webex.storage.faces import WrappedLease, face, pages_of, settle
from webex.storage.paths import path
from webex.storage.protocol import Binding, Capabilities, Json, Lease, PlainBinding, Storage, Versioned

__all__ = ["ScopedStorage", "prefixed", "scoped"]

_PAGE = 1000


def scoped(storage: object, *parts: str) -> ScopedStorage:
    """The storage as one tenant or person sees it: keys begin with `path(*parts)`, and no other scope's are in reach.

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
        self.capabilities = inner.capabilities
        self.asynchronous = is_asynchronous(inner)
        if hasattr(inner, "bind_nonwaiting"):
            self.bind_nonwaiting = self._bind_nonwaiting

    def bind(self, namespace: str) -> Binding:
        return self._scope(self.inner.bind(namespace), namespace)

    def _bind_nonwaiting(self, namespace: str) -> Binding:
        return self._scope(self.inner.bind_nonwaiting(namespace), namespace)  # type: ignore[attr-defined]  # optional

    def _scope(self, binding: Binding | PlainBinding, namespace: str) -> Binding:
        return prefixed(
            binding,
            self._prefix,
            namespace=namespace,
            capabilities=self.capabilities,
            asynchronous=self.asynchronous,
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
    """A binding whose keys all begin with `prefix` in the given one, in the same style.

    `listing` gives all its keys, where it can't list by prefix.
    """
    core = PrefixedCore(binding, prefix, namespace, can_scan=capabilities.scan, listing=listing)
    nonblocking = frozenset(getattr(binding, "nonblocking_methods", ()))
    return face(core, asynchronous=asynchronous, nonblocking_methods=nonblocking)


class PrefixedCore:
    """The logic of `prefixed`."""

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

    async def put(self, key: str, value: Json, *, expires_in: float | None = None) -> None:
        options = {} if expires_in is None else {"expires_in": expires_in}
        await settle(self._inner.put(self._prefix + key, value, **options))

    async def delete(self, key: str) -> None:
        await settle(self._inner.delete(self._prefix + key))

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

    async def put_if_version(
        self, key: str, value: Json, version: str | None, *, expires_in: float | None = None
    ) -> str | None:
        options = {} if expires_in is None else {"expires_in": expires_in}
        written: str | None = await settle(self._inner.put_if_version(self._prefix + key, value, version, **options))
        return written

    async def delete_if_version(self, key: str, version: str) -> bool:
        return bool(await settle(self._inner.delete_if_version(self._prefix + key, version)))

    async def try_lease(self, name: str, ttl: float) -> Lease | None:
        inner: Lease | None = await settle(self._inner.try_lease(self._prefix + name, ttl))
        return None if inner is None else WrappedLease(name, inner)

    async def lease_remaining(self, name: str) -> float:
        return float(await settle(self._inner.lease_remaining(self._prefix + name)))
