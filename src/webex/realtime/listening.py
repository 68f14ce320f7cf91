"""What `listen()` gives: one subscription to the events of a user, as an iterator or with callbacks.

An event counts as handled when the next one is asked for, when its callbacks have returned, or when `event.ack()` is
called. Leaving the loop in any other way leaves it unacknowledged, and it is delivered again.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Generator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, Self, TypeVar

from webex.errors import ConfigurationError, SlowConsumerError

if TYPE_CHECKING:
    from webex.realtime.delivery import Delivery
    from webex.realtime.events import Event
    from webex.realtime.health import Health
    from webex.realtime.listener import Listener

_logger = logging.getLogger("webex.realtime")

T = TypeVar("T")
Overflow = Literal["wait", "drop_oldest", "raise"]
Handler = Callable[[Any], Any]
_OVERFLOWS: Final = ("wait", "drop_oldest", "raise")


class Listening(Generic[T]):
    """A subscription. `async with client.messages.listen() as events: async for event in events: …`.

    Or with callbacks, as in the JS SDK: `events = await client.messages.listen()`, `events.on("created", handler)`,
    later `await events.stop_listening()`. One or the other: an event goes to the callbacks or to the iterator.
    """

    def __init__(
        self, listener: Listener, resources: Collection[str], *, max_queue: int = 1000, overflow: Overflow = "wait"
    ) -> None:
        if overflow not in _OVERFLOWS:
            raise ConfigurationError(f"overflow is {overflow!r}; it is 'wait', 'drop_oldest' or 'raise'.")
        if not isinstance(max_queue, int) or max_queue < 1:
            raise ConfigurationError("max_queue is a whole number, 1 or more.")
        self._listener = listener
        self.resources = frozenset(resources)
        self.max_queue, self.overflow = max_queue, overflow
        self._queue: deque[tuple[Event[Any], Delivery]] = deque()
        self._in_hand: tuple[Event[Any], Delivery] | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._failure: BaseException | None = None
        self._handlers: dict[str, list[tuple[Handler, bool]]] = {}
        self._pump: asyncio.Task[None] | None = None
        self._started = False
        self._closed = False
        self._dropped = 0  # events that made room for later ones, not yet told of

    @property
    def health(self) -> Health:
        """How listening stands: connected since when, gaps filled, repeats dropped."""
        return self._listener.health

    # Starting and stopping

    async def start(self) -> Self:
        """Begin to listen; returns when events flow. Raises when this user may not listen."""
        if not self._started:
            self._started = True
            try:
                await self._listener.attach(self)
            except BaseException:
                self._closed = True
                raise
        return self

    async def stop_listening(self) -> None:
        """Stop. An event that is in hand stays unacknowledged. The socket goes when nobody listens any more."""
        if self._closed or not self._started:
            return
        self._closed = True
        pump, self._pump = self._pump, None
        if pump is not None and pump is not asyncio.current_task():
            pump.cancel()
            await asyncio.gather(pump, return_exceptions=True)
        self._abandon()
        self._wake()
        await self._listener.detach(self)

    aclose = stop_listening

    def __await__(self) -> Generator[Any, None, Self]:
        return self.start().__await__()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop_listening()

    # As an iterator

    def __aiter__(self) -> AsyncIterator[Event[T]]:
        return self

    async def __anext__(self) -> Event[T]:
        if not self._started:
            await self.start()
        self._finish()
        while not self._queue:
            if self._failure is not None:
                raise self._failure
            if self._closed:
                raise StopAsyncIteration
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        if self._dropped:
            count, self._dropped = self._dropped, 0
            return self._listener.intake.gap(f"{count} events were dropped: their consumer was too slow")
        event, delivery = self._queue.popleft()
        if len(self._queue) * 2 == self.max_queue or not self._queue:
            self._listener.intake.drained()
        self._in_hand = (event, delivery)
        if delivery.durable:
            try:
                await delivery.hand()
            except BaseException:
                # Nobody has seen it: it is still to be had.
                self._in_hand = None
                self._queue.appendleft((event, delivery))
                raise
        else:
            delivery.hand_now()
        return event

    # As callbacks

    def on(self, event: str, handler: Handler) -> Self:
        """Call `handler(event)` for each event of this name (`created`, `gap`, … or `*`); plain or asynchronous.

        A handler that raises is logged; the event stays unacknowledged and later ones go on.
        """
        return self._add(event, handler, once=False)

    def once(self, event: str, handler: Handler) -> Self:
        """Call `handler(event)` for the next event of this name only."""
        return self._add(event, handler, once=True)

    def off(self, event: str, handler: Handler | None = None) -> Self:
        """Call `handler` no more; without one, none of this event."""
        kept = [entry for entry in self._handlers.get(event, ()) if handler is not None and entry[0] is not handler]
        self._handlers[event] = kept
        return self

    def _add(self, event: str, handler: Handler, *, once: bool) -> Self:
        if not callable(handler):
            raise ConfigurationError("A handler is a function that takes the event.")
        self._handlers.setdefault(event, []).append((handler, once))
        if self._pump is None and not self._closed:
            self._pump = asyncio.ensure_future(self._work())
        return self

    async def _work(self) -> None:
        try:
            async for event in self:
                if not await self._dispatch(event):
                    self._leave_unacknowledged()
        except Exception as error:
            if error is not self._failure:
                raise
            _logger.error("listening ended: %s", error)

    async def _dispatch(self, event: Event[Any]) -> bool:
        well = True
        for name in (event.event, "*"):
            for entry in tuple(self._handlers.get(name, ())):
                handler, once = entry
                if once:
                    self._handlers[name].remove(entry)
                try:
                    result = handler(event)
                    if inspect.isawaitable(result):
                        await result
                except Exception:
                    _logger.exception("a handler of %s:%s failed", event.resource, event.event)
                    well = False
        return well

    # For the listener

    def offer(self, event: Event[Any], delivery: Delivery) -> None:
        """Queue an event; what does not fit is treated as the policy says."""
        if self._closed:
            delivery.abandon()
            return
        if len(self._queue) >= self.max_queue:
            if self.overflow == "raise":
                self.fail(SlowConsumerError(f"More than {self.max_queue} events wait to be taken."))
                delivery.abandon()
                return
            if self.overflow == "drop_oldest":
                self._queue.popleft()[1].finish()
                self._dropped += 1
                self._listener.health.gaps_found += 1
        self._queue.append((event, delivery))
        self._wake()

    @property
    def is_full(self) -> bool:
        """Whether one more event would not fit and has to wait."""
        return self.overflow == "wait" and len(self._queue) >= self.max_queue

    def fail(self, error: BaseException) -> None:
        """End with an error, after what is queued."""
        if self._failure is None:
            self._failure = error
        self._wake()

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _finish(self) -> None:
        in_hand, self._in_hand = self._in_hand, None
        if in_hand is not None:
            in_hand[0].ack()

    def _leave_unacknowledged(self) -> None:
        in_hand, self._in_hand = self._in_hand, None
        if in_hand is not None:
            in_hand[0]._acknowledge = None
            in_hand[1].abandon()

    def _abandon(self) -> None:
        self._leave_unacknowledged()
        while self._queue:
            self._queue.popleft()[1].abandon()
