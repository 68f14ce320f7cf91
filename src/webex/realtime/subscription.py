"""One subscription to the events of a user, as an iterator or with callbacks: what `listen()` returns.

An event counts as handled when the next one is asked for, when its callbacks have returned, or when `event.ack()` is
called. Leaving the loop in any other way leaves it unacknowledged, and it is delivered again.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections import deque
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, Self, TypeVar, overload

from webex.errors import (
    ConfigurationError,
    NotSignedInError,
    RealtimeError,
    ReauthorizationRequiredError,
    SlowConsumerError,
)
from webex.realtime.handlers import Handlers, check_handler
from webex.realtime.notices import NAMES, Notice, Notices
from webex.realtime.waiting import WaitsForEvents, first_index
from webex.runtime.unpicklable import Unpicklable

if TYPE_CHECKING:
    from webex.realtime.delivery import Delivery
    from webex.realtime.event import Event
    from webex.realtime.health import Health
    from webex.realtime.options import Acknowledgement, Overflow
    from webex.realtime.user_connection import UserConnection
    from webex.telemetry import CatchUpFinished, Connected, Disconnected

_logger = logging.getLogger("webex.realtime")

E_co = TypeVar("E_co", bound="Event[Any]", covariant=True)
Handler = Callable[[Any], Any]
_EVENTS: Final = frozenset({"created", "updated", "deleted", "seen", "started", "stopped", "gap", "*"})
MAX_IN_HAND: Final = 100  # events that may be unacknowledged at once, with ack="manual"
_HAND_AGAIN: Final = 1.0  # seconds until a storage that failed is asked again, where callbacks are called


class Subscription(WaitsForEvents, Unpicklable, Generic[E_co]):
    """A subscription. `async with client.messages.listen() as events: async for event in events: …`.

    Or with callbacks, as in the JS SDK: `events = await client.messages.listen()`, `events.on("created", handler)`,
    later `await events.stop_listening()`. One or the other: an event goes to the callbacks or to the iterator.
    """

    _instead = "Listen in one process, and pass event.to_dict() on."

    def __init__(
        self,
        listener: UserConnection,
        resources: frozenset[str],
        *,
        max_queue: int = 1000,
        overflow: Overflow = "wait",
        ack: Acknowledgement = "auto",
        max_in_hand: int = MAX_IN_HAND,
    ) -> None:
        self._connection = listener
        self.resources = resources
        self.max_queue: int = max_queue
        self.overflow = overflow
        self._is_manual = ack == "manual"
        self._max_in_hand = max_in_hand
        self._queue: deque[Event[Any]] = deque()
        self._in_hand: dict[Event[Any], None] = {}  # handed out, and neither acknowledged nor left
        self._recording: set[Event[Any]] = set()  # of these, what is written down before the program gets it
        self._returned: deque[Event[Any]] = deque()  # to be handed out again, before the queue
        self._postponed: dict[Event[Any], asyncio.TimerHandle] = {}  # to be handed out again later
        self._nacked = 0  # events in the two
        self._waiter: asyncio.Future[None] | None = None  # of the iteration
        self._waiters: set[asyncio.Future[None]] = set()  # of `wait_for`
        self._waited: set[Event[Any]] = set()  # in hand by `wait_for`
        self._failure: BaseException | None = None
        self._handlers = Handlers()
        self._pump: asyncio.Task[None] | None = None
        self._started = False
        self._closed = False
        self._dropped = 0  # events that made room for later ones, not yet told of
        self._loop: asyncio.AbstractEventLoop | None = None
        self._process = 0
        self.notices: Notices = Notices()  # callbacks for what happens to the connection
        self.on_revoked: Callable[[BaseException], None] | None = None  # nothing more may be delivered
        self.on_settled: Callable[[Event[Any]], None] | None = None  # an event is in hand no more

    @property
    def is_manual(self) -> bool:
        """Whether events are acknowledged by `event.ack()` alone: `ack="manual"`."""
        return self._is_manual

    @property
    def health(self) -> Health:
        """The state of the connection: connected since when, gaps filled, repeats dropped."""
        return self._connection.health

    # Starting and stopping

    async def start(self) -> Self:
        """Begin to listen; returns when events flow. Raises when this user may not listen."""
        if not self._started:
            self._started = True
            self._loop, self._process = asyncio.get_running_loop(), os.getpid()
            try:
                await self._connection.attach(self)
            except BaseException:
                self._closed = True
                raise
            if self._closed:  # stopped meanwhile
                await self._connection.detach(self)
                raise RealtimeError("Listening was ended before it had begun.")
        return self

    async def stop_listening(self) -> None:
        """Stop listening. Events in hand stay unacknowledged. The last subscription of a user closes the socket."""
        if self._closed or not self._started:
            return
        self._closed = True
        if not self._is_in_own_loop():
            return  # a copy: what it would end belongs to another process or event loop
        pump, self._pump = self._pump, None
        if pump is not None and pump is not asyncio.current_task():
            pump.cancel()
            await asyncio.gather(pump, return_exceptions=True)
        await self.notices.close()
        self._abandon()
        self._wake()
        await self._connection.detach(self)

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

    def __aiter__(self) -> AsyncIterator[E_co]:
        return self

    async def __anext__(self) -> E_co:
        if not self._started:
            await self.start()
        self._check_loop()
        if self._in_hand and not self._is_manual:
            for handled in [each for each in self._in_hand if each not in self._recording]:
                self._settle(handled, None)
        while not (self._queue or self._returned) or self._is_hand_full():
            if self._failure is not None and not (self._queue or self._returned):
                raise self._failure
            if self._closed:
                raise StopAsyncIteration
            if self._waiter is not None:
                raise ConfigurationError("Another task waits for the next event already: give each task a listen().")
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        if self._dropped:
            count, self._dropped = self._dropped, 0
            gap: Any = self._connection.dispatcher.gap(f"{count} events were dropped: their consumer was too slow")
            return gap  # type: ignore[no-any-return]  # every subscription has gaps
        event: Any  # of one of the kinds of this subscription
        if self._returned:
            event = self._returned.popleft()
            self._nacked -= 1
            self._connection.dispatcher.drained()
        else:
            event = self._queue.popleft()
            if len(self._queue) * 2 == self.max_queue or not self._queue:
                self._connection.dispatcher.drained()
        await self._hand_out(event)
        return event  # type: ignore[no-any-return]  # of this subscription's kinds

    def _is_hand_full(self) -> bool:
        """Return whether the program has to acknowledge an event before it gets another one."""
        return self._is_manual and len(self._in_hand) >= self._max_in_hand

    async def _hand_out(self, event: Event[Any]) -> None:
        """Note that the program has an event in hand, before it gets it."""
        if event.receipt is None:
            return
        delivery = event.receipt[0]
        if delivery.is_notice and self._is_manual:  # it can't come again: there is nothing to acknowledge
            event.receipt = None
            return
        self._in_hand[event] = None
        if not delivery.durable:
            delivery.record_now()
            return
        self._recording.add(event)
        try:
            await delivery.record()
        except BaseException:
            # The program has not seen it: it is handed out next.
            if event in self._in_hand:
                del self._in_hand[event]
                self._returned.appendleft(event)
                self._nacked += 1
                self._wake()  # another task may be waiting for it
            raise
        finally:
            self._recording.discard(event)
        if self._failure is not None and event not in self._in_hand:  # revoked while it was written down
            raise self._failure

    async def _next_of(self, matches: Callable[[Event[Any]], bool]) -> Event[Any]:
        if not self._started:
            await self.start()
        self._check_loop()
        if self._handlers:
            raise ConfigurationError("The events of this subscription go to its callbacks: wait on another listen().")
        if not self._is_manual:
            for handled in tuple(self._waited):
                self._settle(handled, None)
        last: Event[Any] | None = None  # what was looked at already
        while True:
            if not self._is_hand_full():
                found = self._found(matches, last)
                if found is not None:
                    self._connection.dispatcher.drained()
                    await self._hand_out(found)
                    if found.receipt is not None:
                        self._waited.add(found)
                    return found
                last = self._queue[-1] if self._queue else None
            if self._failure is not None:
                raise self._failure
            if self._closed:
                raise RealtimeError("The subscription was stopped while an event was waited for.")
            if self.is_full:
                raise SlowConsumerError(
                    f"{self.max_queue} other events wait to be taken: iterate over them, or narrow the subscription."
                )
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.add(waiter)
            try:
                await waiter
            finally:
                self._waiters.discard(waiter)

    def _found(self, matches: Callable[[Event[Any]], bool], last: Event[Any] | None) -> Event[Any] | None:
        """Take the first event that matches out of what waits; of the queue only what came after `last`."""
        for queue, since in ((self._returned, None), (self._queue, last)):
            place = first_index(queue, matches, since)
            if place is not None:
                event = queue[place]
                del queue[place]
                self._nacked -= queue is self._returned
                return event
        return None

    # As callbacks

    @overload
    def on(self, event: Literal["connected"], handler: Callable[[Connected], Any]) -> Self: ...

    @overload
    def on(self, event: Literal["disconnected"], handler: Callable[[Disconnected], Any]) -> Self: ...

    @overload
    def on(self, event: Literal["caught_up"], handler: Callable[[CatchUpFinished], Any]) -> Self: ...

    @overload
    def on(self, event: str, handler: Handler) -> Self: ...

    def on(self, event: str, handler: Handler) -> Self:
        """Call `handler(event)` for each event of this name (`created`, `gap`, … or `*`); plain or asynchronous.

        A subscription to `*` takes every name, such as `featureToggle_update`: the event types of other services.
        A handler that raises is logged; the event stays unacknowledged and later ones go on.

        Of the connection tell `connected` (`handler` gets a `webex.telemetry.Connected`), `disconnected`
        (`Disconnected`: why, and when the next try is) and `caught_up` (`CatchUpFinished`: what was missed is in the
        queue). Such a handler takes no events, so that it goes together with the iteration.
        """
        return self._add(event, handler, once=False)

    def once(self, event: str, handler: Handler) -> Self:
        """Call `handler(event)` for the next event of this name only."""
        return self._add(event, handler, once=True)

    def off(self, event: str, handler: Handler | None = None) -> Self:
        """Remove `handler`; without one, every handler of this event."""
        self._handlers.remove(event, handler)
        self.notices.handlers.remove(event, handler)
        return self

    def _add(self, event: str, handler: Handler, *, once: bool) -> Self:
        check_handler(handler)
        if event in NAMES.values():
            self.notices.handlers.add(event, handler, once=once)
            return self
        if event not in _EVENTS and "*" not in self.resources:  # whose event types are those of any service
            names = ", ".join(sorted({*_EVENTS, *NAMES.values()}))
            raise ConfigurationError(f"There is no event {event!r}. There are {names}.")
        self._handlers.add(event, handler, once=once)
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
                self._leave(event)

    async def _dispatch(self, event: Event[Any]) -> bool:
        what = f"{event.resource}:{event.event}"
        succeeded = await self._handlers.call(event.event, event, what)
        return await self._handlers.call("*", event, what) and succeeded

    # For the connection

    def tell(self, notice: Notice) -> None:
        """Tell the callbacks what happened to the connection."""
        self.notices.tell(notice)

    def wants(self, event: Event[Any]) -> bool:
        """Return whether an event of a resource of this subscription is for it."""
        return True

    def offer(self, event: Event[Any], delivery: Delivery) -> None:
        """Queue an event; `overflow` decides what happens to one that does not fit."""
        if self._closed or self._failure is not None:
            delivery.abandon(self)
            return
        if len(self._queue) + self._nacked >= self.max_queue:
            if self.overflow == "raise":
                self.fail(SlowConsumerError(f"More than {self.max_queue} events wait to be taken."))
                delivery.abandon(self)
                return
            if self.overflow == "drop_oldest":
                self._dropped += 1
                self._connection.health.gaps_found += 1
                if not self._queue:  # all of them are to be handed out again
                    delivery.finish(self)
                    return
                self._settle(self._queue.popleft(), None)
        event.receipt = (delivery, self)
        self._queue.append(event)
        if self._waiter is not None or self._waiters:
            self._wake()

    @property
    def is_full(self) -> bool:
        """Whether one more event would not fit and has to wait."""
        return self.overflow == "wait" and len(self._queue) + self._nacked >= self.max_queue and self._failure is None

    def settle(self, event: Event[Any], after: float | None = None) -> None:
        """Acknowledge an event, or hand it out again after some seconds; from any thread."""
        if self._is_in_own_loop():
            self._settle(event, after)
        elif self._loop is not None and self._process == os.getpid():
            with suppress(RuntimeError):  # the loop is closed: the event was left unacknowledged
                self._loop.call_soon_threadsafe(self._settle, event, after)

    def _settle(self, event: Event[Any], after: float | None) -> None:
        in_hand, event.receipt = event.receipt, None
        if in_hand is None:
            return
        self._in_hand.pop(event, None)
        self._waited.discard(event)
        delivery = in_hand[0]
        if after is None:
            delivery.finish(self)
            if self._is_manual and delivery.durable:
                self._connection.dispatcher.save_soon()
        elif self._closed:
            delivery.abandon(self)
        else:
            again = event.as_redelivered()
            again.receipt = in_hand
            self._nacked += 1
            if after:
                self._postponed[again] = asyncio.get_running_loop().call_later(after, self._return, again)
            else:
                self._returned.append(again)
        self._released(event)

    def _return(self, event: Event[Any]) -> None:
        del self._postponed[event]
        self._returned.append(event)
        self._wake()

    def _released(self, event: Event[Any]) -> None:
        if self.on_settled is not None:
            self.on_settled(event)
        if self._waiter is not None or self._waiters:
            self._wake()

    def fail(self, error: BaseException) -> None:
        """End with an error, after what is queued; at once when the user may not receive it any more."""
        if self._failure is None:
            self._failure = error
            if isinstance(error, NotSignedInError | ReauthorizationRequiredError):
                self._abandon()
                if self.on_revoked is not None:
                    self.on_revoked(error)
        self._wake()
        self._connection.dispatcher.drained()

    def _check_loop(self) -> None:
        if not self._is_in_own_loop():
            raise ConfigurationError(
                "This subscription belongs to the process and event loop that began it. In a forked child, or another "
                "event loop, make another client and call its listen()."
            )

    def _is_in_own_loop(self) -> bool:
        try:
            return asyncio.get_running_loop() is self._loop
        except RuntimeError:  # a forked child goes on in a copy of the loop
            return False

    def _wake(self) -> None:
        for waiter in (self._waiter, *self._waiters):
            if waiter is not None and not waiter.done():
                waiter.set_result(None)

    def _leave(self, event: Event[Any]) -> None:
        in_hand, event.receipt = event.receipt, None
        self._in_hand.pop(event, None)
        self._waited.discard(event)
        if in_hand is not None:
            in_hand[0].abandon(self)
            self._released(event)

    def _abandon(self) -> None:
        for timer in self._postponed.values():
            timer.cancel()
        left = (*self._in_hand, *self._returned, *self._postponed, *self._queue)
        self._returned.clear()
        self._postponed.clear()
        self._queue.clear()
        self._nacked = 0
        for event in left:
            self._leave(event)
