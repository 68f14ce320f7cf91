"""Event-loop style (asyncio). What is open belongs to one process and one running loop.

Several loops at once, one a thread, have connections of their own each. Those of a loop are closed when it shuts down,
those that a forked child inherited are never touched: closing them would reach into the parent's loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import os
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Hashable
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from webex.errors import ConfigurationError, DeadlineError
from webex.runtime.clock import SystemClock
from webex.runtime.transports import TransportOptions, check_transport, is_at_hand, is_session, prepare

if TYPE_CHECKING:
    from webex.runtime.protocol import Clock, Transport, WireRequest, WireResponse

T = TypeVar("T")

_logger = logging.getLogger("webex.runtime")

_TRIES = 4  # of work that is cancelled while its callers are not
_FLIGHT_GRACE = 60.0  # seconds in which refreshes and callbacks of the app may end when a client is closed
_LATER_GRACE = 1.0  # seconds in which handlers of the app may end by themselves when a client is closed


_inherited: list[Any] = []  # what belongs to the process that this one was forked from, kept from its finalizers


class _Open:
    """What is open in one event loop."""

    __slots__ = ("farewell", "flights", "later", "led", "loop", "making", "tasks", "transport", "waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.transport: Transport | None = None
        self.making: asyncio.Task[Transport] | None = None
        self.waiting = 0  # for what is being made
        self.farewell: AsyncGenerator[None, None] | None = None
        self.flights: dict[Hashable, asyncio.Task[Any]] = {}
        self.tasks: set[asyncio.Task[Any]] = set()
        self.led: dict[Hashable, asyncio.Future[Any]] = {}  # work that runs in the task of its first caller
        self.later: set[asyncio.Task[Any]] = set()


class EventLoopRuntime:
    """Implements `Runtime` on asyncio. Each loop, and each process after a fork, gets connections of its own."""

    style: Literal["async"] = "async"

    def __init__(self, transport: Any = "auto", *, clock: Clock | None = None, **options: Any) -> None:
        self.clock: Clock = clock or SystemClock()
        self._options = TransportOptions(transport=transport, **options)
        check_transport(transport, "async")
        self._made_by = os.getpid()
        self._become_ours()

    def _become_ours(self) -> None:
        self._guard = threading.Lock()
        self._opened: dict[asyncio.AbstractEventLoop, _Open] = {}
        self._pid = os.getpid()

    def _here(self) -> _Open:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise ConfigurationError(
                "A client in event-loop style needs a running event loop of asyncio, and there is none here: call it "
                "within asyncio.run(…), or use the blocking client (Webex, Integration), as under trio."
            ) from None
        if self._pid != os.getpid():
            _inherited.append(self._opened)
            self._become_ours()
        here = self._opened.get(loop)
        if here is None:
            with self._guard:
                self._opened = {known: each for known, each in self._opened.items() if not known.is_closed()}
                here = self._opened[loop] = _Open(loop)
        return here

    async def send(self, request: WireRequest) -> WireResponse:
        here = self._here()
        transport = here.transport
        if transport is None:
            transport = await self._ready(here)
        return await transport.send(request)

    async def prepare(self) -> None:
        """Import what calls need, and read certificates, on a thread: neither holds up the loop."""
        here = self._here()
        if here.transport is None:
            await self._ready(here)

    async def _ready(self, here: _Open) -> Transport:
        options = self._options
        if is_at_hand("async", options):
            own: Transport = options.transport
            here.transport = own
            return own
        if is_session(options.transport) and self._made_by != os.getpid():
            raise ConfigurationError(
                "The aiohttp session that was handed in belongs to the process that this one was forked from. Make the "
                "session, and the client that takes it, after the fork."
            )
        if here.making is None or (here.making.done() and here.transport is None):
            here.making = here.loop.create_task(self._make(here), name="webex:transport")
        here.waiting += 1
        try:
            return await asyncio.shield(here.making)
        finally:
            here.waiting -= 1
            if here.making is not None and (here.making.done() or not here.waiting):
                here.making.cancel()  # all who asked for it were cancelled: nobody would close what it opens
                here.making = None

    async def _make(self, here: _Open) -> Transport:
        make = await asyncio.to_thread(prepare, "async", self._options)
        transport: Transport = make()
        here.transport = transport
        here.farewell = _at_shutdown(transport)
        await anext(here.farewell)
        return transport

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(seconds, 0.0))

    def lock(self) -> asyncio.Lock:
        return asyncio.Lock()

    def mutex(self) -> threading.Lock:
        return threading.Lock()

    def signal(self) -> _Signal:
        return _Signal()

    async def single_flight(
        self,
        key: Hashable,
        work: Callable[[], Coroutine[Any, Any, T]],
        *,
        timeout: float | None = None,
        abandon: bool = False,
    ) -> T:
        if abandon:
            return await self._led(key, work)
        give_up = None if timeout is None else time.monotonic() + timeout
        for _ in range(_TRIES):
            task = self._flight(key, work)
            if give_up is None:
                await _ended(task)
            elif not await _ended(task, max(give_up - time.monotonic(), 0.0)):
                raise DeadlineError(f"Work that others wait for as well did not end within {timeout:g} s.")
            if task.cancelled():
                continue  # the work was cancelled, and this caller was not: it tries itself
            error = task.exception()
            if error is None:
                return task.result()
            raise error.with_traceback(None) from error.__cause__
        raise asyncio.CancelledError(f"work that others wait for as well was cancelled {_TRIES} times")

    async def _led(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run work in the first caller's own task, without one of its own; others wait for its outcome.

        Should the first caller be cancelled, one of the others runs the work anew.
        """
        led = self._here().led
        while (running := led.get(key)) is not None:
            await _settled(running)
            if running.cancelled():
                continue
            error = running.exception()
            if error is None:
                shared: T = running.result()
                return shared
            raise error.with_traceback(None) from error.__cause__
        outcome = led[key] = asyncio.get_running_loop().create_future()
        try:
            result = await work()
        except Exception as error:
            outcome.set_exception(error)
            outcome.exception()  # observed: perhaps no other task waits
            raise
        except BaseException:
            outcome.cancel()
            raise
        else:
            outcome.set_result(result)
            return result
        finally:
            del led[key]

    async def later(self, work: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        here = self._here()
        task = asyncio.get_running_loop().create_task(work(), name="webex:later")
        here.later.add(task)

        def ended(done: asyncio.Task[Any]) -> None:
            here.later.discard(done)
            if not done.cancelled() and done.exception() is not None:
                _logger.error("work after a flight failed with %s", type(done.exception()).__name__)

        task.add_done_callback(ended)

    async def begin(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        self._flight(key, work)

    async def background(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        async def logged() -> Any:
            try:
                return await work()
            except Exception as error:
                _logger.error("work in the background failed with %s", type(error).__name__)
                raise

        self._flight(key, logged)

    def _flight(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, T]]) -> asyncio.Task[T]:
        here = self._here()
        task = here.flights.get(key)
        if task is None or task.done():  # done: its callbacks have not run yet
            task = asyncio.get_running_loop().create_task(work(), name=f"webex:{type(key).__name__}")
            here.flights[key] = task
            here.tasks.add(task)

            def on_done(done: asyncio.Task[Any]) -> None:
                here.tasks.discard(done)
                if here.flights.get(key) is done:
                    del here.flights[key]
                if not done.cancelled():
                    done.exception()  # observed: a waiter has it, or no task waited to the end

            task.add_done_callback(on_done)
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
        if self._pid != os.getpid():
            return
        here = self._opened.get(asyncio.get_running_loop())
        if here is None:
            return
        own = {asyncio.current_task()}
        give_up = time.monotonic() + _FLIGHT_GRACE
        while (waiting := here.tasks - own) and (left := give_up - time.monotonic()) > 0:
            await asyncio.wait(waiting, timeout=left)
        if waiting := here.tasks - own:  # a callback of the app hangs: refreshes end by themselves
            for task in waiting:
                task.cancel()
            await asyncio.wait(waiting, timeout=_LATER_GRACE)
        if waiting := here.later - own:
            await asyncio.wait(waiting, timeout=_LATER_GRACE)
        if waiting := here.later - own:
            for task in waiting:
                task.cancel()
            await asyncio.wait(waiting, timeout=_LATER_GRACE)
        if here.making is not None:
            await asyncio.wait({here.making}, timeout=_LATER_GRACE)
            if here.making.done() and not here.making.cancelled():
                here.making.exception()
        transport, here.transport = here.transport, None
        farewell, here.farewell = here.farewell, None
        if farewell is not None:
            await farewell.aclose()
        elif transport is not None:
            await transport.aclose()


class _Signal:
    """Belongs to the loop that waits for it; it may be set in another one."""

    __slots__ = ("_event", "_loop")

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def set(self) -> None:
        try:
            here = asyncio.get_running_loop()
        except RuntimeError:
            here = None
        if here is self._loop:
            self._event.set()
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._event.set)

    async def wait(self, timeout: float | None) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._event.wait()
        self._event.clear()


async def _ended(task: asyncio.Task[Any], timeout: float | None = None) -> bool:
    """Wait for a task without cancelling it when the caller is cancelled; return whether it has ended."""
    if timeout is not None:
        await asyncio.wait({task}, timeout=timeout)
    else:
        await _settled(task)
    return task.done()


async def _settled(future: asyncio.Future[Any]) -> None:
    """Wait for a future without cancelling it, as `asyncio.wait` does, at a third of its cost."""
    if future.done():
        return
    waiter = future.get_loop().create_future()

    def wake(_: asyncio.Future[Any]) -> None:
        if not waiter.done():
            waiter.set_result(None)

    future.add_done_callback(wake)
    try:
        await waiter
    finally:
        future.remove_done_callback(wake)


async def _at_shutdown(transport: Transport) -> AsyncGenerator[None, None]:
    """Close a transport when its loop shuts its asynchronous generators down, or when this one is closed."""
    try:
        yield
    finally:
        await transport.aclose()
