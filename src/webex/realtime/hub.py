"""Many users heard in one process: `async with RealtimeHub(integration) as hub: …`.

The users share what can be shared: the HTTP pool, TLS, the service catalogs, one timer wheel, one bound of keys. Each
has a socket of their own, which comes back by itself; what ends for good (a sign-out, a refusal) ends for that user.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, Unpack

from webex.errors import ConfigurationError
from webex.ids import person_uuid
from webex.realtime.options import checked_resources, split_options
from webex.realtime.tasks import Tasks

if TYPE_CHECKING:
    from webex.realtime.event import Event
    from webex.realtime.health import Health
    from webex.realtime.listening import Listening
    from webex.realtime.options import ListenOptions

_EVERYTHING: Final = ("messages", "rooms", "memberships", "attachmentActions")


class RealtimeHub:
    """Listens for many users of an `AsyncIntegration`.

    `resources` are those to hear of; `starting` is how many users connect at the same time at most; further options
    are those of `client.messages.listen`. Events of all users come from `events()`, in the order of each user; an
    event is handled when the next one is asked for, or by `event.ack()`.
    """

    def __init__(
        self,
        integration: Any,
        resources: Sequence[str] = _EVERYTHING,
        *,
        starting: int = 50,
        **options: Unpack[ListenOptions],
    ) -> None:
        app: Any = getattr(integration, "_app", None)
        if app is None or app.runtime.style != "async":
            raise ConfigurationError("RealtimeHub takes an AsyncIntegration.")
        self._app = app
        self._resources, self._options = checked_resources(resources), options
        split_options(options)
        self._listening: dict[str, Listening[Any]] = {}
        self._forwarding: dict[str, asyncio.Task[None]] = {}
        self._failed: dict[str, BaseException] = {}
        self._ready: deque[tuple[str, Event[Any], asyncio.Future[None]]] = deque()  # at most one event a user
        self._woken = asyncio.Event()
        self._closed = False
        self._gate = asyncio.Semaphore(starting)
        self._tasks = Tasks()
        self.on_failure: Callable[[str, BaseException], None] | None = None  # a user is heard no more, and why

    @property
    def users(self) -> list[str]:
        """The keys of those who are listened to."""
        return list(self._listening)

    async def add(self, user_key: str) -> None:
        """Listen to one more user; returns when their events flow. Once for each user."""
        key = person_uuid(user_key)
        if key in self._listening:
            return
        if self._closed:
            raise ConfigurationError("This hub is closed.")
        listening = self._app.listen(self._app.tokens_of(key), self._resources, **self._options)
        self._listening[key] = listening
        try:
            async with self._gate:
                await listening.start()
        except BaseException:
            self._listening.pop(key, None)
            raise
        self._failed.pop(key, None)
        self._forwarding[key] = self._tasks.start(self._forward(key, listening))

    async def add_all(self, user_keys: Iterable[str]) -> dict[str, BaseException]:
        """Listen to all of these; gives those who could not be listened to, and why."""
        keys = [person_uuid(key) for key in user_keys]
        results = await asyncio.gather(*(self.add(key) for key in keys), return_exceptions=True)
        return {key: result for key, result in zip(keys, results, strict=True) if isinstance(result, BaseException)}

    async def remove(self, user_key: str) -> None:
        """Listen to a user no more."""
        key = person_uuid(user_key)
        listening, forwarding = self._listening.pop(key, None), self._forwarding.pop(key, None)
        if forwarding is not None:
            forwarding.cancel()
            await asyncio.wait({forwarding})
        if listening is not None:
            await listening.stop_listening()

    def health(self, user_key: str) -> Health | None:
        """How a user's listening stands; None for one who is not listened to."""
        listening = self._listening.get(person_uuid(user_key))
        return None if listening is None else listening.health

    def failure(self, user_key: str) -> BaseException | None:
        """Why a user is heard no more."""
        return self._failed.get(person_uuid(user_key))

    async def events(self) -> AsyncIterator[Event[Any]]:
        """The events of all users; `event.user_key` says whose. Ends when the hub is closed.

        Whoever breaks off leaves the event in hand unhandled: it is the next one of its user.
        """
        while not self._closed:
            if not self._ready:
                self._woken.clear()
                await self._woken.wait()
                continue
            key, event, handled = self._ready.popleft()
            if handled.done():
                continue  # its user is listened to no more
            finished = False
            try:
                yield event
                finished = True
            finally:
                if finished or event._in_hand is None:  # it was acknowledged by hand
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
        await self._tasks.close()
        await asyncio.gather(*(each.stop_listening() for each in listening.values()), return_exceptions=True)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _forward(self, key: str, listening: Listening[Any]) -> None:
        try:
            async for event in listening:
                handled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                self._ready.append((key, event, handled))
                self._woken.set()
                try:
                    await handled
                finally:
                    handled.cancel()
        except Exception as error:
            if self._listening.get(key) is listening:
                self._failed[key] = error
                del self._listening[key], self._forwarding[key]
            await listening.stop_listening()
            if self.on_failure is not None:
                self.on_failure(key, error)
