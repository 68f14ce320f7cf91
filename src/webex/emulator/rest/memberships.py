"""`/memberships`: who is in which room."""

from __future__ import annotations

from typing import TYPE_CHECKING

from webex.emulator.oauth.clients import find_person
from webex.emulator.rest.moderation import set_moderator, unlock_without_moderator
from webex.emulator.rest.paging import paged
from webex.emulator.rest.render import membership_json
from webex.emulator.rest.rooms import join
from webex.emulator.rest.rules import (
    flag_of,
    inner_id,
    is_moderator,
    membership_of,
    require_moderator,
    room_for,
    someone,
    tell,
    text_of,
)
from webex.emulator.wire import NOT_FOUND, Problem, Reply

if TYPE_CHECKING:
    from webex.emulator.routing import RouteTable
    from webex.emulator.state import Membership, Person, Room
    from webex.emulator.wire import Call


def routes(table: RouteTable) -> None:
    """Add this service."""
    table.add("GET", "/v1/memberships", list_memberships)
    table.add("POST", "/v1/memberships", create)
    table.add("GET", "/v1/memberships/{membershipId}", get)
    table.add("PUT", "/v1/memberships/{membershipId}", update)
    table.add("DELETE", "/v1/memberships/{membershipId}", delete)


def list_memberships(call: Call) -> Reply:
    """Of one room; without a room one's own."""
    person = call.person("spark:memberships_read")
    found = list(call.state.memberships.values())
    if call.arg("roomId") is not None:
        room = room_for(call, person, call.arg("roomId"))
        found = [membership for membership in found if membership.room_id == room.id]
        who = call.arg("personId") or call.arg("personEmail")
        if who is not None:
            other = _asked(call)
            found = [membership for membership in found if other is not None and membership.person_id == other.id]
    else:
        if (call.arg("personId") or call.arg("personEmail")) and _asked(call) is not person:
            raise Problem(400, "roomId cannot be null", hint="Without a roomId only one's own memberships are listed.")
        found = [membership for membership in found if membership.person_id == person.id]
    found.sort(key=lambda membership: (membership.created, membership.person_id, membership.room_id))
    return paged(
        call,
        found,
        lambda membership: f"{membership.person_id}:{membership.room_id}",
        lambda membership: membership_json(membership, call.state, listed=True),
    )


def _asked(call: Call) -> Person | None:
    by_id = call.arg("personId")
    if by_id:
        return call.state.people.get(inner_id(by_id, "PEOPLE"))
    email = call.arg("personEmail") or ""
    return find_person(call.state, email) if "@" in email else None


def create(call: Call) -> Reply:
    """Add a person to a room."""
    person = call.person("spark:memberships_write")
    body = call.json()
    text_of(body, "roomId", required=True)
    room = room_for(call, person, body["roomId"])
    if room.type == "direct":
        raise Problem(403, "Members can not be added to a direct space.")
    require_moderator(call, person, room)
    other = someone(call, body)
    if membership_of(call.state, other, room.id) is not None:
        raise Problem(409, "User is already a participant in the room.")
    wants = flag_of(body, "isModerator") or False
    if wants and not (is_moderator(call.state, person, room) or not room.is_locked):
        raise Problem(403, "Only a moderator may make a moderator.")
    membership = join(call.cloud, room, other)
    tell(call, "memberships", "created", membership_json(membership, call.state), person, room)
    if wants:
        set_moderator(call, person, room, membership, True)
    return Reply(200, membership_json(membership, call.state))


def get(call: Call) -> Reply:
    """One membership, in a room that one is in."""
    membership, _, _ = _membership(call, "spark:memberships_read")
    return Reply(200, membership_json(membership, call.state))


def update(call: Call) -> Reply:
    """Make or unmake a moderator; hide a direct room."""
    membership, person, room = _membership(call, "spark:memberships_write")
    body = call.json()
    moderator, hidden = flag_of(body, "isModerator"), flag_of(body, "isRoomHidden")
    if moderator is None and hidden is None:
        raise Problem(400, "isModerator cannot be null", hint="isModerator or isRoomHidden is required.")
    if hidden is not None and (hidden or membership.is_room_hidden):
        if room.type != "direct" or membership.person_id != person.id:
            raise Problem(400, "Only one's own direct space can be hidden.")
        membership.is_room_hidden = hidden
        tell(call, "memberships", "updated", membership_json(membership, call.state), person, room)
    if moderator is not None and moderator != membership.is_moderator:
        if room.type == "direct":
            raise Problem(400, "A direct space has no moderators.")
        require_moderator(call, person, room)
        set_moderator(call, person, room, membership, moderator)
    return Reply(200, membership_json(membership, call.state))


def delete(call: Call) -> Reply:
    """Leave a room, or remove a member."""
    membership, person, room = _membership(call, "spark:memberships_write")
    if room.type == "direct":
        raise Problem(403, "Members can not be removed from a direct space.")
    if membership.person_id != person.id:
        require_moderator(call, person, room)
    data = membership_json(membership, call.state)
    tell(call, "memberships", "deleted", data, person, room)
    del call.state.memberships[f"{membership.person_id}:{membership.room_id}"]
    unlock_without_moderator(call, person, room)
    return Reply(204)


def _membership(call: Call, scope: str) -> tuple[Membership, Person, Room]:
    person = call.person(scope)
    unknown = "Failed to get membership" if call.method == "GET" else NOT_FOUND
    membership = call.state.memberships.get(inner_id(call.path["membershipId"], "MEMBERSHIP", unknown))
    if membership is None or membership_of(call.state, person, membership.room_id) is None:
        raise Problem(404, unknown)
    return membership, person, call.state.rooms[membership.room_id]
