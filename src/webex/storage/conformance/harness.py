"""What a case of the suite works with: the storage under test, time, races, and a second look at the same data."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, TypeVar

from webex.runtime import drive
from webex.storage.adapt import as_storage, is_asynchronous
from webex.storage.protocol import Capabilities, Json, Storage
from webex.storage.wrappers import pages_of, settle

__all__ = ["BrokenError", "Harness", "bind", "close", "serves_async"]

T = TypeVar("T")


class BrokenError(AssertionError):
    """The storage does not do what it has to; the text says what happened instead."""


def serves_async(storage: Storage, style: str | None) -> bool:
    """Whether the methods that are tried are `async def`: the style decides where an adapter has both."""
    return is_asynchronous(storage) or (style == "async" and hasattr(storage, "bind_async"))


def bind(storage: Storage, namespace: str, *, asynchronous: bool) -> Any:
    """Return a namespace, in the style that is tried."""
    both: Callable[[str], Any] | None = getattr(storage, "bind_async", None)
    return both(namespace) if asynchronous and both is not None else storage.bind(namespace)


async def close(adapter: object, *, asynchronous: bool) -> None:
    """Close an adapter that has `close` or, in event-loop style, `aclose`."""
    for name in ("aclose", "close") if asynchronous else ("close",):
        method = getattr(adapter, name, None)
        if callable(method):
            await settle(method())
            return


class Harness:
    """One fresh storage and what is needed to try it."""

    def __init__(
        self,
        adapter: object,
        *,
        open_again: Callable[[], object] | None,
        advance: Callable[[float], object] | None,
        tick: float,
        style: str | None = None,
        cut: Callable[[], object] | None = None,
        many: int = 2000,
    ) -> None:
        self.storage: Storage = as_storage(adapter)
        self.capabilities: Capabilities = self.storage.capabilities
        self.asynchronous: bool = serves_async(self.storage, style)
        self.open_again = open_again
        self.tick = tick  # seconds: the shortest expiry that is tried
        self.many = many  # how many keys are listed
        self.cut = cut
        self._advance = advance
        self._opened = [adapter]

    def bind(self, namespace: str = "namespace") -> Any:
        """Return a namespace of the storage under test."""
        return bind(self.storage, namespace, asynchronous=self.asynchronous)

    async def bind_again(self, namespace: str = "namespace") -> Any:
        """Return the same namespace through another adapter object, as after a restart; it is closed in the end."""
        assert self.open_again is not None
        adapter = await settle(self.open_again())
        self._opened.append(adapter)
        return bind(as_storage(adapter), namespace, asynchronous=self.asynchronous)

    async def close(self) -> None:
        """Close all that was opened."""
        while self._opened:
            await close(self._opened.pop(), asynchronous=self.asynchronous)

    def expect(self, holds: bool, otherwise: str) -> None:
        """Fail with `otherwise` unless it holds."""
        if not holds:
            raise BrokenError(otherwise)

    async def same(self, binding: Any, key: str, value: Json) -> None:
        """Fail unless `get` gives exactly this value, of this type."""
        try:
            found = await settle(binding.get(key))
        except KeyError:
            raise BrokenError(f"get({_short(key)}) finds nothing where {_short(value)} was put") from None
        if found != value or type(found) is not type(value):
            raise BrokenError(f"get({_short(key)}) gives {_short(found)} where {_short(value)} was put")

    async def absent(self, binding: Any, key: str, why: str) -> None:
        """Fail unless `get` raises a KeyError."""
        try:
            found = await settle(binding.get(key))
        except KeyError:
            return
        raise BrokenError(f"get({_short(key)}) {why} gives {_short(found)}; it has to raise MissingKeyError")

    async def put(self, binding: Any, key: str, value: Json, **options: Any) -> None:
        await settle(binding.put(key, value, **options))

    async def keys(self, binding: Any, prefix: str = "", page_size: int = 1000) -> list[str]:
        """All keys, in the order they come."""
        return [key async for page in self.pages(binding, prefix, page_size) for key in page]

    async def pages(self, binding: Any, prefix: str = "", page_size: int = 1000) -> AsyncIterator[list[str]]:
        """Yield the pages, as long as they come to an end."""
        count = 0
        async for page in pages_of(binding, prefix, page_size):
            count += 1
            self.expect(count <= 1000, "keys() does not come to an end")
            yield page

    async def pass_time(self, seconds: float) -> None:
        """Let the storage's clock go on, by the hook if there is one, else by waiting."""
        if self._advance is not None:
            await settle(self._advance(seconds))
        elif self.asynchronous:
            import asyncio

            await asyncio.sleep(seconds)
        else:
            time.sleep(seconds)  # noqa: ASYNC251  # a plain adapter is driven without an event loop

    async def race(self, count: int, work: Callable[[int], Coroutine[Any, Any, T]]) -> list[T]:
        """Run `work(0)` … `work(count - 1)` at once, in tasks or threads by the adapter's style; return the results."""
        if self.asynchronous:
            import asyncio

            return list(await asyncio.gather(*(work(number) for number in range(count))))
        import threading
        from concurrent.futures import ThreadPoolExecutor

        start = threading.Barrier(count)

        def run(number: int) -> T:
            start.wait(timeout=30)
            return drive(work(number))

        with ThreadPoolExecutor(count) as pool:
            return list(pool.map(run, range(count)))


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
