"""What a webhook posts: an envelope that says what happened, and data that says to what (cloud-facts §3)."""

from __future__ import annotations

from typing import Any, Final, Literal

from webex.api.generated.models import AttachmentAction, Membership, Message, Room
from webex.api.models import Model, Timestamp, from_json
from webex.errors import DecodeError
from webex.http.codec import decode_json


class WebhookEvent(Model, kw_only=True, dict=True):
    """One thing that happened. `data` is a mapping here and a model in the classes of the known resources.

    A message's data has ids and no text; `client.messages.get(event.data.id)` fetches it, as the webhook's owner.
    """

    id: str | None = None
    name: str | None = None
    target_url: str | None = None
    resource: str | None = None
    event: Literal["created", "updated", "deleted", "migrated"] | str | None = None
    filter: str | None = None
    org_id: str | None = None
    created_by: str | None = None
    app_id: str | None = None
    owned_by: Literal["creator", "org"] | str | None = None
    status: Literal["active", "inactive"] | str | None = None
    actor_id: str | None = None
    created: Timestamp | None = None
    data: Any = None


class MessageEvent(WebhookEvent, kw_only=True, dict=True):
    """A message was written, edited or deleted."""

    data: Message | None = None


class RoomEvent(WebhookEvent, kw_only=True, dict=True):
    """A room was made, changed or moved."""

    data: Room | None = None


class MembershipEvent(WebhookEvent, kw_only=True, dict=True):
    """Somebody came into a room, became a moderator, or left."""

    data: Membership | None = None


class AttachmentActionEvent(WebhookEvent, kw_only=True, dict=True):
    """Somebody submitted a card; `client.attachment_actions.get(event.data.id)` has the inputs."""

    data: AttachmentAction | None = None


_BY_RESOURCE: Final[dict[str, type[WebhookEvent]]] = {
    "messages": MessageEvent,
    "rooms": RoomEvent,
    "memberships": MembershipEvent,
    "attachmentActions": AttachmentActionEvent,
}


def read_event(raw_body: bytes) -> WebhookEvent:
    """The event of a body whose signature was checked elsewhere; `DecodeError` when it is none.

    A resource without a class of its own gives a plain `WebhookEvent`; unknown fields stay readable by
    `event["theirName"]`.
    """
    envelope = decode_json(raw_body)
    if not isinstance(envelope, dict):
        raise DecodeError("The body of a webhook is no JSON object.")
    resource = envelope.get("resource")
    kind = _BY_RESOURCE.get(resource, WebhookEvent) if isinstance(resource, str) else WebhookEvent
    return from_json(kind, raw_body)
