"""What `listen()` gives: one subscription to the events of a user, as an iterator or with callbacks.

An event counts as handled when the next one is asked for, when its callbacks have returned, or when `event.ack()` is
called. Leaving the loop in any other way leaves it unacknowledged, and it is delivered again.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Generator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Generic, Self, TypeVar

from webex.errors import ConfigurationError, SlowConsumerError

if TYPE_CHECKING:
    from webex.realtime.delivery import Delivery
    from webex.realtime.event import Event
    from webex.realtime.health import Health
    from webex.realtime.listener import Listener
    from webex.realtime.options import Overflow

_logger = logging.getLogger("webex.realtime")

T = TypeVar("T")
Handler = Callable[[Any], Any]
_EVENTS: Final = frozenset({"created", "updated", "deleted", "seen", "started", "stopped", "gap", "*"})
_HAND_AGAIN: Final = 1.0  # seconds until a storage that failed is asked again, where callbacks are called


class Listening(Generic[T]):
    """A subscription. `async with client.messages.listen() as events: async for event in events: …`.

    Or with callbacks, as in the JS SDK: `events = await client.messages.listen()`, `events.on("created", handler)`,
    later `await events.stop_listening()`. One or the other: an event goes to the callbacks or to the iterator.
    """

    def __init__(
        self, listener: Listener, resources: frozenset[str], *, max_queue: int = 1000, overflow: Overflow = "wait"
    ) -> None:
        self._listener = listener
        self.resources = resources
        self.max_queue, self.overflow = max_queue, overflow
        self._queue: deque[Event[Any]] = deque()
        self._in_hand: Event[Any] | None = None
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
        in_hand = self._in_hand
        if in_hand is not None:
            self._in_hand = None
            in_hand.ack()
        while not self._queue:
            if self._failure is not None:
                raise self._failure
            if self._closed:
                raise StopAsyncIteration
            if self._waiter is not None:
                raise ConfigurationError("Somebody else waits for the next event already: give each task a listen().")
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        if self._dropped:
            count, self._dropped = self._dropped, 0
            return self._listener.intake.gap(f"{count} events were dropped: their consumer was too slow")
        event = self._queue.popleft()
        if len(self._queue) * 2 == self.max_queue or not self._queue:
            self._listener.intake.drained()
        self._in_hand = event
        if event._in_hand is not None:
            delivery = event._in_hand[0]
            if delivery.durable:
                try:
                    await delivery.hand()
                except BaseException:
                    # Nobody has seen it: it is still to be had.
                    self._in_hand = None
                    self._queue.appendleft(event)
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
        if event not in _EVENTS:
            raise ConfigurationError(f"There is no event {event!r}. There are {', '.join(sorted(_EVENTS))}.")
        self._handlers.setdefault(event, []).append((handler, once))
        if self._pump is None and not self._closed:
            self._pump = asyncio.ensure_future(self._work())
        return self

    async def _work(self) -> None:
        while True:
            try:
                event = await self.__anext__()
            except StopAsyncIteration:
                return
            except Exception as error:
                if error is self._failure:
                    _logger.error("listening ended: %s", error)
                    return
                _logger.warning("an event could not be handed out (%s); once more", type(error).__name__)
                await asyncio.sleep(_HAND_AGAIN)
                continue
            if not await self._dispatch(event):
                self._leave_unacknowledged()

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
                except asyncio.CancelledError:
                    task = asyncio.current_task()
                    if task is None or task.cancelling():
                        raise
                    _logger.warning("a handler of %s:%s was cancelled", event.resource, event.event)
                    well = False
                except Exception:
                    _logger.exception("a handler of %s:%s failed", event.resource, event.event)
                    well = False
        return well

    # For the listener

    def offer(self, event: Event[Any], delivery: Delivery) -> None:
        """Queue an event; what does not fit is treated as the policy says."""
        if self._closed or self._failure is not None:
            delivery.abandon(self)
            return
        if len(self._queue) >= self.max_queue:
            if self.overflow == "raise":
                self.fail(SlowConsumerError(f"More than {self.max_queue} events wait to be taken."))
                delivery.abandon(self)
                return
            if self.overflow == "drop_oldest":
                self._queue.popleft().ack()
                self._dropped += 1
                self._listener.health.gaps_found += 1
        event._in_hand = (delivery, self)
        self._queue.append(event)
        if self._waiter is not None:
            self._wake()

    @property
    def is_full(self) -> bool:
        """Whether one more event would not fit and has to wait."""
        return self.overflow == "wait" and len(self._queue) >= self.max_queue and self._failure is None

    def fail(self, error: BaseException) -> None:
        """End with an error, after what is queued."""
        if self._failure is None:
            self._failure = error
        self._wake()
        self._listener.intake.drained()

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _leave_unacknowledged(self) -> None:
        event, self._in_hand = self._in_hand, None
        if event is not None:
            self._leave(event)

    def _leave(self, event: Event[Any]) -> None:
        in_hand, event._in_hand = event._in_hand, None
        if in_hand is not None:
            in_hand[0].abandon(self)

    def _abandon(self) -> None:
        self._leave_unacknowledged()
        while self._queue:
            self._leave(self._queue.popleft())
