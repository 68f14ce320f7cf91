"""Blocking style: every call does its I/O before it returns, on the caller's thread."""

from __future__ import annotations

import contextlib
import inspect
import logging
import os
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from webex.errors import ConfigurationError, DeadlineError
from webex.runtime.clock import SystemClock
from webex.runtime.driving import drive
from webex.runtime.transports import TransportOptions, check_transport, make_transport

if TYPE_CHECKING:
    from webex.runtime.protocol import Clock, Transport, WireRequest, WireResponse

T = TypeVar("T")

_logger = logging.getLogger("webex.runtime")

_BACKGROUND_GRACE = 20.0  # seconds in which work in the background may end when a client is closed

_inherited: list[Any] = []  # what belongs to the process that this one was forked from, kept from its finalizers
_forked = threading.Lock()


def _after_fork() -> None:
    global _forked  # noqa: PLW0603  # the parent may have held it
    _forked = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _nothing() -> None:
    pass


class BlockingRuntime:
    """Implements `Runtime` without an event loop; safe to share among threads, made anew after a `fork()`."""

    style: Literal["blocking"] = "blocking"

    def __init__(self, transport: Any = "auto", *, clock: Clock | None = None, **options: Any) -> None:
        self.clock: Clock = clock or SystemClock()
        self._options = TransportOptions(transport=transport, **options)
        check_transport(transport, "blocking")
        self._become_ours()

    def _become_ours(self) -> None:
        self._guard = threading.Lock()
        self._transport: Transport | None = None
        self._flights: dict[Hashable, _Inflight] = {}
        self._backgrounds: dict[Hashable, threading.Thread] = {}
        self._again: dict[Hashable, Callable[[], Coroutine[Any, Any, Any]]] = {}  # asked for while it was at work
        self._local = threading.local()  # .later: what runs after the flight of this thread
        self._pid = os.getpid()

    def _own(self) -> None:
        if self._pid != os.getpid():
            with _forked:
                if self._pid != os.getpid():
                    if self._transport is not None:
                        _inherited.append(self._transport)
                        getattr(self._transport, "abandon", _nothing)()
                    self._become_ours()

    async def send(self, request: WireRequest) -> WireResponse:
        if self._transport is None or self._pid != os.getpid():
            self._own()
            with self._guard:
                if self._transport is None:
                    self._transport = make_transport("blocking", self._options)
        return await self._transport.send(request)

    async def prepare(self) -> None:
        """Nothing: what calls need is imported by the first of them."""

    async def sleep(self, seconds: float) -> None:
        time.sleep(max(seconds, 0.0))  # noqa: ASYNC251  # blocking is what this style does

    def lock(self) -> _Lock:
        return _Lock()

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
        self._own()
        give_up = None if timeout is None else time.monotonic() + timeout
        while True:
            with self._guard:
                flight = self._flights.get(key)
                first = flight is None
                if flight is None:
                    flight = self._flights[key] = _Inflight()
                elif flight.thread == threading.get_ident():
                    raise RuntimeError(f"{key!r} waits for itself")
            if first:
                return await self._run_flight(key, flight, work)
            if not flight.done.wait(None if give_up is None else max(give_up - time.monotonic(), 0.0)):
                raise DeadlineError(f"Another thread did not end the same work within {timeout:g} s.")
            error = flight.error
            if error is None:
                shared: T = flight.result
                return shared
            if isinstance(error, Exception):
                raise error.with_traceback(None)
            # Ctrl-C or the like in the other thread: it is not meant for this one, which tries itself.

    async def _run_flight(self, key: Hashable, flight: _Inflight, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        outer: list[Callable[[], Coroutine[Any, Any, Any]]] | None = getattr(self._local, "later", None)
        if outer is None:
            self._local.later = []
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
            if outer is None:
                postponed = getattr(self._local, "later", None) or []
                self._local.later = None
                for function in postponed:
                    await self.later(function)

    async def later(self, work: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        postponed: list[Callable[[], Coroutine[Any, Any, Any]]] | None = getattr(self._local, "later", None)
        if postponed is not None:
            postponed.append(work)
            return
        try:
            await work()
        except Exception as error:
            _logger.error("work after a flight failed with %s", type(error).__name__)

    async def begin(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        self._own()
        with self._guard:
            busy = key in self._flights
        if not busy:
            with contextlib.suppress(Exception):
                await self.single_flight(key, work)

    async def background(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        self._own()
        with self._guard:  # also while the thread is started: `aclose` joins only threads that run
            if key in self._backgrounds:
                self._again[key] = work
                return
            thread = threading.Thread(target=self._beside, args=(key, work), name="webex:background", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:  # no thread to be had: the next call tries again
                _logger.error("work in the background was not begun: %s", error)
                return
            self._backgrounds[key] = thread

    def _beside(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        following: Callable[[], Coroutine[Any, Any, Any]] | None = work
        try:
            while following is not None:
                try:
                    drive(following())
                except Exception as error:
                    _logger.error("work in the background failed with %s", type(error).__name__)
                with self._guard:
                    following = self._again.pop(key, None)
                    if following is None:
                        self._backgrounds.pop(key, None)
        except BaseException:
            with self._guard:
                self._again.pop(key, None)
                self._backgrounds.pop(key, None)
            raise

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
            backgrounds = tuple(self._backgrounds.values())
        for thread in backgrounds:
            if thread is not threading.current_thread():
                thread.join(_BACKGROUND_GRACE)
        if transport is not None:
            await transport.aclose()


class _Inflight:
    __slots__ = ("done", "error", "result", "thread")

    def __init__(self) -> None:
        self.done = threading.Event()
        self.error: BaseException | None = None
        self.result: Any = None
        self.thread = threading.get_ident()


class _Signal:
    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        self._event.set()

    async def wait(self, timeout: float | None) -> None:
        self._event.wait(timeout)
        self._event.clear()


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
