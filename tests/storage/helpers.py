"""Clocks, plain adapters and runtimes that the tests of this room share."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from webex.storage import Capabilities, MemoryStorage


class MovableClock:
    """A clock that goes on only when told."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


class FakeRuntime:
    """Just enough of a runtime for the storage; sleeping moves the clock when that is a movable one."""

    def __init__(self, style: str, clock: Any = None) -> None:
        self.style = style
        self.clock = clock or _SystemClock()
        self.in_threads: list[str] = []
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        if isinstance(self.clock, MovableClock):
            self.clock.advance(seconds)
            if self.style == "async":
                await asyncio.sleep(0)
        elif self.style == "blocking":
            time.sleep(seconds)
        else:
            await asyncio.sleep(seconds)

    async def run_blocking(self, function: Callable[..., Any], /, *args: Any) -> Any:
        if self.style == "blocking":
            return function(*args)
        inner = getattr(function, "func", function)
        self.in_threads.append(getattr(inner, "__name__", repr(inner)))
        return await asyncio.to_thread(function, *args)

    async def single_flight(self, key: Any, work: Callable[[], Any], **_: Any) -> Any:
        if self.style == "blocking":
            return await work()
        return await asyncio.shield(asyncio.create_task(work()))

    async def begin(self, key: Any, work: Callable[[], Any]) -> None:
        await work()


class _SystemClock:
    def time(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()


@dataclass
class DictBinding:
    """As a reader of the Node guide would write it."""

    data: dict[str, Any] = field(default_factory=dict)

    def get(self, key: str) -> Any:
        return self.data[key]

    def put(self, key: str, value: Any) -> None:
        self.data[key] = value

    def delete(self, key: str) -> None:
        del self.data[key]

    def clear(self) -> None:
        self.data.clear()


class DictAdapter:
    def __init__(self) -> None:
        self.spaces: dict[str, DictBinding] = {}

    def bind(self, namespace: str) -> DictBinding:
        return self.spaces.setdefault(namespace, DictBinding())


class AsyncDictBinding:
    def __init__(self) -> None:
        self.data: dict[str, Any] = {}

    async def get(self, key: str) -> Any:
        await asyncio.sleep(0)
        return self.data[key]

    async def put(self, key: str, value: Any) -> None:
        await asyncio.sleep(0)
        self.data[key] = value

    async def delete(self, key: str) -> None:
        await asyncio.sleep(0)
        self.data.pop(key, None)

    async def clear(self) -> None:
        await asyncio.sleep(0)
        self.data.clear()


class AsyncDictAdapter:
    """The four plain calls, asynchronous, and `bind` too: the literal port of a Node adapter."""

    def __init__(self) -> None:
        self.spaces: dict[str, AsyncDictBinding] = {}

    async def bind(self, namespace: str, options: Any) -> AsyncDictBinding:
        assert options["logger"].info
        await asyncio.sleep(0)
        return self.spaces.setdefault(namespace, AsyncDictBinding())


class DirectAdapter(DictBinding):
    """The four calls without `bind`, and a way to list the keys."""

    def keys(self) -> list[str]:
        return list(self.data)


class AsyncMemory:
    """A full adapter of `async def` methods; every call suspends once."""

    capabilities = Capabilities(ttl=True, scan=True, compare_and_swap=True, lease=True, bulk=True)

    def __init__(self, clock: Any = None) -> None:
        self._memory = MemoryStorage(clock=clock)

    def bind(self, namespace: str) -> _AsyncMemoryBinding:
        return _AsyncMemoryBinding(self._memory.bind(namespace))


class BothStyles(AsyncMemory):
    """An adapter that offers plain methods by `bind` and `async def` ones by `bind_async`."""

    asynchronous = False

    def __init__(self, clock: Any = None) -> None:
        super().__init__(clock)
        self.bound: list[str] = []

    def bind(self, namespace: str) -> Any:
        self.bound.append("plain")
        return self._memory.bind(namespace)

    def bind_async(self, namespace: str) -> _AsyncMemoryBinding:
        self.bound.append("async")
        return _AsyncMemoryBinding(self._memory.bind(namespace))


class _AsyncMemoryBinding:
    def __init__(self, inner: Any) -> None:
        self._inner = inner

    async def get(self, key: str) -> Any:
        await asyncio.sleep(0)
        return self._inner.get(key)

    async def get_many(self, keys: Any) -> Any:
        await asyncio.sleep(0)
        return self._inner.get_many(keys)

    async def put(self, key: str, value: Any, *, expires_in: float | None = None) -> None:
        await asyncio.sleep(0)
        self._inner.put(key, value, expires_in=expires_in)

    async def delete(self, key: str) -> None:
        await asyncio.sleep(0)
        self._inner.delete(key)

    async def clear(self) -> None:
        await asyncio.sleep(0)
        self._inner.clear()

    async def keys(self, prefix: str = "", *, page_size: int = 1000) -> Any:
        for page in self._inner.keys(prefix, page_size=page_size):
            await asyncio.sleep(0)
            yield page

    async def get_versioned(self, key: str) -> Any:
        await asyncio.sleep(0)
        return self._inner.get_versioned(key)

    async def put_if_version(
        self, key: str, value: Any, version: str | None, *, expires_in: float | None = None
    ) -> str | None:
        await asyncio.sleep(0)
        written: str | None = self._inner.put_if_version(key, value, version, expires_in=expires_in)
        return written

    async def delete_if_version(self, key: str, version: str) -> bool:
        await asyncio.sleep(0)
        return bool(self._inner.delete_if_version(key, version))

    async def try_lease(self, name: str, ttl: float) -> Any:
        await asyncio.sleep(0)
        lease = self._inner.try_lease(name, ttl)
        return None if lease is None else _AsyncLease(lease)

    async def lease_remaining(self, name: str) -> float:
        await asyncio.sleep(0)
        return float(self._inner.lease_remaining(name))


class _AsyncLease:
    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.name = inner.name
        self.token = inner.token

    async def renew(self, ttl: float) -> bool:
        await asyncio.sleep(0)
        return bool(self._inner.renew(ttl))

    async def release(self) -> None:
        await asyncio.sleep(0)
        self._inner.release()
