"""What happened, the same whether a socket, a webhook, a queue of your own or a test brings it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from webex.errors import ConfigurationError, NotFoundError
from webex.models.base import Model
from webex.models.keys import event_key
from webex.realtime.event import Actor

if TYPE_CHECKING:
    from webex.client import AsyncWebex
    from webex.realtime.event import Event
    from webex.webhooks import ReceivedEvent

Door = Literal["socket", "webhook", "fleet", "handle", "timer", "test"]


@dataclass(slots=True)
class Happening:
    """One thing that happened in a room that the bot is in.

    `resource` and `event` are the public names (`messages`, `created`), `data` is the model of the resource; `key` is
    what all deliveries of it have in common. `client` is the view of the account that received it, `received_by` its
    id, `door` how it was received.
    """

    resource: str
    event: str
    data: Any
    actor: Actor | None
    room_id: str | None
    key: str
    client: AsyncWebex = field(repr=False)
    door: Door = "handle"
    redelivered: bool = False
    files: list[dict[str, Any]] = field(default_factory=list, repr=False)
    is_whole: bool = True  # False: `data` has ids only, and has to be fetched
    resumed: bool = False  # it is handled again after the person has signed in
    received_by: str | None = None  # default: the id of the bot

    @property
    def author(self) -> str | None:
        """The id of who did it, as the data says it; a membership names its member instead."""
        if self.resource == "memberships":
            return None
        found = getattr(self.data, "creator_id" if self.resource == "rooms" else "person_id", None)
        return found if isinstance(found, str) else None

    async def fetch(self) -> bool:
        """Fetch what a webhook leaves out; False when it is gone meanwhile."""
        if self.is_whole:
            return True
        try:
            if self.resource == "messages" and self.event != "deleted":
                self.data = await self.client.messages.get(self.data.id)
            elif self.resource == "attachmentActions":
                self.data = await self.client.attachment_actions.get(self.data.id)
        except NotFoundError:
            return False
        self.is_whole = True
        self.room_id = self.room_id or _room_of(self.resource, self.data)
        return True


def from_event(event: Event[Any], client: AsyncWebex, door: Door = "socket") -> Happening:
    """Return the happening of an event that a socket brought, to this process or to a fleet's."""
    data = event.data
    return Happening(
        event.resource,
        event.event,
        data,
        event.actor,
        _room_of(event.resource, data),
        event.key,
        client,
        door,
        event.redelivered,
        event.files,
        event.decryption_error is None,
        received_by=event.created_by or None,
    )


def from_received(event: ReceivedEvent[Any, AsyncWebex]) -> Happening:
    """Return the happening of an event that a webhook brought."""
    has_content = event.webhook is None or event.event == "deleted"
    return Happening(
        event.resource,
        event.event,
        event.data,
        event.actor,
        event.room_id,
        event.key,
        event.client,
        "webhook",
        event.redelivered,
        [],
        has_content or event.resource not in ("messages", "attachmentActions"),
        received_by=event.created_by,
    )


def from_data(
    resource: str,
    event: str,
    data: Model,
    *,
    client: AsyncWebex,
    actor: Actor | str | None = None,
    door: Door = "handle",
    redelivered: bool = False,
    is_whole: bool = True,
) -> Happening:
    """Return the happening of a resource that came by another way: a queue, a webhook, a test.

    `actor` is who did it, or their id (`actorId` of a webhook); by default the author of the message, the submission or
    the room. `is_whole=False`: `data` has ids only, and is fetched. `ConfigurationError` for a membership without an
    actor: it does not tell who changed it.
    """
    if actor is None and resource == "memberships":
        raise ConfigurationError(
            "A membership does not tell who changed it: give actor=, such as actorId of a webhook."
        )
    if isinstance(actor, str):
        actor = Actor(actor)
    key = event_key(resource, event, data.to_dict())
    room_id = _room_of(resource, data)
    return Happening(resource, event, data, actor, room_id, key, client, door, redelivered, [], is_whole)


def _room_of(resource: str, data: Any) -> str | None:
    found = getattr(data, "id" if resource == "rooms" else "room_id", None)
    return found if isinstance(found, str) else None
