"""Listening for blocking code: an event loop on a background thread does it, the caller takes from a queue."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from webex.errors import ConfigurationError
from webex.runtime import drive

if TYPE_CHECKING:
    from webex.http.types import TokenSource
    from webex.realtime.events import Event
    from webex.realtime.listening import Handler, Listening

T = TypeVar("T")


class BackgroundLoop:
    """An event loop on a thread of its own, started on first use and ended by `close`."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def run(self, work: Coroutine[Any, Any, T], timeout: float | None = None) -> T:
        """Run a coroutine there and wait for its result; cancelled there when the wait is broken off here."""
        future = asyncio.run_coroutine_threadsafe(work, self._started())
        try:
            return future.result(timeout)
        except concurrent.futures.TimeoutError:
            if not future.done():
                future.cancel()
            raise TimeoutError(f"Nothing came within {timeout} s.") from None
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        """End the loop and its thread. Safe to call twice."""
        with self._lock:
            loop, thread, self._loop, self._thread = self._loop, self._thread, None, None
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            thread.join(timeout=10)

    def _started(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._work, args=(loop,), name="webex-listen", daemon=True)
                self._thread.start()
                self._loop = loop
            return self._loop

    @staticmethod
    def _work(loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_forever()
        finally:
            loop.close()


class Background:
    """An app in event-loop style on a background loop, that listens for an app in blocking style."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self._loop = BackgroundLoop()
        self._sources: dict[int, ThreadedTokens] = {}

    def listen(
        self,
        tokens: TokenSource,
        managed: TokenSource | None,
        adopt: Coroutine[Any, Any, None] | None,
        resources: tuple[str, ...],
        options: dict[str, Any],
    ) -> BlockingListening[Any]:
        """A subscription; `managed` is the same person's token source in the other app, where it has one."""
        if adopt is not None:
            drive(adopt)
        source = managed
        if source is None:
            source = self._sources.setdefault(id(tokens), ThreadedTokens(tokens))

        async def make() -> Any:
            return await self.app.listen(source, resources, **options)

        return BlockingListening(self._loop, make)

    def close(self) -> None:
        """End every subscription, the app and the loop."""
        self._loop.run(self.app.aclose())
        self._loop.close()


class ThreadedTokens:
    """The token source of a blocking client, for an event loop: asked in a worker thread."""

    __slots__ = ("_source",)

    def __init__(self, source: TokenSource) -> None:
        self._source = source

    async def access_token(self) -> str:
        """A valid token."""
        return await asyncio.to_thread(lambda: drive(_coroutine(self._source.access_token())))

    async def replace(self, rejected: str) -> str | None:
        """A token that differs from the rejected one."""
        return await asyncio.to_thread(lambda: drive(_coroutine(self._source.replace(rejected))))


async def _coroutine(work: Awaitable[T]) -> T:
    return await work


class BlockingListening(Generic[T]):
    """A subscription for blocking code: `with client.messages.listen() as events: for event in events: …`.

    `get(timeout)` waits for one event; `on` calls a function on the listening thread.
    """

    def __init__(self, loop: BackgroundLoop, make: Callable[[], Coroutine[Any, Any, Listening[T]]]) -> None:
        self._loop, self._make = loop, make
        self._inner: Listening[T] | None = None

    def start(self) -> Self:
        """Begin to listen; returns when events flow."""
        if self._inner is None:
            self._inner = self._loop.run(self._make())
        return self

    def get(self, timeout: float | None = None) -> Event[T]:
        """The next event, and the one before is handled; `TimeoutError` when none comes in `timeout` seconds."""
        self.start()
        inner = self._inner
        if inner is None:
            raise ConfigurationError("This subscription was stopped.")
        return self._loop.run(_next(inner), timeout)

    def on(self, event: str, handler: Handler) -> Self:
        """Call `handler(event)` for each event of this name, on the listening thread."""
        self.start()
        self._loop.run(self._register("on", event, handler))
        return self

    def once(self, event: str, handler: Handler) -> Self:
        """Call `handler(event)` for the next event of this name, on the listening thread."""
        self.start()
        self._loop.run(self._register("once", event, handler))
        return self

    def stop_listening(self) -> None:
        """Stop. An event that is in hand stays unacknowledged."""
        inner, self._inner = self._inner, None
        if inner is not None:
            self._loop.run(inner.stop_listening())

    close = stop_listening

    def __iter__(self) -> Iterator[Event[T]]:
        self.start()
        return self

    def __next__(self) -> Event[T]:
        try:
            return self.get()
        except StopAsyncIteration:
            raise StopIteration from None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop_listening()

    async def _register(self, how: str, event: str, handler: Handler) -> None:
        if self._inner is not None:
            getattr(self._inner, how)(event, handler)


async def _next(inner: Listening[T]) -> Event[T]:
    return await inner.__anext__()
