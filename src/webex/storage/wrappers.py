"""Wrappers around bindings, written once as `async def` and shown in the style of what they wrap.

The asynchronous binding of a wrapper awaits what the wrapped binding returns if that needs awaiting. Around plain
methods it never suspends, so `BlockingWrapper` completes it with one step and offers plain methods again.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

from webex.runtime import drive, drive_iter
from webex.storage.protocol import Binding, Json, Lease, MaybeAwaitable, Versioned

__all__ = ["AsyncBinding", "BlockingWrapper", "WrappedLease", "pages_of", "settle"]

T = TypeVar("T")


async def settle(value: T | Awaitable[T]) -> T:
    """Return what an adapter's method returned, awaited if it needs that."""
    if inspect.isawaitable(value):
        return await value
    return value


async def pages_of(binding: Any, prefix: str, page_size: int) -> AsyncIterator[list[str]]:
    """Yield the pages of `binding.keys(…)`, whichever kind of iterator it returns."""
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


class AsyncBinding(Protocol):
    """A binding of `async def` methods only; `options` are `expires_in` and `durable`, where the adapter takes them."""

    async def get(self, key: str) -> Json: ...
    async def put(self, key: str, value: Json, **options: Any) -> None: ...
    async def delete(self, key: str, **options: Any) -> None: ...
    async def clear(self) -> None: ...
    def keys(self, prefix: str = "", *, page_size: int = 1000) -> AsyncIterator[list[str]]: ...
    async def get_many(self, keys: Sequence[str]) -> dict[str, Json]: ...
    async def time_left(self, key: str) -> float | None: ...
    async def get_versioned(self, key: str) -> Versioned: ...
    async def put_if_version(self, key: str, value: Json, version: str | None, **options: Any) -> str | None: ...
    async def delete_if_version(self, key: str, version: str, **options: Any) -> bool: ...
    async def try_lease(self, name: str, ttl: float) -> Lease | None: ...
    async def lease_remaining(self, name: str) -> float: ...


class BlockingWrapper:
    """Offer an asynchronous binding that never suspends as plain methods."""

    def __init__(self, binding: AsyncBinding, *, wrapped: object = None) -> None:
        self._binding = binding
        self._wrapped = wrapped

    @property
    def nonblocking_methods(self) -> frozenset[str]:
        """Those of the wrapped binding, as they are now."""
        return frozenset(getattr(self._wrapped, "nonblocking_methods", ()))

    @property
    def quick_methods(self) -> frozenset[str]:
        """Those of the wrapped binding, as they are now."""
        return frozenset(getattr(self._wrapped, "quick_methods", ()))

    def get(self, key: str) -> Json:
        return drive(self._binding.get(key))

    def time_left(self, key: str) -> float | None:
        return drive(self._binding.time_left(key))

    def get_many(self, keys: Sequence[str]) -> dict[str, Json]:
        return drive(self._binding.get_many(keys))

    def put(self, key: str, value: Json, **options: Any) -> None:
        drive(self._binding.put(key, value, **options))

    def delete(self, key: str, **options: Any) -> None:
        drive(self._binding.delete(key, **options))

    def clear(self) -> None:
        drive(self._binding.clear())

    def keys(self, prefix: str = "", *, page_size: int = 1000) -> Iterator[list[str]]:
        return drive_iter(self._binding.keys(prefix, page_size=page_size))

    def get_versioned(self, key: str) -> Versioned:
        return drive(self._binding.get_versioned(key))

    def put_if_version(self, key: str, value: Json, version: str | None, **options: Any) -> str | None:
        return drive(self._binding.put_if_version(key, value, version, **options))

    def delete_if_version(self, key: str, version: str, **options: Any) -> bool:
        return drive(self._binding.delete_if_version(key, version, **options))

    def try_lease(self, name: str, ttl: float) -> Lease | None:
        return drive(self._binding.try_lease(name, ttl))

    def lease_remaining(self, name: str) -> float:
        return drive(self._binding.lease_remaining(name))

    def notify(self, key: str) -> None:
        binding: Any = self._binding  # it has this where the storage claims notifications
        drive(binding.notify(key))


class WrappedLease:
    """A lease of the wrapped storage under the name that the caller gave."""

    def __init__(self, name: str, inner: Lease) -> None:
        self.name = name
        self.token: str = inner.token
        self._inner = inner

    def renew(self, ttl: float) -> MaybeAwaitable[bool]:
        return self._inner.renew(ttl)

    def release(self) -> MaybeAwaitable[None]:
        return self._inner.release()

    def __repr__(self) -> str:
        return f"WrappedLease({self.name!r})"


def in_style(binding: AsyncBinding, *, asynchronous: bool, wrapped: object = None) -> Binding:
    """Return the binding in the style of what it wraps."""
    return binding if asynchronous else BlockingWrapper(binding, wrapped=wrapped)
