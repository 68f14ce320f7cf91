"""Who may see and do what, and how things are named in a request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from webex.emulator.oauth.clients import find_person
from webex.emulator.wire import Change, Problem
from webex.ids import is_uuid, parse_id

if TYPE_CHECKING:
    from webex.emulator.state import Membership, Message, Person, Room, State
    from webex.emulator.wire import Call


def inner_id(value: str | None, kind: str) -> str:
    """The UUID (or the pair) in a public id of this kind, or a bare one; 404 for anything else."""
    text = value or ""
    if is_uuid(text):
        return text.lower()
    try:
        parts = parse_id(text)
    except ValueError:
        parts = None
    if parts is None or parts.kind != kind:
        raise Problem(404, "The requested resource could not be found.")
    return parts.id


def text_of(body: dict[str, Any], name: str, *, required: bool = False) -> str | None:
    """A text of the body; 400 when it is another type, or missing."""
    value = body.get(name)
    if value is None or value == "":
        if required:
            raise Problem(400, f"{name} is required.", errors=[f"{name} cannot be null"])
        return None
    if not isinstance(value, str):
        raise Problem(400, f"{name} must be a string.")
    return value


def flag_of(body: dict[str, Any], name: str) -> bool | None:
    """A boolean of the body; 400 when it is another type. In a form it is `true` or `false`."""
    value = body.get(name)
    if value in ("true", "false"):
        return bool(value == "true")
    if value is not None and not isinstance(value, bool):
        raise Problem(400, f"{name} must be a boolean.")
    return value


def membership_of(state: State, person: Person, room_id: str) -> Membership | None:
    """Somebody's membership in a room."""
    return state.memberships.get(f"{person.id}:{room_id}")


def room_for(call: Call, person: Person, public_id: str | None) -> Room:
    """A room that this person is in; 404 otherwise, as if it were not there."""
    room = call.state.rooms.get(inner_id(public_id, "ROOM"))
    if room is None or membership_of(call.state, person, room.id) is None:
        raise Problem(404, "Could not find a room with provided ID.")
    return room


def is_moderator(state: State, person: Person, room: Room) -> bool:
    """Whether somebody moderates a room."""
    membership = membership_of(state, person, room.id)
    return membership is not None and membership.is_moderator


def require_moderator(call: Call, person: Person, room: Room) -> None:
    """403 in a locked room for whoever does not moderate it."""
    if room.is_locked and not is_moderator(call.state, person, room):
        raise Problem(403, "Only a moderator of this locked space may do that.")


def hears(state: State, person: Person, message: Message) -> bool:
    """Whether a message is there for this person: bots hear in group rooms only what mentions them."""
    room = state.rooms[message.room_id]
    if membership_of(state, person, room.id) is None:
        return False
    if person.kind != "bot" or room.type == "direct" or message.person_id == person.id:
        return True
    return person.id in message.mentioned_people or "all" in message.mentioned_groups


def someone(call: Call, body: dict[str, Any], id_name: str = "personId", email_name: str = "personEmail") -> Person:
    """The person that a request names by id or address; 404 when there is none."""
    by_id, by_email = text_of(body, id_name), text_of(body, email_name)
    if by_id is None and by_email is None:
        raise Problem(400, f"{id_name} or {email_name} is required.")
    person = find_person(call.state, inner_id(by_id, "PEOPLE") if by_id is not None else by_email or "")
    if person is None or person.deleted:
        raise Problem(404, f"There is no person {by_id or by_email!r}.")
    return person


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
        app_id=None if call.token is None else call.token.client_id,
    )
    remember(call.cloud, change)
    call.cloud.publish(change)
