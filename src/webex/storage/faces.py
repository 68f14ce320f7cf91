"""Wrappers around bindings, written once as `async def` and shown in the style of what they wrap.

A wrapper's core awaits what the wrapped binding returns if that needs awaiting. Around plain methods it never suspends,
so `BlockingFace` drives it to its end and shows plain methods again.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Iterator
from typing import Any, Protocol, TypeVar

from webex.runtime import drive, drive_iter
from webex.storage.protocol import Binding, Json, Lease, MaybeAwaitable, Versioned

__all__ = ["BlockingFace", "Core", "WrappedLease", "pages_of", "settle"]

T = TypeVar("T")


async def settle(value: T | Awaitable[T]) -> T:
    """What an adapter's method returned, awaited if it needs that."""
    if inspect.isawaitable(value):
        return await value
    return value


async def pages_of(binding: Any, prefix: str, page_size: int) -> AsyncIterator[list[str]]:
    """The pages of `binding.keys(…)`, whichever kind of iterator it returns."""
    pages = binding.keys(prefix, page_size=page_size)
    if hasattr(pages, "__aiter__"):
        try:
            async for page in pages:
                yield page
        finally:
            close = getattr(pages, "aclose", None)
            if close is not None:
                await close()
    else:
        for page in await settle(pages):
            yield page


class Core(Protocol):
    """A binding of `async def` methods only."""

    async def get(self, key: str) -> Json: ...
    async def put(self, key: str, value: Json, *, expires_in: float | None = None) -> None: ...
    async def delete(self, key: str) -> None: ...
    async def clear(self) -> None: ...
    def keys(self, prefix: str = "", *, page_size: int = 1000) -> AsyncIterator[list[str]]: ...
    async def get_versioned(self, key: str) -> Versioned: ...
    async def put_if_version(
        self, key: str, value: Json, version: str | None, *, expires_in: float | None = None
    ) -> str | None: ...
    async def delete_if_version(self, key: str, version: str) -> bool: ...
    async def try_lease(self, name: str, ttl: float) -> Lease | None: ...
    async def lease_remaining(self, name: str) -> float: ...


class BlockingFace:
    """A core around plain methods, as plain methods."""

    def __init__(self, core: Core, *, nonblocking_methods: frozenset[str] = frozenset()) -> None:
        self._core = core
        self.nonblocking_methods = nonblocking_methods

    def get(self, key: str) -> Json:
        return drive(self._core.get(key))

    def put(self, key: str, value: Json, *, expires_in: float | None = None) -> None:
        drive(self._core.put(key, value, expires_in=expires_in))

    def delete(self, key: str) -> None:
        drive(self._core.delete(key))

    def clear(self) -> None:
        drive(self._core.clear())

    def keys(self, prefix: str = "", *, page_size: int = 1000) -> Iterator[list[str]]:
        return drive_iter(self._core.keys(prefix, page_size=page_size))

    def get_versioned(self, key: str) -> Versioned:
        return drive(self._core.get_versioned(key))

    def put_if_version(
        self, key: str, value: Json, version: str | None, *, expires_in: float | None = None
    ) -> str | None:
        return drive(self._core.put_if_version(key, value, version, expires_in=expires_in))

    def delete_if_version(self, key: str, version: str) -> bool:
        return drive(self._core.delete_if_version(key, version))

    def try_lease(self, name: str, ttl: float) -> Lease | None:
        return drive(self._core.try_lease(name, ttl))

    def lease_remaining(self, name: str) -> float:
        return drive(self._core.lease_remaining(name))


class WrappedLease:
    """A lease of the wrapped storage under the name that the caller gave."""

    def __init__(self, name: str, inner: Lease) -> None:
        self.name = name
        self.token = inner.token
        self._inner = inner

    def renew(self, ttl: float) -> MaybeAwaitable[bool]:
        return self._inner.renew(ttl)

    def release(self) -> MaybeAwaitable[None]:
        return self._inner.release()

    def __repr__(self) -> str:
        return f"WrappedLease({self.name!r})"


def face(core: Core, *, asynchronous: bool, nonblocking_methods: frozenset[str]) -> Binding:
    """The core in the style of what it wraps."""
    return core if asynchronous else BlockingFace(core, nonblocking_methods=nonblocking_methods)
