"""`/rooms`: spaces, as their members see them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from webex.emulator.rest.paging import paged
from webex.emulator.rest.render import membership_json, present, room_id, room_json
from webex.emulator.rest.rules import flag_of, inner_id, is_moderator, require_moderator, room_for, tell, text_of
from webex.emulator.state import Membership, Room
from webex.emulator.wire import NOT_FOUND, Problem, Reply

if TYPE_CHECKING:
    from webex.emulator.cloud import Cloud
    from webex.emulator.routing import RouteTable
    from webex.emulator.state import Person, State
    from webex.emulator.wire import Call


def routes(table: RouteTable) -> None:
    """Add this service."""
    table.add("GET", "/v1/rooms", list_rooms)
    table.add("POST", "/v1/rooms", create)
    table.add("GET", "/v1/rooms/{roomId}", get)
    table.add("PUT", "/v1/rooms/{roomId}", update)
    table.add("DELETE", "/v1/rooms/{roomId}", delete)
    table.add("GET", "/v1/rooms/{roomId}/meetingInfo", meeting_info)


def make_room(cloud: Cloud, creator: Person, title: str, **fields: object) -> Room:
    """Make a room with its creator in it; no event is sent yet."""
    now = cloud.now()
    room = Room(
        id=cloud.new_time_uuid(),
        title=title,
        creator_id=creator.id,
        org_id=creator.org_id,
        created=now,
        last_activity=now,
        cluster=cloud.settings.cluster,
    )
    for name, value in fields.items():
        setattr(room, name, value)
    room.sip_address = f"{room.id.split('-')[0]}@meet.example.com"
    cloud.state.rooms[room.id] = room
    join(cloud, room, creator)
    return room


def join(cloud: Cloud, room: Room, person: Person, *, is_moderator: bool = False) -> Membership:
    """Return a person's membership in a room."""
    membership = Membership(room.id, person.id, cloud.now(), is_moderator=is_moderator)
    cloud.state.memberships[f"{person.id}:{room.id}"] = membership
    return membership


def set_lock(state: State, person: Person, room: Room, locked: bool) -> None:
    """Lock a room, which makes the caller a moderator, or unlock it, which leaves none."""
    room.is_locked = locked
    if locked:
        state.memberships[f"{person.id}:{room.id}"].is_moderator = True
        return
    room.is_announcement_only = False
    for membership in state.memberships.values():
        if membership.room_id == room.id:
            membership.is_moderator = False


def list_rooms(call: Call) -> Reply:
    """List the rooms of the token's owner."""
    person = call.person("spark:rooms_read")
    mine = {m.room_id for m in call.state.memberships.values() if m.person_id == person.id and not m.is_room_hidden}
    rooms = [call.state.rooms[room_id] for room_id in mine]
    kind, team, order = call.arg("type"), call.arg("teamId"), call.arg("sortBy") or "lastactivity"
    if kind is not None:
        if kind not in ("direct", "group"):
            raise Problem(400, "type must be direct or group.")
        rooms = [room for room in rooms if room.type == kind]
    if team is not None:
        team_id = inner_id(team, "TEAM")
        rooms = [room for room in rooms if room.team_id == team_id]
    if order not in ("id", "lastactivity", "created"):
        raise Problem(400, "sortBy must be id, lastactivity or created.")
    if order == "id":
        rooms.sort(key=lambda room: room.id)
    else:
        rooms.sort(key=lambda room: (room.created if order == "created" else room.last_activity, room.id), reverse=True)
    return paged(call, rooms, lambda room: room.id, lambda room: room_json(room, call.state, person))


def create(call: Call) -> Reply:
    """Create a group room."""
    person = call.person("spark:rooms_write")
    body = call.json()
    title = text_of(body, "title", required=True, missing="Title cannot be empty.") or ""
    team = text_of(body, "teamId")
    team_id = None
    if team is not None:
        team_id = inner_id(team, "TEAM")
        if f"{person.id}:{team_id}" not in call.state.team_memberships:
            raise Problem(404, "Could not find a team with provided ID.")
    announcements = flag_of(body, "isAnnouncementOnly") or False
    locked = flag_of(body, "isLocked") or announcements
    public = flag_of(body, "isPublic") or False
    description = text_of(body, "description")
    if public and not description:
        raise Problem(400, "A public space needs a description.")
    room = make_room(
        call.cloud,
        person,
        title,
        team_id=team_id,
        is_locked=locked,
        is_public=public,
        made_public=call.cloud.now() if public else None,
        is_announcement_only=announcements,
        description=description,
        classification_id=text_of(body, "classificationId"),
    )
    membership = call.state.memberships[f"{person.id}:{room.id}"]
    membership.is_moderator = locked
    data = room_json(room, call.state, person, created=True)
    tell(call, "rooms", "created", data, person, room)
    tell(call, "memberships", "created", membership_json(membership, call.state), person, room)
    return Reply(200, data)


def get(call: Call) -> Reply:
    """One room."""
    person = call.person("spark:rooms_read")
    return Reply(200, room_json(room_for(call, person, call.path["roomId"], NOT_FOUND), call.state, person))


def update(call: Call) -> Reply:
    """Change a room; in a locked one its moderators may."""
    person = call.person("spark:rooms_write")
    room = room_for(call, person, call.path["roomId"], NOT_FOUND)
    body = call.json()
    if room.type == "direct":
        raise Problem(400, "A direct space can't be changed.")
    require_moderator(call, person, room)
    room.title = text_of(body, "title", required=True, missing="Title cannot be empty.") or room.title
    if "description" in body:
        room.description = text_of(body, "description")
    locked = flag_of(body, "isLocked")
    if locked is not None:
        set_lock(call.state, person, room, locked)
    announcements = flag_of(body, "isAnnouncementOnly")
    if announcements is not None:
        if announcements and not room.is_locked:
            raise Problem(400, "Only a locked space can be for announcements.")
        room.is_announcement_only = announcements
    if flag_of(body, "isReadOnly") is not None:
        room.is_read_only = bool(body["isReadOnly"])
    data = room_json(room, call.state, person)
    tell(call, "rooms", "updated", data, person, room)
    return Reply(200, data)


def delete(call: Call) -> Reply:
    """Delete a room: its creator or a moderator may."""
    person = call.person("spark:rooms_write")
    room = room_for(call, person, call.path["roomId"], NOT_FOUND)
    if room.type == "direct":
        raise Problem(400, "A direct space can't be deleted.")
    if not (is_moderator(call.state, person, room) or (not room.is_locked and room.creator_id == person.id)):
        raise Problem(403, "Only the space's creator or a moderator may delete it.")
    state = call.state
    for table, mine in ((state.memberships, "room_id"), (state.messages, "room_id"), (state.files, "room_id")):
        for key in [key for key, record in table.items() if getattr(record, mine) == room.id]:
            del table[key]
    del state.rooms[room.id]
    return Reply(204)


def meeting_info(call: Call) -> Reply:
    """How to meet in a room."""
    person = call.person("spark:rooms_read")
    room = room_for(call, person, call.path["roomId"])
    number = str(int(room.id.replace("-", "")[:10], 16) % 10**10).rjust(10, "0")
    return Reply(
        200,
        present(
            roomId=room_id(room),
            meetingLink=f"{call.base}/meet/{number}",
            sipAddress=room.sip_address,
            meetingNumber=number,
            meetingId=room.id.replace("-", ""),
            callInTollFreeNumber="+1-800-555-0100",
            callInTollNumber="+1-212-555-0100",
        ),
    )
