"""Read, set and follow presence, by the presence service (apheleia): `client.presence`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Self, Unpack

from webex.config.arguments import check_arguments
from webex.errors import ConfigurationError, DecodeError, WebexError
from webex.ids import person_uuid, to_hydra_id
from webex.models.base import from_data
from webex.realtime.event import Event, Occurrence
from webex.realtime.given_ids import uuid_of_person, uuids_of_people
from webex.realtime.kinds import RealtimePresenceEvent
from webex.realtime.options import ListenOptions, split_options
from webex.realtime.presence_data import Presence, Status, presence_data
from webex.realtime.subscription import Subscription
from webex.runtime.unpicklable import Unpicklable
from webex.telemetry import Connected

if TYPE_CHECKING:
    from webex.realtime.conversations.service import ConversationService
    from webex.realtime.notices import Notice
    from webex.realtime.user_connection import UserConnection

_logger = logging.getLogger("webex.realtime")

_MOST_AT_ONCE: Final = 50  # people in one request, as in the JS SDK
_LONGEST: Final = 30 * 86_400.0
_RENEW_AT: Final = 0.8  # of the time of a subscription
_TRY_AGAIN: Final = 10.0  # seconds until a renewal that failed is tried again


def _presence_of(answer: Any) -> Presence:
    found = presence_data(answer)
    if found is None:
        raise DecodeError("The presence service's answer names no person.")
    return from_data(Presence, found)


@check_arguments
class PresenceClient(Unpicklable):
    """`client.presence`, in event-loop style. Ids are those of the REST API, or UUIDs."""

    def __init__(self, service: ConversationService) -> None:
        self._service = service

    async def get(self, person_id: str) -> Presence:
        """Return the presence of a person; `NotFoundError` for one that is unknown."""
        params = {"userId": uuid_of_person(person_id)}
        services = self._service.manager.sender(self._service.tokens).services
        base = await services.url_of("apheleia")
        return _presence_of((await services.send("GET", f"{base}/compositions", params=params)).json())

    async def list(self, person_ids: Sequence[str]) -> list[Presence]:
        """Return the presence of several people, in their order; fifty a request."""
        people = _uuids(person_ids)
        services = self._service.manager.sender(self._service.tokens).services
        base = await services.url_of("apheleia")
        found: dict[str | None, Presence] = {}
        for start in range(0, len(people), _MOST_AT_ONCE):
            body = {"subjects": people[start : start + _MOST_AT_ONCE]}
            answer = (await services.send("POST", f"{base}/compositions", json=body)).json()
            listed = answer.get("statusList") if isinstance(answer, dict) else None
            for presence in map(_presence_of, listed if isinstance(listed, list) else ()):
                found[presence.person_id] = presence
        ids = [to_hydra_id("PEOPLE", person) for person in people]
        return [found.get(each) or from_data(Presence, {"personId": each, "status": "unknown"}) for each in ids]

    async def set(self, status: Status, *, seconds: float = 600.0, label: str | None = None) -> Presence:
        """Set the user's own status (`active`, `inactive`, `dnd`, `ooo`, …) for a while; return what holds now.

        seconds: how long it holds, up to 30 days; 0 ends a status that was set before.
        label: a text that goes with the status.
        """
        connection = await self._service.connected()
        base = await connection.services.url_of("apheleia")
        body = {"subject": connection.user_id, "eventType": status, "ttl": _checked_seconds(seconds)}
        if label is not None:
            body["label"] = label
        return _presence_of((await connection.services.send("POST", f"{base}/events", json=body)).json())

    def subscribe(
        self, person_ids: Sequence[str], *, seconds: float = 600.0, **options: Unpack[ListenOptions]
    ) -> PresenceSubscription:
        """Receive an event for each change of these people's presence: `async with …subscribe(ids) as events: …`.

        The registration at the presence service lasts `seconds` and is renewed for as long as the subscription is open.
        Options are those of `client.messages.listen`.
        """
        manager = self._service.manager
        of_subscription, device_name, of_connection = split_options(options)
        connection = manager.connection_of(self._service.tokens, device_name, of_connection)
        return PresenceSubscription(connection, _uuids(person_ids), _checked_seconds(seconds, 1.0), **of_subscription)


class PresenceSubscription(Subscription[RealtimePresenceEvent]):
    """A subscription to the presence of some people. `current` has what is known of each, by their ids."""

    def __init__(self, connection: UserConnection, people: Sequence[str], seconds: float, **options: Any) -> None:
        super().__init__(connection, frozenset({"presence"}), **options)
        self._people = list(people)
        self._seconds = seconds
        self._renewing: asyncio.Task[None] | None = None
        self._is_due = asyncio.Event()  # the registration is to be renewed now
        self._lock = asyncio.Lock()  # of the registration
        self._is_registered = False
        self._is_ending = False
        self.current: dict[str, Presence] = {}

    def wants(self, event: Event[Any]) -> bool:
        """Return whether the event is of one of these people, and tells something new."""
        presence: Presence = event.data
        if person_uuid(presence.person_id) not in self._people:
            return False
        before, self.current[presence.person_id] = self.current.get(presence.person_id), presence
        return before is None or _differ(before, presence)

    def tell(self, notice: Notice) -> None:
        """Tell the callbacks what happened to the connection; after a reconnection, ask what changed meanwhile."""
        super().tell(notice)
        if isinstance(notice, Connected):
            self._is_due.set()

    async def start(self) -> Self:
        """Begin to listen and to be told of changes; `NotFoundError` for a person who is unknown."""
        if not self._started:
            await super().start()
            self._is_due.clear()
            try:
                await self._register()
            except BaseException:
                await self.stop_listening()
                raise
            if not self._is_ending and self._failure is None:
                self._renewing = self._connection.start(self._renew())  # which cancels it when it is closed
        return self

    async def stop_listening(self) -> None:
        """Stop, and tell the presence service so, unless another subscription of this user needs it."""
        if self._is_in_own_loop() and not self._is_ending:
            self._is_ending = True
            renewing, self._renewing = self._renewing, None
            if renewing is not None:
                renewing.cancel()
                await asyncio.gather(renewing, return_exceptions=True)
            async with self._lock:
                await self._unregister()
        await super().stop_listening()

    aclose = stop_listening

    def fail(self, error: BaseException) -> None:
        """End with an error, and renew nothing any more."""
        super().fail(error)
        if self._renewing is not None:
            self._renewing.cancel()

    async def _register(self) -> None:
        """Register at the presence service, or renew that; announce what has changed since the last answer."""
        async with self._lock:
            if self._is_ending:
                return
            if not self._is_registered:
                self._is_registered = True
                for person in self._people:
                    self._count(person, 1)
            for answer in await self._ask(self._people, self._seconds):
                found = presence_data(answer.get("status")) if isinstance(answer, dict) else None
                if found is not None:
                    self._note(found)

    def _note(self, found: dict[str, Any]) -> None:
        presence = from_data(Presence, found)
        before = self.current.get(presence.person_id)
        if before is None or not _differ(before, presence):
            self.current[presence.person_id] = presence
            return
        dispatcher = self._connection.dispatcher
        occurrence = Occurrence("presence", "updated", person_uuid(presence.person_id), found)
        dispatcher.announce(RealtimePresenceEvent(occurrence, dispatcher.audience, {}))

    async def _unregister(self) -> None:
        if not self._is_registered:
            return
        self._is_registered = False
        alone = [person for person in self._people if self._count(person, -1) == 0]
        if alone:
            with suppress(WebexError):  # it ends by itself, too
                await self._ask(alone, 0.0)

    def _count(self, person: str, change: int) -> int:
        """Count the subscriptions of this user to a person; the presence service knows only one."""
        manager = self._connection.manager
        key = (manager.owner_of(self._connection.tokens), person)
        manager.watched[key] += change
        left = manager.watched[key]
        if not left:
            del manager.watched[key]
        return left

    async def _ask(self, people: Sequence[str], seconds: float) -> list[Any]:
        services = self._connection.services
        base = await services.url_of("apheleia")
        answers: list[Any] = []
        for start in range(0, len(people), _MOST_AT_ONCE):
            subjects = list(people[start : start + _MOST_AT_ONCE])
            body = {"subjects": subjects, "subscriptionTtl": seconds, "includeStatus": True}
            answer = (await services.send("POST", f"{base}/subscriptions", json=body)).json()
            listed = answer.get("responses") if isinstance(answer, dict) else None
            answers += listed if isinstance(listed, list) else []
        return answers

    async def _renew(self) -> None:
        """Renew the registration before it ends, and after each reconnection."""
        wait = self._seconds * _RENEW_AT
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._is_due.wait()
            self._is_due.clear()
            try:
                await self._register()
                wait = self._seconds * _RENEW_AT
            except WebexError as failure:
                _logger.warning("a subscription to presence could not be renewed: %s", type(failure).__name__)
                wait = min(_TRY_AGAIN, wait)


def _differ(before: Presence, now: Presence) -> bool:
    """Return whether a presence has changed so that it is an event."""
    return (before.status, before.label) != (now.status, now.label)


def _uuids(person_ids: Sequence[str]) -> list[str]:
    people = uuids_of_people(person_ids)
    if not people:
        raise ConfigurationError("person_ids names at least one person.")
    return people


def _checked_seconds(seconds: float, least: float = 0.0) -> float:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not least <= seconds <= _LONGEST:
        raise ConfigurationError(f"seconds is {seconds!r}; it takes {least:.0f} to {_LONGEST:.0f}.")
    return seconds
