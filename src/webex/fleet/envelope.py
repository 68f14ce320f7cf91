"""Events as text for a broker, and back: an envelope of our own, or CloudEvents 1.0 (JSON format) around it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal

from webex.errors import ConfigurationError, DecodeError, DecryptionError
from webex.ids import to_uuid
from webex.realtime.event import MODELS, Audience, Occurrence
from webex.realtime.kinds import make_event

if TYPE_CHECKING:
    from webex.realtime.event import Event
    from webex.realtime.kinds import RealtimeEvent

__all__ = [
    "CONTENT_TYPES",
    "Envelope",
    "address_of",
    "check_envelope",
    "check_template",
    "decode",
    "encode",
    "event_id",
]

Envelope = Literal["webex", "cloudevents"]
CONTENT_TYPES: Final[dict[Envelope, str]] = {
    "webex": "application/json",
    "cloudevents": "application/cloudevents+json",
}
_NOT_IN_ADDRESSES: Final = re.compile(r"[^A-Za-z0-9_=-]+")
_FIELDS: Final = ("resource", "event", "room", "user", "org")


def event_id(event: Event[Any]) -> str:
    """Return the id that an event and its repetitions have in common, other for each user who received it.

    It is what a broker or a consumer tells repetitions by. `event.key` is the same for all users of a room, and for
    several changes of one room.
    """
    what = event.activity_id or hashlib.blake2b(repr(sorted(event.raw.items())).encode(), digest_size=12).hexdigest()
    return f"{event.user_key or '-'}/{what}/{event.key}"


def encode(event: Event[Any], envelope: Envelope = "webex") -> bytes:
    """Return an event as JSON. Files have no keys in it: a consumer reads them by REST."""
    actor = event.actor
    published = event.published
    body: dict[str, Any] = {
        "id": event_id(event),
        "userKey": event.user_key,
        "activityId": event.activity_id,
        "published": None if published is None else published.isoformat(),
        "redelivered": event.redelivered,
        **event.to_dict(),
    }
    if actor is not None:
        body["actor"] = {
            "email": actor.email,
            "displayName": actor.display_name,
            "orgId": actor.org_id,
            "kind": actor.kind,
        }
    if event.decryption_error is not None:
        body["decryptionError"] = str(event.decryption_error)
    if envelope == "cloudevents":
        body = {
            "specversion": "1.0",
            "id": body["id"],
            "source": f"webex/{event.org_id or '-'}",
            "type": f"com.webex.{event.resource}.{event.event}",
            "subject": str(event.raw.get("roomId") or event.raw.get("id") or "-"),
            "time": (published or datetime.now(UTC)).isoformat(),
            "datacontenttype": "application/json",
            "data": body,
        }
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def decode(body: bytes | str) -> RealtimeEvent:
    """Return the event in a message of either envelope; `DecodeError` for anything else."""
    try:
        data = json.loads(body)
        if "specversion" in data:
            data = data["data"]
        resource, name = data["resource"], data["event"]
        if resource not in MODELS and resource != "*":
            raise ValueError(resource)
        failure = data.get("decryptionError")
        event = make_event(
            Occurrence(resource, name, _uuid(data.get("actorId")), dict(data["data"])),
            Audience(
                str(data["createdBy"]), str(data["orgId"]), datetime.fromisoformat(data["created"]), data["userKey"]
            ),
            {"id": data["activityId"], "published": data["published"], "actor": _person(data.get("actor"))},
            redelivered=bool(data["redelivered"]),
            decryption_error=None if failure is None else DecryptionError(str(failure)),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DecodeError(f"A message of the broker is no event of a fleet: {type(error).__name__}.") from None
    return event  # type: ignore[return-value]  # one of the kinds


def check_envelope(envelope: str) -> Envelope:
    """Return the name of an envelope; `ConfigurationError` for an unknown one."""
    for known in CONTENT_TYPES:
        if envelope == known:
            return known
    raise ConfigurationError(f"envelope is {envelope!r}; it is {' or '.join(map(repr, CONTENT_TYPES))}.")


def check_template(what: str, template: str) -> str:
    """Return a template of addresses; `ConfigurationError` for a field that there is not."""
    try:
        made = template.format(**dict.fromkeys(_FIELDS, "x"))
    except (KeyError, IndexError, ValueError) as error:
        raise ConfigurationError(
            f"{what} is {template!r}, with {error}; it has the fields {', '.join(f'{{{each}}}' for each in _FIELDS)}."
        ) from None
    if not made or any(letter.isspace() for letter in made):
        raise ConfigurationError(f"{what} is {template!r}; it is a text without spaces.")
    return template


def address_of(template: str, event: Event[Any]) -> str:
    """Return the subject, stream or routing key of an event. Characters that mean something there are replaced."""
    room = event.raw.get("id") if event.resource == "rooms" else event.raw.get("roomId")
    fields = {
        "resource": event.resource,
        "event": event.event,
        "room": room,
        "user": event.user_key,
        "org": event.org_id,
    }
    return template.format(**{name: _NOT_IN_ADDRESSES.sub("_", str(value or "-")) for name, value in fields.items()})


def _uuid(public: Any) -> str:
    return to_uuid(public) if isinstance(public, str) and public else ""


def _person(actor: Any) -> dict[str, Any]:
    if not isinstance(actor, Mapping):
        return {}
    organization = _uuid(actor.get("orgId"))
    person: dict[str, Any] = {
        "entryEmail": actor.get("email"),
        "displayName": actor.get("displayName"),
        "type": "BOT" if actor.get("kind") == "bot" else "PERSON",
    }
    return person | ({"orgId": organization} if organization else {})
