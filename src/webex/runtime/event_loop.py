"""Event-loop style (asyncio). What is open belongs to one process and one running loop."""

from __future__ import annotations

import asyncio
import inspect
import os
import weakref
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from webex.runtime.clock import SystemClock
from webex.runtime.transports import TransportOptions, make_transport

if TYPE_CHECKING:
    from webex.runtime.protocol import Clock, Transport, WireRequest, WireResponse

T = TypeVar("T")


class _Open:
    """What is open in one event loop."""

    __slots__ = ("flights", "loop", "pid", "tasks", "transport")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = weakref.ref(loop)
        self.pid = os.getpid()
        self.transport: Transport | None = None
        self.flights: dict[Hashable, asyncio.Task[Any]] = {}
        self.tasks: set[asyncio.Task[Any]] = set()


class EventLoopRuntime:
    """Implements `Runtime` on asyncio. A second loop (another `asyncio.run`) or a fork gets connections of its own."""

    style: Literal["async"] = "async"

    def __init__(self, transport: Any = "auto", *, clock: Clock | None = None, **options: Any) -> None:
        self.clock: Clock = clock or SystemClock()
        self._options = TransportOptions(transport=transport, **options)
        self._open: _Open | None = None

    def _here(self) -> _Open:
        here = self._open
        loop = asyncio.get_running_loop()
        if here is None or here.loop() is not loop or here.pid != os.getpid():
            here = self._open = _Open(loop)
        return here

    async def send(self, request: WireRequest) -> WireResponse:
        here = self._here()
        if here.transport is None:
            here.transport = make_transport("async", self._options)
        return await here.transport.send(request)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(seconds, 0.0))

    def lock(self) -> asyncio.Lock:
        return asyncio.Lock()

    async def single_flight(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        task = self._flight(key, work)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            raise error.with_traceback(None) from error.__cause__

    async def begin(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        self._flight(key, work)

    def _flight(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, T]]) -> asyncio.Task[T]:
        here = self._here()
        task = here.flights.get(key)
        if task is None:
            task = asyncio.get_running_loop().create_task(work(), name=f"webex:{type(key).__name__}")
            here.flights[key] = task
            here.tasks.add(task)

            def landed(done: asyncio.Task[Any]) -> None:
                here.tasks.discard(done)
                if here.flights.get(key) is done:
                    del here.flights[key]
                if not done.cancelled():
                    done.exception()  # seen: whoever waited has it, and nobody may have waited to the end

            task.add_done_callback(landed)
        return task

    async def run_blocking(self, function: Callable[..., T], /, *args: Any) -> T:
        return await asyncio.to_thread(function, *args)

    async def call(self, function: Callable[..., T | Awaitable[T]], /, *args: Any) -> T:
        result = function(*args)
        if inspect.isawaitable(result):
            awaited: T = await result
            return awaited
        return result

    async def aclose(self) -> None:
        if self._open is None:
            return
        here = self._here()
        while here.tasks:
            await asyncio.wait(set(here.tasks))
        transport, here.transport = here.transport, None
        if transport is not None:
            await transport.aclose()
