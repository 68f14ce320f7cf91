"""Listen for many users in one process: `async with RealtimeHub(integration) as hub: …`.

The users share what can be shared: the HTTP pool, TLS, the service catalogs, one timer wheel, one bound of keys. Each
has a socket of their own, which comes back by itself; what ends for good (a sign-out, a refusal) ends for that user.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Unpack

from webex.config.shapes import items_of
from webex.errors import ConfigurationError
from webex.ids import checked_key
from webex.realtime.options import check_resources, split_options
from webex.realtime.resources import RESOURCES
from webex.realtime.subscription import MAX_IN_HAND
from webex.realtime.tasks import Tasks, end
from webex.runtime.unpicklable import Unpicklable

if TYPE_CHECKING:
    from webex.realtime.event import Event
    from webex.realtime.health import Health
    from webex.realtime.kinds import RealtimeEvent
    from webex.realtime.options import ListenOptions
    from webex.realtime.subscription import Subscription


class RealtimeHub(Unpicklable):
    """Listen for many users of an `AsyncIntegration`.

    `resources` are those to listen to; `starting` is how many users connect at the same time at most; further options
    are those of `client.messages.listen`. Events of all users come from `events()`, in the order of each user; an
    event is handled when the next one is asked for, or by `event.ack()`. With `ack="manual"` only `event.ack()` counts,
    `max_in_hand` events of one user may be unacknowledged, and `most_in_hand` of all users together (default: as many).
    """

    _instead = "Listen in one process, and pass event.to_dict() on."

    def __init__(
        self,
        integration: Any,
        resources: Sequence[str] = RESOURCES,
        *,
        starting: int = 50,
        most_in_hand: int | None = None,
        **options: Unpack[ListenOptions],
    ) -> None:
        if not hasattr(integration, "user") or not hasattr(integration, "aclose"):  # a blocking one has close()
            raise ConfigurationError("RealtimeHub takes an AsyncIntegration.")
        self._integration = integration
        self._resources, self._options = check_resources(resources), options
        of_subscription, _, _ = split_options(options)
        self._is_manual = of_subscription.get("ack") == "manual"
        self._max_in_hand: int = most_in_hand or of_subscription.get("max_in_hand", MAX_IN_HAND)
        self._held: set[Event[Any]] = set()  # with ack="manual": what the program has not acknowledged
        self._listening: dict[str, Subscription[Any]] = {}
        self._forwarding: dict[str, asyncio.Task[None]] = {}
        self._failed: dict[str, BaseException] = {}
        self._in_hand: dict[str, asyncio.Future[None]] = {}
        self._ready: deque[tuple[str, RealtimeEvent, asyncio.Future[None]]] = deque()  # at most one event a user
        self._woken = asyncio.Event()
        self._closed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._gate = asyncio.Semaphore(starting)
        self._tasks = Tasks()
        self.on_failure: Callable[[str, BaseException], None] | None = None  # listening for a user has ended, and why

    @property
    def users(self) -> list[str]:
        """The keys of the users that the hub listens for; not of those who are yet to be connected."""
        return list(self._forwarding)

    async def add(self, user_key: str) -> None:
        """Listen for one more user; returns when their events flow. A second call for a user does nothing."""
        key = checked_key(user_key)
        if key in self._listening:
            return
        if self._closed:
            raise ConfigurationError("This hub is closed.")
        self._loop = asyncio.get_running_loop()
        listening: Subscription[Any] = self._integration.user(key).listen(self._resources, **self._options)
        self._listening[key] = listening
        if self._is_manual:
            listening.on_settled = self._settled
        listening.on_revoked = lambda error: self._revoked(key, listening, error)
        try:
            async with self._gate:
                if self._listening.get(key) is listening:  # and was not removed while it waited
                    await listening.start()
        except BaseException:
            if self._listening.get(key) is listening:  # and not one that was added meanwhile
                del self._listening[key]
            raise
        if self._listening.get(key) is not listening:  # removed meanwhile
            await listening.stop_listening()
            return
        self._failed.pop(key, None)
        self._forwarding[key] = self._tasks.start(self._forward(key, listening))

    async def add_all(self, user_keys: Iterable[str]) -> dict[str, BaseException]:
        """Listen for all of these users; return the users that failed, and why."""
        keys = [checked_key(key) for key in items_of("user_keys", user_keys, "keys of users")]
        results = await asyncio.gather(*(self.add(key) for key in keys), return_exceptions=True)
        return {key: result for key, result in zip(keys, results, strict=True) if isinstance(result, BaseException)}

    async def remove(self, user_key: str) -> None:
        """Stop listening for a user."""
        key = checked_key(user_key)
        listening, forwarding = self._listening.pop(key, None), self._forwarding.pop(key, None)
        if forwarding is not None:
            await end((forwarding,))
        if listening is not None:
            await listening.stop_listening()

    def health(self, user_key: str) -> Health | None:
        """Return the state of a user's connection; None for a user without one."""
        listening = self._listening.get(checked_key(user_key))
        return None if listening is None else listening.health

    def failure(self, user_key: str) -> BaseException | None:
        """Return why listening for a user has ended."""
        return self._failed.get(checked_key(user_key))

    async def events(self) -> AsyncIterator[RealtimeEvent]:
        """Yield the events of all users; `event.user_key` says whose. Ends when the hub is closed.

        Breaking off leaves the event in hand unhandled: it is the next one of its user. With `ack="manual"` it stays in
        hand until it is acknowledged or given back by `event.nack()`.
        """
        while not self._closed:
            if self._loop not in (None, asyncio.get_running_loop()):
                raise ConfigurationError("This hub belongs to the process and event loop that it was first used in.")
            if not self._ready or (self._is_manual and len(self._held) >= self._max_in_hand):
                self._woken.clear()
                await self._woken.wait()
                continue
            key, event, handled = self._ready.popleft()
            if handled.done():
                continue  # its user was removed
            if self._is_manual:
                if event.receipt is not None:
                    self._held.add(event)
                handled.set_result(None)
                yield event
                continue
            finished = False
            try:
                yield event
                finished = True
            finally:
                if finished or event.receipt is None:  # it was acknowledged by hand
                    if not handled.done():
                        handled.set_result(None)
                else:
                    self._ready.appendleft((key, event, handled))
                    self._woken.set()

    async def aclose(self) -> None:
        """End all listening; what is in hand stays unacknowledged."""
        self._closed = True
        self._woken.set()
        listening, self._listening = self._listening, {}
        self._forwarding.clear()
        await self._tasks.close()
        await asyncio.gather(*(each.stop_listening() for each in listening.values()), return_exceptions=True)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def _settled(self, event: Event[Any]) -> None:
        if event in self._held:
            self._held.discard(event)
            self._woken.set()

    def _revoked(self, key: str, listening: Subscription[Any], error: BaseException) -> None:
        """Drop what waits for the consumer, after a user was signed out."""
        if self._listening.get(key) is listening and key in self._forwarding:
            self._failed[key] = error
            handled = self._in_hand.get(key)
            if handled is not None:
                handled.cancel()

    async def _forward(self, key: str, listening: Subscription[Any]) -> None:
        try:
            event: RealtimeEvent
            async for event in listening:
                handled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                self._in_hand[key] = handled
                self._ready.append((key, event, handled))
                self._woken.set()
                try:
                    await handled
                except asyncio.CancelledError:
                    task = asyncio.current_task()
                    if task is None or task.cancelling() or key not in self._failed:
                        raise
                finally:
                    handled.cancel()
                    self._in_hand.pop(key, None)
        except Exception as error:
            if self._listening.get(key) is listening:
                self._failed[key] = error
                del self._listening[key], self._forwarding[key]
            await listening.stop_listening()
            # A user who was added again meanwhile is listened for: this failure is not that of the new connection.
            if self.on_failure is not None and key not in self._listening:
                self.on_failure(key, error)
