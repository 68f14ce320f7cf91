"""Listening for blocking code: an event loop on a background thread does it, the caller takes from a queue."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import threading
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from webex.errors import ConfigurationError
from webex.runtime import drive

if TYPE_CHECKING:
    from webex.http.types import TokenSource
    from webex.realtime.blocking_conversations import BlockingConversations
    from webex.realtime.event import Event
    from webex.realtime.listening import Handler, Listening

T = TypeVar("T")

_making = threading.Lock()


class BackgroundLoop:
    """An event loop on a thread of its own, started on first use and ended by `close`. It does not outlive a fork."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def is_here(self) -> bool:
        """Whether the caller is on the loop's own thread, in a handler: there waiting for it would be for ever."""
        return self._thread is threading.current_thread()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine there and wait for its result; cancelled there when the wait is broken off here."""
        if self.is_here:
            work.close()
            raise ConfigurationError("A handler can't wait for the thread that it runs on.")
        future = asyncio.run_coroutine_threadsafe(work, self._started())
        try:
            return future.result()
        except concurrent.futures.CancelledError:
            raise ConfigurationError("The client was closed.") from None
        except BaseException:
            future.cancel()
            raise

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine there, from a handler, without waiting."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        """End everything that runs there, the loop and its thread. Safe to call twice."""
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
            left = asyncio.all_tasks(loop)
            for task in left:
                task.cancel()
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
            loop.close()


class Background:
    """An app in event-loop style on a background loop, that listens for an app in blocking style."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.process = os.getpid()
        self._loop = BackgroundLoop()
        self._sources: dict[int, ThreadedTokens] = {}

    def listen(
        self,
        tokens: TokenSource,
        managed: TokenSource | None,
        adopt: Coroutine[Any, Any, None] | None,
        resources: Collection[str],
        options: dict[str, Any],
    ) -> BlockingListening[Any]:
        """A subscription; `managed` is the same person's token source in the other app, where it has one."""
        source = self._source(tokens, managed, adopt)

        async def make() -> Any:
            return self.app.listen(source, resources, **options)

        return BlockingListening(self._loop, make)

    def conversations(
        self, tokens: TokenSource, managed: TokenSource | None, adopt: Coroutine[Any, Any, None] | None
    ) -> BlockingConversations:
        """Sending end-to-end encrypted; arguments as for `listen`."""
        from webex.realtime.blocking_conversations import BlockingConversations

        source = self._source(tokens, managed, adopt)
        return BlockingConversations(self._loop, lambda: self.app.conversations(source))

    def _source(
        self, tokens: TokenSource, managed: TokenSource | None, adopt: Coroutine[Any, Any, None] | None
    ) -> TokenSource:
        if adopt is not None:
            drive(adopt)
        if managed is not None:
            return managed
        # What is made holds the source, so that its id stays its own.
        return self._sources.setdefault(id(tokens), ThreadedTokens(tokens))

    def close(self) -> None:
        """End every subscription, the app and the loop; in a child process there is none of it."""
        if self.process == os.getpid():
            self._loop.run(self.app.aclose())
            self._loop.close()


def background_of(owner: Any, make_app: Callable[[], Any]) -> Background:
    """The background of an app in this process (its attribute `background`), made when there is none."""
    with _making:
        background: Background | None = owner.background
        if background is None or background.process != os.getpid():
            background = owner.background = Background(make_app())
        return background


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
        self._given: Event[T] | None = None  # taken, and perhaps not received: its taker may have been interrupted
        self._turn: asyncio.Lock | None = None
        self._stopped = False

    def start(self) -> Self:
        """Begin to listen; returns when events flow."""
        self._loop.run(self._begun())
        return self

    def get(self, timeout: float | None = None) -> Event[T]:
        """The next event, and the one before is handled; `TimeoutError` when none comes in `timeout` seconds."""
        event = self._loop.run(self._take(timeout))
        self._given = None
        return event

    def on(self, event: str, handler: Handler) -> Self:
        """Call `handler(event)` for each event of this name, on the listening thread."""
        self._loop.run(self._register("on", event, handler))
        return self

    def once(self, event: str, handler: Handler) -> Self:
        """Call `handler(event)` for the next event of this name, on the listening thread."""
        self._loop.run(self._register("once", event, handler))
        return self

    def off(self, event: str, handler: Handler | None = None) -> Self:
        """Call `handler` no more; without one, none of this event."""
        if self._inner is not None:
            self._inner.off(event, handler)
        return self

    def stop_listening(self) -> None:
        """Stop, for good. An event that is in hand stays unacknowledged. A handler may call it, too."""
        self._stopped = True
        inner, self._inner = self._inner, None
        if inner is not None:
            if self._loop.is_here:
                self._loop.start(inner.stop_listening())
            else:
                self._loop.run(inner.stop_listening())

    close = stop_listening

    def __iter__(self) -> Iterator[Event[T]]:
        return self

    def __next__(self) -> Event[T]:
        if self._stopped:
            raise StopIteration
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

    # On the background loop

    async def _begun(self) -> Listening[T]:
        if self._stopped:
            raise ConfigurationError("This subscription was stopped; listen() gives another one.")
        if self._turn is None:
            self._turn = asyncio.Lock()
        async with self._turn:
            if self._inner is None:
                inner = await self._make()
                await inner.start()
                self._inner = inner
            return self._inner

    async def _take(self, timeout: float | None) -> Event[T]:
        try:
            async with asyncio.timeout(timeout):
                inner = await self._begun()
                async with self._turn:  # type: ignore[union-attr]  # it was made
                    if self._given is None:
                        self._given = await inner.__anext__()
                    return self._given
        except TimeoutError:
            raise TimeoutError(f"Nothing came within {timeout:g} s.") from None

    async def _register(self, how: str, event: str, handler: Handler) -> None:
        inner = await self._begun()
        getattr(inner, how)(event, handler)
