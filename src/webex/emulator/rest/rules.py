"""Who may see and do what, and how things are named in a request."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from webex.emulator.oauth.clients import find_person
from webex.emulator.wire import NOT_FOUND, Change, Problem
from webex.ids import is_uuid, parse_id

if TYPE_CHECKING:
    from webex.emulator.state import Membership, Message, Person, Room, State
    from webex.emulator.wire import Call


NO_ROOM: Final = "Could not find a room with provided ID."


def inner_id(value: str | None, kind: str, unknown: str = NOT_FOUND) -> str:
    """Return the UUID (or pair) of a public id of this kind, or a bare one; 404 with the text `unknown` otherwise."""
    text = value or ""
    if is_uuid(text):
        return text.lower()
    try:
        parts = parse_id(text)
    except ValueError:
        parts = None
    if parts is None or parts.kind != kind:
        raise Problem(404, unknown)
    return parts.id


def text_of(
    body: dict[str, Any], name: str, *, required: bool = False, missing: str = "{name} cannot be null"
) -> str | None:
    """Return a text of the body; 400 for another type, or, with the text `missing`, when it is not there."""
    value = body.get(name)
    if value is None or value == "":
        if required:
            raise Problem(400, missing.format(name=name), hint=f"{name} is required.")
        return None
    if not isinstance(value, str):
        raise Problem(400, f"{name} must be a string.")
    return value


def flag_of(body: dict[str, Any], name: str) -> bool | None:
    """Return a boolean of the body; 400 for another type. In a form it is `true` or `false`."""
    value = body.get(name)
    if value in ("true", "false"):
        return bool(value == "true")
    if value is not None and not isinstance(value, bool):
        raise Problem(400, f"{name} must be a boolean.")
    return value


def membership_of(state: State, person: Person, room_id: str) -> Membership | None:
    """Return a person's membership in a room."""
    return state.memberships.get(f"{person.id}:{room_id}")


def room_for(call: Call, person: Person, public_id: str | None, unknown: str = NO_ROOM) -> Room:
    """Return a room that this person is in; 404 otherwise, as if it were not there."""
    room = call.state.rooms.get(inner_id(public_id, "ROOM", unknown))
    if room is None or membership_of(call.state, person, room.id) is None:
        raise Problem(404, unknown)
    return room


def is_moderator(state: State, person: Person, room: Room) -> bool:
    """Return whether a person moderates a room."""
    membership = membership_of(state, person, room.id)
    return membership is not None and membership.is_moderator


def require_moderator(call: Call, person: Person, room: Room) -> None:
    """Refuse (403) changes of a locked room by a person who does not moderate it."""
    if room.is_locked and not is_moderator(call.state, person, room):
        raise Problem(403, "Only a moderator of this locked space may do that.")


def hears(state: State, person: Person, message: Message) -> bool:
    """Return whether a person may see a message: bots see in group rooms only what mentions them."""
    room = state.rooms[message.room_id]
    if membership_of(state, person, room.id) is None:
        return False
    if person.kind != "bot" or room.type == "direct" or message.person_id == person.id:
        return True
    return person.id in message.mentioned_people or "all" in message.mentioned_groups


def someone(call: Call, body: dict[str, Any], id_name: str = "personId", email_name: str = "personEmail") -> Person:
    """Return the person that a request names by id or address; 404 when there is none."""
    by_id, by_email = text_of(body, id_name), text_of(body, email_name)
    if by_id is None and by_email is None:
        raise Problem(400, f"Must specify either {id_name} or {email_name}.")
    if by_id is not None:
        person = call.state.people.get(inner_id(by_id, "PEOPLE"))
    else:
        person = find_person(call.state, by_email or "") if "@" in (by_email or "") else None
    if person is None or person.deleted:
        named = by_id is None and "@" in (by_email or "")
        text = "Failed to find user with specified email address." if named else NOT_FOUND
        raise Problem(404, text, hint=f"There is no person {by_id or by_email!r}.")
    return person


def moment_in(call: Call, name: str) -> float:
    """Parse the moment of a query parameter, in ISO 8601; 400 when it is none."""
    text = call.arg(name) or ""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Problem(400, f"{text!r} is no ISO 8601 moment.") from None
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()


def tell(call: Call, resource: str, event: str, data: dict[str, Any], actor: Person, room: Room | None = None) -> None:
    """Publish a change."""
    from webex.emulator.rest.events import remember

    change = Change(
        resource=resource,
        event=event,
        data=data,
        actor_id=actor.id,
        org_id=actor.org_id,
        room_id=None if room is None else room.id,
        app_id=None if call.token is None else call.token.app_id,
    )
    remember(call.cloud, change)
    call.cloud.publish(change)
