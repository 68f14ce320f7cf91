"""Listen from blocking code: an event loop on a background thread receives, the caller takes from its queue."""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import contextlib
import os
import threading
import time
from collections.abc import Awaitable, Callable, Collection, Coroutine, Hashable, Iterator
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, Self, TypeVar

from webex.auth.sources import UserTokens
from webex.errors import ConfigurationError
from webex.realtime.handlers import check_handler
from webex.realtime.notices import NAMES
from webex.realtime.waiting import BlocksForEvents
from webex.runtime import drive
from webex.runtime.unpicklable import Unpicklable

if TYPE_CHECKING:
    from webex.auth.credentials import Credentials
    from webex.http.types import TokenSource
    from webex.realtime.access import Realtime, Work
    from webex.realtime.blocking_conversations import BlockingConversations
    from webex.realtime.blocking_presence import BlockingPresenceClient
    from webex.realtime.event import Event
    from webex.realtime.subscription import Handler, Subscription
    from webex.telemetry import RefreshReason

C = TypeVar("C")
T = TypeVar("T")
E_co = TypeVar("E_co", bound="Event[Any]", covariant=True)

_making = threading.Lock()
_GRACE: Final = 5.0  # seconds for the loops of clients that nobody closed, when the program ends
_running: dict[asyncio.AbstractEventLoop, tuple[threading.Thread, int]] = {}


class BackgroundLoop:
    """Run an event loop on a thread of its own, from first use to `close`; not in a forked child."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._process = os.getpid()

    @property
    def is_inherited(self) -> bool:
        """Whether this is a forked child, where the thread of the loop does not exist."""
        return self._process != os.getpid()

    @property
    def is_here(self) -> bool:
        """Whether the caller is on the loop's own thread, in a handler, where waiting would never end."""
        return self._thread is threading.current_thread()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine there and wait for its result; cancelled there when the wait is broken off here."""
        if self.is_here:
            work.close()
            raise ConfigurationError("A handler can't wait for the thread that it runs on.")
        if self.is_inherited:
            work.close()
            raise ConfigurationError(
                "This belongs to the process that began it, and this is a forked child. Call listen() (or take "
                "client.conversations) in the child."
            )
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
                _running[loop] = self._thread, os.getpid()
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
            loop.run_until_complete(loop.shutdown_asyncgens())  # closes the connections of a client that is still open
            loop.close()
            _running.pop(loop, None)


@atexit.register
def _end_with_the_program() -> None:
    """End the loops of clients that nobody closed, so that aiohttp does not tell of their connections."""
    until = time.monotonic() + _GRACE
    for loop, (thread, process) in list(_running.items()):
        if process == os.getpid() and thread is not threading.current_thread():
            with contextlib.suppress(RuntimeError):  # it has ended meanwhile
                loop.call_soon_threadsafe(loop.stop)
            thread.join(max(until - time.monotonic(), 0.0))


class OnBackground(Unpicklable, Generic[C]):
    """Call what `make()` returns in event-loop style, on the background loop, and wait for its results."""

    def __init__(self, loop: BackgroundLoop, make: Callable[[], C]) -> None:
        self._loop, self._make = loop, make

    def _run(self, call: Callable[[C], Awaitable[T]]) -> T:
        async def work() -> T:
            return await call(self._make())

        return self._loop.run(work())


class BackgroundApp(Protocol):
    """What a background loop needs of an app; see `webex.app`."""

    realtime: Realtime
    credentials: Credentials

    async def aclose(self) -> None:
        """End listening and close what is open."""
        ...


class Background:
    """Listen for an app in blocking style, with an app in event-loop style on a background loop."""

    def __init__(self, app: BackgroundApp) -> None:
        self.app = app
        self.process: int = os.getpid()
        self._loop = BackgroundLoop()
        self._sources: dict[int, ThreadedTokens] = {}

    def listen(
        self,
        tokens: TokenSource,
        resources: Collection[str],
        options: dict[str, Any],
    ) -> BlockingSubscription[Any]:
        """Return a subscription of the user whose token this is."""
        source = self._source(tokens)

        async def make() -> Any:
            return self.app.realtime.listen(source, resources, **options)

        return BlockingSubscription(self._loop, make)

    def conversations(self, tokens: TokenSource) -> BlockingConversations:
        """Return what sends end-to-end encrypted for the user whose token this is."""
        from webex.realtime.blocking_conversations import BlockingConversations

        source = self._source(tokens)
        within = partial(self.within, tokens)
        return BlockingConversations(self._loop, lambda: self.app.realtime.conversations(source), within)

    def within(self, tokens: TokenSource, work: Work[T]) -> T:
        """Do work with the conversation service of the user whose token this is, and wait for it."""
        source = self._source(tokens)

        async def do() -> T:
            return await self.app.realtime.within(source, work)

        return self._loop.run(do())

    def presence(self, tokens: TokenSource) -> BlockingPresenceClient:
        """Return what reads, sets and follows presence for the user whose token this is."""
        from webex.realtime.blocking_presence import BlockingPresenceClient

        source = self._source(tokens)
        return BlockingPresenceClient(self._loop, lambda: self.app.realtime.presence(source))

    def _source(self, tokens: TokenSource) -> TokenSource:
        """Return a source for the background loop: of the same stored user, else one that asks on a thread."""
        if isinstance(tokens, UserTokens):
            drive(tokens.store_given())
            return self.app.credentials.source(tokens.key)
        # What is made holds the source, so that its id stays its own.
        return self._sources.setdefault(id(tokens), ThreadedTokens(tokens))

    def sign_out(self, owner: Any, token: str | None, seconds: float) -> None:
        """End what listens or sends for a user; a handler that signs its user out does not wait for it."""
        if self.process != os.getpid():
            return
        if not isinstance(owner, str):
            owner = self._sources.get(id(owner))
        if owner is None:
            return
        work = self.app.realtime.end_listening(owner, token, seconds)
        if self._loop.is_here:
            self._loop.start(work)
        else:
            self._loop.run(work)

    def close(self) -> None:
        """End every subscription, the app and the loop; in a child process there is none of it."""
        if self.process == os.getpid():
            self._loop.run(self.app.aclose())
            self._loop.close()


def background_of(owner: Realtime, make_app: Callable[[], BackgroundApp]) -> Background:
    """Return the background of an app in this process (the attribute `background`), made when there is none."""
    with _making:
        background: Background | None = owner.background
        if background is None or background.process != os.getpid():
            background = owner.background = Background(make_app())
        return background


class ThreadedTokens:
    """Ask the token source of a blocking client from an event loop, in a worker thread."""

    __slots__ = ("_source",)

    def __init__(self, source: TokenSource) -> None:
        self._source = source

    @property
    def owner(self) -> Hashable:
        """That of the source."""
        return self._source.owner

    @property
    def key(self) -> str | None:
        """That of the source."""
        return self._source.key

    @property
    def can_authorize(self) -> bool:
        """As the source says."""
        return self._source.can_authorize

    @property
    def can_refresh(self) -> bool:
        """As the source says."""
        return self._source.can_refresh

    async def access_token(self, *, deadline: float | None = None) -> str:
        """Return a valid token."""
        return await asyncio.to_thread(lambda: drive(_coroutine(self._source.access_token(deadline=deadline))))

    async def replace(
        self, rejected: str, *, deadline: float | None = None, reason: RefreshReason | None = None
    ) -> str | None:
        """Return a token that differs from the rejected one."""
        replaced = self._source.replace(rejected, deadline=deadline, reason=reason)
        return await asyncio.to_thread(lambda: drive(_coroutine(replaced)))


async def _coroutine(work: Awaitable[T]) -> T:
    return await work


class BlockingSubscription(BlocksForEvents, Unpicklable, Generic[E_co]):
    """A subscription for blocking code: `with client.messages.listen() as events: for event in events: …`.

    `get(timeout)` waits for one event; `on` calls a function on the listening thread.
    """

    _instead = "Listen in one process, and pass event.to_dict() on."

    def __init__(self, loop: BackgroundLoop, make: Callable[[], Coroutine[Any, Any, Subscription[E_co]]]) -> None:
        self._loop, self._make = loop, make
        self._inner: Subscription[E_co] | None = None
        self._given: E_co | None = None  # taken, and perhaps not received: its taker may have been interrupted
        self._beginning: Subscription[E_co] | None = None
        self._early: list[tuple[str, str, Handler]] = []  # handlers of the connection, given before it begins
        self._start_lock = asyncio.Lock()
        self._take_lock = asyncio.Lock()
        self._stopped = False

    def start(self) -> Self:
        """Begin to listen; returns when events flow."""
        self._loop.run(self._begun())
        return self

    def get(self, timeout: float | None = None) -> E_co:
        """Return the next event, and acknowledge the one before; `TimeoutError` after `timeout` seconds."""
        event = self._loop.run(self._take(timeout))
        self._given = None
        return event

    def on(self, event: str, handler: Handler) -> Self:
        """Call `handler(event)` for each event of this name, on the listening thread; see `Subscription.on`."""
        self._loop.run(self._register("on", event, handler))
        return self

    def once(self, event: str, handler: Handler) -> Self:
        """Call `handler(event)` for the next event of this name, on the listening thread."""
        self._loop.run(self._register("once", event, handler))
        return self

    def off(self, event: str, handler: Handler | None = None) -> Self:
        """Remove `handler`; without one, every handler of this event. A handler may call it, too."""
        self._early = [each for each in self._early if each[1] != event or handler not in (None, each[2])]
        inner = self._inner or self._beginning
        if inner is not None:
            inner.off(event, handler)
        return self

    def stop_listening(self) -> None:
        """Stop, for good. An event that is in hand stays unacknowledged. A handler may call it, too."""
        self._stopped = True
        inner, self._inner = self._inner, None
        if inner is not None and not self._loop.is_inherited:
            if self._loop.is_here:
                self._loop.start(inner.stop_listening())
            else:
                self._loop.run(inner.stop_listening())

    close = stop_listening

    def __iter__(self) -> Iterator[E_co]:
        return self

    def __next__(self) -> E_co:
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

    async def _begun(self) -> Subscription[E_co]:
        self._check_running()
        if self._inner is not None:
            return self._inner
        async with self._start_lock:
            if self._inner is None:
                self._check_running()
                inner = await self._make()
                for how, event, handler in self._early:
                    getattr(inner, how)(event, handler)
                self._beginning = inner
                try:
                    await inner.start()
                finally:
                    self._beginning = None
                if self._stopped:
                    await inner.stop_listening()
                self._check_running()
                self._inner = inner
            return self._inner

    def _check_running(self) -> None:
        if self._stopped:
            raise ConfigurationError("This subscription was stopped; listen() gives another one.")

    async def _take(self, timeout: float | None) -> E_co:
        try:
            async with asyncio.timeout(timeout):
                inner = await self._begun()
                async with self._take_lock:
                    if self._given is None:
                        self._given = await inner.__anext__()
                    return self._given
        except TimeoutError:
            raise TimeoutError(f"Nothing came within {timeout:g} s.") from None

    def _wait(self, wait: Callable[[Subscription[Any]], Coroutine[Any, Any, Event[Any]]]) -> Event[Any]:
        taken: list[Event[Any]] = []
        given_up = False

        async def work() -> Event[Any]:
            event = await wait(await self._begun())
            taken.append(event)
            if given_up:
                event.nack()
            return event

        try:
            return self._loop.run(work())
        except BaseException:  # the program did not get what was taken: it is handed out again
            given_up = True
            for event in taken:
                event.nack()
            raise

    async def _register(self, how: str, event: str, handler: Handler) -> None:
        check_handler(handler)
        inner = self._inner
        if inner is None and event in NAMES.values():  # told from the first connection on
            self._early.append((how, event, handler))
            inner = self._beginning
            if inner is None:
                return
        getattr(inner or await self._begun(), how)(event, handler)
