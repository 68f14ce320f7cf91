"""The handlers of an app: which are called for an event, and what happens when one fails.

`HandlerCaller`, `is_failure` and `seconds_until_retry` are the rules for one handler; `webex.bots` has the same ones.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import inspect
import logging
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

from webex.errors import ApiError, ConfigurationError, StorageError, TransportError, WebexError
from webex.http.retry import RETRY_STATUSES
from webex.runtime.functions import is_asynchronous
from webex.webhooks.seconds import checked_seconds

if TYPE_CHECKING:
    from webex.runtime.protocol import Runtime, Style
    from webex.webhooks.received import ReceivedEvent

_logger = logging.getLogger("webex.webhooks")

Handler = Callable[[Any], Any]
TRIES: Final = 3  # runs of a handler that fails for a reason that may pass
_FIRST_PAUSE: Final = 1.0
# The last three are interruptions, which say nothing about the event.
_PASSING: Final = (TransportError, StorageError, SystemExit, asyncio.CancelledError, CancelledError)


class Retry(WebexError):
    """Raised by a handler: call it again for this event, after so many seconds; three times in all."""

    def __init__(self, after: float = 5.0) -> None:
        self.after: float = checked_seconds("Retry(after=…)", after)
        super().__init__(f"The handler asks to be called again after {after:g} s.")


class Work:
    """An event on its way through its handlers: those that are still to be called, and how often it was tried."""

    __slots__ = ("event", "handlers", "tries")

    def __init__(self, event: ReceivedEvent[Any, Any], handlers: list[Handler], tries: int = 0) -> None:
        self.event: ReceivedEvent[Any, Any] = event
        self.handlers: list[Handler] = handlers
        self.tries: int = tries


class Handlers:
    """What `on` registered."""

    def __init__(self, runtime: Runtime, concurrency: int) -> None:
        self._style = runtime.style
        self._handlers: list[tuple[str, str, Handler]] = []
        self._on_error: list[Callable[[Any, BaseException], Any]] = []
        self._caller = HandlerCaller(runtime.style, concurrency)

    def add(self, resource: str, event: str, handler: Handler) -> None:
        """Call `handler(event)` for what happens to a resource; `*` stands for every one."""
        for name, value in (("resource", resource), ("event", event)):
            if not isinstance(value, str) or not value or ":" in value:
                raise ConfigurationError(f'on() takes a {name} such as "messages" or "created", not {value!r}.')
        self._check(handler)
        self._handlers.append((resource, event, handler))

    def add_error(self, handler: Callable[[Any, BaseException], Any]) -> None:
        """Call `handler(event, error)` when an event could not be handled."""
        self._check(handler)
        self._on_error.append(handler)

    def _check(self, handler: Any) -> None:
        if not callable(handler):
            raise ConfigurationError(f"A handler is a function that takes the event, not {type(handler).__name__}.")
        if self._style == "blocking" and is_asynchronous(handler):
            raise ConfigurationError(
                f"The handler {getattr(handler, '__name__', handler)!r} is asynchronous: give the receiver an "
                "AsyncIntegration or AsyncWebex, or the handler plain calls."
            )

    def of(self, resource: str | None, event: str | None) -> list[Handler]:
        """Return the handlers of an event, in the order in which they were registered."""
        return [
            handler
            for wanted, kind, handler in self._handlers
            if wanted in (resource, "*") and kind in (event, "*", "all")
        ]

    async def run(self, work: Work) -> float | None:
        """Call the handlers; return the seconds after which those that are left are to be called, None when done."""
        event = work.event
        work.tries += 1
        while work.handlers:
            handler = work.handlers[0]
            given = self._given(handler, event)
            try:
                await self._caller.call(handler, given)
            except BaseException as error:
                if not is_failure(error):
                    raise
                after = seconds_until_retry(error, work.tries)
                if after is not None and work.tries < TRIES:
                    _logger.warning("a handler of %s failed (%s), try %d", event.key, type(error).__name__, work.tries)
                    return after
                await self._failed(event, error)
            else:
                again = given.taken_back()
                if again is not None:
                    work.tries -= 1
                    return again
            del work.handlers[0]
        return None

    async def wait_for_threads(self, seconds: float) -> bool:
        """Wait at most so long for plain functions that run in threads; return whether none is left."""
        return await self._caller.wait_for_threads(seconds)

    def close(self) -> None:
        """End the threads; a handler that is still in one runs on."""
        self._caller.close()

    def _given(self, handler: Any, event: ReceivedEvent[Any, Any]) -> ReceivedEvent[Any, Any]:
        """Return the event as this handler takes it: in a plain function, `fetch()` waits."""
        return event if is_asynchronous(handler) else event.for_thread(self._caller.waiting())

    async def _failed(self, event: ReceivedEvent[Any, Any], error: BaseException) -> None:
        _logger.error("an event could not be handled: %s (%s)", event.key, type(error).__name__, exc_info=error)
        for handler in self._on_error:
            try:
                await self._caller.call(handler, self._given(handler, event), error)
            except BaseException as again:
                if not is_failure(again):
                    raise
                _logger.error("the error handler failed for %s (%s)", event.key, type(again).__name__)


class HandlerCaller:
    """Calls functions of an app: in event-loop style, plain ones in `concurrency` threads."""

    def __init__(self, style: Style, concurrency: int) -> None:
        self._style = style
        self._concurrency = concurrency
        self._pool: ThreadPoolExecutor | None = None
        self._guard = threading.Lock()
        self._running = 0
        self._waiting: list[Callable[[], object]] = []  # called in the thread whose function ends as the last one

    @property
    def is_busy(self) -> bool:
        """Whether a function runs in one of the threads; nothing can end it there."""
        return self._running > 0

    async def call(self, handler: Callable[..., Any], *arguments: Any) -> Any:
        """Call a handler and return its result; what it raises is raised."""
        if is_asynchronous(handler):
            return await handler(*arguments)
        if self._style == "blocking":
            return handler(*arguments)
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._concurrency, thread_name_prefix="webex-webhooks")
        context = contextvars.copy_context()
        run = functools.partial(context.run, self._counted, handler, *arguments)
        result = await asyncio.get_running_loop().run_in_executor(self._pool, run)
        return await result if inspect.isawaitable(result) else result

    def _counted(self, handler: Callable[..., Any], *arguments: Any) -> Any:
        with self._guard:
            self._running += 1
        try:
            return handler(*arguments)
        finally:
            with self._guard:
                self._running -= 1
                idle = [] if self._running else self._waiting.copy()
            for wake in idle:
                with contextlib.suppress(RuntimeError):  # the event loop that waited has ended
                    wake()

    async def wait_for_threads(self, seconds: float) -> bool:
        """Wait at most so long for the functions that run in threads; return whether none is left."""
        idle = asyncio.Event()
        wake = functools.partial(asyncio.get_running_loop().call_soon_threadsafe, idle.set)
        with self._guard:
            self._waiting.append(wake)
        try:
            async with asyncio.timeout(seconds):
                while self.is_busy:
                    await idle.wait()
                    idle.clear()
        except TimeoutError:
            return not self.is_busy
        finally:
            with self._guard:
                self._waiting.remove(wake)
        return True

    def waiting(self) -> Callable[[Coroutine[Any, Any, Any]], Any] | None:
        """Return how a plain function in one of the threads waits for a coroutine; None in blocking style."""
        if self._style == "blocking":
            return None
        loop = asyncio.get_running_loop()
        return lambda work: asyncio.run_coroutine_threadsafe(work, loop).result()

    def close(self) -> None:
        """End the threads; a function that is still in one runs on."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)


def is_failure(error: BaseException) -> bool:
    """Return whether a handler failed with this exception; False for one that is meant for its caller.

    Meant for the caller are the cancellation of its task, Ctrl-C, and `SystemExit` in the main thread of a program
    without an event loop. A `CancelledError` of something else that the handler awaited is a failure, and so is
    `sys.exit()` elsewhere, which would end one worker thread or the whole event loop.
    """
    if isinstance(error, Exception):
        return True
    try:
        task = asyncio.current_task()
        in_loop = True
    except RuntimeError:
        task, in_loop = None, False
    if isinstance(error, asyncio.CancelledError):
        return task is None or not task.cancelling()
    in_main = threading.current_thread() is threading.main_thread()
    if isinstance(error, SystemExit):
        return in_loop or not in_main
    return not (isinstance(error, GeneratorExit) or (isinstance(error, KeyboardInterrupt) and in_main))


def seconds_until_retry(error: BaseException, tries: int) -> float | None:
    """Return after how many seconds a failure may have passed; None for a mistake, which repeating does not correct.

    `tries` is how often the handler was called, 1 or more; the caller stops at `TRIES`.
    """
    if isinstance(error, Retry):
        return error.after
    if isinstance(error, KeyError):  # of the app's own storage
        return None
    passes = isinstance(error, _PASSING) or (
        isinstance(error, ApiError) and (error.status >= 500 or error.status in RETRY_STATUSES)
    )
    return _FIRST_PAUSE * 2 ** (tries - 1) if passes else None
