"""Blocking style: every call does its I/O before it returns, on the caller's thread."""

from __future__ import annotations

import contextlib
import inspect
import os
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from webex.errors import ConfigurationError
from webex.runtime.clock import SystemClock
from webex.runtime.transports import TransportOptions, make_transport

if TYPE_CHECKING:
    from webex.runtime.protocol import Clock, Transport, WireRequest, WireResponse

T = TypeVar("T")


class BlockingRuntime:
    """Implements `Runtime` without an event loop; safe to share among threads, made anew after a `fork()`."""

    style: Literal["blocking"] = "blocking"

    def __init__(self, transport: Any = "auto", *, clock: Clock | None = None, **options: Any) -> None:
        self.clock: Clock = clock or SystemClock()
        self._options = TransportOptions(transport=transport, **options)
        self._become_ours()

    def _become_ours(self) -> None:
        self._pid = os.getpid()
        self._guard = threading.Lock()
        self._transport: Transport | None = None
        self._flights: dict[Hashable, _Flight] = {}

    def _own(self) -> None:
        if self._pid != os.getpid():
            self._become_ours()

    async def send(self, request: WireRequest) -> WireResponse:
        if self._transport is None or self._pid != os.getpid():
            self._own()
            with self._guard:
                if self._transport is None:
                    self._transport = make_transport("blocking", self._options)
        return await self._transport.send(request)

    async def sleep(self, seconds: float) -> None:
        time.sleep(max(seconds, 0.0))  # noqa: ASYNC251  # blocking is what this style does

    def lock(self) -> _Lock:
        return _Lock()

    async def single_flight(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        self._own()
        with self._guard:
            flight = self._flights.get(key)
            first = flight is None
            if flight is None:
                flight = self._flights[key] = _Flight()
            elif flight.thread == threading.get_ident():
                raise RuntimeError(f"{key!r} waits for itself")
        if not first:
            flight.done.wait()
            if flight.error is not None:
                raise flight.error.with_traceback(None)
            shared: T = flight.result
            return shared
        try:
            result = await work()
            flight.result = result
        except BaseException as error:
            flight.error = error
            raise
        else:
            return result
        finally:
            with self._guard:
                self._flights.pop(key, None)
            flight.done.set()

    async def begin(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        self._own()
        with self._guard:
            busy = key in self._flights
        if not busy:
            with contextlib.suppress(Exception):
                await self.single_flight(key, work)

    async def run_blocking(self, function: Callable[..., T], /, *args: Any) -> T:
        return function(*args)

    async def call(self, function: Callable[..., T | Awaitable[T]], /, *args: Any) -> T:
        result = function(*args)
        if inspect.isawaitable(result):
            if inspect.iscoroutine(result):
                result.close()
            raise ConfigurationError(
                f"{getattr(function, '__qualname__', function)!r} is asynchronous and can't serve a blocking client: "
                "give a plain function, or use the Async… classes."
            )
        return result

    async def aclose(self) -> None:
        self._own()
        with self._guard:
            transport, self._transport = self._transport, None
        if transport is not None:
            await transport.aclose()


class _Flight:
    __slots__ = ("done", "error", "result", "thread")

    def __init__(self) -> None:
        self.done = threading.Event()
        self.error: BaseException | None = None
        self.result: Any = None
        self.thread = threading.get_ident()


class _Lock:
    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = threading.Lock()

    async def __aenter__(self) -> None:
        self._lock.acquire()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()
