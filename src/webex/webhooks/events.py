"""What a webhook posts: an envelope that says what happened, and data that says to what (rest §9)."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final, Literal

from webex.errors import DecodeError
from webex.http.codec import decode_json
from webex.models.base import ABSENT, Model, Timestamp, from_data, from_json
from webex.models.generated.messaging import AttachmentAction, Membership, Message, Room
from webex.models.keys import event_key

# Fields of what happens in a room that a webhook does not carry: it has ids, and no content.
_CONTENT: Final = frozenset({"text", "markdown", "html", "attachments", "inputs"})


def without_content(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the data of an event of the socket as a webhook has it."""
    return {name: value for name, value in data.items() if name not in _CONTENT}


class WebhookEvent(Model, kw_only=True, dict=True):
    """One thing that happened. `data` is a mapping here and a model in the classes of the known resources.

    A message's data has ids and no text; `client.messages.get(event.data.id)` fetches it, as the webhook's owner.
    """

    id: str | None = None
    name: str | None = None
    target_url: str | None = None
    resource: str | None = None
    event: Literal["created", "updated", "deleted", "migrated", "authorized", "deauthorized"] | str | None = None
    filter: str | None = None
    org_id: str | None = None
    created_by: str | None = None
    app_id: str | None = None
    owned_by: Literal["creator", "org"] | str | None = None
    status: Literal["active", "inactive"] | str | None = None
    actor_id: str | None = None
    created: Timestamp | None = None
    data: Any = None

    @property
    def key(self) -> str:
        """`resource:event:id[:updated]`: what this event and its repetitions have in common, as in `listen()`."""
        data = self.data.to_dict() if isinstance(self.data, Model) else self.data
        return event_key(self.resource, self.event, data if isinstance(data, dict) else {})


class MessageEvent(WebhookEvent, kw_only=True, dict=True):
    """A message was written, edited or deleted."""

    data: Message = ABSENT


class RoomEvent(WebhookEvent, kw_only=True, dict=True):
    """A room was made, changed or moved."""

    data: Room = ABSENT


class MembershipEvent(WebhookEvent, kw_only=True, dict=True):
    """A person came into a room, became a moderator, or left."""

    data: Membership = ABSENT


class AttachmentActionEvent(WebhookEvent, kw_only=True, dict=True):
    """A person submitted a card; `client.attachment_actions.get(event.data.id)` has the inputs."""

    data: AttachmentAction = ABSENT


class Meeting(Model, kw_only=True, dict=True):
    """A meeting, as its webhooks and `GET /meetings/{id}` tell of it; other fields by `meeting["theirName"]`."""

    id: str | None = None
    title: str | None = None
    meeting_number: str | None = None
    meeting_type: str | None = None
    state: str | None = None
    start: Timestamp | None = None
    end: Timestamp | None = None
    host_user_id: str | None = None
    host_email: str | None = None
    web_link: str | None = None  # of `GET /meetings/{id}`


class MeetingEvent(WebhookEvent, kw_only=True, dict=True):
    """A meeting was scheduled, changed, deleted, started or ended (`event.event`)."""

    data: Meeting = ABSENT


class Recording(Model, kw_only=True, dict=True):
    """A recording, as its webhooks and `GET /recordings/{id}` tell of it; only the latter has its links."""

    id: str | None = None
    meeting_id: str | None = None
    topic: str | None = None
    create_time: Timestamp | None = None
    time_recorded: Timestamp | None = None
    host_email: str | None = None
    download_url: str | None = None
    playback_url: str | None = None


class RecordingEvent(WebhookEvent, kw_only=True, dict=True):
    """A recording is ready, was changed or deleted."""

    data: Recording = ABSENT


class Call(Model, kw_only=True, dict=True):
    """A telephone call of the webhook's owner, at one moment of it."""

    call_id: str | None = None
    call_session_id: str | None = None
    event_type: str | None = None
    event_timestamp: Timestamp | None = None
    personality: str | None = None
    state: str | None = None
    remote_party: dict[str, Any] | None = None
    created: Timestamp | None = None


class CallEvent(WebhookEvent, kw_only=True, dict=True):
    """A call began, changed or ended; `event.data.event_type` says what happened."""

    data: Call = ABSENT


class ContactCenterEvent(WebhookEvent, kw_only=True, dict=True):
    """An event of a contact-center subscription: a CloudEvents envelope, whose `type` is `resource:event`.

    `id` is the event's own, `source` ends with the subscription's id, `org_id` is the organization's UUID, and
    `created` the moment that version 2 envelopes carry.
    """

    source: str | None = None
    specversion: str | None = None

    @property
    def subscription_id(self) -> str | None:
        """The id of the subscription that the event is delivered for."""
        return self.source.rpartition("/")[2] or None if self.source else None

    @property
    def key(self) -> str:
        """`resource:event:id`, with the id of the envelope."""
        return f"{self.resource}:{self.event}:{self.id or ''}"


class ServiceApp(Model, kw_only=True, dict=True):
    """A service app that an administrator authorized, or no longer authorizes."""

    id: str | None = None  # the application id
    friendly_name: str | None = None
    org_id: str | None = None
    train_site_names: list[str] | None = None
    admin_train_site_names: list[str] | None = None


class ServiceAppEvent(WebhookEvent, kw_only=True, dict=True):
    """A service app was authorized or deauthorized (`event.event`) for an organization."""

    event: Literal["authorized", "deauthorized"] | str | None = None
    data: ServiceApp = ABSENT

    @property
    def organization(self) -> str | None:
        """The organization that decided: that of the data, else that of the envelope."""
        return (self.data.org_id if self.data is not None else None) or self.org_id


_BY_RESOURCE: Final[dict[str, type[WebhookEvent]]] = {
    "messages": MessageEvent,
    "rooms": RoomEvent,
    "memberships": MembershipEvent,
    "attachmentActions": AttachmentActionEvent,
    "serviceApp": ServiceAppEvent,
    "meetings": MeetingEvent,
    "recordings": RecordingEvent,
    "telephony_calls": CallEvent,
}


def read_event(raw_body: bytes) -> WebhookEvent:
    """Read the event of a body whose signature was checked elsewhere; `DecodeError` when it is none.

    A resource without a class of its own gives a plain `WebhookEvent`; unknown fields stay readable by
    `event["theirName"]`.
    """
    envelope = decode_json(raw_body)
    if not isinstance(envelope, dict):
        raise DecodeError("The body of a webhook is no JSON object.")
    if "specversion" in envelope and "resource" not in envelope:
        return _contact_center(envelope)
    resource = envelope.get("resource")
    kind = _BY_RESOURCE.get(resource, WebhookEvent) if isinstance(resource, str) else WebhookEvent
    return from_json(kind, raw_body)


def _contact_center(envelope: dict[str, Any]) -> ContactCenterEvent:
    """Read a CloudEvents envelope of a contact center, in the names that all events have."""
    kind = envelope.get("type")
    resource, _, event = kind.partition(":") if isinstance(kind, str) else ("", "", "")
    named = {**envelope, "resource": resource, "event": event, "orgId": envelope.get("comciscoorgid")}
    moment = envelope.get("comciscotimestamp")
    if isinstance(moment, int | float | str) and not isinstance(moment, bool):
        with suppress(ValueError, OverflowError, OSError):
            named["created"] = datetime.fromtimestamp(float(moment) / 1000, UTC).isoformat(timespec="milliseconds")
    return from_data(ContactCenterEvent, named)
