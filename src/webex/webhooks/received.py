"""What a handler is given: an event, by whichever way it came, with the client of the webhook's owner."""

from __future__ import annotations

import copy
from collections.abc import Awaitable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Generic, Self, TypeVar, cast, overload
from urllib.parse import quote

from webex.client import AsyncWebex, Webex
from webex.http.types import Response
from webex.models.base import Model, from_data
from webex.realtime.event import BOT_DOMAINS, Actor
from webex.realtime.event import Event as RealtimeEvent
from webex.runtime import drive
from webex.webhooks.events import Call, Meeting, Recording
from webex.webhooks.repeats import plain_data
from webex.webhooks.seconds import checked_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from webex.webhooks.events import WebhookEvent

T = TypeVar("T")
C = TypeVar("C", bound="AsyncWebex | Webex")

# What `fetch()` reads, by the resource of the event; `{}` is the id, and the second is the name of the id.
_TYPED: Final = {
    "messages": "messages",
    "rooms": "rooms",
    "memberships": "memberships",
    "attachmentActions": "attachment_actions",
}
# The third is the class of what is read; None: plain data.
_PATHS: Final[dict[str, tuple[str, str, type[Model] | None]]] = {
    "meetings": ("/meetings/{}", "id", Meeting),
    "meetingParticipants": ("/meetingParticipants/{}", "id", None),
    "recordings": ("/recordings/{}", "id", Recording),
    "convergedRecordings": ("/convergedRecordings/{}", "id", None),
    "telephony_calls": ("/telephony/calls/{}", "callId", Call),
}
_GONE: Final = frozenset({"deleted", "left"})


class ReceivedEvent(Generic[T, C]):
    """Something that happened, as a handler gets it.

    The names are those of `listen()`'s events: `resource`, `event`, `data` (a model; of a webhook it has ids, not what
    people wrote), `raw`, `key`, `actor_id`, `actor`, `created_by`, `org_id`, `user_key`, `created`, `redelivered` (its
    handling had begun before, and the worker ended). `client` is the client of the webhook's owner, and `fetch()` reads
    the resource with it. `webhook` is the envelope that was posted; None for an event of `listen()`.
    """

    __slots__ = (
        "_again",
        "_call",
        "_fetched",
        "client",
        "created",
        "created_by",
        "data",
        "event",
        "key",
        "org_id",
        "raw",
        "redelivered",
        "resource",
        "source",
        "webhook",
    )

    def __init__(
        self,
        source: WebhookEvent | RealtimeEvent[Any],
        client: C,
        *,
        redelivered: bool = False,
    ) -> None:
        self.source: WebhookEvent | RealtimeEvent[Any] = source
        self.webhook: WebhookEvent | None = None if isinstance(source, RealtimeEvent) else source
        self.client: C = client
        self.resource: str = str(source.resource or "")
        self.event: str = str(source.event or "")
        self.key: str = source.key
        self.data: T = cast("T", source.data)
        self.raw: dict[str, Any] = source.raw if isinstance(source, RealtimeEvent) else plain_data(source)
        self.created_by: str | None = source.created_by
        self.org_id: str | None = source.org_id
        self.created: datetime | None = source.created if isinstance(source.created, datetime) else None
        self.redelivered: bool = redelivered or (isinstance(source, RealtimeEvent) and source.redelivered)
        # How a plain function, which runs in a worker thread, waits for a coroutine.
        self._call: Callable[[Coroutine[Any, Any, Any]], Any] | None = None
        self._fetched: Any = None
        self._again: float | None = None

    @property
    def user_key(self) -> str | None:
        """The key of the person whose client this is, where an integration has one."""
        return self.client.user_key

    @property
    def actor_id(self) -> str | None:
        """The id of the account that did it."""
        return self.source.actor_id

    @property
    def actor(self) -> Actor | None:
        """The account that did it, as far as the event tells: a webhook has its id, and often its address."""
        if isinstance(self.source, RealtimeEvent):
            return self.source.actor
        if not self.actor_id:
            return None
        same = self.raw.get("personId") == self.actor_id
        email = self.raw.get("personEmail") if same else None
        kind = "bot" if isinstance(email, str) and email.endswith(BOT_DOMAINS) else "person"
        return Actor(self.actor_id, email if isinstance(email, str) else None, None, None, kind)  # type: ignore[arg-type]  # as written above

    @property
    def room_id(self) -> str | None:
        """The room that it happened in; None where there is none."""
        found = self.raw.get("id") if self.resource == "rooms" else self.raw.get("roomId")
        return found if isinstance(found, str) else None

    @overload
    def fetch(self: ReceivedEvent[T, AsyncWebex]) -> Awaitable[T]: ...
    @overload
    def fetch(self: ReceivedEvent[T, Webex]) -> T: ...
    def fetch(self) -> Any:
        """Read the whole resource, with the client of the webhook's owner; at the first call only.

        `message = await event.fetch()`, without `await` where the receiver is of blocking style, and in a plain
        function. Gives the model that `client.messages.get` gives, a `Meeting`, `Recording` or `Call`, and plain data
        of what has no model here (participants of meetings, recordings of calls). What was deleted can't be read any
        more: then it is `event.data`. Raises what the call raises, `NotFoundError` for what is gone meanwhile.
        """
        work = self._fetch()
        if self._call is not None:
            return self._call(work)
        return drive(work) if isinstance(self.client, Webex) else work

    async def _fetch(self) -> Any:
        if self._fetched is None:
            self._fetched = await self._read()
        return self._fetched

    async def _read(self) -> Any:
        name = _TYPED.get(self.resource)
        found = self.raw.get("id")
        if self.event in _GONE or isinstance(self.source, RealtimeEvent):
            return self.data
        if name is not None and isinstance(found, str):
            result = getattr(self.client, name).get(found)
            return result if isinstance(result, Model) else await result
        path, field, kind = _PATHS.get(self.resource, ("", "id", None))
        found = self.raw.get(field)
        if not path or not isinstance(found, str):
            return self.data
        url = path.format(quote(found, safe=""))
        request = self.client.request("GET", url)
        answer = (request if isinstance(request, Response) else await request).json()
        return answer if kind is None else from_data(kind, answer)

    def ack(self) -> None:
        """Do nothing: an event is acknowledged when its handlers have returned. `listen()`'s events have the name."""

    def nack(self, after: float = 0.0) -> None:
        """Ask for the event once more, after so many seconds (a day at most); its handlers return as usual."""
        self._again = checked_seconds("nack(after=…)", after)

    def for_thread(self, call: Callable[[Coroutine[Any, Any, Any]], Any] | None) -> Self:
        """Return the event as a plain function gets it, whose `fetch()` waits."""
        given = copy.copy(self)
        given._call = call  # noqa: SLF001  # its own class
        return given

    def taken_back(self) -> float | None:
        """Return the seconds that `nack` asked for, once."""
        again, self._again = self._again, None
        return again

    def to_dict(self) -> dict[str, Any]:
        """Return the envelope, as plain data."""
        return self.source.to_dict()

    def __repr__(self) -> str:
        return f"<ReceivedEvent {self.key}{' redelivered' if self.redelivered else ''}>"
